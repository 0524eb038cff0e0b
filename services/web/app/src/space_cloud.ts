import { BufferAttribute, BufferGeometry, Points, PointsMaterial } from "three";
import { PLYLoader } from "three/addons/loaders/PLYLoader.js";

import type { Service } from "./service";
import type { SceneView } from "./wire";

/** More points than this make phones slow; an even subset is drawn. */
const MOST_POINTS = 200_000;
const CLOUD = "cloud.ply";
const POINT_M = 0.03;
const GREY = 0x9a9a9a;

/** Return the fused points of a scene, or null where it has none. */
export async function loadCloud(service: Service, scene: SceneView): Promise<Points | null> {
  if (!Object.values(scene.artifacts).some((link) => link.endsWith(CLOUD))) return null;
  const response = await service.send("GET", `v1/scenes/${scene.id}/artifacts/${CLOUD}`);
  const geometry = thinned(new PLYLoader().parse(await response.arrayBuffer()));
  geometry.computeBoundingBox();
  const coloured = geometry.hasAttribute("color");
  const material = new PointsMaterial({ size: POINT_M, vertexColors: coloured, color: coloured ? 0xffffff : GREY });
  return new Points(geometry, material);
}

function thinned(whole: BufferGeometry): BufferGeometry {
  const count = whole.getAttribute("position").count;
  const kept = Math.min(count, MOST_POINTS);
  const geometry = new BufferGeometry();
  for (const name of ["position", "color"]) {
    if (!whole.hasAttribute(name)) continue;
    const all = whole.getAttribute(name);
    const some = new Float32Array(kept * 3);
    for (let place = 0; place < kept; place += 1) {
      const from = Math.floor((place * count) / kept);
      some.set([all.getX(from), all.getY(from), all.getZ(from)], place * 3);
    }
    geometry.setAttribute(name, new BufferAttribute(some, 3));
  }
  return geometry;
}
