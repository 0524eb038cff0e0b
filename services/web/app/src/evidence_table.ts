import { button, el } from "./dom";
import { intervalText, marginText, valueText } from "./quantities";
import type { Evidence } from "./wire";

/** The agent names calls that only check others so. */
const CHECKING = "v";

/** Whether a finding only checks the answer by a second route. */
export function isCheck(item: Evidence): boolean {
  return item.call_id.startsWith(CHECKING);
}

/** Return what an answer rests on; `show` is told which findings to draw, none being the answer's own. */
export function evidenceTable(evidence: Evidence[], show: (items: Evidence[]) => void): HTMLElement {
  const buttons = new Map<Evidence, HTMLButtonElement>();
  const toggle = (item: Evidence): void => {
    const on = buttons.get(item)?.getAttribute("aria-pressed") !== "true";
    for (const [other, control] of buttons) control.setAttribute("aria-pressed", String(on && other === item));
    show(on ? [item] : []);
  };
  const rows = evidence.map((item) => {
    const control = button("Show", () => toggle(item), {
      class: "button button-small",
      "aria-pressed": "false",
      "aria-label": `Show in the scene: ${item.claim}`,
    });
    buttons.set(item, control);
    return row(item, item.marks.length > 0 ? control : null);
  });
  return el(
    "section",
    { class: "card evidence", "aria-labelledby": "evidence-title" },
    el("h2", { id: "evidence-title" }, "Evidence"),
    el("table", {}, head(), el("tbody", {}, ...rows)),
  );
}

function head(): HTMLElement {
  const cells = ["Finding", "Value", "90 % interval", "Quality"].map((name) => el("th", { scope: "col" }, name));
  return el("thead", {}, el("tr", {}, ...cells, el("th", { scope: "col" }, el("span", { class: "spoken" }, "In the scene"))));
}

function row(item: Evidence, control: HTMLElement | null): HTMLElement {
  const remarks = [item.why_weak, item.borderline].filter((text): text is string => Boolean(text));
  return el(
    "tr",
    {},
    el(
      "td",
      { class: "finding" },
      item.claim,
      el(
        "span",
        { class: "faint finding-source" },
        `${isCheck(item) ? "second route" : "answer"} · ${item.tool}${item.definition ? ` · ${item.definition}` : ""}`,
      ),
      ...remarks.map((text) => el("span", { class: "caution" }, text)),
    ),
    el("td", { "data-label": "Value" }, el("span", { class: "figure" }, shortValue(item)), " ", el("span", { class: "figure faint" }, marginText(item))),
    el("td", { "data-label": "90 % interval", class: "figure" }, intervalText(item) || "–"),
    el("td", { "data-label": "Quality" }, el("span", { class: `badge badge-${item.quality}` }, item.quality)),
    el("td", { class: "control" }, control),
  );
}

function shortValue(item: Evidence): string {
  const text = valueText(item);
  return text.length > 40 ? `${text.slice(0, 39)}…` : text;
}
