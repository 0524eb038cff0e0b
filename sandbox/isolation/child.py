"""The process of an isolated expert, seen from its parent: started, watched, asked, killed."""

import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from spatial_agent.sandbox.isolation import protocol
from spatial_agent.sandbox.isolation.origin import Origin, search_paths
from spatial_agent.sandbox.isolation.protocol import Operation
from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.sandbox.kernel.usage import usage_of
from spatial_agent.tools.errors import (
    SandboxUnavailableError,
    ToolCrashedError,
    ToolError,
    ToolTimeoutError,
    WireError,
)
from spatial_agent.tools.progress import stop_signal

GIGA = 1e9
#: Wall time between starting a process and its being ready to be told what it is, seconds.
START_S = 30.0
#: How often memory is looked at, and whether anybody still waits, seconds.
_WATCH_S, _WAIT_S = 0.1, 0.05
_SAID_BYTES = 2000
_WORKER = "spatial_agent.sandbox.isolation.worker"
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
#: Which of its GPUs a cluster lent: the one variable of the caller's environment that is passed on.
_LENT_GPUS = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Surroundings:
    """What the process of an expert is started with.

    Attributes:
        name: The tool's name, for messages.
        origin: Where its code lies.
        weights: Path of its weights, or None.
        on_gpu: Whether it sees the machine's GPUs.
        threads: Threads of its numeric libraries.
        memory_gb: Memory it may hold, 10^9 bytes.
    """

    name: str
    origin: Origin
    weights: str | None
    on_gpu: bool
    threads: int
    memory_gb: float


