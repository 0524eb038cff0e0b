"""How long work tells whoever waits for it, without every function passing a callback along."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

#: ``progress(what, done, total)``.
Progress = Callable[[str, int, int], None]


def _silent(what: str, done: int, total: int) -> None:
    pass


_listener: ContextVar[Progress] = ContextVar("spatial_agent_progress", default=_silent)


def report(what: str, done: int, total: int) -> None:
    """Tell the listener of this context that `done` of `total` steps of `what` are finished."""
    _listener.get()(what, done, total)


@contextmanager
def listening(progress: Progress) -> Iterator[None]:
    """Send reports made in this context, and in tasks and threads started from it, to `progress`.

    >>> with listening(lambda what, done, total: print(what, done, total)):
    ...     report("frames", 1, 3)
    frames 1 3
    """
    token = _listener.set(progress)
    try:
        yield
    finally:
        _listener.reset(token)
