import { Box3, Sphere, Vector3 } from "three";

import { corners, outlineOf } from "./geometry";
import type { SceneView } from "./wire";

/** Return the direction of up: that of gravity, or else where the tops of the cameras point on average. */
export function upOf(scene: SceneView): Vector3 {
  if (scene.up !== false || scene.cameras.length === 0) return new Vector3(0, 0, 1);
  const sum = new Vector3();
  // The y axis of an OpenCV camera points down.
  for (const { scene_from_camera: pose } of scene.cameras) sum.sub(axis(pose, 1));
  return sum.lengthSq() > 1e-6 ? sum.normalize() : new Vector3(0, 0, 1);
}

/** Return a sphere around everything worth looking at. */
export function boundsOf(scene: SceneView): Sphere {
  const points = scene.objects.flatMap(corners).map(([x, y, z]) => new Vector3(x, y, z));
  points.push(...outlineOf(scene).map(([x, y]) => new Vector3(x, y, 0)));
  if (points.length === 0) points.push(...scene.cameras.map(({ scene_from_camera: pose }) => axis(pose, 3)));
  if (points.length === 0) return new Sphere(new Vector3(), 3);
  const sphere = new Box3().setFromPoints(points).getBoundingSphere(new Sphere());
  sphere.radius = Math.max(sphere.radius, 0.5);
  return sphere;
}

/** Return a column of a pose: an axis of the camera, or its position. */
export function axis(pose: number[][], column: number): Vector3 {
  return new Vector3(pose[0]?.[column] ?? 0, pose[1]?.[column] ?? 0, pose[2]?.[column] ?? 0);
}
