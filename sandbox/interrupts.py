"""SIGINT, by which the parent ends a cell politely: raised in the program, never in the middle of a frame."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: Calls that talking to the parent may need on top of those of a program that is deep in a recursion.
_HEADROOM = 300


class Interrupts:
    """Turns one SIGINT of a cell into one KeyboardInterrupt, at a moment when nothing of ours can break.

    Attributes:
        was_raised: Whether the cell that runs, or ran last, was interrupted.
    """

    def __init__(self) -> None:
        """Raise nothing yet."""
        self.was_raised = False
        self._may_raise = False
        self._waits = False
        self._depth = sys.getrecursionlimit()

    def install(self) -> None:
        """Take over SIGINT; makes no system call where that was done before."""
        if signal.getsignal(signal.SIGINT) != self._receive:
            signal.signal(signal.SIGINT, self._receive)

    @contextmanager
    def raised(self) -> Iterator[None]:
        """While a program's own code runs; an interrupt meant for the cell before is forgotten."""
        self._waits = self.was_raised = False
        self._may_raise = True
        try:
            yield
        finally:
            self._may_raise = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """While a frame is sent or received: what comes meanwhile is raised afterwards."""
        before, self._may_raise = self._may_raise, False
        sys.setrecursionlimit(self._depth + _HEADROOM)
        try:
            yield
        finally:
            # Refused to a program that stands exactly at the limit; the next message puts it right.
            with suppress(RecursionError):
                sys.setrecursionlimit(self._depth)
            self._may_raise = before
        if before and self._waits:
            self._raise()

    def _receive(self, number: int, frame: object) -> None:
        if self._may_raise:
            self._raise()
        self._waits = True

    def _raise(self) -> None:
        # Once is enough: whoever goes on regardless is killed, and what follows is not disturbed again.
        self._may_raise = self._waits = False
        self.was_raised = True
        raise KeyboardInterrupt


#: A process has one SIGINT, and so one of these.
INTERRUPTS = Interrupts()
