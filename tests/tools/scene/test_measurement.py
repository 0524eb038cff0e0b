import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.tools.errors import InvalidValueError, UnitError
from spatial_agent.tools.scene import UNITS, Measurement, convert

LENGTHS = [unit for unit, (quantity, _) in UNITS.items() if quantity == "length"]


@pytest.mark.parametrize(
    ("value", "unit", "expected", "wanted"),
    [
        (1.0, "in", 2.54, "cm"),
        (1.0, "ft", 12.0, "in"),
        (1.0, "km", 1e6, "mm"),
        (1.0, "m2", 1e4, "cm2"),
        (1.0, "m2", 10.763910416709722, "ft2"),
        (180.0, "deg", math.pi, "rad"),
    ],
)
def test_units_have_their_defined_sizes(value: float, unit: str, expected: float, wanted: str) -> None:
    assert convert(value, unit, wanted) == pytest.approx(expected)
    assert convert(expected, wanted, unit) == pytest.approx(value)


@given(st.floats(-1e6, 1e6), *[st.sampled_from(LENGTHS)] * 3)
def test_a_detour_over_another_unit_changes_nothing(value: float, start: str, via: str, end: str) -> None:
    direct = convert(value, start, end)
    assert convert(convert(value, start, via), via, end) == pytest.approx(direct, rel=1e-9)


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("parsec", "m", "unknown unit 'parsec'; expected one of m, cm"),
        ("m", "furlong", "unknown unit 'furlong'"),
        ("m", "m2", "'m' measures length, 'm2' measures area"),
        ("share", "count", "'share' measures share, 'count' measures count"),
        ("deg", "s", "'deg' measures angle, 's' measures time"),
    ],
)
def test_units_of_another_quantity_are_refused(start: str, end: str, message: str) -> None:
    with pytest.raises(UnitError, match=message):
        convert(1.0, start, end)


@given(st.floats(0.0, 1e3), st.floats(0.0, 10.0), st.floats(0.0, 10.0), st.sampled_from(LENGTHS))
def test_another_unit_keeps_the_interval_around_the_value(
    value: float, below: float, above: float, unit: str
) -> None:
    measured = Measurement(value, "m", value - below, value + above, "surface distance")
    converted = measured.to(unit)
    assert converted.unit == unit
    assert converted.how == measured.how
    assert converted.low is not None
    assert converted.high is not None
    assert converted.low <= converted.value <= converted.high
    assert converted.margin == pytest.approx(convert(max(below, above), "m", unit), abs=1e-6)


@pytest.mark.parametrize(("low", "high"), [(None, 2.0), (1.0, None), (None, None)])
def test_an_open_end_has_no_margin_and_stays_open(low: float | None, high: float | None) -> None:
    measured = Measurement(1.5, "m", low, high, "cut off by the image border")
    assert measured.margin is None
    converted = measured.to("cm")
    assert (converted.low is None, converted.high is None) == (low is None, high is None)


@pytest.mark.parametrize(("low", "high"), [(1.6, 2.0), (1.0, 1.4), (2.0, 1.0)])
def test_a_value_outside_its_interval_is_refused(low: float, high: float) -> None:
    with pytest.raises(InvalidValueError, match="expected low <= value <= high"):
        Measurement(1.5, "m", low, high, "test")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_value_is_a_number(value: float) -> None:
    with pytest.raises(InvalidValueError, match="expected low <= value <= high"):
        Measurement(value, "m", None, None, "test")


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(UnitError, match="unknown unit 'metre'; expected one of"):
        Measurement(1.0, "metre", None, None, "test")


def test_a_given_number_is_exact() -> None:
    given_number = Measurement.given(2.5, "m", "boxes as given")
    assert given_number.exact
    assert given_number.margin == 0.0
    assert given_number.to("cm").exact
