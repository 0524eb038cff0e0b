"""What models write, read as answers: whatever they write round it, and nothing where it is not clear."""

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.agent.models.chat import ChatReply
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.task import SpatialTask
from spatial_agent.agent.view import View, read_view
from spatial_agent.tools.contract import Json

DISTANCE = parse("How far is the sofa from the tv?")
COUNT = parse("How many chairs are there?")
YES_NO = parse("Is the sofa longer than 2 m?")
NEAREST = parse("Which is closer to the sofa, the lamp or the table?")
WHERE = parse("Standing at the door, facing the window, where is the sofa?")
ORDER = parse("In what order do the sofa, the lamp and the table appear?")
SIDES = parse("Standing at the door, facing the window, where is the sofa?", ["front-left", "left", "right"])
LENGTHS = parse("How far is the sofa from the tv?", ["1.5 m", "2.5 m", "3.5 m"])
ON_SIDE = parse("What is to the sofa's own left?")
OPEN = SpatialTask(
    "What is odd here?", "open", "plain", "text", objective="say what stands where it should not"
)


def said(task: SpatialTask, text: str) -> View:
    return read_view(task, ChatReply(text), {"e1", "e2"})


def document(task: SpatialTask, content: Json) -> View:
    return read_view(task, ChatReply(json.dumps(content), document=content), {"e1", "e2"})


@pytest.mark.parametrize(
    "text",
    [
        "C",
        "c",
        "(C)",
        "C.",
        "**C**",
        "C. right",
        "c) right",
        "right",
        "Right.",
        "to the right",
        "The answer is C.",
        "Answer: C",
        "I would go for option C, since the door is behind",
        "The sofa is on your right side when you face the window, so: Answer: **C**",
        "<think>A? no, B.</think>C",
        '{"answer": "C"}',
        '```json\n{"reason": "not A", "answer": "C",}\n```',
        "The sofa is to the right of the observer.",
    ],
)
def test_a_letter_is_found_in_whatever_stands_round_it(text: str) -> None:
    view = said(SIDES, text)

    assert (view.choice, view.value) == ("C", "right")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "D",
        "A or B",
        "front-left or right",
        "not left",
        "option A, or option B",
        "unknown",
        "I cannot tell.",
    ],
)
def test_what_names_no_option_or_two_is_no_view(text: str) -> None:
    view = said(SIDES, text)

    assert not view.is_given
    assert view.choice is None
    assert view.problem


def test_an_option_inside_a_longer_one_is_not_the_one_meant() -> None:
    assert said(SIDES, "the sofa is front-left of you").choice == "A"


@pytest.mark.parametrize(
    ("text", "letter"), [("2.5", "B"), ("250 cm", "B"), ("about 3.5 m", "C"), ("2.4 m", None)]
)
def test_numbers_choose_the_option_that_says_the_same(text: str, letter: str | None) -> None:
    assert said(LENGTHS, text).choice == letter


@pytest.mark.parametrize(
    ("content", "value", "unit"),
    [
        ({"answer": "2.35", "unit": "m", "cites": ["e1"]}, 2.35, "m"),
        ({"answer": 2.35, "unit": "m"}, 2.35, "m"),
        ({"Answer": "2.35 m"}, 2.35, "m"),
        ({"answer": {"value": 235, "unit": "cm"}}, 235.0, "cm"),
        ({"answer": "235", "unit": "centimetres"}, 235.0, "cm"),
        ({"final_answer": "about 2.35 metres"}, 2.35, "m"),
        (2.35, 2.35, None),
    ],
)
def test_numbers_come_with_their_unit_wherever_it_stands(
    content: Json, value: float, unit: str | None
) -> None:
    view = document(DISTANCE, content)

    assert (view.value, view.unit) == (pytest.approx(value), unit)


@pytest.mark.parametrize("text", ["three", "3", "There are 3 chairs.", "Answer: 3 chairs"])
def test_counts_are_read_as_words_and_digits(text: str) -> None:
    assert said(COUNT, text).value == 3.0


