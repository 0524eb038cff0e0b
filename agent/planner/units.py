"""Units and quantities as people write them: "feet", "2.5 m", "one and a half metres", "80cm"."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from spatial_agent.tools.errors import QuestionError
from spatial_agent.tools.scene import UNITS

#: How people write the units of `tools.scene.UNITS`.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "m": ("m", "metre", "metres", "meter", "meters"),
    "cm": ("cm", "cms", "centimetre", "centimetres", "centimeter", "centimeters"),
    "mm": ("mm", "millimetre", "millimetres", "millimeter", "millimeters"),
    "km": ("km", "kilometre", "kilometres", "kilometer", "kilometers"),
    "in": ("in", "inch", "inches", '"'),
    "ft": ("ft", "foot", "feet", "'"),
    "m2": (
        "m2", "m^2", "sqm", "sq m", "sq. m", "square m", "square metre", "square metres", "square meter",
        "square meters",
    ),
    "cm2": ("cm2", "cm^2", "sq cm", "square centimetre", "square centimetres", "square centimeters"),
    "ft2": ("ft2", "ft^2", "sqft", "sq ft", "sq. ft", "square foot", "square feet"),
    "deg": ("deg", "degree", "degrees", "°"),
    "s": ("s", "sec", "second", "seconds"),
}  # fmt: skip
UNIT_OF = {spelling: unit for unit, spellings in SPELLINGS.items() for spelling in spellings}
NUMBER_WORDS = {
    "no": 0.0, "zero": 0.0, "half a": 0.5, "half an": 0.5, "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0,
    "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0,
    "eleven": 11.0, "twelve": 12.0, "one and a half": 1.5, "two and a half": 2.5, "a dozen": 12.0,
}  # fmt: skip


def any_of(words: Iterable[str]) -> str:
    """Return the regular expression of any of some strings, longest first."""
    return "|".join(sorted(map(re.escape, words), key=len, reverse=True))


#: Regular expressions without groups, for use inside larger ones.
UNIT = rf"(?:{any_of(UNIT_OF)})"
NUMBER = rf"(?:\d{{1,7}}(?:\.\d{{1,7}})?|{any_of(NUMBER_WORDS)})"
QUANTITY = rf"(?:{NUMBER} ?{UNIT})"

_QUANTITY = re.compile(rf"(?:about |around |roughly |~ ?)?(-?{NUMBER}) ?({UNIT})?")
_ASKED_UNIT = re.compile(rf",? \(?(?:(?:measured|expressed|given) )?in ({UNIT})\)?$")


@dataclass(frozen=True)
class Quantity:
    """A number as read.

    Attributes:
        value: The number, in `unit`.
        unit: One of `tools.scene.UNITS`, or None where no unit is said.
    """

    value: float
    unit: str | None


def read_quantity(text: str) -> Quantity | None:
    """Read a number with or without a unit; None where the text is anything else.

    >>> read_quantity("80cm"), read_quantity("two feet")
    (Quantity(value=80.0, unit='cm'), Quantity(value=2.0, unit='ft'))
    """
    found = _QUANTITY.fullmatch(" ".join(text.casefold().replace("²", "2").split()).rstrip("."))
    if not found:
        return None
    sign = -1.0 if found[1].startswith("-") else 1.0
    digits = found[1].lstrip("-")
    value = NUMBER_WORDS[digits] if digits in NUMBER_WORDS else float(digits)
    return Quantity(sign * value, UNIT_OF[found[2]] if found[2] else None)


def split_unit(text: str) -> tuple[str, str | None]:
    """Split the unit asked for from the end of a cleaned question: "... (in feet)", "... in cm"."""
    found = _ASKED_UNIT.search(text)
    return (text[: found.start()], UNIT_OF[found[1]]) if found else (text, None)


def check_unit(unit: str | None, quantity: str) -> str | None:
    """Return the unit if it measures the quantity ("length", "area", "angle").

    Raises:
        QuestionError: If it measures something else.
    """
    if unit is None or UNITS[unit][0] == quantity:
        return unit
    fitting = ", ".join(name for name, (measured, _) in UNITS.items() if measured == quantity)
    raise QuestionError(
        f"{unit!r} measures {UNITS[unit][0]}, but the question is about {quantity}; ask in {fitting}"
    )
