// Scenes on their way to the service, with progress; one big file goes in resumable pieces (tus 1.0.0).

import { pause } from "./event_stream";
import type { Selection } from "./chosen_files";
import { problemOf, ServiceError } from "./problems";
import type { Service } from "./service";
import type { SceneView } from "./wire";

/** Told how much of how much is there, bytes. */
export type Progress = (sent: number, total: number) => void;

const RESUMABLE_FROM = 64 * 2 ** 20;
const PIECE = 8 * 2 ** 20;
const TRIES = 6;
const TUS = { "Tus-Resumable": "1.0.0" };

/** Send what was chosen and return the scene it becomes. */
export async function upload(
  service: Service,
  chosen: Selection,
  progress: Progress,
  signal: AbortSignal,
): Promise<SceneView> {
  const only = chosen.files.length === 1 ? chosen.files[0] : undefined;
  if (only && only.file.size >= RESUMABLE_FROM) return resumable(service, only.file, progress, signal);
  return atOnce(service, chosen, progress, signal);
}

async function atOnce(
  service: Service,
  chosen: Selection,
  progress: Progress,
  signal: AbortSignal,
): Promise<SceneView> {
  const form = new FormData();
  form.append("name", chosen.name);
  for (const { path, file } of chosen.files) form.append("files", file, path);
  for (;;) {
    const used = service.key;
    const { status, text } = await sent(service, form, progress, signal);
    if (status < 400) return JSON.parse(text) as SceneView;
    const problem = problemOf(status, text);
    if (status !== 401 || !(await service.newKey(used, problem.detail))) throw new ServiceError(problem);
  }
}

/** Fetch cannot tell how much of a body has gone; XMLHttpRequest can. */
function sent(
  service: Service,
  form: FormData,
  progress: Progress,
  signal: AbortSignal,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", service.address("v1/scenes"));
    if (service.key !== null) request.setRequestHeader("Authorization", `Bearer ${service.key}`);
    request.upload.addEventListener("progress", (event) => progress(event.loaded, event.total));
    request.addEventListener("load", () => resolve({ status: request.status, text: request.responseText }));
    request.addEventListener("error", () => reject(new Error("the connection broke off during the upload")));
    request.addEventListener("abort", () => reject(new DOMException("cancelled", "AbortError")));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

async function resumable(
  service: Service,
  file: File,
  progress: Progress,
  signal: AbortSignal,
): Promise<SceneView> {
  const created = await service.send("POST", "v1/uploads", {
    headers: { ...TUS, "Upload-Length": String(file.size), "Upload-Metadata": `filename ${base64(file.name)}` },
    signal,
  });
  const place = new URL(created.headers.get("Location") ?? "", created.url).pathname;
  const id = place.slice(place.lastIndexOf("/") + 1);
  await sendPieces(service, `v1/uploads/${id}`, file, progress, signal);
  return service.post<SceneView>("v1/scenes", { upload: id, name: file.name });
}

async function sendPieces(
  service: Service,
  path: string,
  file: File,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  let offset = 0;
  let failures = 0;
  while (offset < file.size) {
    try {
      offset = await sendPiece(service, path, file, offset, signal);
      failures = 0;
      progress(offset, file.size);
    } catch (error) {
      const final = error instanceof ServiceError && error.status < 500 && error.status !== 409;
      failures += 1;
      if (final || signal.aborted || failures >= TRIES) throw error;
      await pause(500 * 2 ** failures, signal);
      offset = await received(service, path, signal).catch(() => offset);
    }
  }
}

async function sendPiece(
  service: Service,
  path: string,
  file: File,
  offset: number,
  signal: AbortSignal,
): Promise<number> {
  const response = await service.send("PATCH", path, {
    headers: { ...TUS, "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" },
    body: file.slice(offset, offset + PIECE),
    signal,
  });
  return Number(response.headers.get("Upload-Offset") ?? offset);
}

async function received(service: Service, path: string, signal: AbortSignal): Promise<number> {
  const response = await service.send("HEAD", path, { headers: TUS, signal });
  return Number(response.headers.get("Upload-Offset") ?? 0);
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
