"""What the grammar does not understand it refuses: fast, and saying what can be asked."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.agent.planner.grammar import CAN_BE_ASKED, parse
from spatial_agent.agent.task import SpatialTask
from spatial_agent.tools.errors import QuestionError


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("", "expected a question"),
        ("???", "expected a question"),
        ("Tell me a joke", "what can be asked: how many chairs"),
        ("What colour is the sofa?", "not looks, material or weight"),
        ("How much taller is the lamp than the sofa?", "two measurements one by one"),
        ("How far is the sofa?", "a distance is between two objects"),
        ("Which is closest?", "say to what"),
        ("What is the volume of the box?", "sizes are edges"),
        ("How far is it from the sofa?", "'it' does not say which object"),
        ("How far is the chair from me?", "'me' does not say which object"),
        ("How far is the chair from the chair and the table?", "has 'and' in it"),
        ("How far apart are the sofa, the lamp and the table?", "between two objects, got 3"),
        ("How far is the sofa from the table in square metres?", "measures area"),
        ("How many chairs are there in feet?", "no unit"),
        ("Is the sofa shorter than the table?", "two readings: say 'less tall' or 'less long'"),
        ("Which is the shortest, the sofa or the table?", "two readings"),
        ("Is the lamp higher than the sofa?", "two readings: say 'taller'"),
        (
            "Is the chair closer to the table than the sofa?",
            "'... than to the sofa' .* '... than the sofa is'",
        ),
        ("How tall is the room?", "only the floor area"),
        ("How tall is the sofa, centre to centre?", "only a distance can be from centre to centre"),
        ("Which is taller, the lamp?", "two or more objects"),
        ("In what order does the sofa appear?", "two or more objects"),
        ("Which is closer to the sofa, the lamp or the lamp?", "names an object twice"),
        ("I start at the door facing the sofa, go to the sofa: which turns do I take?", "no turn"),
        ("Is the sofa longer than 2 square metres?", "measures area"),
        ("a" * 20_000, "at most 4000 characters, got 20000"),
        ("how far is the chair " * 40, "at most 600 characters"),
    ],
)
def test_a_question_without_meaning_is_refused_with_what_it_lacks(question: str, said: str) -> None:
    with pytest.raises(QuestionError, match=said):
        parse(question)


def test_a_refusal_of_the_unknown_lists_what_can_be_asked_and_stays_short() -> None:
    with pytest.raises(QuestionError) as caught:
        parse("blah " * 100)
    assert all(form in str(caught.value) for form in CAN_BE_ASKED)
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize("question", CAN_BE_ASKED)
def test_what_a_refusal_offers_can_be_asked(question: str) -> None:
    assert parse(question).question == question


BOMBS = (
    "how far is " + "a " * 290,
    "from " * 118,
    "standing at a facing b " * 25,
    "is a closer to b than to " * 20,
    "what is the distance between a and " * 16,
    "in what order do " + "a, " * 180 + "appear",
    "you are a robot beginning at " + "facing " * 500,
    "measuring from the closest point of each object, what is the distance between " + "and " * 900,
    "measuring from the closest point of each object, which of these objects ("
    + "a, " * 1200
    + ") is the closest to b",
    "i start at a facing b go to " + "then to " * 60 + ": which turns do i take",
    "if i am standing by " + "and facing " * 300,
    "to a's own left " * 35,
    "is a to my " + "left, right, " * 40,
    "these are frames of a video. " * 130,
    "is the x at " + "1" * 500,
    "((((" * 140,
)


@pytest.mark.parametrize("bomb", BOMBS)
def test_nothing_makes_the_grammar_slow(bomb: str) -> None:
    # Catastrophic backtracking takes minutes; ordinary refusals take milliseconds.
    start = time.process_time()
    with pytest.raises(QuestionError):
        parse(bomb)
    assert time.process_time() - start < 2.0


WORDS = (
    "the a is are how far from to than which what where closer closest left right of standing at facing in "
    "frame 3 sofa lamp table chair and or , ? ' ( ) . 2 m feet many there order appear first on own "
    "side turn go"
)


def understood(text: str, options: list[str]) -> SpatialTask | None:
    """Return the task, or None where it is refused; any other error ends the test."""
    try:
        return parse(text, options)
    except QuestionError:
        return None


@given(st.text(max_size=300))
def test_no_text_raises_anything_but_a_question_error(text: str) -> None:
    understood(text, [])


@given(
    st.lists(st.sampled_from(WORDS.split()), max_size=25).map(" ".join),
    st.lists(st.text(max_size=20), max_size=4),
)
def test_whatever_is_understood_survives_as_json(text: str, options: list[str]) -> None:
    task = understood(text, options)
    assert task is None or task == SpatialTask.from_json(task.to_json())
