"""What the loop carries from node to node: plain JSON, so that any checkpointer can keep it."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol, TypedDict

from spatial_agent.agent.task import SpatialTask
from spatial_agent.agent.trace import Trace
from spatial_agent.tools.contract import ToolCall, ToolRunner
from spatial_agent.tools.scene import FrameSet, SceneMap

JsonObject = dict[str, Any]
Source = str | Path | FrameSet | SceneMap


class AgentState(TypedDict, total=False):
    """The state of one question.

    Attributes:
        source: Path of the scan or scene file.
        question: The question as asked.
        options: The options as given.
        scene: Facts about the loaded scene: ``id``, ``reference``, ``notes``, ``cached``.
        task: The formal task, as `SpatialTask.to_json` gives it.
        calls: Calls to run next.
        evidence: Everything found out, as `agent.evidence.to_json` gives it.
        failures: Calls that failed: ``call_id``, ``tool``, ``error`` (class), ``message``.
        rounds: Plan-execute-verify rounds so far.
        verdict: What the verifier said last: ``wanted`` calls and ``weak`` evidence with reasons.
        prompt: The measurements as text, for people and models.
        answer: The answer, without its costs.
    """

    source: str
    question: str
    options: list[str]
    scene: JsonObject
    task: JsonObject
    calls: list[JsonObject]
    evidence: Annotated[list[JsonObject], operator.add]
    failures: Annotated[list[JsonObject], operator.add]
    rounds: int
    verdict: JsonObject
    prompt: str
    answer: JsonObject


@dataclass(frozen=True)
class Budget:
    """What a run may use.

    Attributes:
        rounds: Plan-execute-verify rounds.
        calls: Tool calls in all.
        call_seconds: Wall time of the calls of one round.
        seconds: Wall time from the first call on, measuring the scene included; None is no limit.
        gpu_seconds: Accelerator time of all calls; None is no limit.
    """

    rounds: int = 4
    calls: int = 64
    call_seconds: float = 120.0
    seconds: float | None = None
    gpu_seconds: float | None = None


class Planner(Protocol):
    """Decides what is asked and what to measure."""

    def formalise(self, question: str, options: Sequence[str]) -> SpatialTask:
        """Turn a question into a formal task, or raise `QuestionError`."""
        ...

    def plan(self, task: SpatialTask, scene: str) -> tuple[ToolCall, ...]:
        """Return the calls that measure what the task needs, of the scene behind a reference."""
        ...


@dataclass(frozen=True)
class LoadedScene:
    """A scene with the frames it was measured from.

    Attributes:
        scene: The scene map.
        frames: The opened source; None for a given scene.
        cached: Whether it was found rather than measured just now.
        degraded: What was lost while measuring it, one sentence each.
    """

    scene: SceneMap
    frames: FrameSet | None
    cached: bool
    degraded: tuple[str, ...] = ()


class Scenes(Protocol):
    """Knows the scene of every source."""

    def name(self, source: Source) -> str:
        """Return the name under which a run knows a source; nothing is opened yet."""
        ...

    async def get(self, runner: ToolRunner, name: str) -> LoadedScene:
        """Return the scene of a source, measuring it through the runner where it is not known."""
        ...


@dataclass(frozen=True)
class RunContext:
    """What a run works with and no checkpoint keeps."""

    runner: ToolRunner
    scenes: Scenes
    planner: Planner
    trace: Trace
    budget: Budget = Budget()
