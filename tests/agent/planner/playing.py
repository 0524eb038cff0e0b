"""Plays a planner against real tools over a small scene, turn by turn, as the loop does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spatial_agent.agent.evidence import from_json
from spatial_agent.agent.executor import run_calls
from spatial_agent.agent.models.chat import ChatModel, ToolOffer
from spatial_agent.agent.plain import from_plain
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.planner.model_planner import ModelPlanner
from spatial_agent.agent.situation import Interface, Left, Question, Reading, Seen, Situation, Step, Turn
from spatial_agent.agent.task import SpatialTask
from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry, expert
from spatial_agent.tools.scene import OrientedBox, Picture, SceneMap, SceneObject
from spatial_agent.tools.skills.counting import count
from spatial_agent.tools.skills.distance import distance
from spatial_agent.tools.skills.size import size

Triple = tuple[float, float, float]


def thing(name: str, label: str, centre_m: Triple, extent_m: Triple) -> SceneObject:
    return SceneObject(name, label, OrientedBox.upright(np.array(centre_m), np.array(extent_m)))


SCENE = SceneMap(
    (
        thing("sofa-1", "sofa", (0, 0, 0.4), (2, 0.9, 0.8)),
        thing("lamp-1", "floor lamp", (3, 0, 0.9), (0.4, 0.4, 1.8)),
        thing("door-1", "door", (0, 4, 1.0), (0.9, 0.1, 2.0)),
    )
)
OPEN = SpatialTask(
    "Would the sofa fit through the door?",
    "open",
    "plain",
    "yes_no",
    objective="compare the sofa's edges with the door's",
)


@expert("top_down")
def top_down(scene: SceneMap) -> Picture:
    """Draw the scene from above.

    Args:
        scene: The scene.
    """
    return Picture(np.full((4, 4, 3), len(scene.objects), np.uint8), "from above")


@expert("compare")
def compare(a: Picture, b: Picture | None = None) -> Picture:
    """Put pictures side by side.

    Args:
        a: One picture.
        b: Another one.
    """
    return a if b is None else b


@expert("novel_view")
def novel_view(scene: SceneMap, height_m: float) -> Picture:
    """Imagine a view.

    Args:
        scene: The scene.
        height_m: Height of the eye, metres.
    """
    return Picture(np.zeros((2, 2, 3), np.uint8), f"{len(scene.objects)} things from {height_m} m")


@expert("broken")
def broken(times: int = 1) -> Picture:
    """Fail.

    Args:
        times: How often.
    """
    raise ToolFailedError(f"the lens is off ({times})")


def registry() -> Registry:
    tools = Registry()
    for tool in (count, distance, size, top_down, compare, novel_view, broken):
        tools.add(tool)
    return tools.freeze()


def offers() -> tuple[ToolOffer, ...]:
    tools = registry()
    specs = [tools.get(name).spec for name in tools]
    return tuple(ToolOffer(spec.name, spec.description, spec.parameters) for spec in specs)


PROGRAM = ToolOffer(
    "program",
    "Run a Python program.",
    {"type": "object", "properties": {"source": {"type": "string"}}, "required": ["source"]},
)


def asked(question: str | SpatialTask, **more: Any) -> Situation:  # noqa: ANN401 - fields of a situation
    task = parse(question) if isinstance(question, str) else question
    bare = Situation(Question(task.question), Reading(task, "grammar"), SCENE, "$scene", frames=3)
    return replace(bare, **more)


@dataclass
class Play:
    """Everything that happened in one run."""

    situation: Situation
    steps: list[Step] = field(default_factory=list)

    @property
    def claims(self) -> list[str]:
        return [item.finding.claim for item in self.situation.evidence]

    @property
    def tools(self) -> list[list[str]]:
        return [[call.tool for call in step.calls] for step in self.steps]

    @property
    def stopped(self) -> str:
        return self.steps[-1].stopped or ""


async def play(
    situation: Situation,
    model: ChatModel | None,
    interface: Interface = "tools",
    offered: Sequence[ToolOffer] | None = None,
) -> Play:
    """Let the planner decide and the tools run until it has nothing more to call; at most 30 rounds."""
    runner = LocalRunner(registry())
    runner.keep("scene", SCENE)
    played = Play(situation)
    for _ in range(30):
        usable = offers() if offered is None else offered
        step = await ModelPlanner().next_step(played.situation, model, usable, interface)
        played.steps.append(step)
        if not step.calls:
            return played
        first = len(played.situation.evidence) + 1
        came = await run_calls(runner, step.calls, first_id=first, limit_s=5)
        played.situation = _after(played.situation, step, came)
    raise AssertionError("the planner did not come to an end")


def _after(situation: Situation, step: Step, came: Mapping[str, Any]) -> Situation:
    seen = tuple(from_plain(Seen, item) for item in came["seen"])
    left = situation.left
    views = sum(call.tool == "novel_view" for call in step.calls)
    return replace(
        situation,
        turns=(*situation.turns, Turn(step.said, tuple(step.calls), seen)),
        evidence=(*situation.evidence, *map(from_json, came["evidence"])),
        failures=(*situation.failures, *came["failures"]),
        left=Left(left.turns - 1, left.calls - len(step.calls), views=left.views - views),
    )
