// What happens while a question is answered: stages, calls of tools, and the model's words.

import { el, fill } from "./dom";
import { icon } from "./icons";
import type { JobEvent } from "./wire";

const STAGES: [stage: string, words: string][] = [
  ["load", "Open the scene"],
  ["formalise", "Understand the question"],
  ["plan", "Plan what to measure"],
  ["execute", "Measure"],
  ["verify", "Check"],
  ["compose", "Put it together"],
  ["answer", "Answer"],
];

interface Call {
  tool: string;
  said: string;
  failed: boolean;
}

export class LiveProgress {
  readonly element = el("div", { class: "progress-view" });
  private readonly done = new Set<string>();
  private readonly calls = new Map<string, Call>();
  private current = "load";
  private attempt = "";
  private wrote = "";

  constructor(private readonly say: (text: string) => void) {
    this.draw();
  }

  take(event: JobEvent): void {
    this.startOver(event.id.split(".")[0] ?? "");
    const { kind, data } = event;
    if (kind === "stage") this.stageDone(String(data["stage"]));
    else if (kind === "tool_call") this.calls.set(String(data["call_id"]), called(data));
    else if (kind === "evidence") this.calls.set(String(data["call_id"]), returned(data));
    else if (kind === "token") this.wrote += String(data["text"] ?? "");
    this.draw();
  }

  /** A job that is taken up again, after a crash of the service, begins anew. */
  private startOver(attempt: string): void {
    if (attempt === this.attempt) return;
    this.attempt = attempt;
    this.done.clear();
    this.calls.clear();
    this.wrote = "";
    this.current = "load";
  }

  private stageDone(stage: string): void {
    this.done.add(stage);
    const place = STAGES.findIndex(([name]) => name === stage);
    const [next, words] = STAGES[place + 1] ?? ["", ""];
    this.current = next;
    if (words) this.say(words);
  }

  private draw(): void {
    const rows = STAGES.map(([stage, words]) => {
      const state = stage === this.current ? "now" : this.done.has(stage) ? "done" : "later";
      return el(
        "li",
        { class: `stage stage-${state}`, "aria-current": state === "now" ? "step" : null },
        el("span", { class: "stage-mark" }, state === "done" && icon("check")),
        el("span", {}, words),
        stage === "execute" && this.callList(),
      );
    });
    fill(this.element, el("ol", { class: "stages" }, ...rows), this.wrote && el("p", { class: "wrote" }, this.wrote));
  }

  private callList(): HTMLElement | null {
    if (this.calls.size === 0) return null;
    const rows = [...this.calls.values()].map(({ tool, said, failed }) =>
      el("li", { class: failed ? "call call-failed" : "call" }, el("code", {}, tool), said && el("span", {}, said)),
    );
    return el("ul", { class: "calls" }, ...rows);
  }
}

function called(data: Record<string, unknown>): Call {
  return { tool: String(data["tool"]), said: "", failed: false };
}

function returned(data: Record<string, unknown>): Call {
  const error = data["error"];
  const claims = Array.isArray(data["claims"]) ? data["claims"].map(String) : [];
  const failed = typeof error === "string";
  return { tool: String(data["tool"]), said: failed ? error : claims.join(" "), failed };
}
