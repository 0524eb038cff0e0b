// What was measured, in 3D: seen through everything, paler where something is in front.

import { Color, CylinderGeometry, Group, Mesh, MeshBasicMaterial, SphereGeometry, Vector3, type Object3D } from "three";

import { MEASURED, OBSERVER } from "./palette";
import type { Label } from "./space_labels";
import type { Mark } from "./wire";

const LINE_M = 0.014;
const DOT_M = 0.045;
/** Points of marks on the floor lie a little above it. */
const FLOOR_M = 0.02;
const HIDDEN_OPACITY = 0.35;

export interface Drawn {
  parts: Object3D[];
  labels: Label[];
}

/** Return marks as things to draw, and what is written at them. */
export function marksOf(marks: Mark[]): Drawn {
  const drawn = marks.map(markOf);
  return { parts: drawn.flatMap(({ parts }) => parts), labels: drawn.flatMap(({ labels }) => labels) };
}

function markOf(mark: Mark): Drawn {
  switch (mark.kind) {
    case "segment":
      return lineWithEnds(point(mark.from_m), point(mark.to_m), mark.label);
    case "point":
      return { parts: [dot(point(mark.at_m), MEASURED)], labels: [label(point(mark.at_m), mark.label)] };
    case "polygon": {
      const outline = mark.points_m.map(point);
      const edges = outline.map((from, place) => line(from, outline[(place + 1) % outline.length]!, MEASURED));
      return { parts: edges, labels: [label(middle(outline), mark.label)] };
    }
    case "path": {
      const stops = mark.points_m.map(point);
      const legs = stops.slice(1).map((stop, place) => line(stops[place]!, stop, MEASURED));
      const dots = stops.map((stop, place) => dot(stop, place === 0 ? OBSERVER : MEASURED));
      return { parts: [...legs, ...dots], labels: [] };
    }
    case "observer": {
      const [at, target] = [point(mark.at_m), point(mark.target_m)];
      const ahead = point(mark.towards_m).sub(at);
      const reach = at.clone().addScaledVector(ahead.normalize(), 1);
      const parts = [line(at, reach, OBSERVER), dot(at, OBSERVER), line(at, target, MEASURED), dot(target, MEASURED)];
      return { parts, labels: [label(target, mark.label)] };
    }
    default:
      return { parts: [], labels: [] };
  }
}

function lineWithEnds(from: Vector3, to: Vector3, text: string): Drawn {
  const parts = [line(from, to, MEASURED), dot(from, MEASURED), dot(to, MEASURED)];
  return { parts, labels: [label(middle([from, to]), text)] };
}

function line(from: Vector3, to: Vector3, colour: string): Object3D {
  const length = Math.max(from.distanceTo(to), 1e-6);
  const made = twice(new CylinderGeometry(LINE_M, LINE_M, length, 10), colour);
  made.position.copy(from).lerp(to, 0.5);
  made.quaternion.setFromUnitVectors(new Vector3(0, 1, 0), to.clone().sub(from).divideScalar(length));
  return made;
}

function dot(at: Vector3, colour: string): Object3D {
  const made = twice(new SphereGeometry(DOT_M, 16, 12), colour);
  made.position.copy(at);
  return made;
}

function twice(geometry: CylinderGeometry | SphereGeometry, colour: string): Object3D {
  const color = new Color(colour);
  const through = new MeshBasicMaterial({ color, transparent: true, opacity: HIDDEN_OPACITY, depthTest: false });
  const made = new Group();
  made.add(new Mesh(geometry, through), new Mesh(geometry, new MeshBasicMaterial({ color })));
  return made;
}

function label(at: Vector3, text: string): Label {
  return { text, at, colour: MEASURED, look: "measured" };
}

function point([x = 0, y = 0, z = FLOOR_M]: readonly number[]): Vector3 {
  return new Vector3(x, y, z);
}

function middle(points: Vector3[]): Vector3 {
  return points.reduce((sum, next) => sum.add(next), new Vector3()).divideScalar(points.length);
}
