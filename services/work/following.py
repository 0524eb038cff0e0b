"""Waiting for jobs and following them, wherever they run."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import TypeVar

from spatial_agent.services.api.event_json import LAST
from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.records import FINAL, EventId, Job, JobEvent
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.feed import START, Feed, Feeds
from spatial_agent.services.work.store_calls import StoreCalls, pause
from spatial_agent.tools.errors import StoppedError

Result = TypeVar("Result")

_log = logging.getLogger(__name__)
#: Seconds between looks at the store for what happens in jobs that are followed here and run elsewhere.
LOOK_S = 0.5


class Following:
    """Lets callers wait for jobs, and follow their events.

    Attributes:
        feeds: What happens in jobs that run here, or that somebody here follows.
    """

    def __init__(self, store: Store, calls: StoreCalls) -> None:
        """Follow nothing yet.

        Args:
            store: Where jobs are.
            calls: Calls it.
        """
        self.feeds = Feeds()
        self._store, self._calls = store, calls
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Send everybody who waits or follows home."""
        self._closing.set()
        self.feeds.close()

    async def look(self) -> None:
        """Look at the store, until closed, for what happens elsewhere in jobs that are followed here."""
        while not self._closing.is_set():
            await pause(self._closing, LOOK_S)
            try:
                await self._look_once()
            except StoreUnavailableError:
                continue
            except Exception:
                _log.exception("what happens in jobs elsewhere could not be read")

    async def wait(self, tenant: str, job_id: str, seconds: float, is_going_on: bool) -> Job | None:
        """Return a job once it is over, or as it is after so many seconds; None where there is none.

        Args:
            tenant: Whose job.
            job_id: Which.
            seconds: How long to wait.
            is_going_on: Whether it is known not to be over, so that the store need not be asked.
        """
        until = asyncio.get_running_loop().time() + seconds
        with self.feeds.open(job_id) as feed:
            if is_going_on:
                await pause(feed.turned, seconds)
            while True:
                if feed.ended is not None and feed.ended.new.tenant == tenant:
                    return feed.ended
                turned = feed.turned
                job = await self._calls(self._store.jobs.job, tenant, job_id)
                left_s = until - asyncio.get_running_loop().time()
                if job is None or job.state in FINAL or left_s <= 0 or self._closing.is_set():
                    return job
                await pause(turned, left_s)

    async def follow(self, tenant: str, job_id: str, after: EventId | None) -> AsyncIterator[JobEvent]:
        """Yield what happened in a job after a place, and what happens, until its last event."""
        place = after or START
        if await self._job(tenant, job_id) is None:
            return
        with self.feeds.open(job_id) as feed:
            # What has happened by the end is still told.
            while not self._closing.is_set() or feed.after(place):
                changed, floor = feed.changed, feed.floor
                events = feed.after(place)
                if events is None:
                    events = await self._stored(tenant, job_id, place, feed)
                if events is None:
                    return
                for event in events:
                    place = event.id
                    yield event
                    if event.kind in LAST:
                        return
                if not events and floor is not None and place < floor:
                    place = floor
                elif not events:
                    await changed.wait()

    async def _stored(self, tenant: str, job_id: str, place: EventId, feed: Feed) -> list[JobEvent] | None:
        """Return the stored events after a place, or None where there are none and will be none."""
        may_go_on = feed.is_live or await self._is_going_on(tenant, job_id)
        events = await self._read(partial(self._store.events.after, job_id, place))
        return events if events or may_go_on else None

    async def _is_going_on(self, tenant: str, job_id: str) -> bool:
        job = await self._job(tenant, job_id)
        return job is not None and job.state not in FINAL

    async def _job(self, tenant: str, job_id: str) -> Job | None:
        return await self._read(partial(self._store.jobs.job, tenant, job_id))

    async def _read(self, call: Callable[[], Result]) -> Result | None:
        """Return what is in the store, or None where this server has shut down meanwhile."""
        try:
            return await self._calls.insist(call, self._closing)
        except StoppedError:
            return None

    async def _look_once(self) -> None:
        if followed := self.feeds.elsewhere():
            latest = await self._calls(self._store.events.latest, followed)
            self.feeds.look(latest.items())
