"""Reading options, and matching what was measured to one of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.agent.planner.options import match_option, read_options
from spatial_agent.agent.task import Option
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import QuestionError

SIDES = ("left", "right", "back")


@pytest.mark.parametrize(
    "given_options",
    [
        ["A. left", "B. right", "C. back"],
        ["A) left", "B) right", "C) back"],
        ["(A) left", "(B) right", "(C) back"],
        ["a: left", "b: right", "c: back"],
        ["A.left", " B. right ", "C. back"],
        ["left", "right", "back"],
    ],
)
def test_letters_are_read_or_given(given_options: list[str]) -> None:
    assert read_options(given_options) == tuple(map(Option, "ABC", SIDES))


def test_letters_need_not_begin_with_a_and_keep_their_order() -> None:
    assert read_options(["D. one", "B. two"]) == (Option("D", "one"), Option("B", "two"))


def test_no_options_are_no_options() -> None:
    assert read_options([]) == ()


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (["A. left", "right"], "all options a letter"),
        (["A. left", "A. right"], "letters must differ"),
        (["left", "LEFT"], "a text stands twice"),
        (["A. left", "B."], "needs a text"),
        (["", "left"], "needs a text"),
        (["only"], "expected 2 to 26"),
        ([str(number) for number in range(27)], "expected 2 to 26"),
        (["x" * 301, "y"], "at most 300"),
    ],
)
def test_options_that_cannot_be_told_apart_are_refused(bad: list[str], said: str) -> None:
    with pytest.raises(QuestionError, match=said):
        read_options(bad)


@pytest.mark.parametrize(
    ("options", "value", "unit", "letter"),
    [
        (["left", "right"], "left", None, "A"),
        (["to my left", "to my right"], "right", None, "B"),
        (["in front of me", "behind me"], "back", None, "B"),
        (["front-left", "back left"], "back-left", None, "B"),
        (["Turn Left, Turn Right", "Turn Right, Turn Left"], ["turn right", "turn left"], None, "B"),
        (["Turn Left, Turn Back", "Turn Left, Turn Right"], ["left", "back"], None, "A"),
        (["lamp, sofa, tv", "sofa, lamp, tv"], ["couch", "lamp", "television"], None, "B"),
        (["sofa -> lamp", "lamp -> sofa"], ["lamp", "sofa"], None, "B"),
        (["The sofa", "The lamp"], "couch", None, "A"),
        (["lamp-1", "lamp-2"], "lamp-2", None, "B"),
        (["Yes", "No"], True, None, "A"),
        (["Yes.", "No."], False, None, "B"),
        (["1.2 m", "2.5 m", "4 m"], 2.3, "m", "B"),
        (["120 cm", "250 cm"], 2.3, "m", "B"),
        (["about 4 feet", "about 8 feet"], 2.3, "m", "B"),
        (["2", "3", "4"], 3, "count", "B"),
        (["two", "three"], 3, "count", "B"),
        (["3 o'clock", "9 o'clock"], "9 o'clock", None, "B"),
    ],
)
def test_a_value_goes_to_the_option_that_says_it(
    options: list[str], value: Json, unit: str | None, letter: str
) -> None:
    found = match_option(read_options(options), value, unit)
    assert found is not None
    assert found.letter == letter


@pytest.mark.parametrize(
    ("options", "value", "unit"),
    [
        (["left", "right"], "back", None),
        (["sofa", "lamp"], "piano", None),
        (["couch", "settee"], "sofa", None),  # either would do, so neither does
        (["lamp, sofa", "sofa, lamp"], ["sofa"], None),
        (["1 m", "3 m"], 2.0, "m"),  # halfway
        (["1 m", "far away"], 2.0, "m"),
        (["10 m2", "20 m2"], 2.0, "m"),
        (["left", "right"], True, None),
        (["yes", "no"], "sofa", None),
    ],
)
def test_a_value_that_no_single_option_says_goes_to_none(
    options: list[str], value: Json, unit: str | None
) -> None:
    assert match_option(read_options(options), value, unit) is None


numbers = st.lists(st.integers(0, 1000), min_size=2, max_size=6, unique=True)


@given(numbers, st.floats(0, 1000))
def test_no_other_number_is_nearer_than_the_option_chosen(offered: list[int], value: float) -> None:
    chosen = match_option(read_options([f"{number} cm" for number in offered]), value / 100, "m")
    nearest = min(abs(number - value) for number in offered)
    if chosen is not None:
        assert abs(float(chosen.text.removesuffix(" cm")) - value) == pytest.approx(nearest, abs=1e-6)


@given(st.permutations(["sofa", "lamp", "tv", "table"]))
def test_an_order_is_found_again_among_all_orders(order: list[str]) -> None:
    options = read_options(["sofa, lamp, tv, table", "table, tv, lamp, sofa", ", ".join(order) + ", door"])
    chosen = match_option(options, order)
    expected = {"sofa, lamp, tv, table": "A", "table, tv, lamp, sofa": "B"}.get(", ".join(order))
    assert (chosen and chosen.letter) == expected
