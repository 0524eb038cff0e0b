import { button, el, fill } from "./dom";
import { icon } from "./icons";

const MOST_OPTIONS = 26;

/** The form that questions are asked with. */
export class Composer {
  readonly element = el("form", { class: "card composer", "aria-label": "Ask a question" });
  private readonly input = el("textarea", {
    id: "question",
    rows: 2,
    maxlength: 8000,
    required: true,
    placeholder: "How far is the sofa from the tv?",
  });
  private readonly options = el("div", { class: "options" });
  private readonly offered = el("div", { class: "chips", role: "group", "aria-label": "Suggested questions" });
  private readonly submit = el("button", { type: "submit", class: "button button-main", disabled: true }, "Ask");

  constructor(private readonly ask: (question: string, options: string[]) => void) {
    this.element.append(
      el("label", { for: "question", class: "composer-label" }, "Ask about this scene"),
      this.input,
      this.offered,
      this.options,
      el(
        "div",
        { class: "row row-between" },
        button("Add an option", () => this.addOption(), { class: "button button-quiet button-small" }),
        this.submit,
      ),
    );
    this.element.addEventListener("submit", (event) => (event.preventDefault(), this.send()));
    this.input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!this.submit.disabled) this.element.requestSubmit();
    });
  }

  /** Say whether questions can be asked now. */
  set enabled(on: boolean) {
    this.submit.disabled = !on;
    for (const chip of this.offered.querySelectorAll("button")) chip.disabled = !on;
  }

  /** Offer questions that fit the scene. */
  suggest(questions: string[]): void {
    fill(
      this.offered,
      ...questions.map((question) =>
        button(question, () => {
          this.input.value = question;
          fill(this.options);
          this.send();
        }, { class: "chip" }),
      ),
    );
  }

  /** Take less room: something has been asked. */
  compact(): void {
    this.element.classList.add("composer-compact");
  }

  private addOption(): void {
    const place = this.options.children.length;
    if (place >= MOST_OPTIONS) return;
    const input = el("input", { type: "text", maxlength: 400, "aria-label": `Option ${letter(place)}`, placeholder: "An answer to choose from" });
    const row = el("div", { class: "option" }, el("span", { class: "option-letter", "aria-hidden": "true" }, letter(place)), input);
    row.append(
      button(icon("cross"), () => (row.remove(), this.relabel(), this.input.focus()), {
        class: "button button-quiet",
        "aria-label": `Remove option ${letter(place)}`,
      }),
    );
    this.options.append(row);
    input.focus();
  }

  private relabel(): void {
    [...this.options.children].forEach((row, place) => {
      const shown = row.querySelector(".option-letter");
      if (shown) shown.textContent = letter(place);
      row.querySelector("input")?.setAttribute("aria-label", `Option ${letter(place)}`);
      row.querySelector("button")?.setAttribute("aria-label", `Remove option ${letter(place)}`);
    });
  }

  private send(): void {
    const question = this.input.value.trim();
    if (question === "") return;
    const given = [...this.options.querySelectorAll("input")].map((input) => input.value.trim()).filter(Boolean);
    this.ask(question, given.map((text, place) => (/^[A-Z][.)]/.test(text) ? text : `${letter(place)}. ${text}`)));
  }
}

function letter(place: number): string {
  return String.fromCharCode("A".charCodeAt(0) + place);
}
