"""What a client wants done, without doing it: plans are generators of steps, the same for both clients.

A plan yields a step, is sent what came of it, and returns its result. `blocking` and `concurrent` take the
steps; nothing else of this package knows how bytes get to the service.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from spatial_agent.services.sdk.errors import UnreachableError
from spatial_agent.services.sdk.payload import Payload

Result = TypeVar("Result")
ResultOf = TypeVar("ResultOf", covariant=True)
#: Bytes of a reply that are read at most; pictures come as data URLs.
MOST_REPLY_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Request:
    """A request to the service.

    Attributes:
        method: Such as ``"GET"``.
        path: Below the service's address, such as ``"/v1/scenes"``; already quoted.
        headers: Beside those of every request.
        body: What is sent.
        repeatable: Whether it may be sent again when nobody knows whether it arrived.
        patience_s: How long to wait for each sign of a reply, seconds; None for as long as is usual.
        sent: Told how many bytes of the body have gone out.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Payload | None = field(default=None, repr=False)
    repeatable: bool = True
    patience_s: float | None = None
    sent: Callable[[int], None] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Reply:
    """What came back.

    Attributes:
        status: The HTTP status.
        headers: By name in small letters.
        body: The whole body; empty where it is being received piece by piece.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)

    @property
    def is_success(self) -> bool:
        """Whether the service did what it was asked."""
        return 200 <= self.status < 300


@dataclass(frozen=True)
class Send:
    """Send a request and read the whole reply: gives a `Reply`."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Send a request and leave the body of a success to `Receive`: gives a `Reply`."""

    request: Request


@dataclass(frozen=True)
class Receive:
    """Read on in what was opened: gives bytes, none at the end."""


@dataclass(frozen=True)
class Pause:
    """Wait, seconds."""

    seconds: float


@dataclass(frozen=True)
class Work:
    """Do what may block, such as reading a file: gives what that returns."""

    do: Callable[[], Any]


@dataclass(frozen=True)
class Give:
    """Hand something to whoever iterates over the plan."""

    item: Any


Step = Send | Open | Receive | Pause | Work | Give
#: Sends of requests that fail on the way raise `UnreachableError` where the plan yielded them.
Plan = Generator[Step, Any, Result]


@dataclass(frozen=True)
class Finished(Generic[ResultOf]):
    """A plan is over."""

    value: ResultOf


def advance(plan: Plan[Result], outcome: object = None) -> Step | Finished[Result]:
    """Tell a plan what came of its last step, and return the next one.

    Args:
        plan: The plan.
        outcome: What came of the step before; an `UnreachableError` is raised there.
    """
    try:
        return plan.throw(outcome) if isinstance(outcome, UnreachableError) else plan.send(outcome)
    except StopIteration as end:
        return Finished(end.value)
