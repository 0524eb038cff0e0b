"""What a model said, read as an answer in the form asked for: as tolerant as can be without guessing.

A model may write a letter where a name is wanted, "about 2.1 metres" where a number is, or a sentence
round either. What can be read in only one way is read so; anything else is no view, and says why.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from spatial_agent.agent.models.chat import ChatReply
from spatial_agent.agent.models.json_text import read_document, without_thinking
from spatial_agent.agent.planner.options import SEPARATORS, match_option
from spatial_agent.agent.planner.wording import canonical_direction
from spatial_agent.agent.task import Option, SpatialTask
from spatial_agent.agent.written_number import read_number
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError

#: How much of what a model wrote is looked at, characters: from its beginning and from its end.
MOST_READ = 2000
#: How much of it is searched for JSON where it should have been words, characters.
MOST_SEARCHED = 20_000
#: How much of it is quoted in reasons, characters.
MOST_QUOTED = 120
MOST_CITED = 20
MOST_LISTED = 40
#: Longest name that is taken for one without being known, words.
LONGEST_NAME = 6
ANSWER_KEYS = ("answer", "final_answer", "final answer", "choice", "letter", "option", "value", "result")
CITE_KEYS = ("cites", "cited", "evidence", "citations")
CITED = re.compile(r"\be[1-9][0-9]{0,4}\b")
#: Says that no answer is given.
UNDECIDED = re.compile(
    r"(?:i )?(?:do not|don't|can ?not|can't|could not|couldn't) (?:know|tell|say|see|determine|answer)\b.*"
    r"|unknown|unanswerable|undecided|undetermined|not (?:known|sure|possible|visible|enough information)\b.*"
    r"|n/?a|none of (?:them|these|the above)|null|none|nothing|unclear|(?:i )?abstain|it is unclear\b.*",
)
#: Says that a count is zero.
NO_THING = re.compile(r"(?:there (?:are|is) )?(?:none|nothing|no (?:such )?\w{1,40})")
TRUE, FALSE = {"yes", "true", "yeah", "yep", "correct"}, {"no", "false", "nope", "incorrect"}
WORDS = re.compile(r"[a-z0-9'-]+")
LETTER_ALONE = re.compile(r"[\s(\[*\"'`]*([A-Za-z])[\s)\].:*\"'`]*")
LETTER_FIRST = re.compile(r"[\s*]*(?:\(([A-Za-z])\)|([A-Za-z])[.):])")
LETTER_SAID = re.compile(r"(?i:\b(?:answer|option|choice|letter)(?: is)?)[\s:*(\"'`]*([A-Z])\b(?!')")
CONCLUSION = re.compile(r"(?:final )?answer(?: is)?\s*[:=-]?\s*([^\n]{1,300})", re.IGNORECASE)
NEGATION = re.compile(r"\b(?:not|never|neither|nor|isn't|aren't|rather than|instead of)\b")
CLOCK = re.compile(r"\b(1[0-2]|[1-9]) ?o'? ?clock\b")
DIRECTION_WORD = re.compile(
    r"\b(?:front|back)[- ](?:left|right)\b|\b(?:left|right|front|ahead|back|behind)\b"
)
SECTORS_WITHOUT_NAMES = {"clock", "degrees"}


@dataclass(frozen=True)
class View:
    """What a model holds to be the answer.

    Attributes:
        value: Number, name, list of names, or bool; None where it gives no answer that can be read.
        unit: Unit of a number as written, or None where it wrote none.
        rounding: How far a number may be from what was meant, by how many digits it was written with.
        choice: Letter of the option it chose.
        cites: Ids of the evidence that it names, as far as there is such evidence.
        said: Its answer as it wrote it, in one line, cut short.
        problem: Why there is no value, or None.
    """

    value: Json = None
    unit: str | None = None
    rounding: float = 0.0
    choice: str | None = None
    cites: tuple[str, ...] = ()
    said: str = ""
    problem: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether there is an answer at all."""
        return self.value is not None


