import { el } from "./dom";
import type { Problem } from "./wire";

/** Return a problem as a notice that screen readers speak at once. */
export function problemNotice(problem: Problem): HTMLElement {
  return el(
    "div",
    { class: "notice notice-bad", role: "alert" },
    el("strong", {}, problem.title),
    problem.detail && problem.detail !== problem.title && el("p", {}, problem.detail),
    problem.instance && el("p", { class: "faint" }, `Request ${problem.instance}`),
  );
}

/** Return a place that says things to screen readers only. */
export function announcer(): { element: HTMLElement; say: (text: string) => void } {
  const element = el("div", { class: "spoken", role: "status", "aria-live": "polite" });
  return { element, say: (text) => (element.textContent = text) };
}
