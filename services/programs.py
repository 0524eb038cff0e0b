"""Programs over a source: what they see of it."""

from collections.abc import Mapping

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.state import LoadedScene, Source
from spatial_agent.sandbox import ProgramResult, Sandbox, SandboxPolicy
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.scene import FrameSet, SceneMap


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
        inputs = program_inputs(loaded.scene, loaded.frames)
        return await sandbox.run(program, inputs=inputs, tools=runner, policy=policy)

    return agent.work(source, work)


def program_inputs(scene: SceneMap | None, frames: FrameSet | None) -> Mapping[str, object]:
    """Return the variables that programs over a source see."""
    return {"scene": scene, "frames": [] if frames is None else list(frames.headers)}
