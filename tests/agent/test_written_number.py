"""Numbers as models write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.agent.written_number import WrittenNumber, read_number


@pytest.mark.parametrize(
    ("text", "value", "unit", "rounding"),
    [
        ("2.1", 2.1, None, 0.05),
        ("2.10 m", 2.1, "m", 0.005),
        ("about 2 metres", 2.0, "m", 0.5),
        ("80cm", 80.0, "cm", 0.5),
        ("~80 cm.", 80.0, "cm", 0.5),
        ("The sofa is 2.35 m long.", 2.35, "m", 0.005),
        ("It is **1.5 m** away", 1.5, "m", 0.05),
        ("1,200 cm", 1200.0, "cm", 0.5),
        ("2,1 m", 2.1, "m", 0.05),
        ("\u221212.5\u00b0", -12.5, "deg", 0.05),
        ("87\u00b0 to the right", -87.0, "deg", 0.5),
        ("87 degrees to the left", 87.0, "deg", 0.5),
        ("87 degrees counter-clockwise", 87.0, "deg", 0.5),
        ("2.34 m (\u00b1 0.05 m)", 2.34, "m", 0.005),
        ("2.34 +/- 0.05 m", 2.34, None, 0.005),
        ("14.25 m\u00b2", 14.25, "m2", 0.005),
        ("14 square metres", 14.0, "m2", 0.5),
        ("2.1 m (6.9 ft)", 2.1, "m", 0.05),
        ("5 feet 6 inches", 5.5, "ft", 0.5 / 12.0),
        ("3e-1 m", 0.3, "m", 0.05),
        ("1.25E2 cm", 125.0, "cm", 0.5),
        (".5 m", 0.5, "m", 0.05),
        ("two feet", 2.0, "ft", 0.5),
        ("one and a half metres", 1.5, "m", 0.25),
        ("There are three chairs", 3.0, None, 0.5),
        ("there are 3 in total", 3.0, None, 0.5),
        ("chair-2 is 1.5 m from the door", 1.5, "m", 0.05),
        ("between the 2 chairs there is 1.5 m", 1.5, "m", 0.05),
    ],
)
def test_what_can_be_read_in_one_way_is_read(
    text: str, value: float, unit: str | None, rounding: float
) -> None:
    number = read_number(text)

    assert number is not None
    assert number.unit == unit
    assert number.value == pytest.approx(value)
    assert number.rounding == pytest.approx(rounding)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "far",
        "2 to 3 m",
        "between 2 and 3",
        "2-3 m",
        "2 m or 3 m",
        "chair-2",
        "1.2.3",
        "nan",
        "inf",
        "two or three",
    ],
)
def test_what_could_be_read_in_two_ways_is_not(text: str) -> None:
    assert read_number(text) is None


def test_a_unit_may_stand_apart_from_its_number() -> None:
    assert read_number("80", "centimetres") == WrittenNumber(80.0, "cm", 0.5)
    assert read_number("80 cm", "m") == WrittenNumber(80.0, "cm", 0.5)
    assert read_number("80", "furlongs") == WrittenNumber(80.0, None, 0.5)


def test_a_number_alone_has_no_words_around_it() -> None:
    assert read_number("about 2.1 m.", alone=True) == WrittenNumber(2.1, "m", 0.05)
    assert read_number("the table is 2.1 m away", alone=True) is None
    assert read_number("it is 2.1 m, behind the table", alone=True) is None


@given(st.integers(-99_999, 99_999), st.integers(0, 4), st.sampled_from(["m", "cm", "ft", "m2", "deg"]))
def test_what_was_rounded_lies_within_how_it_was_written(scaled: int, decimals: int, unit: str) -> None:
    meant = scaled / 1000.0
    number = read_number(f"{meant:.{decimals}f} {unit}")

    assert number is not None
    assert number.unit == unit
    assert number.lies_within(meant, meant)
    assert not number.lies_within(meant + 1.01 * 10.0**-decimals, None)


@given(st.text(max_size=200))
def test_any_text_is_read_or_not_but_never_an_error(text: str) -> None:
    number = read_number(text)

    assert number is None or isinstance(number.value, float)
