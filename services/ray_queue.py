"""Calls that wait for a free replica, taken in turn from every run."""

from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """What a queue has to know of a call."""

    @property
    def run(self) -> str:
        """The run it belongs to."""
        ...

    @property
    def alone(self) -> bool:
        """Whether it must not share a batch."""
        ...


Item = TypeVar("Item", bound=Waiting)


class FairQueue(Generic[Item]):
    """First come, first served within a run; runs take turns, so none waits for all calls of another."""

    def __init__(self) -> None:
        """Start empty."""
        self._runs: OrderedDict[str, deque[Item]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of waiting calls."""
        return sum(map(len, self._runs.values()))

    def __iter__(self) -> Iterator[Item]:
        """Iterate over the waiting calls, run by run."""
        return (item for items in self._runs.values() for item in items)

    def add(self, item: Item) -> None:
        """Append a call to its run's."""
        self._runs.setdefault(item.run, deque()).append(item)

    def put_back(self, items: Sequence[Item]) -> None:
        """Put calls that were taken before first in their runs, and their runs first in turn."""
        for item in reversed(items):
            self._runs.setdefault(item.run, deque()).appendleft(item)
            self._runs.move_to_end(item.run, last=False)

    def remove(self, item: Item) -> bool:
        """Take a call out; returns whether it was waiting."""
        items = self._runs.get(item.run, deque())
        if item not in items:
            return False
        items.remove(item)
        if not items:
            del self._runs[item.run]
        return True

    def take(self, most: int = 1) -> list[Item]:
        """Take the calls to run together next: one run's turn after the other's.

        A call that has to be alone comes alone.
        """
        taken: list[Item] = []
        while self._runs and len(taken) < most:
            if taken and next(iter(self._runs.values()))[0].alone:
                break
            taken.append(self._pop())
            if taken[0].alone:
                break
        return taken

    def _pop(self) -> Item:
        run, items = next(iter(self._runs.items()))
        item = items.popleft()
        if items:
            self._runs.move_to_end(run)
        else:
            del self._runs[run]
        return item
