"""Answers from evidence alone: one reading or two, with options or without."""

import pytest

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import answer_readings, answer_task
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.tools.contract import Evidence, Finding

SURFACES = parse("How far is the sofa from the tv?")
CENTRES = parse("How far is the sofa from the tv, centre to centre?")
IN_FEET = parse("How far is the sofa from the tv in feet?")
LENGTHS = parse("How far is the sofa from the tv?", ["1 m", "2 m", "4 m"])
VSI = parse(
    "Measuring from the closest point of each object, what is the distance between the sofa and the tv "
    "(in meters)?"
)
SIDE = parse("Standing at the door, facing the window, where is the sofa?")
DIFFER = "surfaces or centres"


def distance(number: int, call_id: str, value: float, margin: float = 0.1, unit: str = "m") -> Evidence:
    finding = Finding(
        f"It is {value} {unit}.", value, unit, value - margin, value + margin, "distance.surface"
    )
    return Evidence(f"e{number}", call_id, "distance", finding)


def direction(number: int, call_id: str, name: str) -> Evidence:
    return Evidence(f"e{number}", call_id, "direction", Finding(f"It is {name}.", name))


def failure(call_id: str, message: str) -> dict[str, str]:
    return {"call_id": call_id, "tool": "distance", "error": "NoSuchObjectError", "message": message}


def test_each_reading_is_answered_from_its_own_calls() -> None:
    evidence = [
        distance(1, "c1", 2.0),
        distance(2, "d1", 3.0),
        distance(3, "v1", 1.9),
        distance(4, "m1.1", 9.0),
    ]

    assert answer_task(SURFACES, evidence, [], {}).value == 2.0
    assert answer_task(CENTRES, evidence, [], {}, own="d").value == 3.0


def test_a_failure_of_one_reading_takes_nothing_from_the_other() -> None:
    evidence = [distance(1, "d1", 3.0)]
    failures = [failure("c1", "there is no settee"), failure("m1.1", "wrong")]

    refused = answer_task(SURFACES, evidence, failures, {})
    assert (refused.abstained, refused.reason) == (True, "there is no settee")
    assert answer_task(CENTRES, evidence, failures, {}, own="d").value == 3.0


def test_with_one_reading_nothing_is_said_of_another() -> None:
    evidence = [distance(1, "c1", 2.0)]
    readings = answer_readings(SURFACES, None, evidence, [], {})

    assert readings.answer == answer_task(SURFACES, evidence, [], {})
    assert readings.weak == {}


@pytest.mark.parametrize(("other", "unit"), [(2.15, "m"), (2.0, "m"), (200.0, "cm"), (6.6, "ft")])
def test_two_readings_that_agree_say_so(other: float, unit: str) -> None:
    margin = {"m": 0.1, "cm": 10.0, "ft": 0.3}[unit]
    evidence = [distance(1, "c1", 2.0), distance(2, "d1", other, margin, unit)]
    answer = answer_readings(SURFACES, CENTRES, evidence, [], {}, DIFFER).answer

    assert answer.value == 2.0
    assert answer.reason == "the question can be read two ways (surfaces or centres); both give this answer"
    assert answer.reason in answer.text


def test_where_two_readings_differ_the_first_decides_and_the_other_is_told() -> None:
    evidence = [distance(1, "c1", 2.0), distance(2, "d1", 3.0)]
    answer = answer_readings(SURFACES, CENTRES, evidence, [], {"e2": "seen in part"}, DIFFER).answer

    assert answer.value == 2.0
    assert answer.margin == pytest.approx(0.1)
    assert answer.reason == (
        "the question can be read two ways (surfaces or centres); read the other way, the answer is: "
        "It is 3.0 m. (weak evidence: seen in part)"
    )


def test_only_what_the_deciding_reading_rests_on_makes_it_weak() -> None:
    evidence = [distance(1, "c1", 2.0), distance(2, "d1", 3.0)]

    assert answer_readings(SURFACES, CENTRES, evidence, [], {"e2": "x"}).weak == {}
    assert answer_readings(SURFACES, CENTRES, evidence, [], {"e1": "x"}).weak == {"e1": "x"}


def test_a_refused_reading_stays_refused_and_tells_the_other() -> None:
    evidence = [distance(1, "d1", 3.0)]
    answer = answer_readings(SURFACES, CENTRES, evidence, [failure("c1", "there is no settee")], {}).answer

    assert answer.abstained
    assert answer.value is None
    assert answer.reason == (
        "there is no settee; the question can be read two ways; read the other way, "
        "the answer is: It is 3.0 m"
    )


def test_a_refused_other_reading_is_told_with_its_reason() -> None:
    answer = answer_readings(
        SURFACES, CENTRES, [distance(1, "c1", 2.0)], [failure("d1", "there is no settee")], {}
    ).answer

    assert answer.value == 2.0
    assert (answer.reason or "").endswith("read the other way, there is no answer: there is no settee")


def test_a_bare_answer_stays_bare_whatever_is_to_be_said() -> None:
    evidence = [distance(1, "c1", 2.04), distance(2, "d1", 3.0)]
    number = answer_readings(VSI, CENTRES, evidence, [], {}).answer
    letter = answer_readings(LENGTHS, LENGTHS, evidence, [], {}).answer

    assert number.text == "2.0"
    assert letter.text == letter.choice == "B"
    assert "read the other way, the answer is: It is 3.0 m" in (number.reason or "")


def test_names_of_two_readings_are_compared_as_names() -> None:
    same = [direction(1, "c1", "left"), direction(2, "d1", "left")]
    others = [direction(1, "c1", "left"), direction(2, "d1", "right")]

    assert "both give this answer" in (answer_readings(SIDE, SIDE, same, [], {}).answer.reason or "")
    assert "the answer is: It is right" in (answer_readings(SIDE, SIDE, others, [], {}).answer.reason or "")


@pytest.mark.parametrize(
    ("value", "margin", "choice", "runner_up"),
    [(1.9, 0.1, "B", None), (2.9, 0.2, "B", "C. 4 m"), (1.52, 0.1, "B", "A. 1 m"), (3.5, 0.3, "C", None)],
)
def test_a_number_between_two_options_names_the_runner_up(
    value: float, margin: float, choice: str, runner_up: str | None
) -> None:
    answer: Answer = answer_task(LENGTHS, [distance(1, "c1", value, margin)], [], {})

    assert answer.choice == choice
    if runner_up is None:
        assert answer.reason is None
    else:
        middle = {"C. 4 m": 3.0, "A. 1 m": 1.5}[runner_up]
        assert answer.reason == (
            f"close: the runner-up is {runner_up}; the value is {abs(value - middle):.2f} m from the middle "
            f"between the two, its margin {margin:.2f} m"
        )


def test_a_value_that_is_none_of_the_options_is_a_refusal() -> None:
    task = parse("Standing at the door, facing the window, where is the sofa?", ["left", "right"])
    answer = answer_task(task, [direction(1, "c1", "back")], [], {})

    assert answer.abstained
    assert "none of the options (A. left; B. right)" in (answer.reason or "")


def test_the_same_failure_is_told_once() -> None:
    failures = [failure("c1", "there is no sofa"), failure("c2", "there is no sofa")]

    assert answer_task(SURFACES, [], failures, {}).text == "No answer: there is no sofa"
    assert answer_task(IN_FEET, [], [], {}).reason == "nothing was measured"
