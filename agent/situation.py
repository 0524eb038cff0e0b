"""What planners are told and what they decide: plain values that a checkpoint can keep as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from spatial_agent.agent.task import SpatialTask
from spatial_agent.tools.contract import Evidence, Json, ToolCall

if TYPE_CHECKING:
    from spatial_agent.tools.scene import SceneMap

Interface = Literal["tools", "code", "single-pass"]
#: The tool that runs programs of the model; what they conclude has the definition of that name.
PROGRAM = "program"


@dataclass(frozen=True)
class Exchange:
    """A question of a dialogue and what came of it.

    Attributes:
        question: As it was understood, with nothing left to guess.
        answer: The text that was answered.
        objects: Ids of the objects that the answer speaks of, the one asked about first.
    """

    question: str
    answer: str
    objects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """What was asked.

    Attributes:
        text: The question; regions stand in it under the ids of their objects.
        options: The answers offered, as given.
        dialogue: What was asked and answered before, oldest first.
    """

    text: str
    options: tuple[str, ...] = ()
    dialogue: tuple[Exchange, ...] = ()


@dataclass(frozen=True)
class Reading:
    """How a question was understood.

    Attributes:
        task: What will be measured.
        by: Who read it.
        other: What the other reader made of it, where they disagree; both are measured then.
        disagreement: In what they differ, in a sentence; None where they agree or only one could read it.
        remarks: What else happened on the way (a repair, a phrase that the scene does not have).
    """

    task: SpatialTask
    by: Literal["grammar", "model", "both"]
    other: SpatialTask | None = None
    disagreement: str | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Seen:
    """What a model was told of one call's result: a hint, never raw data.

    Attributes:
        call_id: The call.
        tool: Its tool.
        text: What came of it in words, or the error.
        picture: Reference of a picture to look at (``"$draw/1"``), or None.
        failed: Whether it failed.
    """

    call_id: str
    tool: str
    text: str
    picture: str | None = None
    failed: bool = False


@dataclass(frozen=True)
class Turn:
    """One turn of planning.

    Attributes:
        said: What the model said beside its calls.
        calls: What was called.
        seen: What came of it, in the order of the calls.
    """

    said: str
    calls: tuple[ToolCall, ...]
    seen: tuple[Seen, ...]


@dataclass(frozen=True)
class Left:
    """What of the budget is left.

    Attributes:
        turns: Turns of the model.
        calls: Tool calls.
        tokens: Tokens of the model; None is no limit.
        pictures: Pictures that may still be made to look at; those of imagined views apart.
        views: Imagined views.
    """

    turns: int
    calls: int
    tokens: int | None = None
    pictures: int = 8
    views: int = 3


@dataclass(frozen=True)
class Situation:
    """Everything a planner may look at when it decides what to do next.

    Attributes:
        question: What was asked.
        reading: How it was understood.
        scene: The scene map; None where the source could not be measured.
        scene_reference: Under which the runner keeps the scene, ``"$scene"``.
        frames: Number of frames, which the runner keeps as ``"$frame/0"`` and so on.
        turns: The turns so far.
        evidence: Everything found out so far.
        failures: Calls that failed: ``call_id``, ``tool``, ``error`` (class), ``message``.
        weak: Why a piece of evidence is weak, by its id.
        wanted: Second routes that the verifier wants.
        left: What of the budget is left.
    """

    question: Question
    reading: Reading
    scene: "SceneMap | None"
    scene_reference: str
    frames: int
    turns: tuple[Turn, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    failures: tuple[Mapping[str, Json], ...] = ()
    weak: Mapping[str, str] = field(default_factory=dict)
    wanted: tuple[ToolCall, ...] = ()
    left: Left = field(default_factory=lambda: Left(turns=8, calls=64))


@dataclass(frozen=True)
class Step:
    """What a planner decided.

    Attributes:
        calls: What to call next, side by side; none where enough is known, or nothing more can be done.
        said: What the model said beside its calls, or instead of any.
        stopped: Why it ends before enough is known ("the same call failed twice", ...); None else.
    """

    calls: Sequence[ToolCall] = ()
    said: str = ""
    stopped: str | None = None


def next_call_id(situation: Situation, number: int) -> str:
    """Return the id of a planned call: ``m3.1`` is the first call of the model's third turn."""
    return f"m{len(situation.turns) + 1}.{number}"
