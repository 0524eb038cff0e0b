// Where things of a scene are in a frame: pinhole, OpenCV axes, pixels.

import { corners, type Point } from "./geometry";
import type { CameraView, ObjectView, SceneView } from "./wire";

/** Nearer things are cut off, metres. */
const NEAR_M = 0.05;

export class FrameProjection {
  constructor(private readonly camera: CameraView) {}

  /** Return the pixel of a place, or null behind the camera. */
  point(place: readonly number[]): Point | null {
    const seen = this.fromScene(place);
    return seen[2] < NEAR_M ? null : this.pixel(seen);
  }

  /** Return the part of a line that is in front of the camera and crosses the frame; empty where there is none. */
  line(from: readonly number[], to: readonly number[]): [Point, Point][] {
    let [a, b] = [this.fromScene(from), this.fromScene(to)];
    if (a[2] < NEAR_M && b[2] < NEAR_M) return [];
    if (a[2] < NEAR_M) a = atNear(b, a);
    else if (b[2] < NEAR_M) b = atNear(a, b);
    return this.inside(this.pixel(a), this.pixel(b));
  }

  /** Whether a pixel is in the frame. */
  holds([x, y]: Point): boolean {
    return x >= 0 && y >= 0 && x <= this.camera.width_px && y <= this.camera.height_px;
  }

  /** How far a pixel is from the middle, in half diagonals. */
  offCentre([x, y]: Point): number {
    const { width_px: width, height_px: height } = this.camera;
    return Math.hypot(x - width / 2, y - height / 2) / Math.hypot(width / 2, height / 2);
  }

  /** Cut a line off at the edges of the frame (Liang and Barsky). */
  private inside([x1, y1]: Point, [x2, y2]: Point): [Point, Point][] {
    let [from, to] = [0, 1];
    const sides = [
      [x1 - x2, x1],
      [x2 - x1, this.camera.width_px - x1],
      [y1 - y2, y1],
      [y2 - y1, this.camera.height_px - y1],
    ] as const;
    for (const [step, room] of sides) {
      if (step === 0 && room < 0) return [];
      if (step < 0) from = Math.max(from, room / step);
      if (step > 0) to = Math.min(to, room / step);
    }
    const at = (share: number): Point => [x1 + share * (x2 - x1), y1 + share * (y2 - y1)];
    return from < to ? [[at(from), at(to)]] : [];
  }

  private fromScene(place: readonly number[]): [number, number, number] {
    const pose = this.camera.scene_from_camera;
    const offset = [0, 1, 2].map((axis) => (place[axis] ?? 0) - (pose[axis]?.[3] ?? 0));
    // The inverse of a rotation is its transpose.
    const along = (column: number): number =>
      offset.reduce((sum, part, row) => sum + part * (pose[row]?.[column] ?? 0), 0);
    return [along(0), along(1), along(2)];
  }

  private pixel([x, y, z]: [number, number, number]): Point {
    const { focal_px: focal, width_px: width, height_px: height } = this.camera;
    const centre = this.camera.centre_px ?? [(width - 1) / 2, (height - 1) / 2];
    return [centre[0] + (focal[0] * x) / z, centre[1] + (focal[1] * y) / z];
  }
}

/** Return the twelve edges of an object's box. */
export function edgesOf(item: ObjectView): [number[], number[]][] {
  const all = corners(item);
  // Corners that differ in one of the three signs, which are the bits of their place.
  const pairs = all.flatMap((_, a) => [1, 2, 4].filter((bit) => (a & bit) === 0).map((bit) => [a, a | bit] as const));
  return pairs.map(([a, b]) => [all[a]!, all[b]!]);
}

/** Return the cameras that show the objects, most of them and nearest the middle first; all, in order, for none. */
export function bestFrames(scene: SceneView, ids: string[]): CameraView[] {
  const wanted = scene.objects.filter(({ id }) => ids.includes(id));
  if (wanted.length === 0) return scene.cameras;
  const scored = scene.cameras.map((camera) => ({ camera, score: scoreOf(camera, wanted) }));
  return scored.sort((a, b) => b.score - a.score).map(({ camera }) => camera);
}

function scoreOf(camera: CameraView, wanted: ObjectView[]): number {
  const projection = new FrameProjection(camera);
  const shares = wanted.map((item) => {
    const pixels = corners(item).map((corner) => projection.point(corner));
    const inside = pixels.filter((pixel) => pixel !== null && projection.holds(pixel)).length;
    const centre = projection.point(item.centre_m);
    return inside / 8 - (centre === null ? 1 : 0.2 * Math.min(projection.offCentre(centre), 2));
  });
  return shares.reduce((sum, share) => sum + share, 0);
}

function atNear(
  front: [number, number, number],
  behind: [number, number, number],
): [number, number, number] {
  const share = (front[2] - NEAR_M) / (front[2] - behind[2]);
  const between = (axis: 0 | 1): number => front[axis] + share * (behind[axis] - front[axis]);
  return [between(0), between(1), NEAR_M];
}
