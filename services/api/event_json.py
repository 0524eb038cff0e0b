"""Events of a run as the plain JSON that jobs keep and streams carry, and back."""

from collections.abc import Mapping
from typing import Any

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.events import Answered, Event, StageDone, Started, ToolEnded, ToolStarted, Wrote
from spatial_agent.agent.plain import from_plain
from spatial_agent.tools.errors import InvalidValueError

#: What an event is called on the wire, by its class.
KINDS: dict[type[Any], str] = {
    Started: "started",
    StageDone: "stage",
    ToolStarted: "tool_call",
    ToolEnded: "evidence",
    Wrote: "token",
}
ANSWER = "answer"
#: Kinds after which nothing more happens in a job.
LAST = frozenset({ANSWER, "failed", "cancelled"})
_CLASSES = {kind: known for known, kind in KINDS.items()}


def event_to_json(event: Event) -> tuple[str, dict[str, Any]]:
    """Return what an event is called on the wire, and what it says, plain JSON."""
    if isinstance(event, Answered):
        return ANSWER, event.answer.to_json()
    # What their fields hold is plain JSON already.
    return KINDS[type(event)], dict(vars(event))


def event_from_json(kind: str, data: Mapping[str, Any]) -> Event:
    """Build an event from what `event_to_json` returned.

    Raises:
        InvalidValueError: If it is none.
    """
    if kind == ANSWER:
        return Answered(Answer.from_json(data))
    if kind not in _CLASSES:
        raise InvalidValueError(f"expected an event of {', '.join([*_CLASSES, ANSWER])}, got {kind!r}")
    event: Event = from_plain(_CLASSES[kind], data)
    return event
