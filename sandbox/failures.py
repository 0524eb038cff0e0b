"""Why a cell stopped, told to whoever wrote it: its own lines, the error, and what may have been meant."""

import builtins
import difflib
import traceback
from collections.abc import Iterator, Sequence
from types import FrameType, TracebackType
from typing import NamedTuple

from spatial_agent.sandbox.environment import ProgramError

_MOST_FRAMES, _LAST_FRAMES = 8, 5
_MOST_CAUSES = 3
_MOST_NAMES = 12
_NEARNESS = 0.7
#: Characters of a source line, of an exception's own text, and bytes of all together.
_MOST_LINE, _MOST_TEXT, _MOST_MESSAGE = 120, 600, 2000


#: Parts of one line to a reader, though Python calls them as functions.
_COMPREHENSIONS = ("<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>")


class _Place(NamedTuple):
    cell: str
    line: int
    function: str


class Failures:
    """Describes exceptions by the lines of the cells they went through; nothing else is shown.

    Args:
        imports: Modules a program may import, for hints.
    """

    def __init__(self, imports: Sequence[str]) -> None:
        """Start without cells."""
        self._imports = frozenset(imports)
        self._lines: dict[str, list[str]] = {}
        self._running = ""

    def begin(self, cell: str, source: str) -> None:
        """Remember the source of the cell that runs from now on.

        Args:
            cell: Name it is compiled under, such as ``"<cell 2>"``.
            source: Its text.
        """
        self._lines[cell] = source.splitlines()
        self._running = cell

    def describe(self, error: BaseException, headline: str | None = None) -> ProgramError:
        """Return why the running cell stopped.

        Args:
            error: What it raised.
            headline: Instead of the exception's own words.
        """
        places = self._places(error.__traceback__)
        told = [*self._told(places), headline or self._named(error), *_notes(error), *self._parts(error)]
        told += [] if headline else self._causes(error)
        line = next((place.line for place in reversed(places) if place.cell == self._running), None)
        return ProgramError("exception", _cut_bytes("\n".join(told)), line=line)

    def _places(self, trace: TracebackType | None) -> list[_Place]:
        frames = ((frame.f_code, line) for frame, line in traceback.walk_tb(trace))
        return [
            _Place(code.co_filename, line or 0, code.co_name)
            for code, line in frames
            if code.co_filename in self._lines
        ]

    def _told(self, places: list[_Place]) -> Iterator[str]:
        """One line for each place, repeated ones and those in the middle counted only."""
        runs: list[tuple[_Place, int]] = []
        for place in places:
            if runs and place.function in _COMPREHENSIONS and runs[-1][0][:2] == place[:2]:
                continue
            if runs and runs[-1][0] == place:
                runs[-1] = (place, runs[-1][1] + 1)
            else:
                runs.append((place, 1))
        left_out = range(0)
        if len(runs) > _MOST_FRAMES:
            left_out = range(_MOST_FRAMES - _LAST_FRAMES, len(runs) - _LAST_FRAMES)
        for number, (place, times) in enumerate(runs):
            if number not in left_out:
                yield self._shown(place) + (f"  ({times} times)" if times > 1 else "")
            elif number == left_out.start:
                yield f"... {len(left_out)} calls more ..."

    def _shown(self, place: _Place) -> str:
        cell = "" if place.cell == self._running else f"{place.cell}, "
        # Comprehensions and lambdas have no name that a reader knows.
        function = "" if place.function.startswith("<") else f", in {_cut(place.function, 60)}"
        return f"{cell}line {place.line}{function}: {self._source(place.cell, place.line)}"

    def _source(self, cell: str, line: int) -> str:
        lines = self._lines.get(cell, [])
        return _cut(lines[line - 1].strip(), _MOST_LINE) if 1 <= line <= len(lines) else ""

    def _named(self, error: BaseException) -> str:
        text = _text(error)
        return f"{_cut(type(error).__name__, 80)}{': ' if text else ''}{text}{self._hint(error)}"

    def _causes(self, error: BaseException) -> Iterator[str]:
        for _ in range(_MOST_CAUSES):
            if error.__cause__ is not None:
                error, how = error.__cause__, "caused by"
            elif error.__context__ is not None and not error.__suppress_context__:
                error, how = error.__context__, "while handling"
            else:
                return
            places = self._places(error.__traceback__)
            yield f"{how} {self._named(error)}" + (f" ({self._shown(places[-1])})" if places else "")

    def _parts(self, error: BaseException) -> Iterator[str]:
        if isinstance(error, BaseExceptionGroup):
            yield from (f"- {self._named(part)}" for part in error.exceptions[:_MOST_CAUSES])

    def _hint(self, error: BaseException) -> str:
        try:
            if isinstance(error, AttributeError) and error.name is not None and error.obj is not None:
                return _attribute_hint(error.name, error.obj)
            if isinstance(error, NameError) and error.name is not None:
                return self._name_hint(error.name, _innermost(error.__traceback__))
        except BaseException:  # whatever a program's own __dir__ and __eq__ raise
            return ""
        return ""

    def _name_hint(self, name: str, frame: FrameType | None) -> str:
        if name in self._imports:
            return f"; write `import {name}` first"
        known = {*vars(builtins)}
        if frame is not None:
            known |= {*frame.f_locals, *frame.f_globals}
        return _did_you_mean(name, known)


def _attribute_hint(name: str, owner: object) -> str:
    public = [known for known in dir(owner) if not known.startswith("_")]
    hint = _did_you_mean(name, public)
    if hint or not type(owner).__module__.startswith("spatial_agent."):
        return hint
    return f"; it has {', '.join(public[:_MOST_NAMES])}" if public else ""


def _did_you_mean(name: str, known: "set[str] | list[str]") -> str:
    near = difflib.get_close_matches(name[:60], [item for item in known if len(item) < 60], 2, _NEARNESS)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def _innermost(trace: TracebackType | None) -> FrameType | None:
    frames = [frame for frame, _ in traceback.walk_tb(trace)]
    return frames[-1] if frames else None


def _text(error: BaseException) -> str:
    try:
        text = str(error)
        if isinstance(error, ImportError) and error.path:
            # Where a library lies is nothing a program could use.
            text = text.replace(f" ({error.path})", "")
        return _cut(text, _MOST_TEXT)
    except BaseException as failure:  # a program's own __str__ raises what it likes
        return f"(its text cannot be shown: {_cut(type(failure).__name__, 80)})"


def _notes(error: BaseException) -> Iterator[str]:
    notes = getattr(error, "__notes__", ())
    if isinstance(notes, list):
        yield from (_cut(note, _MOST_TEXT) for note in notes[:_MOST_CAUSES] if isinstance(note, str))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 20]} ... ({len(text)} characters)"


def _cut_bytes(text: str) -> str:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > _MOST_MESSAGE:
        return data[: _MOST_MESSAGE - 4].decode("utf-8", "ignore") + " ..."
    return data.decode()
