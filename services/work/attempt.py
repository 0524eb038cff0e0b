"""One attempt at a job, from taking it up to writing down what came of it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, cast

from spatial_agent.services.api.event_json import ANSWER
from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.records import EventId, Job, JobEvent
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.errors import TakenUpTooOftenError
from spatial_agent.services.work.feed import START, Feed
from spatial_agent.services.work.job_runner import Done, JobRunner
from spatial_agent.services.work.store_calls import StoreCalls
from spatial_agent.services.work.telling import Telling
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import SpatialAgentError, StoppedError

Final = Literal["done", "failed", "cancelled"]
#: Why an attempt is stopped: somebody cancelled the job, this server goes, or another has the job now.
Why = Literal["cancelled", "released", "lost"]
Outcome = Final | Literal["released", "lost"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bench:
    """What attempts of one desk share.

    Attributes:
        store: Where jobs are.
        calls: Calls it.
        runner: Does the work.
        worker: What this process calls itself in the store.
        problem_of: Turns an error into problem+json.
        attempts: How often a job is taken up before it counts as failed.
        stop_s: How long a runner may take to stop once cancelled, seconds; it is left to itself then.
    """

    store: Store
    calls: StoreCalls
    runner: JobRunner
    worker: str
    problem_of: Callable[[BaseException], Mapping[str, Any]]
    attempts: int
    stop_s: float


@dataclass(frozen=True)
class _Ending:
    state: Final
    kind: str
    data: Mapping[str, Json]
    exchange: Mapping[str, Json] | None = None

    @property
    def kept(self) -> dict[str, Any]:
        """What the store keeps of it, beside its event."""
        answer = self.data if self.state == "done" else None
        problem = self.data if self.state == "failed" else None
        return {"answer": answer, "problem": problem}


class Attempt:
    """Runs a job that this worker has claimed.

    All methods belong to the event loop's thread.

    Attributes:
        job: The job as it was claimed.
    """

    def __init__(self, job: Job, last: EventId, bench: Bench) -> None:
        """Start nothing yet.

        Args:
            job: The job.
            last: The last event of this attempt that is in the store; see `claim`.
            bench: What attempts share.
        """
        self.job, self._last = job, last
        self._bench = bench
        self._why: Why | None = None
        self._work: asyncio.Task[Done] | None = None
        self._patience: asyncio.TimerHandle | None = None
        self._over = asyncio.get_running_loop().create_future()
        self._give_up = asyncio.Event()

    def stop(self, why: Why) -> None:
        """Stop the work, for the first reason that came; being lost goes before all others.

        What the runner has finished by now is written down all the same, unless the job is lost.
        """
        if why != "cancelled":
            self._give_up.set()
        if self._why is None or why == "lost":
            self._why = why
        # Once: asking again would break into what the runner does to stop.
        if self._work is not None and not self._work.done() and self._patience is None:
            self._work.cancel()
            self._patience = asyncio.get_running_loop().call_later(self._bench.stop_s, self._is_over)

    async def run(self, feed: Feed) -> Outcome:
        """See the job through, and return how that ended.

        Args:
            feed: Where followers look.

        Raises:
            Exception: What the store raises when it refuses to write the end down; the job is taken up anew
                after its lease then.
        """
        try:
            return await self._see_through(feed)
        finally:
            if feed.is_live:
                feed.leave()

    async def _see_through(self, feed: Feed) -> Outcome:
        telling = self._begin(feed)
        ending = self._refused()
        if ending is None and self._why is None:
            telling.start(self.job.id)
            ending = await self._worked(telling)
        return await self._finish(telling, feed, ending or self._stopped())

    def _begin(self, feed: Feed) -> Telling:
        feed.begin(START if self._last == EventId(1, 0) else self._last)
        write = partial(self._bench.store.events.append, self._bench.worker, self.job.id)
        return Telling(self._last, feed, self._bench.calls, write, partial(self.stop, "lost"))

    def _refused(self) -> _Ending | None:
        """Return how a job ends that is not to be worked on, or None."""
        if self.job.cancelling:
            return _Ending("cancelled", "cancelled", {})
        if self.job.attempts > self._bench.attempts:
            return self._failed(
                TakenUpTooOftenError(
                    f"expected the job to end within {self._bench.attempts} attempts, but its server died in "
                    f"each; ask something smaller, or have the operator look at the log"
                )
            )
        return None

    async def _worked(self, telling: Telling) -> _Ending | None:
        """Return how the work ended; None where it was stopped before."""
        run = self._bench.runner.run(self.job, telling.tell)
        self._work = asyncio.create_task(run, name=f"job {self.job.id}")
        self._work.add_done_callback(lambda _: self._is_over())
        await self._over
        if not self._work.done():
            _log.warning(
                "job %s does not stop within %.0f s; it is left alone", self.job.id, self._bench.stop_s
            )
            self._work.add_done_callback(look_away)
            return None
        if self._work.cancelled():
            return None
        error = self._work.exception()
        if error is None:
            done = self._work.result()
            return _Ending("done", ANSWER, done.answer, done.exchange)
        return None if self._why else self._failed(error)

    def _is_over(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        if not self._over.done():
            self._over.set_result(None)

    def _failed(self, error: BaseException) -> _Ending:
        if not isinstance(error, SpatialAgentError):
            _log.error("job %s failed unexpectedly", self.job.id, exc_info=error)
        return _Ending("failed", "failed", self._bench.problem_of(error))

    def _stopped(self) -> _Ending | None:
        if self._why is None:
            return self._failed(StoppedError("the work was given up from within: ask again"))
        return _Ending("cancelled", "cancelled", {}) if self._why == "cancelled" else None

    async def _finish(self, telling: Telling, feed: Feed, ending: _Ending | None) -> Outcome:
        """Write the end down where there is one, give the job back where there is none."""
        waiting = await telling.close()
        if self._why == "lost":
            return "lost"
        if ending is None:
            await self._release(waiting)
            return "released"
        last, ended = await self._write_down(telling, ending, waiting)
        if ended is None:
            return "lost"
        feed.publish(last)
        feed.end(ended)
        return cast(Final, ended.state)

    async def _write_down(
        self, telling: Telling, ending: _Ending, waiting: list[JobEvent]
    ) -> tuple[JobEvent, Job | None]:
        """Write the end down; return the last event and the job, None where it was no longer ours."""
        last = telling.last(ending.kind, ending.data)
        try:
            return last, await self._insist_on(ending, [*waiting, last])
        except StoreUnavailableError:
            raise
        except Exception as error:
            if ending.state == "failed":
                raise
            instead = self._failed(error)
        last = telling.last(instead.kind, instead.data)
        return last, await self._insist_on(instead, [last])

    async def _insist_on(self, ending: _Ending, events: list[JobEvent]) -> Job | None:
        jobs, worker = self._bench.store.jobs, self._bench.worker
        kept = ending.kept
        write = partial(jobs.finish, worker, self.job.id, ending.state, **kept, events=events)
        finished = await self._bench.calls.insist(partial(write, exchange=ending.exchange), self._give_up)
        if finished is None:
            return None
        return replace(self.job, state=ending.state, finished=finished, cancelling=False, **kept)

    async def _release(self, waiting: list[JobEvent]) -> None:
        """Give the job back, once all its followers saw is written: the next attempt counts on from there."""
        bench = self._bench
        if waiting:
            await bench.calls(bench.store.events.append, bench.worker, self.job.id, waiting)
        await bench.calls(bench.store.jobs.release, bench.worker, [self.job.id])


def look_away(work: "asyncio.Task[Any]") -> None:
    """Take the result of work that nobody waits for, so that it is not complained about."""
    if not work.cancelled():
        work.exception()
