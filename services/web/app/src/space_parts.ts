// Boxes of objects, cameras, and the floor as three.js objects.

import {
  BoxGeometry,
  BufferGeometry,
  EdgesGeometry,
  Group,
  LineBasicMaterial,
  LineLoop,
  LineSegments,
  Matrix4,
  Mesh,
  MeshBasicMaterial,
  Vector3,
  type Object3D,
} from "three";

import { outlineOf } from "./geometry";
import { axis } from "./space_bounds";
import type { CameraView, ObjectView, SceneView } from "./wire";

export type Look = "plain" | "strong" | "faint";
const LINE_OPACITY: Record<Look, number> = { plain: 0.9, strong: 1, faint: 0.18 };
const FACE_OPACITY: Record<Look, number> = { plain: 0, strong: 0.22, faint: 0 };
const CAMERA_M = 0.2;
const NEUTRAL = 0x8a8f98;
const CAMERA = 0x4a86e0;

/** Return the box around an object. */
export function boxOf(item: ObjectView, colour: string, look: Look): Object3D {
  const size = item.size_m.map((edge) => Math.max(edge, 1e-3)) as [number, number, number];
  const geometry = new BoxGeometry(...size);
  const box = new Group();
  const lines = new LineBasicMaterial({ color: colour, transparent: true, opacity: LINE_OPACITY[look] });
  box.add(new LineSegments(new EdgesGeometry(geometry), lines));
  if (FACE_OPACITY[look] > 0) {
    const faces = { color: colour, transparent: true, opacity: FACE_OPACITY[look], depthWrite: false };
    box.add(new Mesh(geometry, new MeshBasicMaterial(faces)));
  }
  const [[a = 1, b = 0, c = 0] = [], [d = 0, e = 1, f = 0] = [], [g = 0, h = 0, i = 1] = []] = item.rotation;
  const [x, y, z] = item.centre_m;
  box.applyMatrix4(new Matrix4().set(a, b, c, x, d, e, f, y, g, h, i, z, 0, 0, 0, 1));
  return box;
}

/** Return all cameras as small pyramids that open where they look. */
export function camerasOf(cameras: CameraView[]): Object3D {
  const points = cameras.flatMap(pyramid);
  const material = new LineBasicMaterial({ color: CAMERA, transparent: true, opacity: 0.8 });
  return new LineSegments(new BufferGeometry().setFromPoints(points), material);
}

function pyramid(camera: CameraView): Vector3[] {
  const pose = camera.scene_from_camera;
  const at = axis(pose, 3);
  const corner = (x: number, y: number): Vector3 =>
    at
      .clone()
      .addScaledVector(axis(pose, 2), CAMERA_M)
      .addScaledVector(axis(pose, 0), ((x * camera.width_px) / 2 / camera.focal_px[0]) * CAMERA_M)
      .addScaledVector(axis(pose, 1), ((y * camera.height_px) / 2 / camera.focal_px[1]) * CAMERA_M);
  const rim = [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
  return rim.flatMap((here, place) => [at, here, here, rim[(place + 1) % rim.length]!]);
}

/** Free what an object holds on the graphics card. */
export function discard(object: Object3D): void {
  object.traverse((part) => {
    if (!(part instanceof Mesh || part instanceof LineSegments)) return;
    part.geometry.dispose();
    for (const material of [part.material].flat()) material.dispose();
  });
}

/** Return the outline of the floor, where it is known. */
export function outlineLine(scene: SceneView): Object3D[] {
  const outline = outlineOf(scene);
  if (outline.length < 3) return [];
  const geometry = new BufferGeometry().setFromPoints(outline.map(([x, y]) => new Vector3(x, y, 0.005)));
  return [new LineLoop(geometry, new LineBasicMaterial({ color: NEUTRAL }))];
}
