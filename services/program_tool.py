"""The tool ``program``: cells that the model writes, in one sandbox session for each run."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.agent.models.chat import ToolOffer
from spatial_agent.agent.planner.call_checks import MOST_ARGUMENTS
from spatial_agent.agent.situation import PROGRAM
from spatial_agent.agent.trace import Trace
from spatial_agent.sandbox import ProgramResult, Sandbox, SandboxPolicy, SandboxSession
from spatial_agent.services.programs import program_inputs
from spatial_agent.tools.contract import Evidence, Finding, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import (
    SandboxError,
    ToolArgumentError,
    ToolError,
    ToolFailedError,
    ToolUnavailableError,
)
from spatial_agent.tools.scene import FrameSet, Picture, SceneMap
from spatial_agent.tools.wrappers import Traced
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper

#: Sessions of all runs of this process that may run at once; each may use its memory whole.
MOST_SESSIONS = 4
#: Longest side of a picture that a program shows, pixels; a model sees no larger one. Beside each other, one
#: that is very wide and one that is very high would be gigabytes.
MOST_SIDE_PX = 1536
OFFER = ToolOffer(
    PROGRAM,
    "Run a Python program over the scene, in a sandbox whose variables last from call to call. It has "
    "`scene` (objects with id, label, box.centre_m, box.extent_m; metres, z up), `frames` (headers), "
    "`tools.NAME(...)` for every tool (skills return findings with value, unit, low, high; scene='$scene'), "
    "np, math, geometry, `show(image)`, and `answer(value, unit=..., low=..., high=...)` for its conclusion "
    "with the ends of its 90 % interval.",
    {
        "type": "object",
        "properties": {"source": {"type": "string", "description": "Python source."}},
        "required": ["source"],
        "additionalProperties": False,
    },
)


class SandboxedPrograms:
    """Runs the programs of all runs of an agent; the sandbox starts with the first program.

    Attributes:
        offer: What a model is told about programs.
    """

    offer = OFFER

    def __init__(self, open_sandbox: Callable[[], Sandbox], policy: SandboxPolicy | None = None) -> None:
        """Start nothing yet.

        Args:
            open_sandbox: Opens the sandbox.
            policy: Limits of a run's session.
        """
        self._open = open_sandbox
        self._policy = policy or SandboxPolicy()
        self._sandbox: Sandbox | None = None
        self._sessions = 0
        self._lock = Lock()

    def around(
        self, runner: ToolRunner, trace: Trace, frames: Callable[[], FrameSet | None]
    ) -> "WithPrograms":
        """Return a runner that also takes calls of the tool ``program``.

        Args:
            runner: Takes all other calls, those that programs make included.
            trace: Records the programs.
            frames: Returns the frames of the run's source.
        """
        return WithPrograms(runner, trace, self, frames)

    def start(self, runner: ToolRunner, scene: SceneMap | None, frames: FrameSet | None) -> SandboxSession:
        """Start the session of a run; `ended` has to be called in the end.

        Raises:
            ToolUnavailableError: If as many run already as may.
            SandboxUnavailableError: If there is no sandbox here.
        """
        with self._lock:
            if self._sessions >= MOST_SESSIONS:
                raise ToolUnavailableError(
                    f"{MOST_SESSIONS} sessions of programs run already; call tools one by one, or try later"
                )
            if self._sandbox is None:
                self._sandbox = self._open()
            inputs = program_inputs(scene, frames)
            session = self._sandbox.session(inputs=inputs, tools=_InBounds(runner), policy=self._policy)
            self._sessions += 1
        return session

    def ended(self) -> None:
        """Count a session as over."""
        with self._lock:
            self._sessions -= 1

    def close(self) -> None:
        """Stop the sandbox."""
        if self._sandbox is not None:
            self._sandbox.close()
            self._sandbox = None


class WithPrograms(RunnerWrapper):
    """A runner that runs programs itself and passes everything else on."""

    def __init__(
        self,
        inner: ToolRunner,
        trace: Trace,
        programs: SandboxedPrograms,
        frames: Callable[[], FrameSet | None],
    ) -> None:
        """Start no session yet."""
        super().__init__(inner)
        self._cells = _Cells(inner, programs, frames)
        self._traced = Traced(self._cells, trace.record)

    async def call(self, call: ToolCall) -> ToolResult:
        """Run a call, or the program in it."""
        return await (self._traced if call.tool == PROGRAM else self._inner).call(call)

    async def close(self) -> None:
        """End the session."""
        await self._cells.close()


class _InBounds(RunnerWrapper):
    """Takes no call whose arguments are longer than those that a model may write.

    Tools are made for those, and some take long over a hundred thousand marks, in a thread that nobody can
    stop.
    """

    async def call(self, call: ToolCall) -> ToolResult:
        length = len(json.dumps(call.arguments, default=str))
        if length > MOST_ARGUMENTS:
            why = (
                f"{call.tool}: the arguments are {length} characters long; expected at most {MOST_ARGUMENTS}"
            )
            return ToolResult(call.id, call.tool, error=ToolArgumentError(why))
        return await self._inner.call(call)


class _Cells(RunnerWrapper):
    """Runs the cells of one session."""

    def __init__(
        self, inner: ToolRunner, programs: SandboxedPrograms, frames: Callable[[], FrameSet | None]
    ) -> None:
        super().__init__(inner)
        self._programs = programs
        self._frames = frames
        self._session: SandboxSession | None = None
        self._count = 0
        self._turn = asyncio.Lock()

    async def call(self, call: ToolCall) -> ToolResult:
        # Models ask for several programs at once; a session runs one cell after the other.
        async with self._turn:
            try:
                return await self._run(call)
            finally:
                if self._session is not None and self._session.closed is not None:
                    await self.close()

    async def _run(self, call: ToolCall) -> ToolResult:
        try:
            source = _source(call)
            ran = await self._started().run(source)
        except ToolError as error:
            return ToolResult(call.id, PROGRAM, error=error)
        except SandboxError:
            # A model that asks for a program where none can be run ends no run by that; why there is no
            # sandbox is for the operator.
            await self.close()
            why = "programs cannot be run here; spatial-agent doctor says why"
            return ToolResult(call.id, PROGRAM, error=ToolUnavailableError(why))
        self._count += 1
        return self._result(call, ran)

    def _started(self) -> SandboxSession:
        if self._session is None:
            try:
                scene = self._inner.value("$scene")
            except ToolArgumentError:
                scene = None
            known = scene if isinstance(scene, SceneMap) else None
            self._session = self._programs.start(self._inner, known, self._frames())
        return self._session

    def _result(self, call: ToolCall, ran: ProgramResult) -> ToolResult:
        if ran.error is not None:
            printed = f"\nBefore that it printed:\n{ran.output}" if ran.output else ""
            return ToolResult(
                call.id, PROGRAM, error=ToolFailedError(f"{ran.error.message}{printed}"), seconds=ran.seconds
            )
        called = [item for result in ran.results for item in result.evidence]
        found = [*_answered(ran, called), *(item.finding for item in called)]
        evidence = tuple(
            Evidence(f"{call.id}/{number}", call.id, PROGRAM, finding)
            for number, finding in enumerate(found, start=1)
        )
        return ToolResult(call.id, PROGRAM, evidence, self._kept(ran), seconds=ran.seconds)

    def _kept(self, ran: ProgramResult) -> str | None:
        """Keep what the program showed, else what it printed; return the reference."""
        if ran.images:
            rgb = _beside([image.rgb for image in ran.images])
            captions = "; ".join(image.caption for image in ran.images if image.caption)
            said = f"{captions}\n{ran.output}".strip()
            return self._inner.keep(
                f"{PROGRAM}/{self._count}", Picture(rgb, said or "what the program showed")
            )
        return self._inner.keep(f"{PROGRAM}/{self._count}", ran.output) if ran.output else None

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            self._programs.ended()


def _source(call: ToolCall) -> str:
    source = call.arguments.get("source")
    if not isinstance(source, str) or set(call.arguments) != {"source"}:
        raise ToolArgumentError(f"{PROGRAM}: expected exactly 'source', the text of a Python program")
    return source


def _answered(ran: ProgramResult, called: list[Evidence]) -> list[Finding]:
    """Return what the program concluded; its word is as strong as its margin and what it rests on."""
    answer = ran.answer
    if answer is None:
        return []
    unit = f" {answer.unit}" if answer.unit else ""
    between = (
        ""
        if answer.low is None or answer.high is None
        else f", between {answer.low:.4g} and {answer.high:.4g}"
    )
    value = f"{answer.value:.4g}" if isinstance(answer.value, float) else str(answer.value)
    weak = _why_weak(ran, called)
    objects = tuple(dict.fromkeys(name for item in called for name in item.finding.objects))
    finding = Finding(
        f"The program concludes {value}{unit}{between}.",
        answer.value,
        answer.unit,
        answer.low,
        answer.high,
        definition=PROGRAM,
        objects=objects,
    )
    return [replace(finding, quality="weak", why_weak=weak) if weak else finding]


def _why_weak(ran: ProgramResult, called: list[Evidence]) -> str | None:
    answer = ran.answer
    measured = answer is not None and isinstance(answer.value, float)
    if measured and (answer.low is None or answer.high is None):  # type: ignore[union-attr]
        return "the program gives no margin"
    if not called:
        return "the program called no tool, so nothing measured carries what it concludes"
    weak = [item.finding.why_weak or "weak" for item in called if item.finding.quality == "weak"]
    return f"it rests on weak evidence: {weak[0]}" if weak else None


def _beside(pictures: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return pictures side by side, as high as the highest; large ones are scaled down."""
    pictures = [_scaled(rgb) for rgb in pictures]
    height = max(len(rgb) for rgb in pictures)
    padded = [np.pad(rgb, ((0, height - len(rgb)), (0, 0), (0, 0))) for rgb in pictures]
    return np.concatenate(padded, axis=1)


def _scaled(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = rgb.shape[:2]
    scale = MOST_SIDE_PX / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))
