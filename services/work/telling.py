"""What one attempt at a job tells: numbered, shown to followers at once, and written in batches."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence

from spatial_agent.services.api.event_json import LAST
from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.records import EventId, JobEvent
from spatial_agent.services.work.feed import Feed
from spatial_agent.services.work.store_calls import StoreCalls, pause
from spatial_agent.tools.contract import Json

_log = logging.getLogger(__name__)
#: Seconds for which pieces of text are gathered into one event.
GATHER_S = 0.05
#: Seconds between looks at what was told: to be woken for it would interrupt the work itself.
TAKE_S = 0.03
#: Seconds between writes of the events of a job.
WRITE_S = 0.1
#: Seconds between writes while they fail.
WRITE_AGAIN_S = 1.0
#: Events that wait to be written before pieces of text are left out: the answer has the whole text.
MOST_WAITING = 2000
STARTED, TOKEN = "started", "token"
_OF_THE_DESK = LAST | {STARTED}

#: Writes events, and returns whether the job is still this worker's.
Write = Callable[[Sequence[JobEvent]], bool]


class Telling:
    """Takes what a runner tells, from any thread, and brings it to followers and into the store."""

    def __init__(
        self, last: EventId, feed: Feed, calls: StoreCalls, write: Write, on_lost: Callable[[], None]
    ) -> None:
        """Begin after an event.

        Args:
            last: The last event of this attempt that is in the store; number 0 where there is none.
            feed: Where followers look.
            calls: Calls the store.
            write: Writes events.
            on_lost: Called when the job turns out to be another worker's.
        """
        self._attempt, self._number = last.attempt, last.number
        self._feed, self._calls, self._write, self._on_lost = feed, calls, write, on_lost
        self._loop = asyncio.get_running_loop()
        self._told: deque[tuple[str, Mapping[str, Json]]] = deque()
        self._looking: asyncio.TimerHandle | None = None
        self._text: list[str] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._waiting: list[JobEvent] = []
        self._later: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    def tell(self, kind: str, data: Mapping[str, Json]) -> None:
        """Tell what happened; from any thread. What comes after the end is left out."""
        if kind in _OF_THE_DESK or self._closing.is_set():
            return
        self._told.append((kind, data))

    def start(self, run: str) -> None:
        """Tell that the attempt began, and listen."""
        self._publish(STARTED, {"run": run})
        self._look()

    async def close(self) -> list[JobEvent]:
        """Take no more, and return what is not written yet."""
        if self._looking is not None:
            self._looking.cancel()
        self._take()
        self._end_text()
        self._closing.set()
        if self._later is not None:
            self._later.cancel()
        if self._writing is not None:
            await self._writing
        return self._waiting

    def last(self, kind: str, data: Mapping[str, Json]) -> JobEvent:
        """Return the event that ends the job; it is shown once it is written."""
        return self._next(kind, data)

    def _look(self) -> None:
        self._looking = self._loop.call_later(TAKE_S, self._look)
        self._take()

    def _take(self) -> None:
        while self._told:
            kind, data = self._told.popleft()
            if kind == TOKEN and isinstance(text := data.get("text"), str):
                self._gather(text)
            else:
                self._end_text()
                self._publish(kind, data)

    def _gather(self, text: str) -> None:
        self._text.append(text)
        if self._gathering is None:
            self._gathering = self._loop.call_later(GATHER_S, self._end_text)

    def _end_text(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        text, self._text = "".join(self._text), []
        if text and len(self._waiting) < MOST_WAITING:
            self._publish(TOKEN, {"text": text})

    def _publish(self, kind: str, data: Mapping[str, Json]) -> None:
        event = self._next(kind, data)
        self._waiting.append(event)
        self._feed.publish(event)
        if self._writing is None and self._later is None:
            self._later = self._loop.call_later(WRITE_S, self._begin_to_write)

    def _next(self, kind: str, data: Mapping[str, Json]) -> JobEvent:
        self._number += 1
        return JobEvent(EventId(self._attempt, self._number), kind, data)

    def _begin_to_write(self) -> None:
        self._later, self._writing = None, self._loop.create_task(self._write_batches())

    async def _write_batches(self) -> None:
        while self._waiting and not self._closing.is_set():
            await pause(self._closing, WRITE_S if await self._write_batch() else WRITE_AGAIN_S)
        self._writing = None

    async def _write_batch(self) -> bool:
        batch = tuple(self._waiting)
        try:
            is_ours = await self._calls(self._write, batch)
        except StoreUnavailableError:
            return False
        except Exception:  # a job goes on where only its story cannot be written
            _log.exception("events of a job are left out of the store, which refuses them")
            is_ours = True
        if not is_ours:
            self._on_lost()
            return False
        del self._waiting[: len(batch)]
        self._feed.wrote(batch[-1].id)
        return True
