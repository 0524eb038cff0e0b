"""What the loop carries from node to node: plain JSON, so that any checkpointer can keep it."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol, TypedDict

from spatial_agent.agent.models.chat import ChatModel, ToolOffer
from spatial_agent.agent.situation import Interface
from spatial_agent.agent.trace import Trace
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.scene import FrameSet, SceneMap
from spatial_agent.tools.wrappers import WithFrames

if TYPE_CHECKING:
    from spatial_agent.prompts.spatial import PartName, SpatialPrompt

JsonObject = dict[str, Any]
Source = str | Path | FrameSet | SceneMap


class AgentState(TypedDict, total=False):
    """The state of one question.

    Attributes:
        source: Name of the scan or scene file.
        question: The question as asked.
        options: The options as given.
        dialogue: What was asked and answered before, as JSON of `Exchange`.
        regions: What was marked on frames, as JSON of `Region`.
        scene: Facts about the scene: ``id``, ``reference`` (None where nothing could be measured),
            ``unmeasured`` (why), ``notes``, ``cached``, ``degraded``, ``frames`` (their number).
        reading: How the question was understood, as JSON of `Reading`.
        calls: Calls to run next.
        said: What the model said beside them.
        turns: What was called and what came of it, turn by turn, as JSON of `Turn`.
        evidence: Everything found out, as `agent.evidence.to_json` gives it.
        failures: Calls that failed: ``call_id``, ``tool``, ``error`` (class), ``message``.
        verdict: What the verifier said last: ``wanted`` calls and ``weak`` evidence with reasons.
        stopped: Why measuring ended before enough was known, or None.
        model_lost: Why the model takes no further part, once it has failed.
        prompt: What the model reads before it answers, and people in the trace.
        answer: The answer, without its costs.
    """

    source: str
    question: str
    options: list[str]
    dialogue: list[JsonObject]
    regions: list[JsonObject]
    scene: JsonObject
    reading: JsonObject
    calls: list[JsonObject]
    said: str
    turns: Annotated[list[JsonObject], operator.add]
    evidence: Annotated[list[JsonObject], operator.add]
    failures: Annotated[list[JsonObject], operator.add]
    verdict: JsonObject
    stopped: str | None
    model_lost: str
    prompt: str
    answer: JsonObject


@dataclass(frozen=True)
class Budget:
    """What a run may use.

    Attributes:
        turns: Rounds of planning, executing and verifying.
        calls: Tool calls in all.
        call_seconds: Wall time of the calls of one round.
        seconds: Wall time from the first call on, measuring the scene included; None is no limit.
        gpu_seconds: Accelerator time of all calls; None is no limit.
        tokens: Tokens of the model, read and written; None is no limit.
        prompt_tokens: Tokens of the structured prompt that the model answers from.
        pictures: Pictures that the model gets to see in one request.
        views: Imagined views.
    """

    turns: int = 8
    calls: int = 64
    call_seconds: float = 120.0
    seconds: float | None = None
    gpu_seconds: float | None = None
    tokens: int | None = 200_000
    prompt_tokens: int = 6000
    pictures: int = 6
    views: int = 3


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
        """Return the scene of a source, measuring it through the runner where it is not known.

        Raises:
            UnmeasurableError: If it can be opened, and nothing in it can be measured.
        """
        ...

    async def frames(self, name: str) -> FrameSet:
        """Return the frames of a source that cannot be measured, to look at them."""
        ...


class Programs(Protocol):
    """Runs the programs of one run, in one session that keeps their variables."""

    #: What a model is told about them.
    offer: ToolOffer

    def around(
        self, runner: ToolRunner, trace: Trace, frames: Callable[[], FrameSet | None]
    ) -> "ProgramRunner":
        """Return a runner that also takes calls of the tool ``program``."""
        ...


class ProgramRunner(ToolRunner, Protocol):
    """A runner with a session of programs."""

    async def close(self) -> None:
        """End the session."""
        ...


@dataclass
class RunContext:
    """What a run works with and no checkpoint keeps.

    Attributes:
        runner: Runs calls; budgeted and traced.
        frames: The part of it that keeps the frames.
        scenes: Knows scenes.
        model: The model, metered and traced; None without one.
        interface: How the model acts.
        offers: The tools that a model may call.
        parts: Parts of the structured prompt that are in use; all where None.
        trace: What happens is recorded here.
        budget: What the run may use.
        is_loaded: Whether the runner keeps the scene by now.
        prompt: The structured prompt, with its pictures, once it was made.
    """

    runner: ToolRunner
    frames: WithFrames
    scenes: Scenes
    model: ChatModel | None
    trace: Trace
    budget: Budget = field(default_factory=Budget)
    interface: Interface = "tools"
    offers: Sequence[ToolOffer] = ()
    parts: "frozenset[PartName] | None" = None
    is_loaded: bool = False
    prompt: "SpatialPrompt | None" = None


def model_of(state: AgentState, context: RunContext) -> ChatModel | None:
    """Return the model, as long as it has not failed in this run."""
    return None if state.get("model_lost") else context.model
