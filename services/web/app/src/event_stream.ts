// Server-sent events read with fetch, which can carry a key; a broken stream goes on where it ended.

import { ServiceError } from "./problems";
import type { Service } from "./service";
import type { JobEvent } from "./wire";

const LAST = new Set(["answer", "failed", "cancelled"]);
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/** Cuts a stream of text into server-sent events. */
export class EventParser {
  private rest = "";
  private id = "";
  private kind = "";
  private data: string[] = [];

  /** Take a piece of the stream and return the events that it completes. */
  push(text: string): JobEvent[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    return lines.flatMap((line) => this.take(line));
  }

  private take(line: string): JobEvent[] {
    if (line === "") return this.complete();
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") this.id = value;
    else if (field === "event") this.kind = value;
    else if (field === "data") this.data.push(value);
    return [];
  }

  private complete(): JobEvent[] {
    const { id, kind, data } = this;
    this.kind = "";
    this.data = [];
    if (data.length === 0) return [];
    return [{ id, kind, data: JSON.parse(data.join("\n")) as Record<string, unknown> }];
  }
}

/** Yield what happens in a question, from its beginning to its last event, across broken connections. */
export async function* follow(service: Service, question: string, signal: AbortSignal): AsyncGenerator<JobEvent> {
  let last = "";
  let wait = FIRST_WAIT_MS;
  while (!signal.aborted) {
    try {
      for await (const event of read(service, question, last, signal)) {
        wait = FIRST_WAIT_MS;
        last = event.id || last;
        yield event;
        if (LAST.has(event.kind)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ServiceError && error.status < 500 && error.status !== 429) throw error;
    }
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

async function* read(
  service: Service,
  question: string,
  last: string,
  signal: AbortSignal,
): AsyncGenerator<JobEvent> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (last) headers["Last-Event-ID"] = last;
  const response = await service.send("GET", `v1/questions/${question}/events`, { headers, signal, cache: "no-store" });
  if (response.body === null) return;
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield* parser.push(value);
  }
}

/** Wait for some time, or until a signal. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
