// The scene in 3D: its points, its objects' boxes, its cameras, and what was measured. Drawn when it changes.

import { PerspectiveCamera, Scene, Sphere, Vector3, WebGLRenderer, type Object3D, type Points } from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

import { button, el } from "./dom";
import { icon } from "./icons";
import { objectColour } from "./palette";
import type { Service } from "./service";
import { loadCloud } from "./space_cloud";
import { Labels, type Label } from "./space_labels";
import { boundsOf, upOf } from "./space_bounds";
import { boxOf, camerasOf, discard, outlineLine } from "./space_parts";
import { Openings } from "./space_openings";
import { marksOf } from "./space_marks";
import type { Evidence, SceneView } from "./wire";

const TURN = Math.PI / 24;
const ZOOM = 1.15;
const FIELD_DEG = 50;
/** Looking down into a room, whose ceiling is left out. */
const ELEVATION = (48 * Math.PI) / 180;
const AZIMUTH = (-55 * Math.PI) / 180;
const LAYERS = ["points", "boxes", "labels", "cameras"] as const;
type Layer = (typeof LAYERS)[number];

export class SpaceView {
  readonly element = el("div", { class: "space", "data-state": "loading" });
  private readonly stage = el("div", { class: "space-stage" });
  private readonly canvas = el("canvas", { class: "space-canvas", tabindex: 0, role: "img" });
  private readonly labels = new Labels();
  private readonly renderer: WebGLRenderer;
  private readonly world = new Scene();
  private readonly camera: PerspectiveCamera;
  private readonly controls: OrbitControls;
  private readonly up: Vector3;
  private readonly bounds: Sphere;
  private readonly shown = new Set<Layer>(["points", "boxes", "labels", "cameras"]);
  private readonly sizes = new ResizeObserver(() => this.resize());
  private boxes: Object3D[] = [];
  private marks: Object3D[] = [];
  private cloud: Points | null = null;
  private openings: Openings | null = null;
  private evidence: Evidence[] = [];
  private readonly frusta: Object3D;
  private wanted = 0;

  constructor(
    private readonly service: Service,
    private readonly scene: SceneView,
  ) {
    this.renderer = new WebGLRenderer({ canvas: this.canvas, antialias: true, alpha: true });
    this.renderer.localClippingEnabled = true;
    this.renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.up = upOf(scene);
    this.bounds = boundsOf(scene);
    this.camera = new PerspectiveCamera(FIELD_DEG, 1, 0.02, Math.max(this.bounds.radius * 20, 50));
    this.camera.up.copy(this.up);
    this.controls = new OrbitControls(this.camera, this.canvas);
    this.controls.addEventListener("change", () => this.draw());
    this.frusta = camerasOf(scene.cameras);
    this.world.add(this.frusta, ...outlineLine(scene));
    this.canvas.addEventListener("keydown", (event) => this.byKey(event));
    this.stage.append(this.canvas, this.labels.element);
    this.element.append(this.stage, this.toolbar());
    this.sizes.observe(this.stage);
    this.look();
    this.rebuild();
    void this.loadPoints();
  }

  close(): void {
    this.sizes.disconnect();
    cancelAnimationFrame(this.wanted);
    this.controls.dispose();
    this.renderer.dispose();
  }

  /** Draw what was measured, and the objects it is about strongly. */
  focus(evidence: Evidence[]): void {
    this.evidence = evidence;
    this.rebuild();
  }

  private async loadPoints(): Promise<void> {
    try {
      this.cloud = await loadCloud(this.service, this.scene);
      if (this.cloud !== null) {
        this.openings = new Openings(this.cloud, this.scene);
        this.world.add(this.cloud);
      }
      this.element.dataset["state"] = "ready";
    } catch {
      this.stage.append(el("p", { class: "space-note", role: "status" }, "The points could not be loaded; the boxes are here."));
      this.element.dataset["state"] = "without-points";
    }
    this.show();
  }

  private rebuild(): void {
    const before = [...this.boxes, ...this.marks];
    this.world.remove(...before);
    before.forEach(discard);
    const strong = new Set(this.evidence.flatMap(({ objects }) => objects));
    this.boxes = this.scene.objects.map((item, place) =>
      boxOf(item, objectColour(place), strong.size === 0 ? "plain" : strong.has(item.id) ? "strong" : "faint"),
    );
    const { parts, labels } = marksOf(this.evidence.flatMap(({ marks }) => marks));
    this.marks = parts;
    this.world.add(...this.boxes, ...this.marks);
    this.labels.put([...labels, ...this.names(strong)]);
    this.describe();
    this.show();
  }