@pytest.mark.parametrize("text", ["none", "None.", "0", "zero", "there are none"])
def test_none_is_a_count(text: str) -> None:
    assert said(COUNT, text).value == 0.0


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", True),
        ("Yes, it is longer than 2 m.", True),
        ("no", False),
        ("No chair is longer", False),
        ("The answer is yes", True),
        ("It is not.", None),
        ("yes and no, hard to say", True),
        ("maybe", None),
    ],
)
def test_yes_and_no(text: str, value: bool | None) -> None:
    assert said(YES_NO, text).value is value


@pytest.mark.parametrize(
    ("task", "text", "value"),
    [
        (NEAREST, "The lamp.", "lamp"),
        (NEAREST, "The lamp is closer to the couch.", "lamp"),
        (NEAREST, "lamp or table", None),
        (NEAREST, "not the lamp", None),
        (WHERE, "on your left", "left"),
        (WHERE, "Behind you", "back"),
        (WHERE, "It is to the left of the observer", "left"),
        (WHERE, "left or right", None),
        (ORDER, "sofa, lamp, table", ["sofa", "lamp", "table"]),
        (ORDER, "1. Sofa, 2. Lamp, 3. Table", ["sofa", "lamp", "table"]),
        (ORDER, "sofa -> lamp -> table", ["sofa", "lamp", "table"]),
        (OPEN, "The chair stands on the table.", "The chair stands on the table."),
    ],
)
def test_names_and_orders(task: SpatialTask, text: str, value: Json) -> None:
    assert said(task, text).value == value


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (["Lamp", "the table"], ["lamp", "table"]),
        ([], []),
        ("nothing", []),
        ("lamp", ["lamp"]),
        (["unknown"], None),
    ],
)
def test_everything_on_one_side_is_a_list_that_may_be_empty(content: Json, value: Json) -> None:
    assert document(ON_SIDE, {"answer": content}).value == value


def test_only_evidence_that_there_is_can_be_cited() -> None:
    assert document(DISTANCE, {"answer": "2 m", "cites": ["[e1]", "e7", "E2", "e1"]}).cites == ("e1", "e2")
    assert document(DISTANCE, {"answer": "2 m [e2]", "cites": "e1"}).cites == ("e1", "e2")
    assert document(DISTANCE, {"answer": "2 m", "cites": 3}).cites == ()


def test_what_is_quoted_is_one_short_line_without_control_characters() -> None:
    view = said(OPEN, "one\n\x1b[31mtwo\u202e " + "x" * 500)

    assert "\n" not in view.said
    assert "\x1b" not in view.said
    assert "\u202e" not in view.said
    assert len(view.said) < 150


def test_a_hundred_kilobytes_are_read_at_once() -> None:
    started = time.perf_counter()
    for text in ("a " * 50_000, "1 " * 50_000, "{" * 100_000, "answer: " * 12_500, "yes no " * 14_000):
        for task in (SIDES, DISTANCE, NEAREST):
            said(task, text)

    assert time.perf_counter() - started < 5.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["answer", "unit", "cites", "value", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from([DISTANCE, COUNT, YES_NO, NEAREST, WHERE, ORDER, ON_SIDE, SIDES, OPEN]))
def test_any_document_is_read_or_not_but_never_an_error(content: Json, task: SpatialTask) -> None:
    view = read_view(task, ChatReply("", document=content), {"e1"})

    assert view.is_given == (view.problem is None)
    assert view.choice is None or view.choice in {option.letter for option in task.options}


@given(
    st.text(max_size=300),
    st.sampled_from([DISTANCE, COUNT, YES_NO, NEAREST, WHERE, ORDER, ON_SIDE, SIDES, OPEN]),
)
def test_any_words_are_read_or_not_but_never_an_error(text: str, task: SpatialTask) -> None:
    assert read_view(task, ChatReply(text), {"e1"}).is_given in (True, False)
