"""One session from the parent's side: what its program says is checked, counted and answered here."""

import asyncio
import itertools
import logging
import math
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from spatial_agent.sandbox import messages
from spatial_agent.sandbox.environment import (
    Layer,
    ProgramAnswer,
    ProgramError,
    ProgramResult,
    SandboxSession,
    ShownImage,
)
from spatial_agent.sandbox.kernel.usage import Usage
from spatial_agent.sandbox.launch import Exit, Launcher, ProgramProcess
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.sandbox.stream import FrameStream, StreamEndedError
from spatial_agent.sandbox.tool_desk import ToolDesk
from spatial_agent.tools.contract import ToolResult, ToolRunner
from spatial_agent.tools.errors import SandboxClosedError, SandboxUnavailableError, WireError

_log = logging.getLogger(__name__)
_numbers = itertools.count(1)
#: How often limits are looked at while a cell runs.
WATCH_INTERVAL_S = 0.02
#: Time a program has to end by itself after it was asked to.
GRACE_S = 0.5
#: What starts a session's time for whoever kills it at its end may be this much earlier.
CLOCKS_DIFFER_S = 0.1
#: Time a started process may take to be ready.
READY_S = 60.0
#: What the exit codes of a session's process say.
_CHILD_ERRORS = {
    messages.BROKEN_FRAME: "it did not understand its parent",
    messages.NO_MEMORY: "a message from its parent found no room in memory",
    messages.NOT_ENCLOSED: "its walls did not go up",
}
#: Memory that counts as held without being the program's: pages of libraries it is the first to touch.
_TOUCHED_BYTES = 32 * 2**20
_MEGA = 2**20
#: Limits at which a process is killed; the others end a cell without that.
KilledAt = Literal["wall", "cpu", "session", "memory", "output"]


@dataclass
class _Cell:
    """What came of the running cell so far."""

    text: list[str] = field(default_factory=list)
    text_bytes: int = 0
    dropped_bytes: int = 0
    images: list[ShownImage] = field(default_factory=list)
    answer: ProgramAnswer | None = None
    error: ProgramError | None = None


class _Killed(Exception):
    """The session's process had to be ended, or ended itself."""

    def __init__(self, error: ProgramError) -> None:
        super().__init__(error.message)
        self.error = error


