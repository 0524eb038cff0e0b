"""Checks in single frames are asked for where they can be made, and weaken what they contradict."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spatial_agent.agent.evidence import from_json
from spatial_agent.agent.executor import call_from_json, run_calls
from spatial_agent.agent.frame_routes import Means
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.planner.planning import plan_calls
from spatial_agent.agent.verifier import verify_evidence
from spatial_agent.tools.contract import Evidence, ToolCall
from spatial_agent.tools.experts.depth_agreement import depth_agreement
from spatial_agent.tools.experts.sizes import typical_sizes
from spatial_agent.tools.experts.two_frames import two_frames
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry, expert
from spatial_agent.tools.scene import DepthMap, Frame, FrameSet, SceneMap
from spatial_agent.tools.skills.direction import direction
from spatial_agent.tools.skills.distance import distance
from spatial_agent.tools.skills.nearest import nearest
from spatial_agent.tools.skills.size import size
from spatial_agent.tools.skills.vertical import vertical
from spatial_agent.tools.wrappers import WithFrames
from tests.agent.routes.filming import ROOM, filmed, scene, with_wrong_depth, with_wrong_pose

#: What the depth network of these tests gets wrong by.
FACTOR = {"right": 1.1, "wrong": 2.5}
BEST = 7
HEIGHT = "How tall is the sofa?"
FRAMES_ALONE = frozenset({"two_frames", "sizes.typical"})
ALL = FRAMES_ALONE | {"depth_agreement", "depth.sensor"}


def network(name: str, factor: float) -> Any:  # noqa: ANN401 - a function with a tool's attributes
    """Return a depth network: true depth, all of it wrong by one factor."""

    @expert(f"depth.{name}")
    def estimate(frame: Frame) -> DepthMap:
        """Estimate depth.

        Args:
            frame: A frame.
        """
        true = ROOM.frames().load(frame.header.index).depth
        assert true is not None
        return DepthMap((true.z_m * factor).astype(np.float32), "metric", 0.12, 0.06)

    return estimate


REGISTRY = Registry()
for tool in (two_frames, depth_agreement, typical_sizes, distance, size, vertical, direction, nearest):
    REGISTRY.add(tool)
for kind, times in FACTOR.items():
    REGISTRY.add(network(kind, times))


class Run:
    """Rounds of measuring and verifying, as the graph makes them."""

    def __init__(self, question: str, frames: FrameSet | None, tools: frozenset[str]) -> None:
        self.task = parse(question)
        self.frames, self.tools = frames, tools
        self.evidence: list[Evidence] = []
        self.failures: list[dict[str, Any]] = []
        self.turns: list[Mapping[str, Any]] = []
        self.runner = WithFrames(LocalRunner(REGISTRY), frames)
        self.runner.keep("scene", scene())

    def measure(self, calls: Sequence[ToolCall]) -> None:
        first = len(self.evidence) + 1
        came = asyncio.run(run_calls(self.runner, calls, first_id=first, limit_s=30.0))
        self.evidence += map(from_json, came["evidence"])
        self.failures += came["failures"]
        self.turns.append({"said": "", "calls": [], "seen": came["seen"]})

    def verdict(self, known: SceneMap | None = None) -> dict[str, Any]:
        means = Means(known or scene(), self.frames, self.tools, self.turns)
        return verify_evidence(
            self.task,
            self.evidence,
            len(self.turns),
            "$scene",
            thorough=True,
            failures=self.failures,
            means=means,
        )

    def finished(self) -> dict[str, Any]:
        self.measure(plan_calls(self.task, "$scene"))
        while (verdict := self.verdict())["wanted"]:
            assert len(self.turns) < 5
            self.measure([call_from_json(call) for call in verdict["wanted"]])
        return verdict


def frame_calls(run: Run, known: SceneMap | None = None) -> list[dict[str, Any]]:
    run.measure(plan_calls(run.task, "$scene"))
    wanted = run.verdict(known)["wanted"]
    return [call for call in wanted if call["tool"].startswith(("two_frames", "depth"))]


def test_sound_frames_bear_a_height_out_and_that_is_recorded() -> None:
    run = Run(HEIGHT, filmed(), FRAMES_ALONE)
    verdict = run.finished()

    assert run.failures == []
    assert "e1" not in verdict["weak"]
    assert any(check["agree"] and "two_frames bears it out" in check["why"] for check in verdict["checks"])


def test_a_wrong_pose_makes_what_was_measured_weak_and_says_why() -> None:
    weak = Run(HEIGHT, with_wrong_pose(filmed(), BEST), FRAMES_ALONE).finished()["weak"]

    assert "put the sofa 0.15 m apart" in weak["e1"]


def test_wrong_depth_of_a_frame_makes_a_distance_weak() -> None:
    question = "How far is the sofa from the table?"
    weak = Run(question, with_wrong_depth(filmed(), BEST), FRAMES_ALONE).finished()["weak"]

    assert f"frames {BEST} and" in weak["e1"]


@pytest.mark.parametrize(
    ("question", "measure", "objects"),
    [
        (HEIGHT, "height", ["sofa-1"]),
        ("How far is the sofa from the table?", "distance", ["sofa-1", "table-1"]),
        ("Is the table above the sofa?", "rise", ["table-1", "sofa-1"]),
        ("Which is closest to the sofa, the lamp or the table?", "distance", None),
        ("Standing at the sofa, facing the tv, where is the table?", "distance", ["sofa-1", "table-1"]),
    ],
)
def test_what_is_measured_in_frames_belongs_to_what_was_asked(
    question: str, measure: str, objects: list[str] | None
) -> None:
    (call,) = frame_calls(Run(question, filmed(), FRAMES_ALONE))
    arguments = call["arguments"]

    assert (call["id"], call["tool"], arguments["measure"]) == ("v1.frames", "two_frames", measure)
    assert 2 <= len(set(arguments["frames"])) <= 3
    if objects is not None:
        assert [arguments[role] for role in ("of", "to") if role in arguments] == objects


@pytest.mark.parametrize(
    ("question", "frames", "tools"),
    [
        (HEIGHT, None, ALL),
        (HEIGHT, filmed(), frozenset({"depth.right"})),
        (HEIGHT, filmed(), frozenset({"depth.sensor", "depth_agreement"})),
        ("How wide is the sofa?", filmed(), ALL | {"depth.right"}),
    ],
)
def test_nothing_is_asked_for_where_it_could_not_be_made(
    question: str, frames: FrameSet | None, tools: frozenset[str]
) -> None:
    assert frame_calls(Run(question, frames, tools)) == []


def test_depth_that_a_network_gave_is_not_checked_by_networks() -> None:
    quality = scene().quality
    assert quality is not None
    estimated = replace(scene(), quality=replace(quality, shape_error=0.06))

    assert frame_calls(Run(HEIGHT, filmed(), ALL | {"depth.right"}), estimated) == []


@pytest.mark.parametrize(("kind", "weak"), [("right", False), ("wrong", True)])
def test_a_network_is_asked_first_and_compared_in_the_round_after(kind: str, weak: bool) -> None:
    run = Run(HEIGHT, filmed(), frozenset({"depth.sensor", "depth_agreement", f"depth.{kind}"}))
    first = frame_calls(run)
    run.measure([call_from_json(call) for call in run.verdict()["wanted"]])
    second = run.verdict()["wanted"]
    run.measure([call_from_json(call) for call in second])
    verdict = run.verdict()

    assert [(call["id"], call["tool"]) for call in first] == [(f"v-depth-{BEST}", f"depth.{kind}")]
    assert [(call["id"], call["arguments"]["estimated"]) for call in second] == [("v1.depth", "$depth/1")]
    assert verdict["wanted"] == []
    assert ("times the recorded one" in verdict["weak"].get("e1", "")) is weak


def test_a_network_that_fails_is_asked_once_and_takes_nothing_away() -> None:
    run = Run(HEIGHT, filmed(), frozenset({"depth_agreement", "depth.missing"}))
    verdict = run.finished()

    assert [failure["tool"] for failure in run.failures] == ["depth.missing"]
    assert "e1" not in verdict["weak"]


def test_at_most_two_pieces_of_evidence_are_looked_up_in_frames() -> None:
    run = Run("Is the sofa closer to the table than to the lamp?", filmed(), FRAMES_ALONE)
    run.measure([ToolCall("m1.1", "size", {"scene": "$scene", "of": "table", "dimension": "height"})])

    assert len(frame_calls(run)) == 2
