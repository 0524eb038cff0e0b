"""How jobs get to a server: handed in here, and taken from the queue as long as there is room."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Unpack

from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.jobs import Terms
from spatial_agent.services.store.records import EventId, Job, NewJob
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.attempt import look_away
from spatial_agent.services.work.store_calls import StoreCalls, pause

_log = logging.getLogger(__name__)
#: Seconds between looks for jobs that were handed in at other servers, or that those left behind.
POLL_S = 1.0
#: A job that was claimed, with the last event that there is of this attempt, or its place 0.
Claimed = tuple[Job, EventId]
#: A job, or what makes it, which may call the store.
New = NewJob | Callable[[], NewJob]


class Intake:
    """Hands jobs in, and takes jobs up; made and used on one event loop."""

    def __init__(
        self,
        store: Store,
        calls: StoreCalls,
        worker: str,
        *,
        workers: int,
        lease_s: float,
        running: Callable[[], int],
        take_up: Callable[[Job, EventId], None],
    ) -> None:
        """Start nothing yet.

        Args:
            store: Where jobs are.
            calls: Calls it.
            worker: What this process calls itself in the store.
            workers: How many jobs may run in this process.
            lease_s: For how long jobs are claimed, seconds.
            running: Returns how many run.
            take_up: Runs a job that was claimed.
        """
        self._store, self._calls, self._worker = store, calls, worker
        self._workers, self._lease_s = workers, lease_s
        self._running, self._take_up = running, take_up
        # Jobs handed in here that wait, with their tenants: while there are none, and no room was missing, a
        # job that was taken up needs no look for the next.
        self._queued_here: dict[str, str] = {}
        self._is_backlog = True
        self._is_open = False
        # Jobs that may be taken up any moment have their room.
        self._held = 0
        self._handing_in: set[asyncio.Task[tuple[Job, bool]]] = set()
        self._wake = asyncio.Event()

    async def submit(self, new: New, **terms: Unpack[Terms]) -> tuple[Job, bool]:
        """Hand a job in, and have it taken up as soon as there is room; see `Desk.submit`."""
        if self._has_room and self._is_open:
            # The room is held from now on, and what was taken up is seen through, whoever leaves meanwhile.
            self._held += 1
            handing_in = asyncio.create_task(self._submit_and_take(new, terms), name="desk: submit")
            self._handing_in.add(handing_in)
            handing_in.add_done_callback(self._handed_in)
            return await asyncio.shield(handing_in)
        job, is_new = await self._calls(_submit, self._store, new, **terms)
        if is_new:
            self._queued_here[job.id] = job.new.tenant
            self._wake.set()
        return job, is_new

    def tenant_of(self, job_id: str) -> str | None:
        """Return whose a job is that was handed in here and waits, as far as is known without the store."""
        return self._queued_here.get(job_id)

    def look(self) -> None:
        """Look for jobs now: there may be more, or more room."""
        self._wake.set()

    def open(self) -> None:
        """Let jobs be taken up from now on, here as they are handed in, the others by `take`."""
        self._is_open = True

    async def take(self) -> None:
        """Take up jobs that wait, until told to end."""
        while self._is_open:
            self._wake.clear()
            if self._has_room:
                await self._take_one()
            else:
                self._is_backlog = True
            if not self._may_take_more:
                await pause(self._wake, POLL_S * random.uniform(0.8, 1.2))

    def end(self) -> None:
        """Take up nothing more."""
        self._is_open = False
        self._wake.set()

    async def settle(self) -> None:
        """Wait for what was begun before the end."""
        if self._handing_in:
            await asyncio.wait(self._handing_in)

    async def _submit_and_take(self, new: New, terms: Terms) -> tuple[Job, bool]:
        """Hand a job in and take the next one up at once: most often it is the same."""
        try:
            job, is_new, claimed = await self._calls(
                _submit_and_claim, self._store, self._worker, self._lease_s, new, **terms
            )
            if is_new:
                self._queued_here[job.id] = job.new.tenant
            if claimed is not None:
                self._take_up_next(*claimed)
            if job.id in self._queued_here:
                self._wake.set()
        finally:
            self._held -= 1
            if self._is_backlog:
                self._wake.set()
        return job, is_new

    def _handed_in(self, handing_in: "asyncio.Task[tuple[Job, bool]]") -> None:
        self._handing_in.discard(handing_in)
        look_away(handing_in)

    @property
    def _has_room(self) -> bool:
        return self._running() + self._held < self._workers

    @property
    def _may_take_more(self) -> bool:
        return self._has_room and (self._is_backlog or bool(self._queued_here))

    async def _take_one(self) -> None:
        """Take up the next job, if any, and take note of whether more may wait."""
        queued_before = tuple(self._queued_here)
        self._held += 1
        try:
            claimed = await self._claim()
            if claimed is not None:
                self._take_up_next(*claimed)
                return
        finally:
            self._held -= 1
        # Taken up by others, or behind another of its dialogue, whose end wakes the desk.
        for job_id in queued_before:
            self._queued_here.pop(job_id, None)
        self._is_backlog = False

    def _take_up_next(self, job: Job, last: EventId) -> None:
        if self._queued_here.pop(job.id, None) is None:
            self._is_backlog = True
        self._take_up(job, last)

    async def _claim(self) -> Claimed | None:
        try:
            return await self._calls(_claim, self._store, self._worker, self._lease_s)
        except StoreUnavailableError:
            return None
        except Exception:
            _log.exception("no job could be taken up")
            return None


def _made(new: New) -> NewJob:
    return new() if callable(new) else new


def _submit(store: Store, new: New, **terms: Unpack[Terms]) -> tuple[Job, bool]:
    return store.jobs.submit(_made(new), **terms)


def _claim(store: Store, worker: str, lease_s: float) -> Claimed | None:
    """Claim the next job; return it with the last event that there is of this attempt, or its place 0.

    An attempt that was given back does not count, so that the next one has its number: it goes on from there.
    """
    job = store.jobs.claim(worker, lease_s)
    return None if job is None else (job, _place(store, job))


def _submit_and_claim(
    store: Store, worker: str, lease_s: float, new: New, **terms: Unpack[Terms]
) -> tuple[Job, bool, Claimed | None]:
    """Hand in a job and claim the next one; return the job, whether it is new, and what `_claim` returns."""
    job, is_new, claimed = store.jobs.submit_and_claim(worker, lease_s, _made(new), **terms)
    if claimed is None:
        return job, is_new, None
    if is_new and claimed.id == job.id:
        # Nothing can have happened yet in what has just been made.
        return job, is_new, (claimed, EventId(claimed.attempts, 0))
    try:
        return job, is_new, (claimed, _place(store, claimed))
    except StoreUnavailableError:
        # It was handed in all the same; what was claimed is taken up by whoever finds its lease run out.
        return job, is_new, None


def _place(store: Store, job: Job) -> EventId:
    start = EventId(job.attempts, 0)
    told = store.events.after(job.id, start)
    return told[-1].id if told else start
