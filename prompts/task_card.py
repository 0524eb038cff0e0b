"""What is asked, on a card: the question as data, and how it was understood."""

from dataclasses import dataclass

from spatial_agent.prompts.template import Template
from spatial_agent.prompts.untrusted import fenced, quoted
from spatial_agent.tools.scene import UNITS

#: What the answer must look like, by the form asked for.
FORMS = {
    "letter": "the letter of one option",
    "number": "a number",
    "yes_no": "yes or no",
    "name": "a name",
    "order": "a list of names in order",
    "text": "a sentence",
}


@dataclass(frozen=True)
class TaskCard:
    """A question and how it was understood.

    Attributes:
        question: The question, in the user's words.
        intent: What is to be measured, by the name that the agent gives it: ``"distance"``,
            ``"direction"``, ``"order"``, ...; decides what of a prompt is relevant.
        answer_form: ``"letter"``, ``"number"``, ``"yes_no"``, ``"name"``, ``"order"`` or ``"text"``.
        options: The answers offered: letter and words.
        entities: What it is about, as said.
        viewpoint: Whose left, whose up, in words; None where it does not matter.
        unit: The unit asked for, or None.
        objective: What would answer it, of an open question; else None.
        remarks: What else is to be known: that two readers disagreed, what was repaired.
    """

    question: str
    intent: str
    answer_form: str = "text"
    options: tuple[tuple[str, str], ...] = ()
    entities: tuple[str, ...] = ()
    viewpoint: str | None = None
    unit: str | None = None
    objective: str | None = None
    remarks: tuple[str, ...] = ()


def task_card(card: TaskCard) -> str:
    """Return the card as words."""
    return Template.load("task_card").fill(question=fenced(card.question), reading="\n".join(_reading(card)))


def _reading(card: TaskCard) -> list[str]:
    intent, of = (
        ("open question", "about") if card.intent == "open" else (card.intent.replace("_", " "), "of")
    )
    about = f" {of} {', '.join(quoted(phrase) for phrase in card.entities)}" if card.entities else ""
    lines = [f"Read as: {quoted(intent)[1:-1]}{about}"]
    if card.viewpoint:
        lines.append(f"Viewpoint: {quoted(card.viewpoint, 200)}")
    if card.objective:
        lines.append(f"Wanted: {quoted(card.objective, 400)}")
    if card.options:
        lines += ["Options:", *(f"{letter}. {quoted(words, 200)}" for letter, words in card.options)]
    unit = f" in {card.unit if card.unit in UNITS else quoted(card.unit)}" if card.unit else ""
    lines.append(f"Answer: {FORMS.get(card.answer_form, 'a sentence')}{unit}")
    return lines + [f"Remark: {quoted(remark, 300)}" for remark in card.remarks]
