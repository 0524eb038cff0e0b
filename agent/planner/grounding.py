"""Whether what a model takes a question to be about is in the question: names, superlatives, numbers."""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache

from spatial_agent.agent.planner.units import NUMBER, NUMBER_WORDS, UNIT, UNIT_OF
from spatial_agent.agent.situation import Question
from spatial_agent.agent.task import Comparison, Reference, SpatialTask
from spatial_agent.tools.labels import main_name, vocabulary
from spatial_agent.tools.scene import UNITS, convert
from spatial_agent.tools.skills.phrases import SUPERLATIVES, read_phrase

#: Longest name that is looked for, words.
LONGEST_NAME = 6
#: How many exchanges of a dialogue a question may speak of.
REMEMBERED = 6
#: Numbers of a comparison need not be said where "a chair" and "any chairs" mean them.
UNSAID_COUNTS = (0.0, 1.0)
CLOSE = 1e-3
_QUANTITY = re.compile(rf"(?<![\w.])({NUMBER})(?: ?({UNIT}))?(?!\w)")
_ENDINGS = re.compile(r"\(e?s\)|'s\b|(?<=s)'(?!\w)")
_BREAKS = re.compile(r"[^\w\s'-]+")


def invented(task: SpatialTask, question: Question, labels: Collection[str] = ()) -> tuple[str, ...]:
    """Return what a task speaks of and the question does not, as words; empty where all is there.

    A name is there if it or a synonym stands in the question, its options, or the dialogue before it.

    Args:
        task: What a model made of the question.
        question: The question.
        labels: Labels of the scene; an open question may be about what it only describes.
    """
    said = said_in(question)
    names = _names_in(said)
    if task.intent == "open":
        names = names | frozenset(map(main_name, labels))
    unknown = [f"'{name}'" for item in _references(task) for name in _unknown(item, names, said)]
    comparison = task.comparison
    if comparison and comparison.value is not None and not _is_said(task, comparison, said):
        unknown.append(f"{comparison.value:g} {comparison.unit or ''}".strip())
    return tuple(dict.fromkeys(unknown))


def said_in(question: Question) -> str:
    """Return all words that a question may draw on, in one case and spacing."""
    exchanges = question.dialogue[-REMEMBERED:]
    before = (part for item in exchanges for part in (item.question, item.answer, *item.objects))
    text = unicodedata.normalize("NFKC", " | ".join((question.text, *question.options, *before)))
    return " ".join(text.replace("\u2019", "'").casefold().split())


def _references(task: SpatialTask) -> Iterator[Reference]:
    yield from task.entities
    view = task.viewpoint
    yield from (item for item in (view and view.at, view and view.facing) if item)
    yield from task.comparison.against if task.comparison else ()
    yield from (leg.to for leg in task.legs)


def _unknown(item: Reference, names: frozenset[str], said: str) -> Iterator[str]:
    rest: str | None = item.phrase
    while rest:
        phrase = read_phrase(rest)
        name = main_name(phrase.noun)
        if name not in names and name not in vocabulary().anything:
            yield phrase.noun
        ways = [word for word, meant in SUPERLATIVES.items() if meant == phrase.superlative]
        if ways and not any(re.search(rf"\b{word}\b", said) for word in ways):
            yield phrase.superlative or ""
        rest = phrase.anchor


@lru_cache(maxsize=64)
def _names_in(said: str) -> frozenset[str]:
    """Return the main name of every stretch of words."""
    parts = _BREAKS.split(_ENDINGS.sub(" ", said))
    return frozenset(main_name(stretch) for part in parts for stretch in _stretches(part.split()))


def _stretches(words: Sequence[str]) -> Iterator[str]:
    for length in range(1, LONGEST_NAME + 1):
        for start in range(len(words) - length + 1):
            yield " ".join(words[start : start + length])


def _is_said(task: SpatialTask, comparison: Comparison, said: str) -> bool:
    value, unit = comparison.value or 0.0, comparison.unit
    if task.intent == "count" and value in UNSAID_COUNTS:
        return True
    return any(_same(value, unit, number, stated) for number, stated in _quantities(said))


def _quantities(said: str) -> Iterator[tuple[float, str | None]]:
    for digits, spelling in _QUANTITY.findall(said.replace("\u00b2", "2")):
        number = NUMBER_WORDS[digits] if digits in NUMBER_WORDS else float(digits)
        yield number, UNIT_OF.get(spelling)


def _same(value: float, unit: str | None, number: float, stated: str | None) -> bool:
    if unit and stated and UNITS[unit][0] == UNITS[stated][0]:
        number = convert(number, stated, unit)
    return abs(value - number) <= CLOSE * max(abs(value), abs(number))
