"""How scripted models read what they are sent: the words and pictures of a request, and nothing else."""

import re
from dataclasses import dataclass

from spatial_agent.agent.models.chat import ChatRequest
from tests.agent.golden import signs

DATA = re.compile(r"<data>\n(.*?)\n</data>", re.DOTALL)
ROW = re.compile(r'^(e\d+) \| "(.*?)" \| (.*?) \| (.*?) \| (strong|weak)', re.MULTILINE)
OPTION = re.compile(r'^([A-H])\. "?(.*?)"?$', re.MULTILINE)
NUMBER = re.compile(r"(-?\d+(?:\.\d+)?) ?(m²|m2|ft²|ft2|cm|mm|ft|in|m|°|deg|degrees)?(?![\w.])")
QUOTED = re.compile(r'"([^"]*)"')
SECTION = r"^## {}\n(.*?)(?=^## |\Z)"


@dataclass(frozen=True)
class Row:
    """A row of the table of measurements, as printed."""

    id: str
    claim: str
    value: str
    interval: str
    quality: str

    @property
    def number(self) -> tuple[float, str] | None:
        """The value as a number with its unit; None where it is a name, or yes or no."""
        found = None if self.value.startswith('"') else NUMBER.match(self.value)
        return None if found is None else (float(found[1]), found[2] or "")


@dataclass(frozen=True)
class Request:
    """A request with its parts taken out of its words."""

    request: ChatRequest

    @property
    def words(self) -> str:
        """All words but those of the system's message."""
        return "\n".join(message.text for message in self.request.messages if message.role != "system")

    @property
    def everything(self) -> str:
        """All words, those of the tools offered and those on signs in the pictures included."""
        seen = [signs.read(picture.rgb) for message in self.request.messages for picture in message.pictures]
        captions = [picture.caption for message in self.request.messages for picture in message.pictures]
        offered = [offer.description for offer in self.request.tools]
        return "\n".join([self.words, *seen, *captions, *offered])

    @property
    def question(self) -> str:
        """The question: the first data of the first message of the user."""
        found = DATA.search(self.words)
        return found[1] if found else ""

    @property
    def labels(self) -> list[str]:
        """Names of things in the place that the question names, in its order, the longer of two first."""
        shown = re.search(
            r"^(?:Labels in the place[^:]*|Objects in the scene): (.*)$", self.words, re.MULTILINE
        )
        names = sorted(QUOTED.findall(shown[1]) if shown else [], key=len, reverse=True)
        text, found = self.question.casefold(), []
        for name in names:
            if (place := re.search(rf"\b{re.escape(name)}s?\b", text)) is not None:
                found.append((place.start(), name))
                text = text[: place.start()] + "#" * len(place[0]) + text[place.end() :]
        return [name for _, name in sorted(found)]

    @property
    def options(self) -> dict[str, str]:
        """Words of the options by their letter."""
        card = self._section("Task")
        return dict(OPTION.findall(card.partition("Options:\n")[2]))

    @property
    def form(self) -> str:
        """What the task card says the answer must be."""
        found = re.search(r"^Answer: (.*)$", self._section("Task"), re.MULTILINE)
        return found[1] if found else ""

    @property
    def rows(self) -> list[Row]:
        """The table of measurements."""
        return [Row(*found) for found in ROW.findall(self._section("Measurements"))]

    @property
    def conclusion(self) -> str:
        """What is said to follow from the measurements; empty where nothing does."""
        found = QUOTED.search(self._section("Conclusion of the measurements"))
        return found[1] if found else ""

    @property
    def results(self) -> list[str]:
        """What tools have answered in this conversation."""
        told = [message.text for message in self.request.messages if message.role == "tool"]
        return [found for text in told for found in DATA.findall(text)]

    def _section(self, title: str) -> str:
        found = re.search(SECTION.format(re.escape(title)), self.words, re.MULTILINE | re.DOTALL)
        return found[1] if found else ""


def threshold_m(question: str) -> float | None:
    """Return the length in metres that a question speaks of."""
    found = re.search(r"(\d+(?:\.\d+)?) m\b", question)
    return float(found[1]) if found else None
