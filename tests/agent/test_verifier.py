"""Evidence held against itself, and what an answer makes of it."""

import pytest

from spatial_agent.agent.answerer import answer_task
from spatial_agent.agent.comparison import compare
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.verifier import verify_evidence
from spatial_agent.tools.contract import Evidence, Finding

TASK = parse("How far is the sofa from the tv?")


def distance(number: int, call_id: str, value: float, margin: float, definition: str) -> Evidence:
    finding = Finding(
        f"{value} m",
        value,
        "m",
        value - margin,
        value + margin,
        definition,
        objects=("sofa-1", "tv-1"),
        details={"unrounded": value},
    )
    return Evidence(f"e{number}", call_id, "distance", finding)


def test_a_distance_alone_is_measured_by_the_other_route() -> None:
    verdict = verify_evidence(TASK, [distance(1, "c1", 2.0, 0.05, "distance.surface")], 1, "$scene")

    assert verdict["wanted"] == [
        {
            "id": "v1",
            "tool": "distance",
            "arguments": {"a": "sofa-1", "b": "tv-1", "scene": "$scene", "between": "vsi", "unit": "m"},
        }
    ]


def test_the_other_route_is_asked_for_once() -> None:
    assert verify_evidence(TASK, [distance(1, "c1", 2.0, 0.05, "distance.surface")], 2, "$s")["wanted"] == []


@pytest.mark.parametrize(
    ("surfaces_m", "boxes_m", "weak"),
    [
        (2.0, 1.9, set()),
        (2.4, 1.5, set()),
        (2.0, 2.15, set()),
        (1.5, 2.4, {"e1", "e2"}),
    ],
)
def test_surfaces_nearer_than_the_boxes_round_them_make_both_weak(
    surfaces_m: float, boxes_m: float, weak: set[str]
) -> None:
    evidence = [
        distance(1, "c1", surfaces_m, 0.05, "distance.surface"),
        distance(2, "v1", boxes_m, 0.05, "vsi.object_abs_distance"),
    ]
    verdict = verify_evidence(TASK, evidence, 2, "$scene")

    assert set(verdict["weak"]) == weak


def test_a_weak_answer_says_that_it_is() -> None:
    evidence = [distance(1, "c1", 1.5, 0.05, "distance.surface")]
    answer = answer_task(TASK, evidence, [], {"e1": "the routes disagree"})

    assert answer.value == 1.5
    assert answer.reason == "weak evidence: the routes disagree"
    assert "the routes disagree" in answer.text


def test_a_failed_call_is_a_refusal_with_its_reason() -> None:
    failure = {"call_id": "c1", "tool": "distance", "error": "ToolFailedError", "message": "no sofa here"}
    answer = answer_task(TASK, [], [failure], {})

    assert (answer.abstained, answer.reason, answer.value) == (True, "no sofa here", None)


def test_a_failed_second_route_takes_nothing_from_the_answer() -> None:
    failure = {"call_id": "v1", "tool": "distance", "error": "ToolFailedError", "message": "no boxes"}

    assert answer_task(TASK, [distance(1, "c1", 2.0, 0.1, "distance.surface")], [failure], {}).value == 2.0


@pytest.mark.parametrize(
    ("question", "values", "expected", "close"),
    [
        ("Is the sofa longer than 2 m?", [2.5], True, False),
        ("Is the sofa longer than 2 m?", [1.98], False, True),
        ("Is the sofa longer than 250 cm?", [2.4], False, True),
        ("Is the sofa longer than the table?", [2.0, 1.5], True, False),
        ("Is the sofa longer than the table?", [1.5, 1.55], False, True),
        ("Is the lamp within 2 m of the sofa?", [1.2], True, False),
    ],
)
def test_yes_and_no_are_close_where_the_margin_reaches_the_limit(
    question: str, values: list[float], expected: bool, close: bool
) -> None:
    findings = [
        distance(number, f"c{number}", value, 0.15, "x").finding for number, value in enumerate(values, 1)
    ]
    verdict = compare(parse(question), findings)

    assert verdict.value is expected
    assert (verdict.borderline is not None) is close
