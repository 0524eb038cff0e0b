"""JSON out of what a model wrote: between fences and prose, with the mistakes that models make.

What is tolerated: words and fences around it, reasoning between ``<think>`` marks before it, trailing commas,
a missing comma before a bracket, comments, keys without quotes, single and typographic quotes, quotes inside
a string that nobody escaped, line breaks in strings, unknown escapes, ``True``, ``False`` and ``None``. What
is not: JSON that the text ends in the middle of, since half a number is another number.

Only the first `MOST_LETTERS` are looked at, in time linear in their number.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spatial_agent.agent.models.schema_check import schema_problem
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError

#: Letters of a text that are looked at; what comes later is not read.
MOST_LETTERS = 100_000
#: Brackets inside brackets that are followed.
MOST_DEPTH = 64

#: How many times the text's length may be read again after openings that were none.
_REREADINGS = 4
_OPENINGS, _BRACKETS = re.compile(r"[{\[]"), re.compile(r"[{\[\]}]")
_SPACE = re.compile(r"\s*")
_BARE_KEY = re.compile(r"[^\W\d][\w.-]*", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])", re.ASCII)
_WORD = re.compile(r"[A-Za-z]+")
_WORDS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}
_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’"}
_STOPS = {end: re.compile(rf"[\\{end}]") for end in _QUOTES.values()}
_ANYTHING = re.compile("")
_AFTER_VALUE = re.compile(r"\s*(?:[,}\]]|/[/*])")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""}
_SURROGATE = re.compile("[\ud800-\udfff]")
_LONGEST_NUMBER = 400
_THINKING_BEGINS = re.compile(r"<(?:think|thinking|reasoning)>")
_THINKING_ENDS = re.compile(r"</(?:think|thinking|reasoning)>")


@dataclass(frozen=True)
class FoundJson:
    """An object or a list in a text.

    Attributes:
        value: The object or list.
        start: Position of its first letter.
        end: Position behind its last letter.
    """

    value: Json
    start: int
    end: int


@dataclass(frozen=True)
class JsonInText:
    """All outermost objects and lists of a text.

    Attributes:
        found: In order.
        problem: What was wrong with the last thing that began like JSON and was none, or None.
    """

    found: tuple[FoundJson, ...]
    problem: str | None = None


class _NotJsonError(Exception):
    """What stands here is no JSON; the message says why."""


def find_json(text: str) -> JsonInText:
    """Return all outermost objects and lists of a text; never raises.

    >>> [item.value for item in find_json("Sure: {tool: 'size',} and [1, 2]").found]
    [{'tool': 'size'}, [1, 2]]
    """
    text = text[:MOST_LETTERS]
    found, problem = [], None
    position, to_reread = 0, _REREADINGS * len(text)
    while opening := _OPENINGS.search(text, position):
        start = opening.start()
        reader = _Reader(text, start)
        try:
            found.append(FoundJson(reader.read(), start, reader.at))
            position = reader.at
        except _NotJsonError as error:
            if reader.is_begun:  # what is inside of something broken must not pass for the whole
                problem, position = str(error), reader.end()
                continue
            to_reread -= reader.at - start
            position = max(start + 1, reader.at if to_reread < 0 else 0)
    return JsonInText(tuple(found), problem)


def read_document(text: str, schema: Mapping[str, Json] | None = None) -> Json:
    """Return the document that a text holds: the last object that fits the schema, or the last list.

    Args:
        text: What a model wrote.
        schema: JSON schema that the document must fit; None for any object or list.

    Raises:
        InvalidValueError: If there is none, or none fits; the message can be put to the model.

    >>> read_document('<think>{"a": 0}?</think> The answer: ```json {"a": 1} ```')
    {'a': 1}
    """
    said = without_thinking(text)
    in_text = find_json(said)
    # Objects before lists: "[1]" in prose is a footnote more often than a document.
    values = sorted((item.value for item in in_text.found), key=lambda value: isinstance(value, dict))
    if not values:
        raise InvalidValueError(f"expected a JSON object, got {in_text.problem or _excerpt(said)}")
    problems = []
    for value in reversed(values):
        problem = None if schema is None else schema_problem(value, schema)
        if problem is None:
            return value
        problems.append(problem)
    raise InvalidValueError(in_text.problem or problems[0])


def without_thinking(text: str) -> str:
    """Return what a model wrote outside of its reasoning; reasoning that never ended leaves what was before.

    >>> without_thinking("<think>Is it 1?</think>2"), without_thinking("So: <think>Is it")
    ('2', 'So: ')
    """
    ends = [match.end() for match in _THINKING_ENDS.finditer(text)]
    said = text[ends[-1] :] if ends else text
    begins = _THINKING_BEGINS.search(said)
    return said[: begins.start()] if begins else said


def clean_text(text: str) -> str:
    """Return a text that every encoding can hold: halves of surrogate pairs are joined or replaced."""
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _excerpt(text: str) -> str:
    shown = text.strip()[:80]
    return f"{shown!r}" if shown else "nothing"


@dataclass
class _Open:
    """A bracket that is open.

    Attributes:
        items: What it holds so far.
        key: Where the next value goes, in an object.
    """

    items: Any
    key: str = ""

    @property
    def closing(self) -> str:
        return "}" if isinstance(self.items, dict) else "]"

    def add(self, value: Json) -> None:
        if isinstance(self.items, dict):
            self.items[self.key] = value
        else:
            self.items.append(value)


@dataclass
class _Reader:
    """Reads the object or list that starts at a position; brackets are kept in a list, not on the stack.

    Attributes:
        text: All of the text.
        at: How far was read.
        open: Brackets that are open.
        is_begun: Whether there was a key or an item, so that it must be meant as JSON.
    """

    text: str
    at: int
    open: list[_Open] = field(default_factory=list)
    is_begun: bool = False

    def read(self) -> Json:
        """Return the value; afterwards `at` is behind it.

        Raises:
            _NotJsonError: If it is none.
        """
        self._open()
        while True:
            self._skip()
            if self._next == self.open[-1].closing:
                self.at += 1
                closed = self.open.pop()
                if not self.open:
                    return closed.items
                self._separate()
            else:
                self._member()

    def end(self) -> int:
        """Return where the brackets that are still open seem to be closed: behind everything if nowhere."""
        depth = len(self.open)
        for bracket in _BRACKETS.finditer(self.text, self.at):
            depth += 1 if bracket.group() in "{[" else -1
            if depth == 0:
                return bracket.end()
        return len(self.text)

    @property
    def _next(self) -> str:
        return self.text[self.at : self.at + 1]

    def _member(self) -> None:
        """Read a key where one is due, and a value or the opening of one."""
        if isinstance(self.open[-1].items, dict):
            self.open[-1].key = self._key()
            self._skip()
        if self._next in ("{", "["):
            self._open()
            return
        self.open[-1].add(self._scalar())
        self.is_begun = True
        self._separate()

    def _open(self) -> None:
        if len(self.open) >= MOST_DEPTH:
            self.is_begun = True  # what is so deep is not looked into again
            raise self._wrong(f"more than {MOST_DEPTH} brackets inside each other")
        items: Json = {} if self._next == "{" else []
        if self.open:
            self.open[-1].add(items)
        self.open.append(_Open(items))
        self.at += 1

    def _separate(self) -> None:
        """Step over the comma after a value; only before a bracket or a key it may be missing."""
        self._skip()
        if self._next == ",":
            self.at += 1
        elif self._next not in (self.open[-1].closing, "{", "[", *_QUOTES):
            raise self._wrong("no comma")

    def _key(self) -> str:
        if self._next in _QUOTES:
            key = self._string()
        elif bare := _BARE_KEY.match(self.text, self.at):
            self.at, key = bare.end(), bare.group()
        else:
            raise self._wrong("no key")
        self._skip()
        if self._next != ":":
            raise self._wrong("no colon after a key")
        self.at += 1
        self.is_begun = True
        return key

    def _scalar(self) -> Json:
        if self._next in _QUOTES:
            return self._string(_AFTER_VALUE)
        if number := _NUMBER.match(self.text, self.at):
            return self._number(number)
        word = _WORD.match(self.text, self.at)
        if word is None or word.group() not in _WORDS:
            raise self._wrong("no value")
        self.at = word.end()
        return _WORDS[word.group()]

    def _number(self, match: re.Match[str]) -> float:
        digits = match.group()
        if len(digits) > _LONGEST_NUMBER:
            raise self._wrong("a number too long to be one")
        is_whole = digits.lstrip("+-").isdigit()
        value = int(digits) if is_whole else float(digits)
        if abs(value) == float("inf"):
            raise self._wrong("a number too large to be one")
        self.at = match.end()
        return value

    def _string(self, after: re.Pattern[str] = _ANYTHING) -> str:
        """Read a string; a quote ends it only where what may follow follows, as it does in valid JSON."""
        start, stops = self.at + 1, _STOPS[_QUOTES[self._next]]
        at = start
        while stop := stops.search(self.text, at):
            if stop.group() == "\\":
                at = stop.end() + 1
            elif after.match(self.text, stop.end()):
                self.at = stop.end()
                return clean_text(_ESCAPE.sub(_unescaped, self.text[start : stop.start()]))
            else:
                at = stop.end()
        self.at = len(self.text)
        raise self._wrong("a string without an end")

    def _skip(self) -> None:
        """Step over white space and comments."""
        while True:
            space = _SPACE.match(self.text, self.at)
            self.at = self.at if space is None else space.end()
            ends = {"//": "\n", "/*": "*/"}.get(self.text[self.at : self.at + 2])
            if ends is None:
                return
            end = self.text.find(ends, self.at + 2)
            self.at = len(self.text) if end < 0 else end + len(ends)

    def _wrong(self, what: str) -> _NotJsonError:
        if self.at >= len(self.text):
            return _NotJsonError("JSON that is cut off at the end of the text")
        near = self.text[max(0, self.at - 10) : self.at + 20]
        return _NotJsonError(f"JSON with {what} near {near!r} (letter {self.at})")


def _unescaped(match: re.Match[str]) -> str:
    """Return what an escape stands for; an unknown one stands for itself without its backslash."""
    code = match.group(1)
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, code)
