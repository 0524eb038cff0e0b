"""Programs over a source: what they see of it, and the frames they hand to tools."""

import asyncio
from collections import OrderedDict
from threading import Lock

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.sandbox import ProgramResult, Sandbox, SandboxPolicy
from spatial_agent.tools.call_json import references_in
from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.scene import FrameSet
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper

#: Decoded frames that a run keeps at once.
MOST_FRAMES = 8
_FRAME = "$frame/"


def run_program(
    agent: SpatialAgent,
    source: Source,
    program: str,
    sandbox: Sandbox,
    policy: SandboxPolicy | None = None,
) -> ProgramResult:
    """Run a program over the scene of a source.

    It sees ``scene`` (the scene map) and ``frames`` (what is known of each frame without its pixels), and
    its tool calls may refer to ``"$scene"`` and ``"$frame/0"``, ``"$frame/1"``, ...

    Args:
        agent: Measures the scene and runs the tools, within its budget.
        source: Path of a scan, video, image or scene file; or an opened `FrameSet`, or a `SceneMap`.
        program: Python source.
        sandbox: Where it runs.
        policy: Its limits.

    Raises:
        SourceError: If the source cannot be read.
        ToolError: If the scene could not be measured.
        SandboxUnavailableError: If the sandbox is not there or broke down.
    """

    async def work(runner: ToolRunner, loaded: LoadedScene) -> ProgramResult:
        headers = list(loaded.frames.headers) if loaded.frames is not None else []
        tools = WithFrames(runner, loaded.frames) if loaded.frames is not None else runner
        inputs = {"scene": loaded.scene, "frames": headers}
        return await sandbox.run(program, inputs=inputs, tools=tools, policy=policy)

    return agent.work(source, work)


class WithFrames(RunnerWrapper):
    """A runner that keeps frames as ``$frame/N`` from when they are first referred to, a few at a time.

    Args:
        inner: Runs the calls.
        frames: The opened source.
    """

    def __init__(self, inner: ToolRunner, frames: FrameSet) -> None:
        """Decode nothing yet."""
        super().__init__(inner)
        self._frames = frames
        self._kept: OrderedDict[str, None] = OrderedDict()
        self._lock = Lock()

    async def call(self, call: ToolCall) -> ToolResult:
        """Run a call, with the frames it refers to."""
        for reference in references_in(call.arguments):
            await asyncio.to_thread(self._provide, reference)
        return await self._inner.call(call)

    def value(self, reference: str) -> object:
        """Return the value behind a reference, a frame included."""
        self._provide(reference)
        return self._inner.value(reference)

    def _provide(self, reference: str) -> None:
        number = reference.removeprefix(_FRAME)
        if number == reference or not (number.isascii() and number.isdecimal()) or len(number) > 9:
            return
        # An index beyond the last is left to the runner, which says what there is.
        if int(number) >= len(self._frames):
            return
        with self._lock:
            if reference not in self._kept:
                self._inner.keep(reference[1:], self._frames.load(int(number)))
            self._kept[reference] = None
            self._kept.move_to_end(reference)
            while len(self._kept) > MOST_FRAMES:
                self._inner.drop(self._kept.popitem(last=False)[0])