class Child:
    """One process behind bubblewrap.

    Args:
        surroundings: What it is started with.

    Raises:
        SandboxUnavailableError: If none can be started here.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        """Start it and wait until it is ready."""
        reason = bwrap.why_not()
        if reason is not None:
            raise SandboxUnavailableError(reason)
        self.name = surroundings.name
        self._memory_bytes = int(surroundings.memory_gb * GIGA)
        self._said = b""
        self._ended_because: str | None = None
        self._pid = 0
        self._has_begun = threading.Event()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            protocol.ask_for_sender(self._channel)
            command = _command(surroundings, theirs.fileno())
            # The kernel kills it when the thread that started it ends: it needs one of its own.
            self._watcher = threading.Thread(
                target=self._live, args=(command, theirs.fileno()), name=f"watch {self.name}", daemon=True
            )
            self._watcher.start()
            self._has_begun.wait()
        self._await_ready()

    @property
    def is_alive(self) -> bool:
        """Whether it runs, or nobody has noticed yet that it does not."""
        return self._watcher.is_alive()

    def ask(self, operation: Operation, arguments: object, limit_s: float) -> object:
        """Return its answer; one that fails to give any is killed.

        Args:
            operation: What it is to do.
            arguments: With what.
            limit_s: Wall time it has, where nobody can stop the work of this context.

        Raises:
            WireError: If the arguments cannot be sent.
            ToolTimeoutError: If it was killed because it took too long, or nobody waits any more.
            ToolCrashedError: If it died, or what it sent is no answer.
            ToolError: If the expert raised it.
        """
        try:
            answer = protocol.send_request(self._channel, operation, arguments)
        except OSError as error:
            raise self._crashed(error) from error
        try:
            self._await_answer(limit_s)
        except BaseException:
            os.close(answer)
            # An answer that comes too late would be taken for the next one.
            self.kill("nobody waited for it")
            raise
        try:
            return protocol.receive_answer(self._channel, answer)
        except (WireError, EOFError, OSError) as error:
            raise self._crashed(error) from error

    def kill(self, reason: str = "it was closed") -> None:
        """End it with everything it started, and wait until it is gone; killing twice is no error."""
        self._ended_because = self._ended_because or reason
        self._channel.close()
        self._wake()
        if threading.current_thread() is not self._watcher:
            self._watcher.join()

    def _await_ready(self) -> None:
        self._channel.settimeout(START_S)
        try:
            self._pid = protocol.receive_ready(self._channel)
            self._channel.settimeout(None)
        except (WireError, EOFError, OSError) as error:
            self.kill("it did not start")
            said = protocol.printable(self._said.decode(errors="replace")).strip()
            raise SandboxUnavailableError(
                f"the process of {self.name} did not start ({said or error}); spatial-agent doctor says more"
            ) from error

    def _await_answer(self, limit_s: float) -> None:
        stop, deadline = stop_signal(), time.monotonic() + limit_s
        waiting = select.poll()
        waiting.register(self._channel, select.POLLIN)
        while not waiting.poll(_WAIT_S * 1000):
            is_over = stop.is_set() if stop is not None else time.monotonic() > deadline
            if is_over:
                self.kill("it took too long")
                raise ToolTimeoutError(
                    f"{self.name} did not finish in time and was stopped; ask for less, or allow more time"
                )

    def _crashed(self, error: Exception) -> ToolError:
        # What it was killed for says more than that it is gone.
        self._watcher.join(_WATCH_S if isinstance(error, EOFError | OSError) else 0)
        reason = self._ended_because or str(error)
        self.kill(reason)
        return ToolCrashedError(f"{self.name} broke down in its own process: {reason}; choose another tool")

    def _live(self, command: Sequence[str], descriptor: int) -> None:
        """Run it to its end; what holds for whoever starts a process ends with this thread."""
        awake, self._waker = os.pipe()
        try:
            process = _started(command, descriptor)
        except OSError as error:
            self._said = str(error).encode()
            os.close(awake)
            return
        finally:
            self._has_begun.set()
        with process:
            self._watch(process, awake)
            process.kill()
        os.close(awake)

    def _watch(self, process: subprocess.Popen[bytes], awake: int) -> None:
        said = process.stderr.fileno()  # type: ignore[union-attr]
        waiting = select.poll()
        for descriptor in (said, awake):
            waiting.register(descriptor, select.POLLIN)
        while process.poll() is None and self._ended_because is None:
            for descriptor, _ in waiting.poll(_WATCH_S * 1000):
                if descriptor == said:
                    self._listen(said, waiting)
            self._check_memory()
        self._ended_because = self._ended_because or f"it ended with status {process.poll()}"

    def _listen(self, said: int, waiting: select.poll) -> None:
        """Keep the first of what it prints: after its start that is a stranger's, and nobody reads it."""
        data = os.read(said, 65536)
        if not data:
            waiting.unregister(said)
        self._said = (self._said + data)[:_SAID_BYTES]

    def _check_memory(self) -> None:
        held = usage_of(self._pid).memory_bytes if self._pid else 0
        if held > self._memory_bytes:
            self._ended_because = (
                f"it held {held / GIGA:.2f} GB of memory of {self._memory_bytes / GIGA:g} GB"
            )

    def _wake(self) -> None:
        waker, self._waker = self._waker, -1
        if waker != -1:
            os.close(waker)


def _started(command: Sequence[str], descriptor: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        pass_fds=(descriptor,),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        cwd="/",
        env={},
    )


def _command(surroundings: Surroundings, descriptor: int) -> list[str]:
    origin = surroundings.origin
    variables = dict.fromkeys(_THREAD_VARIABLES, str(surroundings.threads))
    variables["PYTHONPATH"] = os.pathsep.join(search_paths(origin))
    if surroundings.on_gpu and _LENT_GPUS in os.environ:  # noqa: TID251 - a cluster's lending, no setting
        variables[_LENT_GPUS] = os.environ[_LENT_GPUS]  # noqa: TID251
    return bwrap.command(
        [sys.executable, "-P", "-s", "-m", _WORKER, str(descriptor)],
        readable=[*origin.readable, *([surroundings.weights] if surroundings.weights else [])],
        devices=bwrap.gpu_devices() if surroundings.on_gpu else [],
        environment=variables,
    )
