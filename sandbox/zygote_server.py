"""The zygote: a warm process behind the walls that forks one child for each session.

It is started with an empty environment, imports whatever programs may use, goes behind its namespaces, and
from then on only reads orders from one socket. It never runs a program itself, so that nothing a program
does can be inherited by the next.
"""

import gc
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from spatial_agent.sandbox import worker
from spatial_agent.sandbox.enclosure import check_kernel
from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.kernel import limits, namespaces, privileges, seccomp
from spatial_agent.sandbox.messages import READ_FD, WRITE_FD
from spatial_agent.sandbox.zygote_child import ORDER_BYTES, become_child
from spatial_agent.tools.errors import SandboxUnavailableError


@dataclass(frozen=True)
class Spare:
    """A child that waits for its order.

    Attributes:
        pid: Its number among the zygote's children.
        line: Where it waits.
    """

    pid: int
    line: socket.socket


@dataclass(frozen=True)
class Child:
    """A child with an order.

    Attributes:
        pid: Its number among the zygote's children.
        pidfd: What stands for it without doubt.
        status: Where its end is reported; its other side is closed when nobody wants the child any more.
        deadline: Monotonic time at which it is killed whatever anybody says.
    """

    pid: int
    pidfd: int
    status: socket.socket
    deadline: float


