"""Units and quantities in words."""

import pytest

from spatial_agent.agent.planner.units import SPELLINGS, Quantity, check_unit, read_quantity, split_unit
from spatial_agent.tools.errors import QuestionError
from spatial_agent.tools.scene import UNITS


def test_every_spelling_names_a_unit_that_exists_and_no_two_units() -> None:
    spellings = [spelling for words in SPELLINGS.values() for spelling in words]
    assert set(SPELLINGS) <= set(UNITS)
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("2 m", 2.0, "m"),
        ("2.5m", 2.5, "m"),
        ("80cm", 80.0, "cm"),
        ("6 feet", 6.0, "ft"),
        ("Half a metre", 0.5, "m"),
        ("one and a half meters", 1.5, "m"),
        ("a foot", 1.0, "ft"),
        ("20 m²", 20.0, "m2"),
        ("20 square metres", 20.0, "m2"),
        ("about 3 inches", 3.0, "in"),
        ("45 degrees", 45.0, "deg"),
        ("-30°", -30.0, "deg"),
        ("three", 3.0, None),
        ("7", 7.0, None),
    ],
)
def test_a_quantity_is_read(text: str, value: float, unit: str | None) -> None:
    assert read_quantity(text) == Quantity(value, unit)


@pytest.mark.parametrize(
    "text", ["", "far", "2 bananas", "1,5 m", "2 m 3 cm", "m", "1e5 m", "9" * 400, "nan m", "inf"]
)
def test_anything_else_is_no_quantity(text: str) -> None:
    assert read_quantity(text) is None


@pytest.mark.parametrize(
    ("text", "rest", "unit"),
    [
        ("how tall is the sofa in feet", "how tall is the sofa", "ft"),
        ("how tall is the sofa (in cm)", "how tall is the sofa", "cm"),
        ("how tall is the sofa, measured in inches", "how tall is the sofa", "in"),
        ("how big is the room in square feet", "how big is the room", "ft2"),
        ("how many chairs are in the room", "how many chairs are in the room", None),
    ],
)
def test_the_unit_asked_for_is_split_from_the_question(text: str, rest: str, unit: str | None) -> None:
    assert split_unit(text) == (rest, unit)


def test_a_unit_of_another_quantity_is_refused_with_those_that_fit() -> None:
    assert check_unit("ft", "length") == "ft"
    assert check_unit(None, "area") is None
    with pytest.raises(QuestionError, match="'m2' measures area, .* ask in m, cm, mm, km, in, ft"):
        check_unit("m2", "length")
