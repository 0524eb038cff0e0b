"""Where jobs are handed in, waited for and followed, and from where they are worked on."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from secrets import token_hex
from typing import Any

from spatial_agent.services.api.config import Retention, Work
from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.jobs import Terms
from spatial_agent.services.store.records import FINAL, EventId, Job, JobEvent, JobKind, JobState
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.attempt import Attempt, Bench, Outcome
from spatial_agent.services.work.feed import Feeds
from spatial_agent.services.work.following import Following
from spatial_agent.services.work.intake import Intake, New
from spatial_agent.services.work.job_metrics import JOB_SECONDS, JOB_WAIT_SECONDS, JOBS, JOBS_RUNNING
from spatial_agent.services.work.job_runner import Done, JobRunner
from spatial_agent.services.work.retention import DropScene, OnSweep, Sweeper
from spatial_agent.services.work.store_calls import StoreCalls, pause
from spatial_agent.tools.metering import Meter, NoMeter

__all__ = ["Desk", "Done", "JobRunner"]

_log = logging.getLogger(__name__)
#: Seconds between signs of life at most: also how soon a cancellation at another server is noticed.
BEAT_S = 1.0
#: Seconds a runner may take to stop.
STOP_S = 5.0
#: Seconds after the end of a job until it is counted and logged.
AFTER_S = 0.005
#: Seconds for which jobs that ended are gathered until what was kept to go on with them is dropped.
FORGET_S = 1.0
#: Calls of the store at a time.
STORE_THREADS = 4


class Desk:
    """Takes jobs from the store and runs them; tells who asks what becomes of them.

    A job that is handed in survives this process. Several desks, here or on other machines, may work on one
    store. Made and used on one event loop.
    """

    def __init__(
        self,
        store: Store,
        runner: JobRunner,
        *,
        name: str,
        work: Work,
        problem_of: Callable[[BaseException], Mapping[str, Any]],
        meter: Meter | None = None,
        retention: Retention | None = None,
        on_idle_scene: DropScene | None = None,
        on_sweep: OnSweep | None = None,
    ) -> None:
        """Start nothing yet.

        Args:
            store: Where jobs are.
            runner: Does their work.
            name: Name of this server: those that work on one store at a time must differ. What a server of
                this name left running when it died goes back to the queue at the start.
            work: How jobs are run.
            problem_of: Turns an error into problem+json.
            meter: Where numbers about the jobs go; it has to know `job_metrics.JOB_METRICS`.
            retention: How long things are kept; for ever where None.
            on_idle_scene: Removes a scene that nobody asked about for long; scenes stay where None.
            on_sweep: Removes, every few minutes, whatever else has been kept long enough.
        """
        self._name, self._worker = name, f"{name}/{token_hex(4)}"
        self._store, self._work, self._meter = store, work, meter or NoMeter()
        self._calls = StoreCalls(STORE_THREADS, "store")
        # Signs of life never stand in line behind other calls.
        self._beat_calls = StoreCalls(1, "store-beat")
        self._bench = Bench(store, self._calls, runner, self._worker, problem_of, work.attempts, STOP_S)
        self._following = Following(store, self._calls)
        self._sweeper = (
            Sweeper(store, self._calls, retention, runner.forget, on_idle_scene, on_sweep)
            if retention
            else None
        )
        self._attempts: dict[str, Attempt] = {}
        self._again: dict[str, tuple[Job, EventId]] = {}
        self._intake = Intake(
            store,
            self._calls,
            self._worker,
            workers=work.workers,
            lease_s=work.lease_seconds,
            running=lambda: self.running,
            take_up=self._take_up,
        )
        self._handling: set[asyncio.Task[None]] = set()
        self._draining = asyncio.Event()
        self._taking: asyncio.Task[None] | None = None
        self._forgetting: asyncio.Task[None] | None = None
        self._ended: list[str] = []
        self._background: list[asyncio.Task[None]] = []
        self._drained: asyncio.Task[None] | None = None

    @property
    def is_draining(self) -> bool:
        """Whether it takes up no more jobs."""
        return self._draining.is_set()

    @property
    def running(self) -> int:
        """How many jobs run in this process."""
        return len(self._attempts)

    async def start(self) -> None:
        """Begin to work.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
        again = await self._calls(self._store.jobs.abandon_all, f"{self._name}/")
        if again:
            _log.warning("%d jobs that were running when this server ended are taken up anew", again)
        self._intake.open()
        self._taking = asyncio.create_task(self._intake.take(), name="desk: take")
        self._forgetting = asyncio.create_task(self._forget(), name="desk: forget")
        loops = [self._beat(), self._following.look()]
        if self._sweeper is not None:
            loops.append(self._sweeper.sweep(self._draining))
        self._background = [asyncio.create_task(loop, name="desk") for loop in loops]

    async def drain(self, seconds: float) -> None:
        """Take up no more jobs, let those that run end, and give back what has not ended in time.

        Followers of jobs that were given back see their events end: they can follow them at another server,
        or at this one's successor. May be called again: all calls end together.

        Args:
            seconds: How long running jobs may take.
        """
        if self._drained is None:
            self._draining.set()
            self._intake.end()
            self._drained = asyncio.create_task(self._drain(seconds), name="desk: drain")
        await asyncio.shield(self._drained)

    async def submit(
        self,
        new: New,
        *,
        idempotency_key: str | None = None,
        fingerprint: str = "",
        most_of_tenant: int | None = None,
    ) -> tuple[Job, bool]:
        """Hand a job in; once this returns, it survives this process.

        Args:
            new: The job, or what makes it, which is called where calls of the store are: it may call it.
            idempotency_key: The same key of the same tenant makes no second job.
            fingerprint: Of the request that the key came with.
            most_of_tenant: How many unfinished jobs its tenant may have.

        Returns:
            The job, and whether it was made by this call.

        Raises:
            Exception: What making the job raises; it is not handed in then.
            IdempotencyConflictError: If the key stood for another request.
            QueueFullError: If as many jobs wait as may.
            StoreUnavailableError: If the store cannot be reached.
        """
        terms = Terms(
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
            most_queued=self._work.queue,
            most_of_tenant=most_of_tenant,
        )
        return await self._intake.submit(new, **terms)

    async def wait(self, tenant: str, job_id: str, seconds: float) -> Job | None:
        """Return a job once it is over, or as it is after so many seconds; None where there is none.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
        return await self._following.wait(tenant, job_id, seconds, self._has(tenant, job_id))

    async def cancel(self, tenant: str, job_id: str) -> Job | None:
        """Cancel a job and return it as it is then; None where there is none.

        One that runs is ``cancelling`` until it has stopped; one that has just ended stays as it is.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
        job = await self._calls(self._store.jobs.cancel, tenant, job_id)
        if job is not None and job.cancelling and job_id in self._attempts:
            self._attempts[job_id].stop("cancelled")
        self._following.feeds.nudge(job_id)
        self._intake.look()
        return job

    async def sweep(self, now: float) -> None:
        """Drop at once what has been kept long enough, as is done every few minutes.

        Args:
            now: Seconds since 1970.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
        if self._sweeper is not None:
            await self._sweeper.sweep_once(now)

    def follow(self, tenant: str, job_id: str, after: EventId | None = None) -> AsyncIterator[JobEvent]:
        """Yield what happened in a job after a place, and then what happens, as it does.

        Ends after the job's last event, at once where there is no such job, and when this server shuts down.
        """
        return self._following.follow(tenant, job_id, after)

    async def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in which state, of all servers.

        Raises:
            StoreUnavailableError: If the store cannot be reached.
        """
        return await self._calls(self._store.jobs.counts)

    @property
    def _feeds(self) -> Feeds:
        return self._following.feeds

    def _has(self, tenant: str, job_id: str) -> bool:
        """Return whether a job of a tenant waits or runs here, as far as is known without the store."""
        attempt = self._attempts.get(job_id)
        return tenant == (self._intake.tenant_of(job_id) if attempt is None else attempt.job.new.tenant)

    def _take_up(self, job: Job, last: EventId) -> None:
        if job.id in self._attempts:
            # Its lease lapsed while this process stood still: nothing of the earlier attempt counts any more.
            self._attempts[job.id].stop("lost")
            self._again[job.id] = (job, last)
            return
        self._attempts[job.id] = attempt = Attempt(job, last, self._bench)
        if self.is_draining:
            attempt.stop("released")
        task = asyncio.create_task(self._see_through(attempt), name=f"desk: {job.id}")
        self._handling.add(task)
        task.add_done_callback(self._handling.discard)

    async def _see_through(self, attempt: Attempt) -> None:
        job, begun = attempt.job, time.monotonic()
        outcome: Outcome = "lost"
        try:
            self._count_running(job.new.kind)
            with self._feeds.open(job.id) as feed:
                outcome = await attempt.run(feed)
        except Exception:
            _log.exception("what came of job %s is not written down; it is taken up anew later", job.id)
        finally:
            if job.new.session is not None or self.running >= self._work.workers:
                self._intake.look()
            del self._attempts[job.id]
        if job.id in self._again:
            self._take_up(*self._again.pop(job.id))
        seconds = time.monotonic() - begun
        # Whoever waits for the answer goes first.
        await pause(self._draining, AFTER_S)
        self._count(job, outcome, seconds)
        _log.info("job", extra={"fields": _told_of(job, outcome, seconds)})
        if outcome in FINAL:
            self._ended.append(job.id)

    async def _forget(self) -> None:
        """Have the runner drop, now and again, what it kept to take up jobs that have ended."""
        while not self.is_draining:
            await pause(self._draining, FORGET_S)
            await self._forget_ended()

    async def _forget_ended(self) -> None:
        ended, self._ended = self._ended, []
        if not ended:
            return
        try:
            await self._bench.runner.forget(ended)
        except Exception:  # it goes when the jobs themselves are dropped
            _log.exception("what was kept to take up %d jobs again could not be dropped", len(ended))

    def _count(self, job: Job, outcome: Outcome, seconds: float) -> None:
        kind = {"kind": job.new.kind}
        self._meter.count(JOBS, kind | {"outcome": outcome})
        self._meter.duration(JOB_SECONDS, kind, seconds)
        if job.attempts == 1 and job.started is not None:
            self._meter.duration(JOB_WAIT_SECONDS, kind, max(0.0, job.started - job.created))
        self._count_running(job.new.kind)

    def _count_running(self, kind: JobKind) -> None:
        running = sum(attempt.job.new.kind == kind for attempt in self._attempts.values())
        self._meter.level(JOBS_RUNNING, {"kind": kind}, running)

    async def _beat(self) -> None:
        """Show that the jobs here are alive; notice which are cancelled, and which others took over."""
        while True:
            await asyncio.sleep(min(BEAT_S, self._work.lease_seconds / 3))
            try:
                await self._beat_once()
            except StoreUnavailableError:
                continue
            except Exception:
                _log.exception("jobs go on, but cannot show it")

    async def _beat_once(self) -> None:
        attempts = dict(self._attempts)
        if not attempts:
            return
        renew, lease_s = self._store.jobs.renew, self._work.lease_seconds
        held = await self._beat_calls(renew, self._worker, list(attempts), lease_s)
        for job_id, attempt in attempts.items():
            if job_id not in held:
                attempt.stop("lost")
            elif held[job_id]:
                attempt.stop("cancelled")

    async def _drain(self, seconds: float) -> None:
        if self._taking is not None:
            await self._taking
        await self._intake.settle()
        if self._handling:
            await asyncio.wait(self._handling, timeout=seconds)
        for attempt in self._attempts.values():
            attempt.stop("released")
        while self._handling:
            await asyncio.wait(self._handling)
        if self._forgetting is not None:
            await self._forgetting
        await self._forget_ended()
        self._following.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self._calls.close()
        await self._beat_calls.close()


def _told_of(job: Job, outcome: Outcome, seconds: float) -> dict[str, str | int | float | None]:
    """Return what the log says of an attempt: whose it was and how it ended, nothing of what was asked."""
    return {
        "request_id": job.new.request_id,
        "job": job.id,
        "kind": job.new.kind,
        "outcome": outcome,
        "attempt": job.attempts,
        "seconds": round(seconds, 4),
        "tenant": job.new.tenant,
        "key": job.new.key,
        "scene": job.new.scene,
    }
