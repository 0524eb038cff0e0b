"""How long work tells whoever waits for it, and hears that nobody does any more.

No function has to pass a callback along: both travel in the context.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

from spatial_agent.tools.errors import StoppedError

#: ``progress(what, done, total)``.
Progress = Callable[[str, int, int], None]


def _silent(what: str, done: int, total: int) -> None:
    pass


_stop: ContextVar[Event | None] = ContextVar("spatial_agent_stop", default=None)
_listener: ContextVar[Progress] = ContextVar("spatial_agent_progress", default=_silent)


def report(what: str, done: int, total: int) -> None:
    """Tell the listener of this context that `done` of `total` steps of `what` are finished.

    Raises:
        StoppedError: If the work of this context is to stop.
    """
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise StoppedError(f"stopped after {done} of {total} {what}")
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


@contextmanager
def stopping(event: Event) -> Iterator[None]:
    """Make the next report of this context raise `StoppedError` once the event is set."""
    token = _stop.set(event)
    try:
        yield
    finally:
        _stop.reset(token)


def stop_signal() -> Event | None:
    """Return the event that ends the work of this context, for what waits instead of reporting."""
    return _stop.get()
