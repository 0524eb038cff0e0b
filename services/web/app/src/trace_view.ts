import { el, fill } from "./dom";
import { problemNotice } from "./notices";
import { asProblem } from "./problems";
import type { Service } from "./service";
import type { TraceStep } from "./wire";

const WORDS: Record<string, string> = {
  question: "Question",
  load: "Scene opened",
  formalise: "Question understood",
  plan: "Plan",
  call: "Call",
  result: "Result",
  execute: "Measured",
  verify: "Checked",
  compose: "Put together",
  answer: "Answer",
  finished: "Finished",
};
const MOST_CHARACTERS = 20_000;

/** Return what happened in a run, step by step; it is fetched when it is first opened. */
export function traceView(service: Service, question: string): HTMLElement {
  const body = el("div", { class: "trace-body" });
  const view = el("details", { class: "card trace" }, el("summary", {}, "Trace"), body);
  let asked = false;
  view.addEventListener("toggle", () => {
    if (asked || !view.open) return;
    asked = true;
    void load(service, question, body);
  });
  return view;
}

async function load(service: Service, question: string, body: HTMLElement): Promise<void> {
  fill(body, el("p", { class: "faint" }, "Loading…"));
  try {
    const response = await service.send("GET", `v1/questions/${question}/trace`);
    const lines = (await response.text()).split("\n").filter((line) => line.trim() !== "");
    const steps = lines.map((line) => JSON.parse(line) as TraceStep);
    fill(body, el("ol", { class: "steps" }, ...steps.map(stepView)));
  } catch (error) {
    fill(body, problemNotice(asProblem(error)));
  }
}

function stepView(step: TraceStep): HTMLElement {
  const facts = el("pre", { tabindex: 0 });
  const view = el(
    "details",
    {},
    el(
      "summary",
      {},
      el("span", { class: "figure faint" }, `${step.seconds.toFixed(2)} s`),
      el("span", {}, WORDS[step.kind] ?? step.kind),
      el("span", { class: "faint" }, gist(step)),
    ),
    facts,
  );
  view.addEventListener("toggle", () => (facts.textContent = shortened(JSON.stringify(step.data, null, 2))), {
    once: true,
  });
  return el("li", {}, view);
}

/** Return what a step is about, in a few words. */
function gist(step: TraceStep): string {
  const data = typeof step.data === "object" && step.data !== null ? (step.data as Record<string, unknown>) : {};
  if (step.kind === "call" || step.kind === "result") return String(data["tool"] ?? "");
  if (step.kind === "plan" && Array.isArray(data["calls"])) {
    return data["calls"].map((call: { tool?: unknown }) => String(call.tool ?? "")).join(", ");
  }
  return step.kind === "question" ? String(data["question"] ?? "") : "";
}

function shortened(text: string): string {
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}\n…` : text;
}
