"""What waits in a pool: calls, what comes of them, and how a pool is to treat them."""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from spatial_agent.sandbox.policy import ExpertPolicy
from spatial_agent.services.ray_actor import Job, Outcome
from spatial_agent.services.ray_replica import Replica
from spatial_agent.tools.errors import ToolError


@dataclass(frozen=True)
class PoolOptions:
    """How one expert is served.

    Attributes:
        least: Replicas that are kept even when idle.
        most: Replicas there may be.
        queue_per_replica: Waiting calls a replica that make another one worth starting.
        idle_s: Time after which a replica that nobody needs is stopped.
        batch_wait_s: Longest time a call waits for others to share a batch with.
        start_s: Time a process may take to start, before it loads anything.
        attempts: Times an idempotent call is made in all when its replica dies under it.
        crashes: Different calls in a row that crash the expert before it is left alone for a while.
        cool_s: For how long, the first time.
        device: ``"auto"`` is a GPU where there is one and the weights gain from it.
        weights: Name of the weights to use; the expert's default where left out.
        warm_up: Values for one call that each replica makes before it takes others; its result and its
            errors are thrown away.
        policy: What its process may touch beside what every expert's may, and its memory where that differs
            from what the expert declares.
    """

    least: int = 0
    most: int = 2
    queue_per_replica: float = 2.0
    idle_s: float = 120.0
    batch_wait_s: float = 0.005
    start_s: float = 60.0
    attempts: int = 2
    crashes: int = 3
    cool_s: float = 30.0
    device: Literal["auto", "cpu", "gpu"] = "auto"
    weights: str | None = None
    warm_up: Mapping[str, Any] | None = None
    policy: ExpertPolicy = field(default_factory=ExpertPolicy)


@dataclass(frozen=True)
class Reply:
    """What came of a call.

    Attributes:
        outcome: Its error, finding, or the kinds of its value.
        value: Ray's reference of the value.
        gpu_seconds: Its part of the accelerator time of its batch.
    """

    outcome: Outcome
    value: Any
    gpu_seconds: float


@dataclass(eq=False)
class Request:
    """One call on its way.

    Attributes:
        run: The run it belongs to.
        job: Plain arguments, and places in `references` of the others.
        references: Ray's references of the values it takes.
        alone: Whether it must not share a batch: it was in one that killed its replica.
        attempts: How often it was started.
        replica: Where it runs, or None.
        done: Ends with its reply.
    """

    run: str
    job: Job
    references: Sequence[Any]
    alone: bool = False
    attempts: int = 0
    since: float = 0.0
    replica: Replica | None = None
    done: "asyncio.Future[Reply]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def identity(self) -> str:
        """Digest of what it asks for, the same when it is made again."""
        parts = (
            sorted(self.job[0].items()),
            sorted(self.job[1].items()),
            [ref.hex() for ref in self.references],
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def finish(self, reply: Reply | ToolError) -> None:
        """Tell whoever waits, unless nobody does any more."""
        if self.done.done():
            return
        if isinstance(reply, ToolError):
            self.done.set_exception(reply)
            self.done.exception()  # nobody may be left to read it
        else:
            self.done.set_result(reply)


def joined(requests: Sequence[Request]) -> tuple[list[Job], list[Any]]:
    """Return the jobs of a batch, and all the references they take, each once.

    References have to be arguments of their own: inside lists Ray would hand them over unread.
    """
    places: dict[Any, int] = {}
    jobs: list[Job] = []
    for request in requests:
        plain, referenced = request.job
        here = [places.setdefault(reference, len(places)) for reference in request.references]
        jobs.append((plain, {name: _moved(place, here) for name, place in referenced.items()}))
    return jobs, list(places)


def _moved(place: int | tuple[int, ...] | None, here: Sequence[int]) -> int | tuple[int, ...] | None:
    if isinstance(place, tuple):
        return tuple(here[index] for index in place)
    return None if place is None else here[place]
