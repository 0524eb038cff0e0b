"""What calls gave, by what they asked: in memory, on disk, and on its way."""

from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass
from threading import Lock
from typing import Literal

from spatial_agent.tools.content import content_bytes
from spatial_agent.tools.value_store import ValueStore

#: Where a result was found.
Place = Literal["memory", "disk", "shared"]


@dataclass(frozen=True)
class Found:
    """A result that need not be measured again.

    Attributes:
        value: The value, or the `Finding` of a skill.
        place: Where it was: in ``memory``, on ``disk``, or ``shared`` with an equal call that was under way.
    """

    value: object
    place: Place


#: What an equal call that is under way will give; None if it gives nothing to share.
Promise = Future[Found | None]


class ResultCache:
    """Results by key, shared by the runs of a process, and on disk by those of a machine.

    Safe to use from several threads and event loops.
    """

    def __init__(
        self, limit_bytes: int = 2**28, store: ValueStore | None = None, worth_s: float = 0.05
    ) -> None:
        """Start with nothing in memory.

        Args:
            limit_bytes: Memory its values may take; the least recently used go first.
            store: Keeps results on disk; they are kept in memory only where left out.
            worth_s: Results that took less than this to measure are not worth a file, seconds.
        """
        self._limit_bytes = limit_bytes
        self._store = store
        self._worth_s = worth_s
        self._memory: OrderedDict[str, tuple[object, int]] = OrderedDict()
        self._bytes = 0
        self._under_way: dict[str, Promise] = {}
        self._lock = Lock()

    def claim(self, key: str) -> tuple[Promise, bool]:
        """Return what will come of a key, and whether it is up to the caller to `settle` it."""
        with self._lock:
            leads = key not in self._under_way
            promise = self._under_way.setdefault(key, Future())
        if leads:
            # Whoever waits for it may give up, but may not cancel it for the others.
            promise.set_running_or_notify_cancel()
        return promise, leads

    def settle(self, key: str, found: Found | None) -> None:
        """Keep a promise; None where nothing came of it that others could use."""
        with self._lock:
            promise = self._under_way.pop(key)
        promise.set_result(found)

    def find(self, key: str) -> Found | None:
        """Return a result from memory or disk, or None."""
        with self._lock:
            if key in self._memory:
                self._memory.move_to_end(key)
                return Found(self._memory[key][0], "memory")
        if self._store is None:
            return None
        try:
            value = self._store.linked(key)
        except KeyError:
            return None
        self._remember(key, value)
        return Found(value, "disk")

    def put(self, key: str, value: object, seconds: float) -> None:
        """Keep a result in memory, and on disk where that is worth it and possible.

        Args:
            key: The key.
            value: The result; nobody may change it any more.
            seconds: How long it took to measure.
        """
        self._remember(key, value)
        if self._store is None or seconds < self._worth_s:
            return
        try:
            self._store.link(key, self._store.put(value))
        except (TypeError, OSError):  # of a class nobody declared, or the disk is full: measure it again then
            return

    def _remember(self, key: str, value: object) -> None:
        size = content_bytes(value)
        with self._lock:
            self._bytes -= self._memory.pop(key, (None, 0))[1]
            if size > self._limit_bytes:
                return
            self._memory[key] = (value, size)
            self._bytes += size
            while self._bytes > self._limit_bytes:
                _, (_, freed) = self._memory.popitem(last=False)
                self._bytes -= freed
