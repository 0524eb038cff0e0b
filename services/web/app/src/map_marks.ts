// What was measured, on the map.

import { svg } from "./dom";
import type { MapScale } from "./map_view";
import type { Mark, ObserverMark, PathMark } from "./wire";

/** Where each division of the directions around an observer ends, degrees counter-clockwise from ahead. */
const BOUNDARIES: Record<string, number[]> = {
  two: [0, 180],
  vsi_three: [0, 135, 225],
  quadrants: [0, 90, 180, 270],
  four: [45, 135, 225, 315],
  degrees: [0],
  eight: Array.from({ length: 8 }, (_, step) => 22.5 + 45 * step),
  clock: Array.from({ length: 12 }, (_, step) => 15 + 30 * step),
};
const REACH_M = 1.2;

/** Draw one mark of a finding. */
export function drawMarks(mark: Mark, scale: MapScale): SVGElement {
  switch (mark.kind) {
    case "segment":
      return group(
        svg("polyline", { points: scale.path([mark.from_m, mark.to_m]) }),
        dot(mark.from_m, scale),
        dot(mark.to_m, scale),
        label(middle([mark.from_m, mark.to_m]), mark.label, scale),
      );
    case "point":
      return group(dot(mark.at_m, scale), label(mark.at_m, mark.label, scale));
    case "polygon":
      return group(
        svg("polygon", { points: scale.path(mark.points_m) }),
        label(middle(mark.points_m), mark.label, scale),
      );
    case "observer":
      return observer(mark, scale);
    case "path":
      return path(mark, scale);
    default:
      return svg("g");
  }
}

function observer(mark: ObserverMark, scale: MapScale): SVGElement {
  const [x, y] = mark.at_m;
  const heading = Math.atan2(mark.towards_m[1] - y, mark.towards_m[0] - x);
  const around = (degrees: number): number[] => {
    const angle = heading + (degrees * Math.PI) / 180;
    return [x + REACH_M * Math.cos(angle), y + REACH_M * Math.sin(angle)];
  };
  const edges = (BOUNDARIES[mark.sectors] ?? []).map((degrees) =>
    svg("polyline", { class: "map-sector", points: scale.path([mark.at_m, around(degrees)]) }),
  );
  return group(
    ...edges,
    svg("polyline", { class: "map-observer", points: scale.path([mark.at_m, around(0)]) }),
    svg("polyline", { points: scale.path([mark.at_m, mark.target_m]) }),
    dot(mark.at_m, scale, "map-observer"),
    dot(mark.target_m, scale),
    label(mark.target_m, mark.label, scale),
  );
}

function path(mark: PathMark, scale: MapScale): SVGElement {
  const stops = mark.points_m.map((point, place) => dot(point, scale, place === 0 ? "map-observer" : undefined));
  return group(svg("polyline", { points: scale.path(mark.points_m) }), ...stops);
}

function group(...parts: SVGElement[]): SVGElement {
  return svg("g", { class: "map-mark" }, ...parts);
}

function dot(point: readonly number[], scale: MapScale, look?: string): SVGElement {
  const [x, y] = scale.at(point);
  return svg("circle", { cx: x, cy: y, r: 5, class: look ?? null });
}

function label(point: readonly number[], text: string, scale: MapScale): SVGElement {
  const [x, y] = scale.at(point);
  return svg("text", { x, y: y - 12 }, text);
}

function middle(points: readonly (readonly number[])[]): number[] {
  const mean = (axis: number): number => points.reduce((sum, point) => sum + (point[axis] ?? 0), 0) / points.length;
  return [mean(0), mean(1)];
}
