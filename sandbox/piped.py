"""Processes of sessions that are started one by one, each with its two pipes; whatever walls it has.

The started program says by one message over a socket that it has loaded everything. With the message the
kernel tells which process sent it, also where that is in a process numbering of its own.
"""

import asyncio
import fcntl
import os
import signal
import socket
import struct
import subprocess
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from spatial_agent.sandbox.held_process import HeldProcess
from spatial_agent.sandbox.launch import SINGLE_THREADED, Exit
from spatial_agent.sandbox.messages import WRITE_FD
from spatial_agent.sandbox.stream import readable
from spatial_agent.tools.errors import SandboxUnavailableError

#: Wall time a process may take to import everything.
START_S = 60.0
#: Longest part of what a failed start wrote that is told.
_TOLD_BYTES = 2000
#: Above the numbers that the pipes get inside.
_FIRST_FREE = WRITE_FD + 1
#: The parent, who knows why, is the first to end a session that takes too long.
_ALARM_LATE_S = 0.5
_CREDENTIALS = struct.Struct("3i")
_UP = b"up"


@dataclass(frozen=True)
class Ends:
    """Descriptors of a started program.

    Attributes:
        read_fd: Where its frames come in.
        write_fd: Where its frames go out.
        line_fd: Where it says that it is up.
    """

    read_fd: int
    write_fd: int
    line_fd: int

    def take(self, session_s: float) -> None:
        """Say that this process is up, give the pipes their numbers, and close everything else.

        Args:
            session_s: Wall time after which the process ends whatever anybody does.
        """
        from spatial_agent.sandbox.worker import take_pipes

        signal.setitimer(signal.ITIMER_REAL, session_s + _ALARM_LATE_S)
        with socket.socket(fileno=self.line_fd) as line:
            line.send(_UP)
        take_pipes(self.read_fd, self.write_fd)


class PipedProcess(HeldProcess):
    """One started process.

    Args:
        outer: What was started here: the program itself, or what puts it behind walls.
        pid: The program's process, in this process's own numbering.
        read_fd: Where its frames come out.
        write_fd: Where frames for it go in.
        first_signal: Exit code of `outer` that stands for signal 0 of the program, or None where `outer` is
            the program.

    Raises:
        ProcessLookupError: If the program is gone already.
    """

    def __init__(
        self,
        outer: "subprocess.Popen[bytes]",
        pid: int,
        read_fd: int,
        write_fd: int,
        first_signal: int | None,
    ) -> None:
        """Take over the descriptors."""
        super().__init__(read_fd, write_fd, pid, os.pidfd_open(pid))
        self._outer = outer
        self._outer_pidfd = os.pidfd_open(outer.pid)
        self._first_signal = first_signal
        self._is_over = False

    def end(self) -> None:
        """Kill it and all it started, because its sandbox is closed; whoever waits for it is told."""
        self._is_over = True
        self.kill()
        _end(self._outer)

    async def _ended(self) -> Exit:
        await readable(self._outer_pidfd)
        code = _end(self._outer)
        if self._is_over:
            raise SandboxUnavailableError("the sandbox was closed, and with it every running program")
        cpu_seconds = self._last.cpu_seconds - self._before.cpu_seconds
        if code < 0:
            number = -code
        elif self._first_signal is not None and code > self._first_signal:
            number = code - self._first_signal
        else:
            return Exit(code, None, cpu_seconds)
        # Its alarm ends it in its parent's stead.
        return Exit(None, signal.SIGKILL if number == signal.SIGALRM else number, cpu_seconds)

    def _stop(self) -> None:
        self.end()

    def _close_line(self) -> None:
        os.close(self._outer_pidfd)


