"""What happens in a run, as typed events for whoever watches it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spatial_agent.agent.answer import Answer

#: Nodes of the loop, in the words of people.
STAGES = {
    "load": "measuring the scene",
    "formalise": "understanding the question",
    "plan": "planning",
    "execute": "measuring",
    "verify": "checking",
    "compose": "putting it together",
    "answer": "answering",
}


@dataclass(frozen=True)
class Started:
    """The run began.

    Attributes:
        run: Its id, for `SpatialAgent.resume` and ``spatial-agent trace show``.
    """

    run: str


@dataclass(frozen=True)
class StageDone:
    """A stage of the loop is over.

    Attributes:
        stage: Name of the node: ``"load"``, ``"formalise"``, ``"plan"``, ``"execute"``, ``"verify"``,
            ``"compose"`` or ``"answer"``.
        facts: What it found or decided; plain JSON.
    """

    stage: str
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class ToolStarted:
    """A tool was called.

    Attributes:
        call_id: Id of the call.
        tool: Its tool.
        arguments: Its arguments; references stand for values.
    """

    call_id: str
    tool: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class ToolEnded:
    """A tool came back.

    Attributes:
        call_id: Id of the call.
        tool: Its tool.
        claims: What it found out, one sentence with margin each.
        error: Why it failed, or None.
        seconds: Wall time.
    """

    call_id: str
    tool: str
    claims: tuple[str, ...]
    error: str | None
    seconds: float


@dataclass(frozen=True)
class Wrote:
    """The model wrote a piece of its answer.

    Attributes:
        text: The piece.
    """

    text: str


@dataclass(frozen=True)
class Answered:
    """The run is over.

    Attributes:
        answer: The answer, or the refusal that says why.
    """

    answer: Answer


Event = Started | StageDone | ToolStarted | ToolEnded | Wrote | Answered
Listener = Callable[[Event], None]


def event_of(kind: str, data: Mapping[str, Any]) -> Event | None:
    """Return the event that a step of a trace amounts to, or None where nobody needs to know."""
    if kind in STAGES:
        return StageDone(kind, data)
    if kind == "call":
        return ToolStarted(data["id"], data["tool"], data["arguments"])
    if kind == "result":
        return _ended(data)
    return None


def _ended(data: Mapping[str, Any]) -> ToolEnded:
    claims = tuple(item["finding"]["claim"] for item in data.get("evidence") or ())
    error = data.get("error")
    ended = data["ended"]
    why = error["message"] if error else None if ended == "returned" else ended
    return ToolEnded(data["call_id"], data["tool"], claims, why, data.get("seconds", 0.0))
