// The scene from above: floor, objects, cameras, and what was measured; x to the right, y up.

import { el, fill, svg } from "./dom";
import { footprint, outlineOf, type Point } from "./geometry";
import { drawMarks } from "./map_marks";
import { objectColour } from "./palette";
import type { Evidence, ObjectView, SceneView } from "./wire";

const SIZE = 720;
const BORDER_M = 0.4;
const LETTER_PX = 6.6;

/** How metres become units of the drawing. */
export class MapScale {
  private constructor(
    private readonly left: number,
    private readonly top: number,
    readonly perMetre: number,
    readonly width: number,
    readonly height: number,
  ) {}

  static around(points: Point[]): MapScale {
    const xs = points.map(([x]) => x);
    const ys = points.map(([, y]) => y);
    const left = Math.min(...xs) - BORDER_M;
    const top = Math.max(...ys) + BORDER_M;
    const width = Math.max(...xs) + BORDER_M - left;
    const height = top - (Math.min(...ys) - BORDER_M);
    const perMetre = SIZE / Math.max(width, height);
    return new MapScale(left, top, perMetre, width * perMetre, height * perMetre);
  }

  at(point: readonly number[]): Point {
    return [((point[0] ?? 0) - this.left) * this.perMetre, (this.top - (point[1] ?? 0)) * this.perMetre];
  }

  path(points: readonly (readonly number[])[]): string {
    return points.map((point) => this.at(point).map((part) => part.toFixed(1)).join(",")).join(" ");
  }
}

export class MapView {
  readonly element = el("div", { class: "map" });
  private scene: SceneView | null = null;
  private evidence: Evidence[] = [];

  open(scene: SceneView): void {
    this.scene = scene;
    this.draw();
  }

  focus(evidence: Evidence[]): void {
    this.evidence = evidence;
    if (this.scene !== null) this.draw();
  }

  private draw(): void {
    const { scene } = this;
    if (scene === null) return;
    const points = extent(scene);
    if (scene.up === false || points.length === 0) {
      const why = scene.up === false ? "Which way is up is not known, so there is no map." : "There is nothing to draw.";
      fill(this.element, el("p", { class: "viewer-empty faint" }, why));
      return;
    }
    const scale = MapScale.around(points);
    const strong = new Set(this.evidence.flatMap(({ objects }) => objects));
    fill(
      this.element,
      svg(
        "svg",
        { viewBox: `0 0 ${scale.width.toFixed(0)} ${scale.height.toFixed(0)}`, role: "img", "aria-label": this.words(scene) },
        ...floor(scene, scale),
        ...scene.objects.map((item, place) => shape(item, place, scale, strong)),
        ...cameras(scene, scale),
        ...this.evidence.flatMap(({ marks }) => marks).map((mark) => drawMarks(mark, scale)),
        ...names(scene, scale, strong),
        scaleBar(scale),
      ),
    );
  }

  private words(scene: SceneView): string {
    const claims = this.evidence.map(({ claim }) => claim).join(" ");
    const things = scene.objects.map(({ id }) => id).join(", ");
    return `Map of ${scene.name} from above. ${claims || `Objects: ${things}.`}`;
  }
}

function extent(scene: SceneView): Point[] {
  const outline = outlineOf(scene);
  const seen = scene.cameras.map(({ scene_from_camera: pose }): Point => [pose[0]?.[3] ?? 0, pose[1]?.[3] ?? 0]);
  return [...outline, ...scene.objects.flatMap((item) => footprint(item)), ...seen];
}

function floor(scene: SceneView, scale: MapScale): SVGElement[] {
  const outline = outlineOf(scene);
  return outline.length > 2 ? [svg("polygon", { class: "map-floor", points: scale.path(outline) })] : [];
}

function shape(item: ObjectView, place: number, scale: MapScale, strong: Set<string>): SVGElement {
  const shown = strong.size === 0 || strong.has(item.id);
  const colour = objectColour(place);
  return svg(
    "polygon",
    {
      class: shown ? "map-object" : "map-object map-object-faint",
      points: scale.path(footprint(item)),
      fill: shown ? colour : null,
      stroke: shown ? colour : null,
    },
    svg("title", {}, item.id),
  );
}

function cameras(scene: SceneView, scale: MapScale): SVGElement[] {
  return scene.cameras.map(({ scene_from_camera: pose }) => {
    const at = [pose[0]?.[3] ?? 0, pose[1]?.[3] ?? 0];
    const ahead = [(at[0] ?? 0) + 0.18 * (pose[0]?.[2] ?? 0), (at[1] ?? 0) + 0.18 * (pose[1]?.[2] ?? 0)];
    const [x, y] = scale.at(at);
    return svg(
      "g",
      { class: "map-camera" },
      svg("polyline", { points: scale.path([at, ahead]) }),
      svg("circle", { cx: x, cy: y, r: 2.5 }),
    );
  });
}

/** Names of objects, the strong and the big first; one that would cover another is left out. */
function names(scene: SceneView, scale: MapScale, strong: Set<string>): SVGElement[] {
  const size = ({ size_m: [x, y] }: ObjectView): number => x * y;
  const order = [...scene.objects].sort(
    (a, b) => Number(strong.has(b.id)) - Number(strong.has(a.id)) || size(b) - size(a),
  );
  const taken: [number, number, number, number][] = [];
  return order.flatMap((item) => {
    const [x, y] = scale.at(item.centre_m);
    const half = (item.id.length * LETTER_PX) / 2;
    const box: [number, number, number, number] = [x - half, y - 9, x + half, y + 9];
    const free = taken.every((other) => box[0] > other[2] || box[2] < other[0] || box[1] > other[3] || box[3] < other[1]);
    if (!free && !strong.has(item.id)) return [];
    taken.push(box);
    const look = strong.size === 0 || strong.has(item.id) ? "map-name" : "map-name map-name-faint";
    return [svg("text", { class: look, x, y: y + 4 }, item.id)];
  });
}

function scaleBar(scale: MapScale): SVGElement {
  const y = scale.height - 14;
  return svg(
    "g",
    { class: "map-bar" },
    svg("polyline", { points: `14,${y} ${14 + scale.perMetre},${y}` }),
    svg("text", { x: 14 + scale.perMetre / 2, y: y - 7 }, "1 m"),
  );
}
