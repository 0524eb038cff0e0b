// Boxes and outlines, in scene metres.

import type { ObjectView, SceneView } from "./wire";

export type Point = [number, number];

/** Return the eight corners of an object's box. */
export function corners(item: ObjectView): number[][] {
  const signs = [-0.5, 0.5];
  return signs.flatMap((i) => signs.flatMap((j) => signs.map((k) => corner(item, [i, j, k]))));
}

function corner({ centre_m: centre, size_m: size, rotation }: ObjectView, share: [number, number, number]): number[] {
  return centre.map((middle, row) =>
    share.reduce((sum, part, axis) => sum + part * (size[axis] ?? 0) * (rotation[row]?.[axis] ?? 0), middle),
  );
}

/** Return the outline of an object's box seen from above. */
export function footprint(item: ObjectView): Point[] {
  return hull(corners(item).map(([x = 0, y = 0]): Point => [x, y]));
}

/** Return the outline of the floor; empty where it is not known. */
export function outlineOf(scene: SceneView): Point[] {
  return (scene.room?.polygon_m ?? []).map(([x = 0, y = 0]): Point => [x, y]);
}

/** Return the convex hull of points, counter-clockwise (Andrew's monotone chain). */
export function hull(points: Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  const lower = chain(sorted);
  const upper = chain(sorted.reverse());
  return [...lower.slice(0, -1), ...upper.slice(0, -1)];
}

function chain(points: Point[]): Point[] {
  const kept: Point[] = [];
  for (const point of points) {
    while (kept.length > 1 && !turnsLeft(kept[kept.length - 2]!, kept[kept.length - 1]!, point)) kept.pop();
    kept.push(point);
  }
  return kept;
}

function turnsLeft(a: Point, b: Point, c: Point): boolean {
  return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > 1e-12;
}
