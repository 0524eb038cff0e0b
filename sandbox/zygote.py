"""The default provider: sessions are forked from one warm process that is already behind walls.

It needs Linux with Landlock and seccomp, as root or as an ordinary user; namespaces go up where the machine
allows them.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping
from threading import Lock
from typing import Any

from spatial_agent.sandbox.environment import Layer, Sandbox
from spatial_agent.sandbox.held_process import HeldProcess
from spatial_agent.sandbox.kernel.usage import pid_of
from spatial_agent.sandbox.launch import LAYERS, SINGLE_THREADED, Exit
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.sandbox.process import ProcessSandbox
from spatial_agent.sandbox.stream import readable
from spatial_agent.tools.errors import SandboxUnavailableError

#: Wall time the zygote may take to import everything, and to fork.
START_S = 60.0
REPLY_BYTES = 4096
_START = (
    "import os\n"
    f"os.environ.update({SINGLE_THREADED})\n"
    "from spatial_agent.sandbox import zygote_server\n"
    "zygote_server.main()\n"
)


def open_zygote_sandbox(layers: frozenset[Layer] = frozenset(Layer)) -> Sandbox:
    """Return a sandbox whose sessions are forked from a warm process; it starts with the first of them.

    Args:
        layers: The walls that are wanted; all of them, but to see what each is good for.
    """
    return ProcessSandbox(ZygoteLauncher(layers & LAYERS), layers - LAYERS)


class ZygoteProcess(HeldProcess):
    """One forked child; the zygote says how it ended, and kills it when nobody listens any more.

    Args:
        read_fd: Where its frames come out.
        write_fd: Where frames for it go in.
        status: The line to the zygote.
        pidfd: What stands for it.
    """

    def __init__(self, read_fd: int, write_fd: int, status: socket.socket, pidfd: int) -> None:
        """Take over the descriptors."""
        super().__init__(read_fd, write_fd, pid_of(pidfd), pidfd)
        self._status = status

    async def _ended(self) -> Exit:
        said = await _reply(self._status)
        return Exit(said["code"], said["signal"], said["cpu_seconds"])

    def _stop(self) -> None:
        self.kill()

    def _close_line(self) -> None:
        self._status.close()


class ZygoteLauncher:
    """Keeps the zygote, and has it fork; see `spatial_agent.sandbox.launch.Launcher`.

    Args:
        layers: The walls that go up.
    """

    def __init__(self, layers: frozenset[Layer] = LAYERS) -> None:
        """Start nothing yet."""
        self._wanted = layers
        self._zygote: _Zygote | None = None
        self._closed = False
        self._lock = Lock()

    @property
    def name(self) -> str:
        """What this provider is called."""
        return "zygote"

    @property
    def layers(self) -> frozenset[Layer]:
        """The walls that are up; starts the zygote to see."""
        return self._running().layers

    @property
    def pid(self) -> int:
        """Number of the zygote's process."""
        return self._running().pid

    async def start(self, policy: SandboxPolicy) -> ZygoteProcess:
        """Return a forked child that waits for its first frame.

        Raises:
            SandboxUnavailableError: If the zygote cannot be started, or not be reached twice in a row.
        """
        zygote = await asyncio.to_thread(self._running) if self._zygote is None else self._zygote
        try:
            return await zygote.fork(policy)
        except _ZygoteGoneError:
            # It may have been killed by somebody who needed memory; a new one serves as well.
            self._forget(zygote)
        zygote = await asyncio.to_thread(self._running)
        try:
            return await zygote.fork(policy)
        except _ZygoteGoneError as error:
            raise SandboxUnavailableError(f"the zygote dies as soon as it has to fork: {error}") from error

    def close(self) -> None:
        """Stop the zygote, and with it every child."""
        with self._lock:
            self._closed = True
            zygote = self._zygote
        if zygote is not None:
            self._forget(zygote)

    def _running(self) -> "_Zygote":
        with self._lock:
            if self._closed:
                raise SandboxUnavailableError("this sandbox was closed; open another")
            if self._zygote is None:
                self._zygote = _Zygote(self._wanted)
                weakref.finalize(self, self._zygote.close)
            return self._zygote

    def _forget(self, zygote: "_Zygote") -> None:
        with self._lock:
            if self._zygote is zygote:
                self._zygote = None
        zygote.close()


class _ZygoteGoneError(Exception):
    """The zygote does not answer any more."""


class _Zygote:
    """The running zygote."""

    def __init__(self, wanted: frozenset[Layer]) -> None:
        """Start it and wait until it is behind its walls."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-E", "-P", "-c", _START, str(theirs.fileno()), ",".join(sorted(wanted))]
        with theirs:
            self._process = subprocess.Popen(
                command,
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._control = ours
        self._lock = Lock()
        self._closed = False
        self.layers = self._started()

    @property
    def pid(self) -> int:
        """Number of its outermost process."""
        return self._process.pid

    async def fork(self, policy: SandboxPolicy) -> ZygoteProcess:
        """Return a new child."""
        read_fd, child_write = os.pipe2(os.O_CLOEXEC)
        child_read, write_fd = os.pipe2(os.O_CLOEXEC)
        status, child_status = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._order(policy, [child_read, child_write, child_status.fileno()])
            status.setblocking(False)
            pidfd = await _pidfd(status)
        except BaseException:
            status.close()
            os.close(read_fd)
            os.close(write_fd)
            raise
        finally:
            child_status.close()
            os.close(child_read)
            os.close(child_write)
        return ZygoteProcess(read_fd, write_fd, status, pidfd)

    def close(self) -> None:
        """Stop it; the kernel takes its children with it."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._control.close()
        self._process.kill()
        self._process.communicate()

    def _order(self, policy: SandboxPolicy, descriptors: list[int]) -> None:
        order = json.dumps(policy.kernel_limits).encode()
        try:
            socket.send_fds(self._control, [order], descriptors)
        except OSError as error:
            raise _ZygoteGoneError(str(error)) from error

    def _started(self) -> frozenset[Layer]:
        self._control.settimeout(START_S)
        try:
            data = self._control.recv(REPLY_BYTES)
        except TimeoutError:
            data = b""
        said = json.loads(data) if data else {}
        if "layers" not in said:
            self._control.close()
            self._process.kill()
            _, errors = self._process.communicate()
            reason = said.get("failure") or errors.decode(errors="replace").strip() or "it did not start"
            raise SandboxUnavailableError(f"there is no sandbox: {reason}")
        self._control.settimeout(None)
        return frozenset(map(Layer, said["layers"]))


async def _pidfd(status: socket.socket) -> int:
    await readable(status.fileno())
    data, descriptors, _, _ = socket.recv_fds(status, REPLY_BYTES, 1)
    if not data:
        raise _ZygoteGoneError("it closed the line")
    if not descriptors:
        raise SandboxUnavailableError(json.loads(data).get("failure", "no process came"))
    return descriptors[0]


async def _reply(status: socket.socket) -> Mapping[str, Any]:
    await readable(status.fileno())
    data = status.recv(REPLY_BYTES)
    if not data:
        raise SandboxUnavailableError("the zygote is gone, and with it every running program")
    said: Mapping[str, Any] = json.loads(data)
    return said
