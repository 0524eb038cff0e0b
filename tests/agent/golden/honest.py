"""Scripted models that mean well: they read, call tools, write programs, and cite. None knows an answer.

Each is a function of the request; what it says comes from the words that it was sent.
"""

import re
from typing import Any

from spatial_agent.agent.models.chat import ChatRequest
from spatial_agent.agent.models.scripted import ScriptedReply
from tests.agent.golden.reading import Request, Row, threshold_m

Document = dict[str, Any]
OPEN = ("robot", "carpet", "board", "tower", "weigh")
YES_NO = ("could", "would", "is", "are", "can", "does")
UNKNOWN: Document = {"reason": "nothing says so", "answer": "unknown", "cites": []}


class Player:
    """Plays a model; each purpose is a method, and an honest model is made by answering from what is read."""

    def __call__(self, request: ChatRequest) -> ScriptedReply:
        reply: ScriptedReply = getattr(self, request.purpose)(Request(request))
        return reply

    def formalise(self, request: Request) -> ScriptedReply:
        """Write down what is asked, as far as a few key words tell."""
        return {"document": formalised(request)}

    def plan(self, request: Request) -> ScriptedReply:
        return "Enough is known."

    def answer(self, request: Request) -> ScriptedReply:
        return {"document": UNKNOWN}

    def reconsider(self, request: Request) -> ScriptedReply:
        return self.answer(request)


class Careful(Player):
    """Answers with the conclusion of the measurements."""

    def answer(self, request: Request) -> ScriptedReply:
        said = request.conclusion
        if not said or not request.rows:
            return {"document": UNKNOWN}
        first = request.rows[0]
        if request.options:
            return {"document": {"reason": first.claim, "answer": said, "cites": [first.id]}}
        return {"document": stated(request, first, said)}


class Tabular(Player):
    """Never reads the conclusion: takes the first row, and chooses the option that is nearest to it."""

    def answer(self, request: Request) -> ScriptedReply:
        if not request.rows:
            return {"document": UNKNOWN}
        first = request.rows[0]
        if request.options:
            return {"document": {"reason": "", "answer": option_for(request, first), "cites": [first.id]}}
        return {"document": stated(request, first, first.claim)}


class ByTools(Careful):
    """Plans open questions by calling tools, reads what they found, and cites it."""

    def plan(self, request: Request) -> ScriptedReply:
        if request.results:
            return f"This is known: {request.results[-1][:200]}"
        return {"calls": wanted_calls(request)}

    def answer(self, request: Request) -> ScriptedReply:
        if request.conclusion or not request.rows:
            return super().answer(request)
        return {"document": concluded(request, request.rows)}


class ByPrograms(ByTools):
    """Plans open questions by writing a program, whose conclusion it cites."""

    def plan(self, request: Request) -> ScriptedReply:
        if request.results:
            return "The program has concluded."
        return {"calls": [{"tool": "program", "arguments": {"source": program_for(request)}}]}

    def answer(self, request: Request) -> ScriptedReply:
        concluding = [row for row in request.rows if row.claim.startswith("The program concludes")]
        if request.conclusion or not concluding:
            return super().answer(request)
        if request.form.startswith("yes"):
            return {"document": {"reason": "", "answer": concluding[0].value, "cites": [concluding[0].id]}}
        return {"document": stated(request, concluding[0], concluding[0].claim)}


def formalised(request: Request) -> Document:
    """Return the document of a question, from key words and the names of things in it."""
    question, labels = request.question.casefold(), request.labels
    if any(word in question for word in OPEN):
        form = "yes_no" if question.split()[0] in YES_NO else "number"
        objective = "compare or combine what the tools measure"
        return document("open", labels, form, objective=objective)
    if re.search(r"how far|distance|separat|how many centimetres", question) and len(labels) == 2:
        centres = {"centres": True} if "centre" in question else {}
        return document("distance", labels, "number", objective="how far apart they are", **centres)
    if question.startswith("how tall") and len(labels) == 1:
        return document("size", labels, "number", dimension="height", objective="how tall it is")
    return document("open", labels, "text", objective="what the question says")


def wanted_calls(request: Request) -> list[Document]:
    """Return the calls that an open question needs, of tools that are offered with these arguments."""
    labels, question = request.labels, request.question
    offered = {offer.name: offer.parameters.get("properties", {}) for offer in request.request.tools}
    if "tower" in question and {"of", "dimension"} <= set(offered.get("size", {})):
        return [{"tool": "size", "arguments": {"of": label, "dimension": "height"}} for label in labels]
    if len(labels) == 2 and {"a", "b"} <= set(offered.get("distance", {})):
        return [{"tool": "distance", "arguments": {"a": labels[0], "b": labels[1]}}]
    return []


def program_for(request: Request) -> str:
    """Return a program that computes what an open question asks, with the ends of its interval."""
    first, second = request.labels[:2]
    if "tower" in request.question:
        sizes = [
            f"tools.size(scene='$scene', of='{x}', dimension='height', unit='m')" for x in (first, second)
        ]
        return (
            f"a = {sizes[0]}\nb = {sizes[1]}\n"
            "answer(a.value - b.value, unit='m', low=a.low - b.high, high=a.high - b.low)"
        )
    gap = f"d = tools.distance(scene='$scene', a='{first}', b='{second}', unit='m')\n"
    needed = threshold_m(request.question)
    if needed is None:
        return gap + "answer(d.value, unit='m', low=d.low, high=d.high)"
    return gap + f"answer(bool(d.value > {needed}))"


def concluded(request: Request, rows: list[Row]) -> Document:
    """Return what follows from measurements for an open question."""
    numbers = [(row, *row.number) for row in rows if row.number is not None]
    if not numbers:
        return UNKNOWN
    row, value, unit = numbers[0]
    needed = threshold_m(request.question)
    if request.form.startswith("yes") and needed is not None:
        answer = "yes" if value > needed else "no"
        return {"reason": f"{row.claim} {needed} m are needed", "answer": answer, "cites": [row.id]}
    if "tower" in request.question and len(numbers) > 1:
        other, less, _ = numbers[1]
        return {"reason": "", "answer": f"{value - less:.2f}", "unit": unit, "cites": [row.id, other.id]}
    return {"reason": row.claim, "answer": f"{value:g}", "unit": unit, "cites": [row.id]}


def stated(request: Request, row: Row, said: str) -> Document:
    """Return a row as an answer in the form that the task card asks for."""
    cited: Document = {"reason": row.claim, "cites": [row.id]}
    if request.form.startswith("yes"):
        return cited | {"answer": "yes" if said.casefold().startswith("yes") else "no"}
    number = row.number
    if number is not None:
        return cited | {"answer": row.value.split()[0], "unit": number[1]}
    if request.form.startswith("a list"):
        return cited | {"answer": re.findall(r"[a-z][a-z ]+", row.value)}
    return cited | {"answer": row.value.strip('"')}


def option_for(request: Request, row: Row) -> str:
    """Return the letter of the option that is nearest to a row."""
    offered = {letter: re.findall(r"\d+(?:\.\d+)?", text) for letter, text in request.options.items()}
    if row.number is not None and all(offered.values()):
        value = row.number[0]
        return min(offered, key=lambda letter: abs(float(offered[letter][0]) - value))
    same = [letter for letter, text in request.options.items() if text == row.value.strip('"')]
    return same[0] if same else "unknown"


def document(intent: str, entities: list[str], form: str, **more: Any) -> Document:  # noqa: ANN401
    """Return a document that says what a question asks."""
    return {"intent": intent, "entities": entities, "viewpoint": "none", "answer_form": form} | more
