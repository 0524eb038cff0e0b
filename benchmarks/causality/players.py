"""Models for the causal benchmark: one that reads, one that never does, and one that denies what it reads.

Each is a function of the request. All leave the question to the grammar: their reading of it cannot be read.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from spatial_agent.agent.models.chat import ChatRequest, ModelLimits
from spatial_agent.agent.models.scripted import Scripted

_SECTION = r"^## {}\n(.*?)(?=^## |\Z)"
_ROW = re.compile(r'^(e\d+) \| "(.*?)" \| (.*?) \| ', re.MULTILINE)
_DATA = re.compile(r"<data>\n(.*?)\n</data>", re.DOTALL)
_NAMES = re.compile(r"\bthe ([a-z ]+?)(?= or\b| and\b| than\b| facing\b| appear\b|[,?])")
_DIRECTIONS = ("front", "left", "back", "right", "front-left", "back-right")
#: Says nothing that could be read as a document, so that the grammar reads the question.
UNREADABLE = "I would rather not."
#: What whoever never looks says where a number is wanted.
ALWAYS = 7.77


class Prompt:
    """What a request says, as far as a model needs it: nothing but its words is looked at."""

    def __init__(self, request: ChatRequest) -> None:
        """Read the words of the user's messages."""
        self.words = "\n".join(message.text for message in request.messages if message.role == "user")

    @property
    def question(self) -> str:
        """The question."""
        found = _DATA.search(self.words)
        return found[1] if found else ""

    @property
    def form(self) -> str:
        """What the task card says the answer must be."""
        found = re.search(r"^Answer: (.*)$", self._section("Task"), re.MULTILINE)
        return found[1] if found else ""

    @property
    def letters(self) -> Sequence[str]:
        """Letters of the options."""
        return re.findall(r'^([A-H])\. "', self._section("Task"), re.MULTILINE)

    @property
    def names(self) -> list[str]:
        """What the question chooses from: names of things, or directions."""
        names = list(dict.fromkeys(_NAMES.findall(self.question)))
        return [*_DIRECTIONS] if "where is" in self.question else names

    @property
    def conclusion(self) -> str:
        """What follows from the measurements."""
        found = re.search(r'"(.*)"', self._section("Conclusion of the measurements"))
        return found[1] if found else ""

    @property
    def row(self) -> tuple[str, str, str]:
        """The first row of the table of measurements: id, finding, value."""
        found = _ROW.search(self._section("Measurements"))
        return (found[1], found[2], found[3]) if found else ("", "", "")

    def _section(self, title: str) -> str:
        found = re.search(_SECTION.format(re.escape(title)), self.words, re.MULTILINE | re.DOTALL)
        return found[1] if found else ""


def reader(prompt: Prompt) -> Any:  # noqa: ANN401 - an answer as JSON
    """Answer with what follows from the measurements."""
    name, _, value = prompt.row
    if prompt.letters:
        answer: Any = prompt.conclusion
    elif prompt.form.startswith("yes"):
        answer = "yes" if prompt.conclusion.startswith("Yes") else "no"
    elif prompt.form.startswith("a list"):
        answer = re.findall(r"[a-z][a-z ]+", value)
    else:
        answer = value.strip('"')
    return {"reason": "", "answer": answer, "unit": "", "cites": [name]}


def stubborn(prompt: Prompt) -> Any:  # noqa: ANN401 - an answer as JSON
    """Answer with the same, whatever was measured."""
    if prompt.letters:
        answer: Any = "A"
    elif prompt.form.startswith("yes"):
        answer = "yes"
    elif prompt.form.startswith("a list"):
        answer = prompt.names
    else:
        answer = f"{ALWAYS}" if prompt.form.startswith("a number") else prompt.names[-1]
    return {"reason": "I know this place.", "answer": answer, "unit": "", "cites": []}


def contrary(prompt: Prompt) -> Any:  # noqa: ANN401 - an answer as JSON
    """Answer with anything but what was measured."""
    said = reader(prompt)["answer"]
    if prompt.letters:
        answer: Any = next(letter for letter in prompt.letters if letter != said)
    elif prompt.form.startswith("yes"):
        answer = "no" if said == "yes" else "yes"
    elif prompt.form.startswith("a list"):
        answer = said[::-1]
    elif prompt.form.startswith("a number"):
        answer = f"{2 * float(said.split()[0]) + 1:.2f}"
    else:
        answer = next(name for name in prompt.names if name != said)
    return {"reason": "The measurement is wrong.", "answer": answer, "unit": "", "cites": []}


PLAYERS = {"reader": reader, "stubborn": stubborn, "contrary": contrary}


def model(name: str) -> Scripted | None:
    """Return a model by its name; None for ``"none"``."""
    if name == "none":
        return None
    player = PLAYERS[name]

    def play(request: ChatRequest) -> str | Mapping[str, Any]:
        return UNREADABLE if request.purpose == "formalise" else {"document": player(Prompt(request))}

    return Scripted(play, limits=ModelLimits(most_pictures=0), name=name)
