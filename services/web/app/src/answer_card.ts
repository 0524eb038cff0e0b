import { button, el } from "./dom";
import { icon } from "./icons";
import { counted, intervalText, marginText, secondsText, valueText } from "./quantities";
import { addressOf } from "./routes";
import type { Answer, QuestionView } from "./wire";

const DECIDED = { evidence: "Measured", model: "The model's judgement", both: "Measured, read by the model" };

/** Return what came of a question: the answer with its margin, or why there is none. */
export function answerCard(asked: QuestionView, answer: Answer): HTMLElement {
  const card = el("div", { class: answer.abstained ? "card answer answer-none" : "card answer", "data-answer": "" });
  card.append(
    ...(answer.abstained ? refusal(answer) : conclusion(asked, answer)),
    ...answer.degraded.map((loss) => el("p", { class: "caution" }, loss)),
    el("div", { class: "answer-foot" }, el("span", { class: "faint" }, footnote(answer)), shareButton(asked.id)),
  );
  return card;
}

function conclusion(asked: QuestionView, answer: Answer): Node[] {
  const margin = marginText(answer);
  const interval = intervalText(answer);
  const value = valueText(answer);
  const said = answer.choice === null ? (answer.text === value ? null : answer.text) : chosenText(asked, answer.choice);
  return [
    el("p", {}, el("span", { class: "badge badge-strong" }, DECIDED[answer.decided_by])),
    el(
      "p",
      { class: value.length > 18 ? "answer-value answer-words" : "answer-value" },
      answer.choice ?? value,
      margin && answer.choice === null && el("span", { class: "answer-margin" }, ` ${margin}`),
    ),
    ...(said ? [el("p", { class: "answer-text" }, said)] : []),
    ...(interval ? [el("p", { class: "faint" }, `90 % interval: ${interval}`)] : []),
    ...(answer.reason ? [el("p", { class: "caution" }, answer.reason)] : []),
  ];
}

function refusal(answer: Answer): Node[] {
  return [
    el("p", {}, el("span", { class: "badge badge-weak" }, "No answer")),
    el("p", { class: "answer-text" }, answer.reason ?? answer.text),
  ];
}

/** Return the text of the option that was chosen. */
function chosenText(asked: QuestionView, choice: string): string {
  const lettered = asked.options.find((option) => option.startsWith(`${choice}.`) || option.startsWith(`${choice})`));
  const option = lettered?.slice(2).trim() ?? asked.options[choice.charCodeAt(0) - "A".charCodeAt(0)] ?? "";
  return option;
}

function footnote(answer: Answer): string {
  const parts = [secondsText(answer.seconds), answer.tokens > 0 && counted(answer.tokens, "token")];
  return parts.filter(Boolean).join(" · ");
}

function shareButton(id: string): HTMLElement {
  const address = new URL(addressOf({ kind: "question", id }), document.baseURI).href;
  const words = el("span", {}, "Copy link");
  const share = button(icon("link"), () => void copy(address).then((done) => (words.textContent = done)), {
    class: "button button-quiet",
  });
  words.setAttribute("aria-live", "polite");
  share.append(words);
  return share;
}

/** The clipboard is there in secure contexts only; elsewhere the address bar shows the same link. */
async function copy(address: string): Promise<string> {
  try {
    await navigator.clipboard.writeText(address);
    return "Link copied";
  } catch {
    return "It is in the address bar";
  }
}
