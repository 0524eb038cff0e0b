"""What the processes of all providers have in common on the parent's side: two pipes, and a hold on each."""

import asyncio
import fcntl
import os
import signal
from abc import ABC, abstractmethod
from contextlib import suppress

from spatial_agent.sandbox.kernel.usage import Usage, usage_of
from spatial_agent.sandbox.launch import Exit

#: Room in each pipe, where the system grants that much.
PIPE_BYTES = 2**20


class HeldProcess(ABC):
    """A running process of a session; see `spatial_agent.sandbox.launch.ProgramProcess`.

    Args:
        read_fd: Where its frames come out; it belongs to this from here on, as the others do.
        write_fd: Where frames for it go in.
        pid: Its number, in this process's own numbering.
        pidfd: What stands for it without doubt.
    """

    def __init__(self, read_fd: int, write_fd: int, pid: int, pidfd: int) -> None:
        """Take over the descriptors; what it uses counts from now."""
        self.read_fd = read_fd
        self.write_fd = write_fd
        for descriptor in (read_fd, write_fd):
            os.set_blocking(descriptor, False)
            with suppress(OSError):
                fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._pid = pid
        self._pidfd = pidfd
        self._before = self._last = usage_of(pid)
        self._exit: asyncio.Task[Exit] | None = None
        self._closed = False

    def interrupt(self) -> None:
        """Ask it to end its cell."""
        self._send(signal.SIGINT)

    def kill(self) -> None:
        """End it at once."""
        self._send(signal.SIGKILL)

    def usage(self) -> Usage:
        """Return what it uses beyond what it began with; nothing once it is gone."""
        now = usage_of(self._pid)
        if now.peak_bytes == 0:
            return Usage()
        self._last = now
        return now.since(self._before)

    async def wait(self) -> Exit:
        """Wait until it is gone and return how it ended.

        Raises:
            SandboxUnavailableError: If nobody knows, because what started it is gone too.
        """
        if self._exit is None:
            self._exit = asyncio.create_task(self._ended())
        return await asyncio.shield(self._exit)

    def close(self) -> None:
        """Kill what still runs and let go of everything."""
        if self._closed:
            return
        self._closed = True
        self._stop()
        if self._exit is None or self._exit.done():
            self._close_line()
        else:
            # Whoever waits on it has to be gone before its number may be used again.
            self._exit.add_done_callback(lambda _: self._close_line())
            self._exit.cancel()
        for descriptor in (self.read_fd, self.write_fd, self._pidfd):
            os.close(descriptor)
        self._pidfd = -1

    @abstractmethod
    async def _ended(self) -> Exit:
        """Wait for its end at the line that `_close_line` closes."""

    @abstractmethod
    def _stop(self) -> None:
        """Kill it, with everything it started."""

    @abstractmethod
    def _close_line(self) -> None:
        """Close the descriptor by which its end is known."""

    def _send(self, number: int) -> None:
        if self._pidfd < 0:
            return
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)
