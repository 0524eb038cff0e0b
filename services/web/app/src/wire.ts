// Documents of the REST API, as far as the page reads them.

export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";
export type SceneState = "queued" | "measuring" | "ready" | "failed";
export type Vector = [number, number, number];

export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
}

export interface SegmentMark {
  kind: "segment";
  from_m: Vector;
  to_m: Vector;
  label: string;
}
export interface ObserverMark {
  kind: "observer";
  at_m: Vector;
  towards_m: Vector;
  target_m: Vector;
  sectors: string;
  label: string;
}
export interface PointMark {
  kind: "point";
  at_m: Vector;
  label: string;
}
export interface PolygonMark {
  kind: "polygon";
  points_m: number[][];
  label: string;
}
export interface PathMark {
  kind: "path";
  points_m: number[][];
  towards_m: number[];
  label: string;
}
export type Mark = SegmentMark | ObserverMark | PointMark | PolygonMark | PathMark;

export interface Evidence {
  id: string;
  call_id: string;
  tool: string;
  claim: string;
  value: unknown;
  unit: string | null;
  low: number | null;
  high: number | null;
  margin: number | null;
  definition: string;
  quality: string;
  why_weak: string | null;
  borderline: string | null;
  objects: string[];
  marks: Mark[];
}

export interface Answer {
  text: string;
  value: unknown;
  unit: string | null;
  low: number | null;
  high: number | null;
  margin: number | null;
  choice: string | null;
  abstained: boolean;
  reason: string | null;
  definition: string;
  evidence: Evidence[];
  decided_by: "evidence" | "model" | "both";
  degraded: string[];
  seconds: number;
  tokens: number;
}

export interface QuestionView {
  id: string;
  state: JobState;
  question: string;
  options: string[];
  scene: string;
  session: string | null;
  created: number;
  answer: Answer | null;
  problem: Problem | null;
}

export interface QuestionList {
  questions: QuestionView[];
  next: string | null;
}

export interface ObjectView {
  id: string;
  label: string;
  centre_m: Vector;
  size_m: Vector;
  rotation: number[][];
  quality: number | null;
}

export interface CameraView {
  index: number;
  scene_from_camera: number[][];
  width_px: number;
  height_px: number;
  focal_px: [number, number];
  centre_px?: [number, number] | null;
}

export interface Room {
  polygon_m?: number[][] | null;
  area_m2?: number | null;
}

export interface SceneView {
  id: string;
  name: string;
  state: SceneState;
  created: number;
  bytes: number;
  kind: string | null;
  frames: number | null;
  scale: string | null;
  up: boolean | null;
  notes: string[];
  objects: ObjectView[];
  cameras: CameraView[];
  room: Room | null;
  artifacts: Record<string, string>;
  problem: Problem | null;
}

export interface SceneList {
  scenes: SceneView[];
  samples: string[];
}

export interface SessionView {
  id: string;
  scene: string;
}

export interface UploadView {
  id: string;
  length: number;
  offset: number;
}

/** One step of a trace. */
export interface TraceStep {
  number: number;
  seconds: number;
  kind: string;
  data: unknown;
}

/** Something that happened in a job; `id` is "attempt.number". */
export interface JobEvent {
  id: string;
  kind: string;
  data: Record<string, unknown>;
}
