// One question: what happens while it is answered, then its answer, evidence and trace.

import { answerCard } from "./answer_card";
import { button, el, fill } from "./dom";
import { follow } from "./event_stream";
import { evidenceTable, isCheck } from "./evidence_table";
import { LiveProgress } from "./live_progress";
import { announcer, problemNotice } from "./notices";
import { asProblem } from "./problems";
import type { Service } from "./service";
import { traceView } from "./trace_view";
import type { Answer, Evidence, JobState, QuestionView } from "./wire";

const FINAL: ReadonlySet<JobState> = new Set<JobState>(["done", "failed", "cancelled"]);

/** Told what to draw in the scene, and once a question has come to its end. */
export interface Watcher {
  draw(evidence: Evidence[]): void;
  ended(question: QuestionView): void;
}

export class QuestionPanel {
  readonly element = el("section", { class: "question", "aria-label": "Answer", hidden: true });
  private readonly spoken = announcer();
  private readonly body = el("div", { class: "question-body" });
  private following = new AbortController();

  constructor(
    private readonly service: Service,
    private readonly watcher: Watcher,
  ) {
    this.element.append(this.body, this.spoken.element);
  }

  /** Show a question, and go along with it until it ends. */
  async show(question: QuestionView): Promise<void> {
    this.close();
    this.following = new AbortController();
    const { signal } = this.following;
    this.element.hidden = false;
    this.watcher.draw([]);
    if (FINAL.has(question.state)) return this.end(question);
    try {
      await this.goAlong(question, signal);
      if (signal.aborted) return;
      this.end(await this.finished(question.id, signal));
    } catch (error) {
      if (!signal.aborted) fill(this.body, heading(question), problemNotice(asProblem(error)));
    }
  }

  /** Leave the question; it goes on at the service. */
  close(): void {
    this.following.abort();
  }

  private async goAlong(question: QuestionView, signal: AbortSignal): Promise<void> {
    const live = new LiveProgress(this.spoken.say);
    const cancel = button("Cancel", () => {
      cancel.disabled = true;
      void this.service.remove(`v1/questions/${question.id}`).catch(() => (cancel.disabled = false));
    });
    const card = el("div", { class: "card running" }, live.element, el("div", { class: "row row-end" }, cancel));
    fill(this.body, heading(question), card);
    for await (const event of follow(this.service, question.id, signal)) live.take(event);
  }

  /** The last event may be here a moment before the question is stored as done. */
  private async finished(id: string, signal: AbortSignal): Promise<QuestionView> {
    const headers = { Prefer: "wait=10" };
    const response = await this.service.send("GET", `v1/questions/${id}`, { headers, signal });
    return (await response.json()) as QuestionView;
  }

  private end(question: QuestionView): void {
    const { answer } = question;
    if (answer !== null && question.state === "done") this.answered(question, answer);
    else fill(this.body, heading(question), this.unanswered(question));
    this.watcher.ended(question);
  }

  private answered(question: QuestionView, answer: Answer): void {
    const own = answer.evidence.filter((item) => !isCheck(item));
    const drawn = (chosen: Evidence[]): void => this.watcher.draw(chosen.length > 0 ? chosen : own);
    fill(
      this.body,
      heading(question),
      answerCard(question, answer),
      answer.evidence.length > 0 && evidenceTable(answer.evidence, drawn),
      traceView(this.service, question.id),
    );
    drawn([]);
    this.spoken.say(answer.text);
  }

  private unanswered(question: QuestionView): HTMLElement {
    if (question.problem !== null) return problemNotice(question.problem);
    const words = question.state === "cancelled" ? "This question was cancelled." : "There is no answer.";
    this.spoken.say(words);
    return el("div", { class: "card answer answer-none" }, el("p", { class: "answer-text" }, words));
  }
}

function heading(question: QuestionView): HTMLElement {
  const options = question.options.map((option) => el("li", {}, option));
  return el(
    "div",
    { class: "asked" },
    el("h2", {}, question.question),
    options.length > 0 && el("ul", { class: "asked-options" }, ...options),
  );
}