class PipedLauncher:
    """Starts processes, and stops those that are left.

    The kernel ends them when the thread that started them does: one of its own, which lives until `close`.

    Args:
        name: What the provider is called.
        first_signal: See `PipedProcess`.
    """

    def __init__(self, name: str, first_signal: int | None = None) -> None:
        """Start nothing yet."""
        self._name = name
        self._first_signal = first_signal
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._running: weakref.WeakSet[PipedProcess] = weakref.WeakSet()
        self._closed = False

    @property
    def name(self) -> str:
        """What this provider is called."""
        return self._name

    async def started(self, command: Callable[[Ends], list[str]]) -> PipedProcess:
        """Return a started process that has loaded everything and waits for its first frame.

        Args:
            command: Gives the command line for its descriptors.

        Raises:
            SandboxUnavailableError: If it does not start; says what it wrote.
        """
        if self._closed:
            raise SandboxUnavailableError("this sandbox was closed; open another")
        read_fd, child_write = os.pipe2(os.O_CLOEXEC)
        child_read, write_fd = os.pipe2(os.O_CLOEXEC)
        line, child_line = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        line.setblocking(False)
        outer: subprocess.Popen[bytes] | None = None
        try:
            with _given(child_read, child_write, child_line.detach()) as ends:
                outer = await self._spawned(command(ends), ends)
            pid = await _up(line, outer)
            process = PipedProcess(outer, pid, read_fd, write_fd, self._first_signal)
        except BaseException as error:
            os.close(read_fd)
            os.close(write_fd)
            if outer is not None:
                _end(outer)
            if isinstance(error, ProcessLookupError):
                raise SandboxUnavailableError("a program's process was killed while it started") from error
            raise
        finally:
            line.close()
        self._running.add(process)
        return process

    def close(self) -> None:
        """Stop every process; their descriptors stay open for whoever looks after them."""
        self._closed = True
        for process in list(self._running):
            process.end()
        self._thread.shutdown(wait=False)

    async def _spawned(self, command: list[str], ends: Ends) -> "subprocess.Popen[bytes]":
        spawning = self._thread.submit(_spawn, command, ends)
        try:
            return await asyncio.wrap_future(spawning)
        except asyncio.CancelledError:
            # It may be under way all the same.
            spawning.add_done_callback(lambda done: None if done.cancelled() else _end(done.result()))
            raise
        except OSError as error:
            raise SandboxUnavailableError(f"a program's process cannot be started: {error}") from error


@contextmanager
def _given(read_fd: int, write_fd: int, line_fd: int) -> Iterator[Ends]:
    """Give descriptors numbers that nothing inside stands in the way of, and close them at the end."""
    high = [
        fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _FIRST_FREE) for number in (read_fd, write_fd, line_fd)
    ]
    try:
        yield Ends(*high)
    finally:
        for descriptor in (read_fd, write_fd, line_fd, *high):
            os.close(descriptor)


def _spawn(command: list[str], ends: Ends) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        env=SINGLE_THREADED,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=(ends.read_fd, ends.write_fd, ends.line_fd),
        start_new_session=True,
    )


async def _up(line: socket.socket, outer: "subprocess.Popen[bytes]") -> int:
    """Wait until a program says that it is up; return its process, as the kernel knows it."""
    try:
        async with asyncio.timeout(START_S):
            await readable(line.fileno())
    except TimeoutError:
        raise SandboxUnavailableError(f"a program's process was not up within {START_S:g} s") from None
    said, extra, _, _ = line.recvmsg(len(_UP), socket.CMSG_SPACE(_CREDENTIALS.size))
    if said != _UP:
        outer.kill()
        _, errors = await asyncio.to_thread(outer.communicate)
        reason = errors.decode(errors="replace").strip()[-_TOLD_BYTES:] or f"exit code {outer.returncode}"
        raise SandboxUnavailableError(f"a program's process did not start: {reason}")
    if outer.stderr is not None:
        outer.stderr.close()
    pid: int = next(_CREDENTIALS.unpack(data)[0] for _, kind, data in extra if kind == socket.SCM_CREDENTIALS)
    return pid


def _end(outer: "subprocess.Popen[bytes]") -> int:
    """Kill what was started and all of its group, whether or not it has ended; return its exit code."""
    if outer.returncode is None:
        # Not waited for yet, its number still stands for it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(outer.pid, signal.SIGKILL)
    if outer.stderr is not None:
        outer.stderr.close()
    return outer.wait()
