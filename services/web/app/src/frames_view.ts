// The frames a scene was measured from, with the objects' boxes and what was measured drawn on them.

import { button, el, fill, svg } from "./dom";
import { bestFrames, edgesOf, FrameProjection } from "./frame_projection";
import type { Point } from "./geometry";
import { icon } from "./icons";
import { objectColour } from "./palette";
import { asProblem } from "./problems";
import type { Service } from "./service";
import type { CameraView, Evidence, Mark, SceneView } from "./wire";

export class FramesView {
  readonly element = el("div", { class: "frames" });
  private readonly picture = el("div", { class: "frame-picture" });
  private readonly caption = el("p", { class: "faint", "aria-live": "polite" });
  private evidence: Evidence[] = [];
  private order: CameraView[] = [];
  private place = 0;
  private address: string | null = null;
  private visible = false;

  constructor(
    private readonly service: Service,
    private readonly scene: SceneView,
  ) {
    const move = (by: number): void => {
      this.place = (this.place + by + this.order.length) % this.order.length;
      void this.load();
    };
    const control = (label: string, look: string, act: () => void): HTMLElement =>
      button(icon("arrow"), act, { class: `button button-quiet ${look}`, "aria-label": label, title: label });
    const steps = el(
      "div",
      { class: "row" },
      control("Previous frame", "turned", () => move(-1)),
      control("Next frame", "", () => move(1)),
    );
    this.element.append(this.picture, el("div", { class: "frame-bar" }, this.caption, steps));
    this.focus([]);
  }

  close(): void {
    if (this.address !== null) URL.revokeObjectURL(this.address);
    this.address = null;
  }

  /** Draw what was measured, on the frame that shows it best. */
  focus(evidence: Evidence[]): void {
    this.evidence = evidence;
    this.order = bestFrames(this.scene, [...this.strong()]);
    this.place = 0;
    if (this.visible) void this.load();
  }

  /** Fetch the frame when somebody looks. */
  show(): void {
    this.visible = true;
    void this.load();
  }

  private strong(): Set<string> {
    return new Set(this.evidence.flatMap(({ objects }) => objects));
  }

  private async load(): Promise<void> {
    const camera = this.order[this.place];
    if (camera === undefined) {
      fill(this.picture, el("p", { class: "viewer-empty faint" }, "This scene has no frames."));
      return;
    }
    try {
      const response = await this.service.send("GET", `v1/scenes/${this.scene.id}/artifacts/frames/${camera.index}.jpg`);
      const address = URL.createObjectURL(await response.blob());
      if (camera !== this.order[this.place]) return URL.revokeObjectURL(address);
      this.close();
      this.address = address;
      this.draw(camera, address);
    } catch (error) {
      fill(this.picture, el("p", { class: "viewer-empty faint" }, asProblem(error).detail));
    }
  }

  private draw(camera: CameraView, address: string): void {
    const { width_px: width, height_px: height } = camera;
    const projection = new FrameProjection(camera);
    const words = `Frame ${camera.index}`;
    const claims = this.evidence.map(({ claim }) => claim).join(" ");
    const order = this.evidence.length > 0 ? "best view first" : "in order of time";
    this.caption.textContent = `${words} · ${this.place + 1} of ${this.order.length}, ${order}`;
    fill(
      this.picture,
      svg(
        "svg",
        { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${words}. ${claims}` },
        svg("image", { href: address, width, height }),
        ...this.boxes(projection),
        ...this.marks(projection),
      ),
    );
  }

  private boxes(projection: FrameProjection): SVGElement[] {
    const strong = this.strong();
    return this.scene.objects.flatMap((item, place) => {
      if (strong.size > 0 && !strong.has(item.id)) return [];
      const colour = objectColour(place);
      const lines = edgesOf(item).flatMap(([from, to]) => projection.line(from, to));
      const at = projection.point(item.centre_m);
      const seen = at !== null && projection.holds(at);
      return [
        ...lines.map(([[x1, y1], [x2, y2]]) => svg("line", { class: "frame-edge", x1, y1, x2, y2, stroke: colour })),
        ...(seen ? [svg("text", { class: "frame-name", x: at[0], y: at[1] }, item.id)] : []),
      ];
    });
  }

  private marks(projection: FrameProjection): SVGElement[] {
    return this.evidence.flatMap(({ marks }) => marks).flatMap((mark) => markOn(projection, mark));
  }
}

/** Return a mark on a frame: its lines as far as they are seen, and its label at what is seen of the first. */
function markOn(projection: FrameProjection, mark: Mark): SVGElement[] {
  const lines = linesOf(mark).flatMap(([from, to]) => projection.line(from, to));
  const [[start, end] = [null, null]] = lines;
  const at = mark.kind === "point" ? projection.point(mark.at_m) : start && end && between(start, end);
  const drawn: SVGElement[] = lines.map(([[x1, y1], [x2, y2]]) => svg("line", { class: "frame-measured", x1, y1, x2, y2 }));
  if (at === null || !projection.holds(at)) return drawn;
  if (mark.kind === "point") drawn.push(svg("circle", { class: "frame-measured", cx: at[0], cy: at[1], r: 4 }));
  return [...drawn, svg("text", { class: "frame-measured-name", x: at[0], y: at[1] - 10 }, mark.label)];
}

function linesOf(mark: Mark): [number[], number[]][] {
  if (mark.kind === "segment") return [[mark.from_m, mark.to_m]];
  if (mark.kind === "observer") return [[mark.at_m, mark.target_m]];
  if (mark.kind === "path") return mark.points_m.slice(1).map((to, place) => [mark.points_m[place]!, to]);
  return [];
}

function between([x1, y1]: Point, [x2, y2]: Point): Point {
  return [(x1 + x2) / 2, (y1 + y2) / 2];
}
