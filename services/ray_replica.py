"""The near side of one replica: how it is started, loaded, called, and stopped for good."""

import asyncio
import itertools
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from spatial_agent.services.ray_actor import ExpertActor, Job, Limits, Report, Whereabouts
from spatial_agent.services.ray_confinement import Grants
from spatial_agent.tools.errors import ToolUnavailableError

_numbers = itertools.count(1)
# Ray's types do not know actors that serve some calls in threads of their own.
_remote: Any = ray.remote
_Actor: Any = _remote(concurrency_groups={"guard": 1})(ExpertActor)


class ReplicaDiedError(Exception):
    """A replica's process is gone; the message says why, as far as that is known."""


@dataclass(frozen=True)
class Place:
    """Where a replica has to run.

    Attributes:
        resources: Named resources of the cluster that it takes.
        gpu_share: Share of one GPU that it takes.
        node: The machine it must run on, where that matters.
    """

    resources: dict[str, float] = field(default_factory=dict)
    gpu_share: float = 0.0
    node: str | None = None


class Replica:
    """One actor process, used from one event loop.

    Attributes:
        id: Unique in this process.
        place: Where it had to run.
        where: Where it runs, once it has started.
        gpu_gb: Most accelerator memory it was seen to hold.
        idle_since: Loop time since which it has nothing to do; None while it works.
        death: Ends with the reason when the process is gone or has been told to go.
    """

    def __init__(self, tool: str, target: bytes, limits: Limits, grants: Grants, place: Place) -> None:
        """Ask Ray for the process; returns at once."""
        self.id = f"{tool}#{next(_numbers)}"
        self._tool = tool
        self._limits = limits
        self.place = place
        self.where: Whereabouts | None = None
        self.gpu_gb = 0.0
        self.idle_since: float | None = None
        self.death: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._awaited: set[asyncio.Future[Any]] = set()
        # No CPUs are asked of Ray: an actor that asks for more than there are would wait for ever.
        self._actor = _Actor.options(
            num_cpus=0,
            num_gpus=place.gpu_share,
            resources=place.resources,
            max_restarts=0,
            scheduling_strategy="DEFAULT"
            if place.node is None
            else NodeAffinitySchedulingStrategy(place.node, soft=False),
        ).remote(tool, target, limits, grants)
        self._guard = asyncio.create_task(self._watch())

    @property
    def on_gpu(self) -> bool:
        """Whether it computes on a GPU."""
        return self._limits.on_gpu

    async def start(self, limit_s: float) -> Whereabouts:
        """Wait until the process runs.

        Raises:
            ToolUnavailableError: If it does not within the limit.
            ReplicaDiedError: If it died on the way; another try may do.
        """
        failure = f"no process could be started for {self._tool}"
        self.where = await self._first(self._actor.whereabouts.remote(), limit_s, failure)
        return self.where

    async def load(self, weights: str | None, limit_s: float) -> None:
        """Load the expert.

        Raises:
            ToolUnavailableError: If that fails, or takes longer than the limit.
        """
        device = "cuda:0" if self._limits.on_gpu else "cpu"
        failure = f"{self._tool} could not be loaded"
        try:
            report: Report = await self._first(self._actor.load.remote(weights, device), limit_s, failure)
        except ReplicaDiedError as death:
            raise ToolUnavailableError(str(death)) from death
        self.gpu_gb = report.gpu_gb
        error = report.outcomes[0].error
        if error is not None:
            raise error

    def submit(self, jobs: Sequence[Job], references: Sequence[Any]) -> tuple[Any, list[Any]]:
        """Start calls; returns the reference of their report and those of their values."""
        report, *values = self._actor.run.options(num_returns=1 + len(jobs)).remote(jobs, *references)
        return report, values

    async def report(self, reference: Any) -> Report:  # noqa: ANN401 - Ray's own class
        """Wait for what came of calls.

        Raises:
            ReplicaDiedError: If the process went before it could tell.
            RayTaskError: If an argument or a result could not be carried over.
        """
        try:
            report: Report = await self._answer(reference)
        except (ActorDiedError, ActorUnavailableError) as error:
            self.kill(_reason(error))
            raise ReplicaDiedError(self.death.result()) from error
        self.gpu_gb = report.gpu_gb
        return report

    def kill(self, reason: str) -> None:
        """Stop the process at once, whatever it does; without effect on one that is gone."""
        if not self.death.done():
            self.death.set_result(reason)
        for answer in self._awaited:
            if not answer.done():
                answer.set_exception(ReplicaDiedError(reason))
        ray.kill(self._actor, no_restart=True)

    async def gone(self) -> None:
        """Wait until Ray has seen the process go."""
        await asyncio.wait({self._guard})

    async def _watch(self) -> None:
        reference = self._actor.guard.options(concurrency_group="guard").remote()
        try:
            reason = str(await self._answer(reference))
        except RayError as error:
            reason = _reason(error)
        except ReplicaDiedError:
            # It was told to go; wait until it has.
            with suppress(RayError):
                await reference
            return
        self.kill(reason)

    async def _first(self, reference: Any, limit_s: float, failure: str) -> Any:  # noqa: ANN401
        """Return what a call made while starting gives, or kill the process and say what failed."""
        try:
            async with asyncio.timeout(limit_s):
                return await self._answer(reference)
        except TimeoutError:
            self.kill("it took too long to start")
            raise ToolUnavailableError(f"{failure}: that took longer than {limit_s:g} s") from None
        except ReplicaDiedError as death:
            raise ReplicaDiedError(f"{failure}: {death}") from death
        except RayError as error:
            self.kill(_reason(error))
            raise ReplicaDiedError(f"{failure}: {_reason(error)}") from error
        except BaseException:
            self.kill("it could not be started")
            raise

    def _answer(self, reference: Any) -> "asyncio.Future[Any]":  # noqa: ANN401
        """Return a future of what lies behind a reference; it fails when the process goes first."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        if self.death.done():
            answer.set_exception(ReplicaDiedError(self.death.result()))
            return answer
        self._awaited.add(answer)
        answer.add_done_callback(self._awaited.discard)

        def come(source: Future[Any]) -> None:
            # Called by a thread of Ray's, which may outlive the loop.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(_pass_on, source, answer)

        reference.future().add_done_callback(come)
        return answer


def _pass_on(source: "Future[Any]", answer: "asyncio.Future[Any]") -> None:
    if answer.done():
        return
    error = source.exception()
    if error is None:
        answer.set_result(source.result())
    else:
        answer.set_exception(error)


def _reason(error: RayError) -> str:
    if isinstance(error, RayTaskError):
        return f"{type(error.cause).__name__}: {error.cause}"
    if isinstance(error, ActorUnavailableError):
        return "its machine cannot be reached"
    return "its process died"
