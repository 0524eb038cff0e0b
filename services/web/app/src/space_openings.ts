// A room seen from outside is opened towards whoever looks: without its ceiling and its near walls.

import { Plane, Vector3, type Material, type Points } from "three";

import { hull, outlineOf, type Point } from "./geometry";
import type { SceneView } from "./wire";

const CEILING_M = 0.15;
const WALL_M = 0.07;
/** Rooms lower than this have no ceiling that was seen. */
const LOWEST_CEILING_M = 1.8;
const MOST_WALLS = 12;
/** A plane that cuts nothing off; the shader is made anew when the number of planes changes. */
const NOTHING = 1e6;

export class Openings {
  private readonly walls: { wall: Plane; clip: Plane }[];

  constructor(cloud: Points, scene: SceneView) {
    this.walls = scene.up === false ? [] : wallsOf(outlineOf(scene)).map((wall) => ({ wall, clip: wall.clone() }));
    const material = cloud.material as Material;
    material.clippingPlanes = [...ceilings(cloud, scene), ...this.walls.map(({ clip }) => clip)];
  }

  /** Take away the walls that stand between a place and the room. */
  towards(place: Vector3): void {
    for (const { wall, clip } of this.walls) {
      clip.constant = wall.distanceToPoint(place) < 0 ? wall.constant - WALL_M : NOTHING;
    }
  }
}

function ceilings(cloud: Points, scene: SceneView): Plane[] {
  const box = cloud.geometry.boundingBox;
  if (scene.up === false || box === null || box.max.z - box.min.z < LOWEST_CEILING_M) return [];
  return [new Plane(new Vector3(0, 0, -1), box.max.z - CEILING_M)];
}

/** Return the walls of a convex room as planes that face inwards; none of others, whose walls hide parts of it. */
function wallsOf(outline: Point[]): Plane[] {
  const around = hull(outline);
  if (around.length < 3 || around.length > MOST_WALLS || around.length < outline.length) return [];
  return around.map(([x, y], place) => {
    const [nextX, nextY] = around[(place + 1) % around.length]!;
    const inwards = new Vector3(y - nextY, nextX - x, 0).normalize();
    return new Plane().setFromNormalAndCoplanarPoint(inwards, new Vector3(x, y, 0));
  });
}
