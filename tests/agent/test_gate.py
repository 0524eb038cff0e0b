"""What the gate lets through, whatever was measured and whatever a model says."""

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import abstain
from spatial_agent.agent.gate import Gate, agrees, gate, is_same
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.task import SpatialTask
from spatial_agent.agent.view import View

DISTANCE = parse("How far is the sofa from the tv?")
IN_FEET = parse("How far is the sofa from the tv in feet?")
COUNT = parse("How many chairs are there?")
NEAREST = parse("Which is closer to the sofa, the lamp or the table?")
YES_NO = parse("Is the sofa longer than 2 m?")
SIDES = parse("Standing at the door, facing the window, where is the sofa?", ["left", "right", "back"])
ANGLE = parse("Standing at the door, facing the window, at what angle is the sofa?")
ON_SIDE = parse("What is to the sofa's own left?")
WEAK = {"e1": "the margin is 80% of the value"}


def number(value: float, margin: float, unit: str = "m") -> Answer:
    return Answer(
        f"{value} {unit}", value, unit, value - margin, value + margin, margin, definition="distance"
    )


def side(name: str) -> Answer:
    letter = {"left": "A", "right": "B", "back": "C"}[name]
    return Answer(letter, name, choice=letter, definition="direction.vsi_three")


def answers_and_views() -> st.SearchStrategy[tuple[SpatialTask, Answer, View]]:
    values, rounding = st.floats(0.01, 50.0), st.sampled_from([0.0005, 0.005, 0.05, 0.5])
    units = st.sampled_from([None, "m", "cm", "ft"])
    distances = st.tuples(
        st.just(DISTANCE),
        st.builds(number, values, st.floats(0.0, 5.0)),
        st.builds(
            lambda value, unit, half: View(value, unit, half, said=f"{value}"), values, units, rounding
        ),
    )
    names = st.sampled_from(["left", "right", "back"])
    sides = st.tuples(
        st.just(SIDES),
        st.builds(side, names),
        st.builds(lambda name: View(name, choice=side(name).choice), names),
    )
    things = st.sampled_from(["lamp", "table", "floor lamp", "couch"])
    nearest = st.tuples(
        st.just(NEAREST), st.builds(lambda name: Answer(name, name), things), st.builds(View, things)
    )
    truths = st.tuples(
        st.just(YES_NO),
        st.builds(lambda holds: Answer(str(holds), holds), st.booleans()),
        st.builds(View, st.booleans()),
    )
    return distances | sides | nearest | truths


NOTHING_SAID = View(problem="it gave no answer")


@given(answers_and_views())
def test_strong_evidence_is_never_changed_by_any_view(case: tuple[SpatialTask, Answer, View]) -> None:
    task, measured, view = case
    outcome = gate(task, measured, view, {})
    kept = ("value", "unit", "low", "high", "margin", "choice", "abstained", "definition", "evidence")

    assert [getattr(outcome.answer, name) for name in kept] == [getattr(measured, name) for name in kept]
    assert outcome.answer.decided_by == ("evidence" if outcome.contradicts else "both")
    assert (outcome.answer.reason is not None) == outcome.contradicts


@given(answers_and_views())
def test_weak_evidence_never_overrides_the_view(case: tuple[SpatialTask, Answer, View]) -> None:
    task, measured, view = case
    outcome = gate(task, measured, view, WEAK)
    answer = outcome.answer

    assert not outcome.contradicts
    if answer.decided_by == "both":
        assert answer == replace(measured, decided_by="both")
    else:
        assert answer.decided_by == "model"
        assert (answer.low, answer.high, answer.margin) == (None, None, None)
        assert answer.choice == view.choice
        assert "not measured reliably" in (answer.reason or "")
        assert measured.text in (answer.reason or "")


@given(answers_and_views(), st.booleans(), st.booleans())
def test_a_model_that_says_nothing_changes_nothing(
    case: tuple[SpatialTask, Answer, View], is_weak: bool, stands: bool
) -> None:
    task, measured, _ = case
    for answer in (measured, abstain("there is no sofa")):
        outcome = gate(task, answer, NOTHING_SAID, WEAK if is_weak else {}, refusal_stands=stands)

        assert outcome == Gate(answer)