def read_view(task: SpatialTask, reply: ChatReply, evidence_ids: Collection[str] = ()) -> View:
    """Read a reply as an answer to a task; never raises, whatever a model wrote.

    Args:
        task: What is asked, with the form of the answer.
        reply: What the model said.
        evidence_ids: Ids of the evidence that it may cite.
    """
    document = reply.document if reply.document is not None else _document_in(reply.text)
    answer, unit, cites = _taken_apart(document)
    if answer is None and document is None:
        answer = _concluding(_bounded(without_thinking(reply.text)))
    written = _written(answer)
    said = _one_line(" ".join(filter(None, (written, unit))))
    cited = _cited((cites, written), evidence_ids)
    if task.unit == "count" and NO_THING.fullmatch(_bare(written)):
        return View(value=0.0, unit="count", cites=cited, said=said)
    if task.side and (answer == [] or NO_THING.fullmatch(_bare(written))):
        return View(value=[], cites=cited, said=said)
    if not written or UNDECIDED.fullmatch(_bare(written)):
        return View(cites=cited, said=said, problem="it gave no answer")
    return _in_form(task, answer, written, unit, View(cites=cited, said=said))


def _in_form(task: SpatialTask, answer: Json, written: str, unit: str | None, view: View) -> View:
    if task.options:
        option = read_option(task.options, written)
        if option is None:
            return replace(view, problem=f"it named none of the options {_letters(task.options)}, or several")
        return replace(view, value=option.text, choice=option.letter)
    if task.answer_form == "yes_no":
        truth = answer if isinstance(answer, bool) else _truth(written)
        return replace(view, value=truth, problem="it said neither yes nor no" if truth is None else None)
    if task.answer_form == "number":
        return _number(answer, written, unit, view)
    if is_list(task) or isinstance(answer, list | tuple):
        return replace(view, value=_listed(answer, written))
    if task.answer_form == "text":
        return _text(answer, written, unit, view)
    name = _name(task, written)
    return replace(view, value=name, problem=None if name else "it named no one thing")


def is_list(task: SpatialTask) -> bool:
    """Return whether the answer to a task is a list of names."""
    return not task.options and (task.answer_form == "order" or task.side is not None)


def read_option(options: Sequence[Option], written: str) -> Option | None:
    """Return the one option that a text chooses, by its letter or by its words; None where there is none.

    >>> options = (Option("A", "left"), Option("B", "right"))
    >>> read_option(options, "The answer is **B**").letter, read_option(options, "left").letter
    ('B', 'A')
    """
    letters = {option.letter: option for option in options}
    for pattern in (LETTER_ALONE.fullmatch, LETTER_FIRST.match):
        if (found := pattern(written)) and (
            letter := (found[1] or found[found.re.groups]).upper()
        ) in letters:
            return letters[letter]
    if by_words := match_option(options, written.strip()) or _by_number(options, written):
        return by_words
    said = {letter for letter in LETTER_SAID.findall(written) if letter in letters}
    if said:
        return letters[said.pop()] if len(said) == 1 else None
    return _only_one_inside(options, written)


def _by_number(options: Sequence[Option], written: str) -> Option | None:
    """Return the option with the very number that was written, in whatever unit."""
    number = read_number(written)
    if number is None:
        return None
    offered = {option: read_number(option.text) for option in options}
    same = [option for option, other in offered.items() if other is not None and number.equals(other)]
    return same[0] if len(same) == 1 else None


def _only_one_inside(options: Sequence[Option], written: str) -> Option | None:
    """Return the only option whose words stand in the text, unless the text denies something."""
    text = _bare(written)
    if NEGATION.search(text):
        return None
    found = [option for option in options if _stands_in(_bare(option.text), text)]
    # "front-left" has "left" in it: the longer of two that both stand there is the one that is meant.
    meant = [
        option
        for option in found
        if not any(option is not other and _bare(option.text) in _bare(other.text) for other in found)
    ]
    return meant[0] if len(meant) == 1 else None


def _number(answer: Json, written: str, unit: str | None, view: View) -> View:
    number = read_number(written, unit)
    if number is None and isinstance(answer, int | float) and not isinstance(answer, bool):
        number = read_number(repr(answer))
    if number is None:
        return replace(view, problem="it wrote no number, or more than one")
    return replace(view, value=number.value, unit=number.unit, rounding=number.rounding)


def _text(answer: Json, written: str, unit: str | None, view: View) -> View:
    """Read an answer of no particular form: a number or yes and no where it is nothing else, else words."""
    if isinstance(answer, bool):
        return replace(view, value=answer)
    if (number := read_number(written, unit, alone=True)) is not None:
        return replace(view, value=number.value, unit=number.unit, rounding=number.rounding)
    if _bare(written) in TRUE | FALSE:
        return replace(view, value=_bare(written) in TRUE)
    return replace(view, value=_one_line(written, MOST_READ))


