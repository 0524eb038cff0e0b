"""What happens in jobs that somebody follows: the newest events in memory, all others in the store."""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from spatial_agent.services.store.records import EventId, Job, JobEvent

#: Before the first event of any job.
START = EventId(0, 0)
#: Events of a job that stay in memory once they are written: those who are not far behind need no store.
KEPT = 256


class Feed:
    """The newest events of one job.

    Followers keep nothing but their place: one that is slower than the job falls out of what is kept here,
    and reads the store. All methods belong to the event loop's thread.

    Attributes:
        changed: Set when there is something new, and then replaced: take it before looking.
        turned: The same, but only where the job may be over.
        is_live: Whether the job runs in this process.
        ended: The job as it ended here; None until then.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self.changed = asyncio.Event()
        self.turned = asyncio.Event()
        self.is_live = False
        self.ended: Job | None = None
        self.openings = 0
        self._events: deque[JobEvent] = deque()
        self._floor: EventId | None = None
        self._written = START
        self._seen_elsewhere = START

    @property
    def floor(self) -> EventId | None:
        """Every event after it is here, every one up to it in the store; None where nothing is here."""
        return self._floor

    def after(self, place: EventId) -> list[JobEvent] | None:
        """Return what happened after a place, or None where the store has to be asked."""
        if self._floor is None or place < self._floor:
            return None
        newer = [event for event in self._events if event.id > place]
        return newer if newer or self.is_live else None

    def begin(self, floor: EventId) -> None:
        """The job was taken up here; all up to `floor` is in the store."""
        self._events.clear()
        self._floor = self._written = floor
        self.is_live = True
        self._change()

    def publish(self, event: JobEvent) -> None:
        """Something happened."""
        self._events.append(event)
        self._drop()
        self._change()

    def wrote(self, place: EventId) -> None:
        """All up to a place is in the store now."""
        self._written = place
        self._drop()

    def end(self, job: Job) -> None:
        """The job ended here, and all of it is in the store; what is kept stays for those who follow."""
        self.is_live = False
        self.ended = job
        self._turn()

    def leave(self) -> None:
        """The job no longer runs here, and goes on elsewhere or later."""
        self._events.clear()
        self._floor = None
        self.is_live = False
        self._turn()

    def look(self, latest: EventId) -> None:
        """The store's last event of a job that does not run here is this one."""
        if not self.is_live and latest != self._seen_elsewhere:
            self._seen_elsewhere = latest
            self._turn()

    def nudge(self) -> None:
        """Something may have changed in the store: have everybody look."""
        self._turn()

    def _drop(self) -> None:
        while len(self._events) > KEPT and self._events[0].id <= self._written:
            self._floor = self._events.popleft().id

    def _change(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def _turn(self) -> None:
        self.turned.set()
        self.turned = asyncio.Event()
        self._change()


class Feeds:
    """The feeds of all jobs that run here or are followed here."""

    def __init__(self) -> None:
        """Hold none."""
        self._feeds: dict[str, Feed] = {}
        self.is_closed = False

    @contextmanager
    def open(self, job: str) -> Iterator[Feed]:
        """Hold the feed of a job; it is gone when nobody holds it any more."""
        feed = self._feeds.get(job) or self._feeds.setdefault(job, Feed())
        feed.openings += 1
        try:
            yield feed
        finally:
            feed.openings -= 1
            if not feed.openings:
                del self._feeds[job]

    def __len__(self) -> int:
        """Return how many jobs run here or are followed here."""
        return len(self._feeds)

    def elsewhere(self) -> list[str]:
        """Return the ids of the jobs that are followed here and do not run here."""
        return [job for job, feed in self._feeds.items() if not feed.is_live]

    def look(self, latest: Iterable[tuple[str, EventId]]) -> None:
        """Take note of the last events that the store has."""
        for job, place in latest:
            if job in self._feeds:
                self._feeds[job].look(place)

    def nudge(self, job: str) -> None:
        """Have everybody who follows a job look at the store."""
        if job in self._feeds:
            self._feeds[job].nudge()

    def close(self) -> None:
        """Send everybody home."""
        self.is_closed = True
        for feed in self._feeds.values():
            feed.nudge()