@given(answers_and_views())
def test_a_refusal_about_the_question_stands_and_another_gives_way(
    case: tuple[SpatialTask, Answer, View],
) -> None:
    task, _, view = case
    refusal = abstain("there is no sofa in this scene")

    assert gate(task, refusal, view, {}).answer == refusal
    unmeasured = gate(task, refusal, view, {}, refusal_stands=False).answer
    assert unmeasured.decided_by == "model"
    assert not unmeasured.abstained
    assert unmeasured.margin is None
    assert unmeasured.reason == "not measured: there is no sofa in this scene"


@given(
    value_m=st.floats(0.5, 20.0),
    margin_m=st.floats(0.0, 1.0),
    off=st.floats(-1.0, 1.0),
    decimals=st.integers(0, 3),
)
def test_a_number_within_the_interval_agrees_however_it_is_rounded(
    value_m: float, margin_m: float, off: float, decimals: int
) -> None:
    meant_cm = 100.0 * (value_m + off * margin_m)
    view = View(round(meant_cm, decimals), "cm", 0.5 * 10.0**-decimals)

    assert gate(DISTANCE, number(value_m, margin_m), view, {}).answer.decided_by == "both"


@given(value_m=st.floats(0.5, 20.0), margin_m=st.floats(0.0, 1.0), beyond=st.floats(1e-3, 5.0))
def test_a_number_beyond_interval_and_rounding_contradicts(
    value_m: float, margin_m: float, beyond: float
) -> None:
    view = View(value_m + margin_m + 0.05 + beyond, "m", 0.05)

    assert gate(DISTANCE, number(value_m, margin_m), view, {}).contradicts


@pytest.mark.parametrize(
    ("low", "high", "stated", "same"),
    [(1.4, None, 3.0, True), (1.4, None, 1.2, False), (None, 2.0, 0.1, True)],
)
def test_an_open_interval_has_one_end(
    low: float | None, high: float | None, stated: float, same: bool
) -> None:
    measured = Answer("1.5 m", 1.5, "m", low, high)

    assert agrees(DISTANCE, measured, View(stated, "m", 0.05)) is same


def test_counts_are_whole() -> None:
    measured = Answer("3", 3, "count")

    assert agrees(COUNT, measured, View(3.0, None, 0.5))
    assert not agrees(COUNT, measured, View(3.4, None, 0.05))
    assert not agrees(COUNT, measured, View(4.0, None, 0.5))


def test_angles_go_round() -> None:
    measured = Answer("179°", 179.0, "deg", 174.0, 184.0, 5.0)

    assert agrees(ANGLE, measured, View(-178.0, "deg", 0.5))
    assert not agrees(ANGLE, measured, View(-170.0, "deg", 0.5))


def test_a_number_of_another_kind_is_no_view() -> None:
    measured = number(2.0, 0.1)

    assert gate(DISTANCE, measured, View(4.0, "m2", 0.5), {}) == Gate(measured)
    assert gate(DISTANCE, abstain("x"), View(4.0, "m2", 0.5), {}, refusal_stands=False).answer.abstained


def test_a_view_is_given_in_the_unit_asked_for() -> None:
    answer = gate(IN_FEET, abstain("no depth"), View(3.048, "m", 0.0005), {}, refusal_stands=False).answer

    assert answer.value == pytest.approx(10.0)
    assert answer.unit == "ft"
    assert answer.text == "About 10 ft (not measured: no depth)"


def test_a_number_without_unit_is_in_the_unit_asked_for() -> None:
    measured = number(10.0, 0.1, "ft")

    assert gate(IN_FEET, measured, View(10.0, None, 0.5), {}).answer.decided_by == "both"
    assert gate(IN_FEET, measured, View(3.05, None, 0.005), {}).contradicts


def test_everything_on_one_side_may_be_named_in_any_order() -> None:
    measured = Answer("lamp, table", ["lamp", "table"])

    assert agrees(ON_SIDE, measured, View(["table", "lamp"]))
    assert not agrees(ON_SIDE, measured, View(["table"]))


def test_the_first_of_two_equal_names_is_the_same_thing() -> None:
    assert is_same("chair-2", "chair-2")
    assert not is_same("chair-2", "chair-1")
    assert is_same(["turn left", "turn right"], ["left", "right"])


@given(answers_and_views())
def test_a_contradiction_says_what_the_model_holds(case: tuple[SpatialTask, Answer, View]) -> None:
    task, measured, view = case
    outcome = gate(task, measured, replace(view, said="what it wrote"), {})
    assume(outcome.contradicts)

    assert "'what it wrote'" in (outcome.answer.reason or "")
    assert outcome.answer.text == measured.text if task.options else "contradicts" in outcome.answer.text