  private names(strong: Set<string>): Label[] {
    return this.scene.objects
      .map((item, place) => ({
        text: item.id,
        at: new Vector3(...item.centre_m).addScaledVector(this.up, item.size_m[2] / 2),
        colour: objectColour(place),
        look: strong.has(item.id) ? ("strong" as const) : ("plain" as const),
      }))
      .filter(({ text }) => strong.size === 0 || strong.has(text));
  }

  private describe(): void {
    const claims = this.evidence.map(({ claim }) => claim).join(" ");
    const things = `${this.scene.objects.length} objects, ${this.scene.cameras.length} cameras.`;
    const keys = "Arrow keys turn the view, plus and minus zoom, 0 resets it.";
    this.canvas.setAttribute("aria-label", `3D view of ${this.scene.name}: ${claims || things} ${keys}`);
  }

  private show(): void {
    if (this.cloud !== null) this.cloud.visible = this.shown.has("points");
    for (const box of this.boxes) box.visible = this.shown.has("boxes");
    this.frusta.visible = this.shown.has("cameras");
    this.labels.element.hidden = !this.shown.has("labels");
    this.draw();
  }

  /** Draw with the next frame, once however often it was asked for. */
  private draw(): void {
    cancelAnimationFrame(this.wanted);
    this.wanted = requestAnimationFrame(() => {
      this.openings?.towards(this.camera.position);
      this.renderer.render(this.world, this.camera);
      this.labels.place(this.camera, this.stage.clientWidth, this.stage.clientHeight);
      this.element.dataset["drawn"] = String(Number(this.element.dataset["drawn"] ?? 0) + 1);
    });
  }

  private resize(): void {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (width === 0 || height === 0) return;
    this.camera.aspect = width / height;
    this.camera.updateProjectionMatrix();
    this.renderer.setSize(width, height, false);
    this.draw();
  }

  /** Look at the whole scene. */
  private look(): void {
    const distance = (this.bounds.radius / Math.sin((FIELD_DEG / 2) * (Math.PI / 180))) * 0.8;
    const flat = new Vector3(Math.cos(AZIMUTH), Math.sin(AZIMUTH), 0).projectOnPlane(this.up).normalize();
    const direction = flat.multiplyScalar(Math.cos(ELEVATION)).addScaledVector(this.up, Math.sin(ELEVATION));
    this.controls.target.copy(this.bounds.center);
    this.camera.position.copy(this.bounds.center).addScaledVector(direction, distance);
    this.controls.update();
    this.draw();
  }

  private turn(around: number, over: number): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    offset.applyAxisAngle(this.up, around);
    const side = new Vector3().crossVectors(this.up, offset).normalize();
    const tilted = offset.clone().applyAxisAngle(side, over);
    if (tilted.angleTo(this.up) > 0.05 && tilted.angleTo(this.up) < Math.PI - 0.05) offset.copy(tilted);
    this.camera.position.copy(this.controls.target).add(offset);
    this.controls.update();
  }

  private zoom(factor: number): void {
    const offset = this.camera.position.clone().sub(this.controls.target);
    this.camera.position.copy(this.controls.target).addScaledVector(offset, factor);
    this.controls.update();
  }

  private byKey(event: KeyboardEvent): void {
    const moves: Record<string, () => void> = {
      ArrowLeft: () => this.turn(-TURN, 0),
      ArrowRight: () => this.turn(TURN, 0),
      ArrowUp: () => this.turn(0, -TURN),
      ArrowDown: () => this.turn(0, TURN),
      "+": () => this.zoom(1 / ZOOM),
      "=": () => this.zoom(1 / ZOOM),
      "-": () => this.zoom(ZOOM),
      "0": () => this.look(),
    };
    const move = event.ctrlKey || event.metaKey || event.altKey ? undefined : moves[event.key];
    if (!move) return;
    event.preventDefault();
    move();
  }

  private toolbar(): HTMLElement {
    const switches = LAYERS.map((layer) => {
      const box = el("input", { type: "checkbox", checked: true });
      box.addEventListener("change", () => {
        if (box.checked) this.shown.add(layer);
        else this.shown.delete(layer);
        this.show();
      });
      return el("label", { class: "switch" }, box, layer);
    });
    const control = (name: "plus" | "minus" | "home", label: string, act: () => void): HTMLElement =>
      button(icon(name), act, { class: "button button-quiet", "aria-label": label, title: label });
    return el(
      "div",
      { class: "space-bar" },
      el("div", { class: "switches", role: "group", "aria-label": "What is drawn" }, ...switches),
      el(
        "div",
        { class: "row" },
        control("minus", "Zoom out", () => this.zoom(ZOOM)),
        control("plus", "Zoom in", () => this.zoom(1 / ZOOM)),
        control("home", "Reset the view", () => this.look()),
      ),
    );
  }
}