class ProcessSession(SandboxSession):
    """A session in a process of its own.

    Args:
        launcher: Starts the process, with the first cell.
        layers: Whether `Layer.SYNTAX` and `Layer.WATCH` are up.
        inputs: Variables of its programs.
        tools: Where its tool calls go.
        policy: Its limits.
    """

    def __init__(
        self,
        launcher: Launcher,
        layers: frozenset[Layer],
        inputs: Mapping[str, object],
        tools: ToolRunner | None,
        policy: SandboxPolicy,
    ) -> None:
        """Start nothing yet."""
        self._launcher = launcher
        self._layers = layers
        self._policy = policy
        self._setup: bytes | None = messages.to_child(
            messages.Setup(
                tuple(sorted(policy.imports)),
                inputs,
                policy.output_bytes,
                policy.message_bytes,
                policy.images,
                Layer.SYNTAX in layers,
            )
        )
        self._desk = ToolDesk(tools, policy, f"p{next(_numbers)}")
        self._process: ProgramProcess | None = None
        self._stream: FrameStream | None = None
        self._closed: str | None = None
        self._running: asyncio.Future[None] | None = None
        self._conversation: asyncio.Task[None] | None = None
        self._cells = 0
        self._started_at = math.inf
        self._usage = Usage()

    @property
    def closed(self) -> str | None:
        """Why no further cell can run, or None."""
        return self._closed

    async def run(self, cell: str) -> ProgramResult:
        """Run a cell."""
        if self._closed is not None:
            raise SandboxClosedError(f"this session has ended: {self._closed}; open another")
        if self._running is not None:
            raise SandboxClosedError("this session still runs a cell; wait for it, or open another session")
        self._running = asyncio.get_running_loop().create_future()
        try:
            return await self._checked(cell)
        except BaseException as error:
            self._end(f"a cell was given up ({type(error).__name__})")
            raise
        finally:
            self._running.set_result(None)
            self._running = None

    async def close(self) -> None:
        """Kill the process and let go of it; a cell that runs ends with a `SandboxClosedError`."""
        if self._running is not None and self._conversation is not None:
            self._closed = self._closed or "it was closed"
            self._conversation.cancel()
            await asyncio.wait({self._running})
        self._end("it was closed")

    async def _checked(self, source: str) -> ProgramResult:
        try:
            frame = messages.to_child(messages.Cell(source))
        except WireError as error:
            return ProgramResult(error=ProgramError("refused", f"this is no program: {error}"))
        self._cells += 1
        if self._cells > self._policy.cells:
            self._end(f"its {self._policy.cells} cells are used up")
            message = f"the session's {self._policy.cells} cells are used up; answer with what is known"
            return ProgramResult(error=ProgramError("limit", message, "cells"))
        process, stream = await self._ready()
        if Layer.WATCH in self._layers and time.monotonic() - self._started_at > self._policy.session_s:
            killed = self._killed("session")
            self._end(killed.error.message)
            return ProgramResult(error=killed.error)
        return await self._run(process, stream, frame)

    async def _ready(self) -> tuple[ProgramProcess, FrameStream]:
        """Return the process, started and set up."""
        if self._process is None or self._stream is None:
            self._process = await self._launcher.start(self._policy)
            self._started_at = time.monotonic()
            limit = self._policy.message_bytes + messages.HEADROOM_BYTES
            self._stream = FrameStream(self._process.read_fd, self._process.write_fd, limit)
            try:
                async with asyncio.timeout(READY_S):
                    await self._set_up(self._process, self._stream)
            except TimeoutError:
                raise SandboxUnavailableError(f"a process was not ready within {READY_S:g} s") from None
        return self._process, self._stream

    async def _set_up(self, process: ProgramProcess, stream: FrameStream) -> None:
        setup, self._setup = self._setup, None
        try:
            await stream.send(setup or b"")
            first = messages.from_child(await stream.receive())
        except StreamEndedError:
            ended = await process.wait()
            reason = _CHILD_ERRORS.get(
                ended.code or 0, f"it ended ({_ending(ended)}); are its inputs too large?"
            )
            raise SandboxUnavailableError(f"a program's process could not be set up: {reason}") from None
        except WireError as error:
            raise SandboxUnavailableError(f"a program's process began with noise: {error}") from None
        if not isinstance(first, messages.Ready):
            raise SandboxUnavailableError(f"a program's process began with {type(first).__name__}")

    async def _run(self, process: ProgramProcess, stream: FrameStream, frame: bytes) -> ProgramResult:
        cell = _Cell()
        calls_before = len(self._desk.results)
        started = time.monotonic()
        tools_before = self._desk.seconds
        stream.received_bytes = 0
        self._conversation = asyncio.create_task(self._converse(stream, frame, cell))
        killed: _Killed | None = None
        try:
            await self._watched(process, stream, self._conversation, started, tools_before)
        except _Killed as end:
            killed = end
        finally:
            # Only when nobody waits for the pipes any more may they be closed: numbers are used again.
            self._conversation.cancel()
            await asyncio.wait({self._conversation})
            self._conversation = None
        self._usage = _most(self._usage, process.usage())
        if killed is not None:
            cell.error = killed.error
            self._end(killed.error.message)
        seconds = time.monotonic() - started - (self._desk.seconds - tools_before)
        return self._result(cell, tuple(self._desk.results[calls_before:]), seconds)

    def _result(self, cell: _Cell, results: tuple[ToolResult, ...], seconds: float) -> ProgramResult:
        output = "".join(cell.text)
        if cell.dropped_bytes:
            output += f"\n[output cut: {cell.dropped_bytes} bytes more; print less, or only what decides]"
        error = cell.error
        if error is not None and error.kind == "exception" and self._desk.is_used_up:
            message = f"{error.message}\nthe session's {self._policy.calls} tool calls are used up"
            error = replace(error, kind="limit", limit="calls", message=message)
        return ProgramResult(
            answer=cell.answer,
            output=output,
            images=tuple(cell.images),
            results=results,
            error=error,
            seconds=max(0.0, seconds),
            cpu_seconds=self._usage.cpu_seconds,
            peak_mb=self._usage.peak_bytes / _MEGA,
        )

    async def _watched(
        self,
        process: ProgramProcess,
        stream: FrameStream,
        conversation: "asyncio.Task[None]",
        started: float,
        tools_before: float,
    ) -> None:
        """Wait for the cell's end while looking at its limits."""
        interrupted_at: float | None = None
        while not conversation.done():
            await asyncio.wait({conversation}, timeout=WATCH_INTERVAL_S)
            if conversation.done() or Layer.WATCH not in self._layers:
                continue
            now = time.monotonic()
            self._check_limits(process, stream, now)
            if now - started - (self._desk.seconds_now(now) - tools_before) <= self._policy.wall_s:
                continue
            if interrupted_at is None:
                interrupted_at = now
                process.interrupt()
            elif now - interrupted_at > GRACE_S:
                raise self._killed("wall")
        if conversation.cancelled():
            raise SandboxClosedError("the session was closed while its cell ran")
        try:
            conversation.result()
        except StreamEndedError:
            raise _Killed(await self._why_silent(process)) from None
        except WireError as error:
            _log.warning("a program broke the protocol and was killed: %s", error)
            message = (
                f"its process spoke to its parent in another way than programs do ({error}) and was killed"
            )
            raise _Killed(ProgramError("violation", message)) from None

    def _check_limits(self, process: ProgramProcess, stream: FrameStream, now: float) -> None:
        policy = self._policy
        self._usage = usage = _most(self._usage, process.usage())
        if usage.memory_bytes > policy.memory_mb * _MEGA + _TOUCHED_BYTES:
            raise self._killed("memory")
        if usage.cpu_seconds > policy.cpu_s:
            raise self._killed("cpu")
        if now - self._started_at > policy.session_s:
            raise self._killed("session")
        if stream.received_bytes > policy.cell_bytes:
            raise self._killed("output")

    def _killed(self, limit: KilledAt) -> _Killed:
        policy = self._policy
        what = {
            "wall": f"it ran longer than {policy.wall_s:g} s",
            "cpu": f"it took more than {policy.cpu_s:g} s of processor time",
            "session": f"its session took longer than {policy.session_s:g} s",
            "memory": f"it held more than {policy.memory_mb} MB of memory",
            "output": f"it sent more than {policy.cell_bytes} bytes",
        }[limit]
        return _Killed(ProgramError("limit", f"{what} and was killed; its variables are lost", limit))

    async def _why_silent(self, process: ProgramProcess) -> ProgramError:
        """Return why a process closed its pipe, killing it where it did not end with that."""
        try:
            async with asyncio.timeout(GRACE_S):
                ended = await process.wait()
        except TimeoutError:
            process.kill()
            return ProgramError("violation", "it closed its line to its parent, went on, and was killed")
        self._usage = _most(self._usage, Usage(cpu_seconds=ended.cpu_seconds))
        return self._why_gone(ended)

    def _why_gone(self, ended: Exit) -> ProgramError:
        """Return what the end of a process that nobody here killed means."""
        if ended.signal == signal.SIGXCPU or (
            ended.signal == signal.SIGKILL and ended.cpu_seconds >= self._policy.cpu_s
        ):
            return self._killed("cpu").error
        age_s = time.monotonic() - self._started_at + CLOCKS_DIFFER_S
        if ended.signal == signal.SIGKILL and age_s >= self._policy.session_s:
            return self._killed("session").error
        reason = _CHILD_ERRORS.get(ended.code or 0, _ending(ended))
        return ProgramError("crash", f"its process died ({reason}); its variables are lost")

    async def _converse(self, stream: FrameStream, frame: bytes, cell: _Cell) -> None:
        """Send the cell, and answer what its program asks until it is done."""
        await stream.send(frame)
        while True:
            message = messages.from_child(await stream.receive())
            match message:
                case messages.Text():
                    self._take_text(cell, message.text)
                case messages.Show():
                    self._take_image(cell, message)
                case messages.Call():
                    await stream.send(messages.to_child(await self._desk.call(message)))
                case messages.Fetch():
                    await stream.send(await self._desk.fetch(message))
                case messages.Done():
                    cell.answer, cell.error = message.answer, message.error
                    cell.dropped_bytes += message.dropped_bytes
                    return
                case _:
                    raise WireError(f"{type(message).__name__} in the middle of a cell")

    def _take_text(self, cell: _Cell, text: str) -> None:
        data = text.encode()
        room = max(0, self._policy.output_bytes - cell.text_bytes)
        if room:
            cell.text.append(data[:room].decode(errors="ignore"))
        cell.text_bytes += len(data[:room])
        cell.dropped_bytes += len(data) - len(data[:room])

    def _take_image(self, cell: _Cell, shown: messages.Show) -> None:
        if len(cell.images) >= self._policy.images:
            raise WireError(f"more than {self._policy.images} pictures")
        cell.images.append(ShownImage(shown.rgb, shown.caption))

    def _end(self, reason: str) -> None:
        """Let go of the process, for the first of all reasons."""
        if self._closed is None:
            self._closed = reason
        process, self._process = self._process, None
        self._stream = None
        if process is not None:
            process.close()


def _most(before: Usage, now: Usage) -> Usage:
    """Return what is used now; what was reached before stays reached."""
    return Usage(
        now.memory_bytes,
        max(before.peak_bytes, now.peak_bytes),
        max(before.cpu_seconds, now.cpu_seconds),
    )


def _ending(ended: Exit) -> str:
    if ended.signal is None:
        return f"exit code {ended.code}"
    name = signal.Signals(ended.signal).name
    hint = "; deep recursion in a library?" if ended.signal == signal.SIGSEGV else ""
    return f"{name}{hint}"