class Server:
    """Forks children as ordered, reports how they end, and kills what nobody wants any more.

    One child is always forked ahead, so that whoever orders one need not wait for the fork.

    Args:
        control: Where orders come from; everything ends when its other side is closed.
        layers: The walls that go up for each child.
        mapped: Bytes of address space a child starts with.
        numbering: Descriptor of the zygote's own process numbering, or None where it has none.
    """

    def __init__(
        self, control: socket.socket, layers: frozenset[Layer], mapped: int, numbering: int | None
    ) -> None:
        """Start with no child."""
        self._control = control
        self._layers = layers
        self._mapped = mapped
        self._numbering = numbering
        self._children: dict[int, Child] = {}
        self._spare: Spare | None = None
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def serve(self) -> None:
        """Work until nobody can send an order any more."""
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll(self._patience_ms())}
            if not ready and self._spare is None:
                with suppress(OSError):
                    self._spare = self._fork()
            if self._control.fileno() in ready and not self._take_order():
                return
            for child in list(self._children.values()):
                self._look_after(child, ready)

    def _patience_ms(self) -> float | None:
        if self._spare is None:
            return 0.0
        if not self._children:
            return None
        nearest = min(child.deadline for child in self._children.values())
        return max(0.0, nearest - time.monotonic()) * 1000 + 1

    def _take_order(self) -> bool:
        order, descriptors, _, _ = socket.recv_fds(self._control, ORDER_BYTES, 3)
        if not order:
            return False
        read_fd, write_fd, status_fd = descriptors
        status = socket.socket(fileno=status_fd)
        try:
            child = self._ordered(order, [read_fd, write_fd], status)
        except OSError as error:
            _say(status, {"failure": f"no process could be made: {error.strerror}"})
            status.close()
        else:
            self._children[child.pid] = child
            self._poll.register(child.pidfd, select.POLLIN)
            self._poll.register(status, 0)
            with suppress(OSError):
                socket.send_fds(status, [b"{}"], [child.pidfd])
        finally:
            os.close(read_fd)
            os.close(write_fd)
        return True

    def _ordered(self, order: bytes, descriptors: list[int], status: socket.socket) -> Child:
        """Hand an order to the child that waits, or to a new one where that has died."""
        deadline = time.monotonic() + json.loads(order)["session_s"]
        spare, self._spare = self._spare or self._fork(), None
        try:
            socket.send_fds(spare.line, [order], descriptors)
        except OSError:
            spare.line.close()
            os.waitpid(spare.pid, 0)
            spare = self._fork()
            socket.send_fds(spare.line, [order], descriptors)
        spare.line.close()
        return Child(spare.pid, os.pidfd_open(spare.pid), status, deadline)

    def _fork(self) -> Spare:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                if self._numbering is not None:
                    namespaces.number_children_anew(self._numbering)
                pid = os.fork()
            except OSError:
                ours.close()
                raise
            if pid == 0:
                become_child(theirs, self._layers, self._mapped)
        return Spare(pid, ours)

    def _look_after(self, child: Child, ready: set[int]) -> None:
        if child.pidfd in ready:
            self._bury(child)
        elif child.status.fileno() in ready or time.monotonic() >= child.deadline:
            # Nobody waits for it any more, or nobody should.
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
            self._bury(child)

    def _bury(self, child: Child) -> None:
        _, status, usage = os.wait4(child.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        ended = {"code": code if code >= 0 else None, "signal": -code if code < 0 else None}
        _say(child.status, ended | {"cpu_seconds": usage.ru_utime + usage.ru_stime})
        self._poll.unregister(child.pidfd)
        self._poll.unregister(child.status)
        os.close(child.pidfd)
        child.status.close()
        del self._children[child.pid]


def main() -> None:
    """Start from the command line: number of the control socket, names of the wanted layers."""
    control = socket.socket(fileno=int(sys.argv[1]))
    wanted = frozenset(Layer(name) for name in sys.argv[2].split(",") if name)
    try:
        check_kernel(wanted)
        worker.preload()
        layers = _go_behind(wanted, control)
        mapped = limits.mapped_bytes()
        numbering = None
        if Layer.NAMESPACES in layers:
            numbering = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
            namespaces.empty_root()
    except (OSError, SandboxUnavailableError) as error:
        _say(control, {"failure": f"{type(error).__name__}: {error}"})
        sys.exit(1)
    # Python and the start-up put a few settings in; programs see none at all.
    os.environ.clear()  # noqa: TID251
    if Layer.SECCOMP in layers:
        # Put together here, and not by every child.
        seccomp.own_allow_list(READ_FD, WRITE_FD)
    gc.collect()
    gc.freeze()
    _say(control, {"layers": sorted(layers)})
    Server(control, layers, mapped, numbering).serve()
    # As the first process of its namespace it takes every child with it.
    os._exit(0)


def _go_behind(wanted: frozenset[Layer], control: socket.socket) -> frozenset[Layer]:
    """Go behind what all children share; return the layers that are up."""
    privileges.keep_only({0, 1, 2, control.fileno()})
    threads = len(os.listdir("/proc/self/task"))
    if threads != 1:
        raise SandboxUnavailableError(f"the zygote has {threads} threads; it must have one to be forked")
    way = _way_in(Layer.IDENTITY in wanted) if Layer.NAMESPACES in wanted else None
    if way is None:
        # Whichever walls are left out, this machine stays what it is.
        namespaces.keep_mounts_apart()
        return wanted - {Layer.NAMESPACES}
    way()
    _go_on_as_first_process(control)
    return wanted


def _way_in(as_nobody: bool) -> Callable[[], None] | None:
    """Return how this machine lets a process enter namespaces, if it does."""

    def as_ordinary_user() -> None:
        if as_nobody:
            privileges.become_nobody()
        namespaces.enter(privileges.NOBODY if as_nobody else os.geteuid())

    return next((way for way in (as_ordinary_user, namespaces.enter_as_root) if _works(way)), None)


def _works(way: Callable[[], None]) -> bool:
    """Try something that cannot be undone, in a process of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            way()
        except OSError:
            os._exit(1)
        os._exit(0)
    return os.waitpid(pid, 0)[1] == 0


def _go_on_as_first_process(control: socket.socket) -> None:
    """Return in a child that is the first process of the new numbering; the caller only waits for it."""
    pid = os.fork()
    if pid:
        control.close()
        os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)
    privileges.die_with_parent()


def _say(to: socket.socket, what: Mapping[str, Any]) -> None:
    # Whoever wanted to know may be gone.
    with suppress(OSError):
        to.send(json.dumps(what).encode())