def _truth(written: str) -> bool | None:
    words = WORDS.findall(written.casefold())
    if words and (words[0] in TRUE or words[0] in FALSE):
        return words[0] in TRUE
    said = {word in TRUE for word in words if word in TRUE or word in FALSE}
    return said.pop() if len(said) == 1 else None


def _name(task: SpatialTask, written: str) -> str | None:
    text = _bare(written)
    if task.sectors == "clock" and (hour := CLOCK.search(text)):
        return f"{hour[1]} o'clock"
    if direction := canonical_direction(text):
        return direction
    known = [reference.phrase.casefold() for reference in task.entities]
    if text in known:
        return text
    if NEGATION.search(text):
        return None
    named = {phrase for phrase in known if _stands_in(phrase, text)}
    if task.sectors and task.sectors not in SECTORS_WITHOUT_NAMES:
        named = {canonical_direction(word) or word for word in DIRECTION_WORD.findall(text)}
    if len(named) == 1:
        return named.pop()
    return text if text and len(text.split()) <= LONGEST_NAME and not named else None


def _listed(answer: Json, written: str) -> list[str] | None:
    if isinstance(answer, list | tuple):
        return [_bare(str(item)) for item in islice(answer, MOST_LISTED)]
    parts = SEPARATORS.split(written.casefold().strip(" ."))
    return [_bare(re.sub(r"^\d{1,2}[.)] ?", "", part)) for part in parts[:MOST_LISTED] if part]


def _document_in(text: str) -> Json:
    """Return the JSON object that a text holds, or None."""
    if "{" not in text:
        return None
    try:
        document = read_document(text[:MOST_SEARCHED])
    except InvalidValueError:
        return None
    return document if isinstance(document, Mapping) else None


def _taken_apart(document: Json) -> tuple[Json, str | None, Json]:
    """Return the answer, its unit and what is cited, of whatever document a model wrote."""
    if not isinstance(document, Mapping):
        return document, None, None
    fields = {str(name).casefold(): value for name, value in islice(document.items(), MOST_LISTED)}
    answer = next((fields[name] for name in ANSWER_KEYS if fields.get(name) is not None), None)
    cites = next((fields[name] for name in CITE_KEYS if name in fields), None)
    unit = fields.get("unit")
    if isinstance(answer, Mapping):
        inner, inner_unit, inner_cites = (
            _taken_apart(answer) if not _is_nested(answer) else (None, None, None)
        )
        return inner, inner_unit or _unit(unit), cites or inner_cites
    return answer, _unit(unit), cites


def _is_nested(answer: Mapping[str, Json]) -> bool:
    return any(isinstance(value, Mapping) for value in islice(answer.values(), MOST_LISTED))


def _unit(unit: Json) -> str | None:
    return unit if isinstance(unit, str) and 0 < len(unit) <= 20 else None


def _written(answer: Json) -> str:
    if answer is None or isinstance(answer, Mapping):
        return ""
    if isinstance(answer, bool):
        return "yes" if answer else "no"
    if isinstance(answer, list | tuple):
        return ", ".join(str(item)[:MOST_QUOTED] for item in answer[:MOST_LISTED])
    return _bounded(answer if isinstance(answer, str) else repr(answer))


def _concluding(text: str) -> str:
    """Return what a text in prose says last behind "answer:"; all of it where it says so nowhere."""
    found = CONCLUSION.findall(text)
    return found[-1] if found else text


def _cited(places: Iterable[Json], evidence_ids: Collection[str]) -> tuple[str, ...]:
    named: list[str] = []
    for place in places:
        items = place[:MOST_LISTED] if isinstance(place, list | tuple) else [place]
        named += [found for item in items for found in CITED.findall(str(item)[:MOST_READ].casefold())]
    return tuple(islice((item for item in dict.fromkeys(named) if item in evidence_ids), MOST_CITED))


def _letters(options: Sequence[Option]) -> str:
    return ", ".join(option.letter for option in options)


def _stands_in(words: str, text: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(words)}(?![\w-])", text) is not None


def _bare(text: str) -> str:
    plain = " ".join(text.casefold().replace("\u2019", "'").split()).strip(" .,;:!?*\"'`()[]")
    return re.sub(r"^(?:the|a|an) ", "", plain)


def _bounded(text: str) -> str:
    return text if len(text) <= 2 * MOST_READ else f"{text[:MOST_READ]}\n{text[-MOST_READ:]}"


def _one_line(text: str, most: int = MOST_QUOTED) -> str:
    line = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return line if len(line) <= most else f"{line[:most]}…"
