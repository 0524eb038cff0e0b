import { button, el, fill } from "./dom";
import { asProblem } from "./problems";
import { problemNotice } from "./notices";
import { addressOf } from "./routes";
import type { Service } from "./service";
import type { QuestionList, QuestionView } from "./wire";

/** What was asked about a scene, newest first. */
export class History {
  readonly element = el("section", { class: "card history", "aria-labelledby": "history-title", hidden: true });
  private readonly list = el("ul", { class: "history-list" });
  private readonly foot = el("div");
  private readonly known = new Map<string, QuestionView>();
  private chosen = "";
  private before: string | null = null;

  constructor(
    private readonly service: Service,
    private readonly scene: string,
  ) {
    this.element.append(el("h2", { id: "history-title" }, "Questions"), this.list, this.foot);
  }

  /** Return a question of this scene that is known already. */
  question(id: string): QuestionView | undefined {
    return this.known.get(id);
  }

  /** Fetch the newest questions, or those before the oldest known. */
  async load(): Promise<void> {
    const before = this.before === null ? "" : `&before=${this.before}`;
    try {
      const page = await this.service.get<QuestionList>(`v1/questions?scene=${this.scene}${before}`);
      for (const question of page.questions) {
        if (question.scene === this.scene) this.known.set(question.id, question);
      }
      this.before = page.next;
      this.draw();
    } catch (error) {
      fill(this.foot, problemNotice(asProblem(error)));
    }
  }

  /** Take up a question, or what has become of it. */
  put(question: QuestionView): void {
    this.known.set(question.id, question);
    this.draw();
  }

  /** Mark the question that is shown. */
  choose(id: string): void {
    this.chosen = id;
    this.draw();
  }

  private draw(): void {
    const newest = [...this.known.values()].sort((a, b) => b.created - a.created);
    this.element.hidden = newest.length === 0;
    fill(this.list, ...newest.map((question) => this.row(question)));
    const more = this.before !== null && button("Earlier ones", () => void this.load(), { class: "button button-small" });
    fill(this.foot, more);
  }

  private row(question: QuestionView): HTMLElement {
    const current = question.id === this.chosen;
    const link = el(
      "a",
      { href: addressOf({ kind: "question", id: question.id }), "aria-current": current ? "true" : null },
      el("span", { class: "history-question" }, question.question),
      el("span", { class: "faint history-answer" }, summary(question)),
    );
    return el("li", {}, link);
  }
}

function summary(question: QuestionView): string {
  if (question.answer !== null) return question.answer.abstained ? "No answer" : question.answer.text;
  return { queued: "waiting", running: "being answered", done: "", failed: "failed", cancelled: "cancelled" }[question.state];
}
