"""What a session and its program say to each other: every message, checked where it is made and read.

A message that exists is a valid one: each class checks itself, so the writer learns at once what cannot be
sent, and the reader of hostile bytes gets a `WireError` or a message, and nothing between. What comes from
a program is plain JSON and one kind of array, a picture; only the other direction carries scene values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from spatial_agent.sandbox import wire
from spatial_agent.sandbox.environment import ProgramAnswer, ProgramError
from spatial_agent.sandbox.message_checks import (
    check_choice,
    check_count,
    check_json,
    check_json_scalar,
    check_picture,
    check_text,
    require,
)
from spatial_agent.sandbox.strict_json import shown
from spatial_agent.tools import errors
from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.scene import UNITS
from spatial_agent.tools.value_file import VALUE_CLASSES

#: Descriptors of the two pipes in the process of a session: what it reads from, what it writes to.
READ_FD, WRITE_FD = 3, 4
#: Exit codes of that process: a message made no sense or found no room, the walls did not go up.
BROKEN_FRAME, NO_MEMORY, NOT_ENCLOSED = 3, 4, 97

MOST_TEXT = 2**20  # Characters of one `Text`: longer output goes in several.
MOST_SOURCE = 100_000  # Characters of the source of a cell.
MOST_EXPLANATION = 20_000  # Characters of the message of an error.
MOST_CAPTION = 1000  # Characters of a picture's caption.
MOST_NAME = 200  # Characters of the name of a tool, module or value, or of a reference to one.
MOST_SIDE = 2**14  # Pixels along one side of a picture.
#: Names every program finds; no input can have one of them.
NAMES = frozenset({"answer", "geometry", "math", "np", "show", "tools"})
HEADROOM_BYTES = 4096  # What a message takes beside the text or array in it.
MOST_VALUES = 2**16  # Values in one message from a program, as `wire.unpack` counts them.

_NO_CLASSES: Mapping[str, type] = {}
#: What the process of a program can know about why a cell ended; the rest is seen from outside.
_OWN_KINDS = ("syntax", "refused", "exception", "limit")
_OWN_LIMITS = ("wall", "memory")


@dataclass(frozen=True, eq=False)
class Setup:
    """The first message to a process: what its programs may have.

    Attributes:
        imports: Modules they may import.
        inputs: Variables they see, by name.
        output_bytes: Text a cell may print, as UTF-8.
        message_bytes: Size of one message in either direction.
        images: Pictures a cell may show.
        is_checked: Whether a cell is looked through before it runs.
    """

    kind: ClassVar[Literal["setup"]] = "setup"
    imports: tuple[str, ...]
    inputs: Mapping[str, object]
    output_bytes: int
    message_bytes: int
    images: int
    is_checked: bool

    def __post_init__(self) -> None:
        """Check every member."""
        require(isinstance(self.imports, tuple), "imports: a tuple", self.imports)
        for name in self.imports:
            check_text("imports", name, MOST_NAME, least=1)
        require(isinstance(self.inputs, Mapping), "inputs: a mapping", self.inputs)
        for name in self.inputs:
            check_text("inputs", name, MOST_NAME)
            require(name.isidentifier(), "inputs: names that Python allows", name)
            require(name not in NAMES, "inputs: names that programs do not have anyway", name)
        for member in ("output_bytes", "message_bytes", "images"):
            check_count(member, getattr(self, member))
        require(isinstance(self.is_checked, bool), "is_checked: true or false", self.is_checked)


@dataclass(frozen=True)
class Cell:
    """To a process: run this; it ends in `Done`.

    Attributes:
        source: Python.
    """

    kind: ClassVar[Literal["cell"]] = "cell"
    source: str

    def __post_init__(self) -> None:
        """Check that it is a text of a length that can be compiled."""
        check_text("source", self.source, MOST_SOURCE)


@dataclass(frozen=True)
class Returned:
    """To a process: what its `Call` gave.

    Attributes:
        finding: What a skill found out.
        reference: ``"$..."`` under which a value is kept that is no finding.
    """

    kind: ClassVar[Literal["returned"]] = "returned"
    finding: Finding | None
    reference: str | None

    def __post_init__(self) -> None:
        """Check every member."""
        require(isinstance(self.finding, Finding | None), "finding: a finding or None", self.finding)
        if self.reference is not None:
            check_text("reference", self.reference, MOST_NAME, least=1)


@dataclass(frozen=True)
class Failed:
    """To a process: why its `Call` or `Fetch` gave nothing.

    Attributes:
        error: Name of a class of `tools.errors`, such as ``"ToolArgumentError"``.
        message: What was expected, what came, what to do.
    """

    kind: ClassVar[Literal["failed"]] = "failed"
    error: str
    message: str

    def __post_init__(self) -> None:
        """Check that the error is one of ours."""
        check_text("error", self.error, MOST_NAME)
        require(self.error in errors.__all__, "error: the name of an error of tools.errors", self.error)
        check_text("message", self.message, MOST_EXPLANATION)


@dataclass(frozen=True, eq=False)
class Fetched:
    """To a process: the value its `Fetch` asked for.

    Attributes:
        value: Whatever `wire.pack` takes.
    """

    kind: ClassVar[Literal["fetched"]] = "fetched"
    value: object


@dataclass(frozen=True)
class Text:
    """From a process: what its program printed.

    Attributes:
        text: At most `MOST_TEXT` characters, without lone surrogates.
    """

    kind: ClassVar[Literal["text"]] = "text"
    text: str

    def __post_init__(self) -> None:
        """Check that it is text."""
        check_text("text", self.text, MOST_TEXT)


@dataclass(frozen=True)
class Call:
    """From a process: run a tool; `Returned` or `Failed` answers.

    Attributes:
        tool: Name of the tool.
        arguments: Its arguments, plain JSON with finite numbers.
    """

    kind: ClassVar[Literal["call"]] = "call"
    tool: str
    arguments: Mapping[str, Json]

    def __post_init__(self) -> None:
        """Check that the arguments are JSON."""
        check_text("tool", self.tool, MOST_NAME, least=1)
        require(isinstance(self.arguments, Mapping), "arguments: a mapping", self.arguments)
        check_json("arguments", self.arguments)


@dataclass(frozen=True)
class Fetch:
    """From a process: send a value that is kept; `Fetched` or `Failed` answers.

    Attributes:
        reference: Such as ``"$depth/3"``.
    """

    kind: ClassVar[Literal["fetch"]] = "fetch"
    reference: str

    def __post_init__(self) -> None:
        """Check that it is text."""
        check_text("reference", self.reference, MOST_NAME, least=1)


@dataclass(frozen=True, eq=False)
class Show:
    """From a process: a picture its program shows.

    Attributes:
        rgb: Shape (H, W, 3) uint8.
        caption: What the program says it is.
    """

    kind: ClassVar[Literal["show"]] = "show"
    rgb: NDArray[np.uint8]
    caption: str

    def __post_init__(self) -> None:
        """Check that it is a picture."""
        check_picture(self.rgb, MOST_SIDE)
        check_text("caption", self.caption, MOST_CAPTION)


@dataclass(frozen=True)
class Done:
    """From a process: a cell has ended, and the next may come.

    Attributes:
        answer: What it answered last, or None.
        error: Why it did not run to its end, or None.
        dropped_bytes: Printed text that was cut off, as UTF-8.
    """

    kind: ClassVar[Literal["done"]] = "done"
    answer: ProgramAnswer | None
    error: ProgramError | None
    dropped_bytes: int

    def __post_init__(self) -> None:
        """Check what the program answered, and that the error is one its own process can know of."""
        require(isinstance(self.answer, ProgramAnswer | None), "answer: an answer or None", self.answer)
        require(isinstance(self.error, ProgramError | None), "error: an error or None", self.error)
        if self.answer is not None:
            check_answer(self.answer)
        if self.error is not None:
            _check_own_error(self.error)
        check_count("dropped_bytes", self.dropped_bytes)


@dataclass(frozen=True)
class Ready:
    """From a process: its `Setup` was taken in."""

    kind: ClassVar[Literal["ready"]] = "ready"


ToChild = Setup | Cell | Returned | Failed | Fetched
ToParent = Text | Call | Fetch | Show | Done | Ready

_TO_CHILD: Mapping[str, type[ToChild]] = {
    message.kind: message for message in (Setup, Cell, Returned, Failed, Fetched)
}
_TO_PARENT: Mapping[str, type[ToParent]] = {
    message.kind: message for message in (Text, Call, Fetch, Show, Done, Ready)
}
# Members of messages from a process that are mappings of their own.
_PARTS: Mapping[str, type[Any]] = {"answer": ProgramAnswer, "error": ProgramError}


def to_child(message: ToChild) -> bytes:
    """Return a message to a process as a frame.

    Raises:
        WireError: If a value in it cannot be sent.
    """
    return wire.frame(wire.pack({"kind": message.kind} | _members(message), VALUE_CLASSES))


def from_parent(payload: bytes | memoryview) -> ToChild:
    """Return the message to a process that a payload holds.

    Raises:
        WireError: If it holds none.
    """
    return _message(wire.unpack(payload, VALUE_CLASSES), _TO_CHILD)


def to_parent(message: ToParent) -> bytes:
    """Return a message from a process as a frame.

    Raises:
        WireError: If it holds more than `MOST_VALUES` values.
    """
    members = {"kind": message.kind} | _members(message)
    return wire.frame(wire.pack(members, _NO_CLASSES, most_values=MOST_VALUES))


def from_child(payload: bytes | memoryview) -> ToParent:
    """Return the message from a process that a payload holds, whoever wrote it.

    Raises:
        WireError: If it holds none.
    """
    members = wire.unpack(payload, _NO_CLASSES, most_values=MOST_VALUES)
    if isinstance(members, dict):
        for name, kind in _PARTS.items():
            if members.get(name) is not None:
                members[name] = _built(name, members[name], kind)
    return _message(members, _TO_PARENT)


def check_answer(answer: ProgramAnswer) -> None:
    """Refuse what a program cannot answer, so that it is told where it does.

    Raises:
        WireError: If the value is not a finite number, a text, a truth value or a list of them, an end of
            the interval not a finite number, or the unit none of `tools.scene.UNITS`.
    """
    items = answer.value if isinstance(answer.value, list) else [answer.value]
    for item in items:
        require(item is not None, "answer: a number, text, truth value or list of them", item)
        check_json_scalar("answer", item)
    if answer.unit is not None:
        check_text("unit", answer.unit, MOST_NAME)
        require(answer.unit in UNITS, f"unit: one of {', '.join(UNITS)}", answer.unit)
    for end in (answer.low, answer.high):
        require(not isinstance(end, bool | str), "low and high: numbers or None", end)
        check_json_scalar("low and high", end)


Built = TypeVar("Built")
Message = TypeVar("Message", ToChild, ToParent)


def _members(message: object) -> dict[str, object]:
    members = {name: getattr(message, name) for name in _names(type(message))}
    parts = {name: _members(part) for name, part in members.items() if type(part) in _PARTS.values()}
    return members | parts


def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _message(members: object, kinds: Mapping[str, type[Message]]) -> Message:
    kind = members.pop("kind", None) if isinstance(members, dict) else members
    if not isinstance(kind, str) or kind not in kinds:
        raise WireError(f"message: expected one of {', '.join(kinds)}, got {shown(kind)}")
    return _built(kind, members, kinds[kind])


def _built(name: str, members: object, kind: type[Built]) -> Built:
    names = _names(kind)
    if not isinstance(members, dict) or set(members) != set(names):
        raise WireError(f"{name}: a mapping of exactly {names} expected, got {shown(members)}")
    return kind(**members)


def _check_own_error(error: ProgramError) -> None:
    check_choice("error: its kind", error.kind, _OWN_KINDS)
    check_choice("error: its limit", error.limit, _OWN_LIMITS if error.kind == "limit" else (None,))
    check_text("error", error.message, MOST_EXPLANATION)
    if error.line is not None:
        check_count("line", error.line)
