"""Thorough verification: second routes agree on sound scenes, and show where a finding is wrong."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from spatial_agent.agent.evidence import from_json
from spatial_agent.agent.executor import call_from_json, run_calls
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.planner.planning import PLANS
from spatial_agent.agent.task import SpatialTask
from spatial_agent.agent.verifier import verify_evidence
from spatial_agent.tools.contract import Evidence, Finding, ToolCall
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.synthetic import SyntheticRoom

SCENE = SyntheticRoom.example().scene_map()
REGISTRY = Registry.from_entry_points()
QUESTIONS = {
    "distance": "How far is the sofa from the tv?",
    "centres": "How far is the sofa from the tv, centre to centre?",
    "vsi distance": "Measuring from the closest point of each object, what is the distance between the sofa "
    "and the tv (in meters)?",
    "compared": "Is the sofa closer to the tv than to the lamp?",
    "size": "How tall is the sofa?",
    "size in feet": "How wide is the table in feet?",
    "direction": "Standing at the sofa, facing the tv, where is the lamp?",
    "back to": "Standing at the sofa, with my back to the tv, where is the lamp?",
    "quadrants": "If I am standing by the sofa and facing the tv, is the lamp to my front-left, front-right, "
    "back-left, or back-right?",
    "vertical": "Is the lamp above the trash can?",
    "nearest": "Which is closest to the sofa, the lamp, the table or the tv?",
    "farthest": "Which is farthest from the sofa, the lamp, the table or the tv?",
    "route": "I start at the sofa facing the tv, go to the table, then to the lamp: which turns do I take?",
    "count": "How many chairs are there?",
    "room": "What is the area of the room?",
}
#: How many second routes each takes.
MANY, NONE = ("compared", "nearest", "farthest", "route"), ("count", "room")
ROUTES = dict.fromkeys(QUESTIONS, 1) | dict.fromkeys(MANY, 2) | dict.fromkeys(NONE, 0)


def planned(task: SpatialTask) -> list[ToolCall]:
    return [
        ToolCall(f"c{number}", tool, {"scene": "$scene"} | arguments)
        for number, (tool, arguments) in enumerate(PLANS[task.intent](task), start=1)
    ]


def run(calls: list[ToolCall], first_id: int = 1) -> list[Evidence]:
    runner = LocalRunner(REGISTRY)
    runner.keep("scene", SCENE)
    came = asyncio.run(run_calls(runner, calls, first_id=first_id, limit_s=30.0))
    assert came["failures"] == []
    return [from_json(item) for item in came["evidence"]]


def thorough(task: SpatialTask, evidence: list[Evidence], rounds: int) -> dict[str, Any]:
    return verify_evidence(task, evidence, rounds, "$scene", thorough=True)


def measured(name: str) -> tuple[SpatialTask, list[Evidence], list[Evidence]]:
    """Return a task, its own evidence, and that of its second routes."""
    task = parse(QUESTIONS[name])
    own = run(planned(task))
    wanted = [call_from_json(call) for call in thorough(task, own, 1)["wanted"]]
    return task, own, run(wanted, len(own) + 1)


@pytest.mark.parametrize("name", QUESTIONS)
def test_on_a_sound_scene_every_second_route_agrees(name: str) -> None:
    task, own, routes = measured(name)
    verdict = thorough(task, own + routes, 2)

    assert len(routes) == ROUTES[name]
    assert set(verdict["weak"]) <= {item.id for item in routes if item.tool == "sizes.typical"}
    assert all(check["agree"] for check in verdict["checks"])
    assert verdict["wanted"] == []


def spoilt(item: Evidence, **changes: object) -> Evidence:
    return replace(item, finding=replace(item.finding, **changes))  # type: ignore[arg-type]


def details(item: Evidence, **changes: object) -> Mapping[str, Any]:
    return {**item.finding.details, **changes}


def test_a_direction_that_its_counterpart_contradicts_is_weak() -> None:
    task, (own,), routes = measured("direction")
    wrong = spoilt(own, value="right", details=details(own, degrees=-own.finding.details["degrees"]))
    weak = thorough(task, [wrong, *routes], 2)["weak"]

    assert set(weak) == {"e1", "e2"}
    assert "do not cancel out" in weak["e1"]


def test_an_object_cannot_be_above_and_below_another() -> None:
    task, (own,), routes = measured("vertical")
    wrong = "above" if own.finding.value != "above" else "below"

    assert set(thorough(task, [spoilt(own, value=wrong), *routes], 2)["weak"]) == {"e1", "e2"}


def test_a_nearest_thing_whose_surfaces_are_inside_its_distance_is_weak() -> None:
    task, (own,), routes = measured("nearest")
    nearer = {name: value - 0.5 for name, value in own.finding.details["distances_m"].items()}
    weak = thorough(task, [spoilt(own, details=details(own, distances_m=nearer)), *routes], 2)["weak"]

    assert set(weak) == {"e1", "e2", "e3"}
    assert "yet the boxes" in weak["e1"]


def test_a_route_with_a_turn_that_is_none_is_weak() -> None:
    task, (own,), routes = measured("route")
    first, second = own.finding.details["turns_deg"]
    weak = thorough(task, [spoilt(own, details=details(own, turns_deg=[first, second + 40.0])), *routes], 2)[
        "weak"
    ]

    assert set(weak) == {"e1", "e3"}


def test_centres_nearer_than_the_boxes_are_weak() -> None:
    task, (own,), routes = measured("centres")
    wrong = spoilt(own, value=0.5, low=0.4, high=0.6, details={"unrounded": 0.5})

    assert set(thorough(task, [wrong, *routes], 2)["weak"]) == {"e1", "e2"}


@pytest.mark.parametrize(
    ("height_m", "margin_m", "weak"),
    [(0.8, 0.05, False), (1.6, 0.05, False), (3.5, 0.2, True), (3.5, 2.0, False)],
)
def test_a_size_far_from_all_of_its_kind_is_weak_beyond_its_margin(
    height_m: float, margin_m: float, weak: bool
) -> None:
    task, (own,), (typical,) = measured("size")
    ends = {"low": height_m - margin_m, "high": height_m + margin_m}
    wrong = spoilt(own, value=height_m, details={"unrounded": height_m}, **ends)

    assert ("e1" in thorough(task, [wrong, typical], 2)["weak"]) is weak


def test_a_given_size_is_right_however_odd() -> None:
    task, (own,), (typical,) = measured("size")
    odd = spoilt(own, value=9.0, low=9.0, high=9.0, details={"unrounded": 9.0})

    assert "e1" not in thorough(task, [odd, typical], 2)["weak"]


def test_what_is_cheap_stays_so() -> None:
    for name in QUESTIONS:
        task = parse(QUESTIONS[name])
        verdict = verify_evidence(task, run(planned(task)), 1, "$scene")

        assert len(verdict["wanted"]) == (1 if name in ("distance", "vsi distance") else 0)


def test_what_a_model_measured_later_is_checked_once_whether_that_fails_or_not() -> None:
    task = SpatialTask("Odd?", "open", "plain", "text", objective="say what is odd")
    (found,) = run([ToolCall("m2.1", "distance", {"scene": "$scene", "a": "sofa", "b": "tv"})])
    wanted = verify_evidence(task, [found], 3, "$scene", thorough=True, failures=[])["wanted"]
    failures = [{"call_id": "v1.1"}]

    assert [call["id"] for call in wanted] == ["v1.1"]
    assert verify_evidence(task, [found], 4, "$scene", thorough=True, failures=failures)["wanted"] == []
    assert verify_evidence(task, [found], 4, "$scene", thorough=True)["wanted"] == []


def test_a_distance_that_the_other_reading_took_is_not_taken_again() -> None:
    task = parse(QUESTIONS["distance"])
    arguments = {"scene": "$scene", "a": "sofa", "b": "tv"}
    both = run(
        [
            ToolCall("c1", "distance", arguments | {"between": "surfaces"}),
            ToolCall("d1", "distance", arguments | {"between": "vsi"}),
        ]
    )

    assert thorough(task, both, 1)["wanted"] == []
    assert [check["agree"] for check in thorough(task, both, 1)["checks"]] == [True]


def finding(value: object, **fields: object) -> Finding:
    return Finding(f"It is {value}.", value, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("question", "tool", "found", "why"),
    [
        ("distance", "distance", finding(2.0, unit="m", low=2.5, high=3.0), "outside its own interval"),
        ("distance", "distance", finding(float("inf"), unit="m"), "outside its own interval"),
        ("distance", "distance", finding(0.0, unit="m", objects=("tv-1", "tv-1")), "taken to mean tv-1"),
        (
            "size in feet",
            "size",
            finding(2.0, unit="m2", low=1.0, high=3.0),
            "another quantity was asked for",
        ),
        (
            "direction",
            "direction",
            finding("left", definition="direction.four", details={"degrees": -90.0}),
            "-90° is called left, which is right",
        ),
        ("direction", "object_side", finding("left", definition="object_axes.four"), "another viewpoint"),
    ],
)
def test_a_finding_that_cannot_be_so_is_weak(question: str, tool: str, found: Finding, why: str) -> None:
    task = parse(QUESTIONS[question])
    verdict = thorough(task, [Evidence("e1", "c1", tool, found)], 2)

    assert why in verdict["weak"]["e1"]
    assert verify_evidence(task, [Evidence("e1", "c1", tool, found)], 2, "$scene")["weak"] == {}


@pytest.mark.parametrize(
    ("value", "margin", "weak"), [(2.1, 0.1, False), (9.0, 0.1, True), (9.0, 6.0, False)]
)
def test_a_number_near_none_of_the_options_is_weak(value: float, margin: float, weak: bool) -> None:
    task = parse(QUESTIONS["distance"], ["1 m", "2 m", "300 cm"])
    found = finding(value, unit="m", low=value - margin, high=value + margin)
    verdict = thorough(task, [Evidence("e1", "c1", "distance", found)], 2)

    assert ("e1" in verdict["weak"]) is weak
