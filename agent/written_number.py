"""Numbers as models write them: "about 2.1 metres", "1,200 cm", "2.34 m (± 0.05 m)", "5 feet 6 inches"."""

import re
from dataclasses import dataclass
from itertools import pairwise

from spatial_agent.agent.planner.units import NUMBER_WORDS, UNIT_OF, any_of, read_quantity
from spatial_agent.tools.errors import UnitError
from spatial_agent.tools.scene import convert

#: Longest text that is searched for numbers, and most numbers looked at, after which there are too many.
MOST_TEXT, MOST_NUMBERS = 4000, 12
DIGITS = r"\d{1,3}(?:,\d{3}){1,4}(?:\.\d{1,12})?|\d{1,15}(?:[.,]\d{1,15})?|\.\d{1,15}"
#: "in" is a word far more often than inches, so it needs something that ends the quantity behind it.
UNIT = rf"(?:in(?= ?(?:$|[.,;)]))|{any_of(unit for unit in UNIT_OF if unit != 'in')})(?!\w)"
NUMBER = re.compile(rf"(?<![\w.,-])(-? ?)({DIGITS})(?:e([+-]?\d{{1,2}}))?(?: ?({UNIT}))?(?![\w-]|[.,]\d)")
#: Two bare numbers that bound a range: neither of them is the answer.
RANGE = re.compile(r"\d ?(?:to|and|or|-|\.\.\.?) ?\d")
MARGIN = re.compile(r"\(? ?(?:±|\+/-|\+-|plus or minus|give or take)[^,;)]{0,40}\)?")
ABOUT = re.compile(r"^(?:it is |it's )?(?:about|around|roughly|approximately|approx\.?|circa|~|≈|=) ?")
TO_THE_RIGHT = re.compile(r"\b(?:right|(?<!counter-)(?<!counter)clockwise)\b")
TO_THE_LEFT = re.compile(r"\b(?:left|counter-?clockwise)\b")
#: Words that are numbers wherever they stand; "a" and "one" mostly are not.
COUNTING_WORDS = {
    word: number for word, number in NUMBER_WORDS.items() if " " not in word and word not in ("a", "an", "no")
}
COUNTING = re.compile(rf"(?<![\w-])(?:{any_of(COUNTING_WORDS)})(?![\w-])")


@dataclass(frozen=True)
class WrittenNumber:
    """A number with what its digits say.

    Attributes:
        value: The number.
        unit: One of `tools.scene.UNITS`, or None where no unit is written.
        rounding: Half of what its last digit stands for, in `unit`: what was meant may be so far off.
    """

    value: float
    unit: str | None
    rounding: float

    def to(self, unit: str | None) -> "WrittenNumber | None":
        """Return it in a unit, which also is its unit where none is written; None where it has another kind.

        >>> WrittenNumber(210.0, "cm", 0.5).to("m")
        WrittenNumber(value=2.1, unit='m', rounding=0.005)
        """
        if unit is None or self.unit is None:
            return WrittenNumber(self.value, self.unit or unit, self.rounding)
        try:
            value, rounding = (convert(number, self.unit, unit) for number in (self.value, self.rounding))
        except UnitError:
            return None
        return WrittenNumber(value, unit, rounding)

    def equals(self, other: "WrittenNumber") -> bool:
        """Return whether two numbers are the same one, perhaps in different units."""
        same = self.to(other.unit)
        return same is not None and abs(same.value - other.value) <= 1e-9 * max(1.0, abs(other.value))

    def lies_within(self, low: float | None, high: float | None) -> bool:
        """Return whether what was meant may lie between two ends in its unit, either of which may be open."""
        slack = self.rounding + 1e-9 * max(1.0, abs(self.value))
        return (low is None or self.value >= low - slack) and (high is None or self.value <= high + slack)


def read_number(text: str, unit: str | None = None, *, alone: bool = False) -> WrittenNumber | None:
    """Return the one number that a text states; None where there is none, or several that differ.

    Args:
        text: What was written.
        unit: What was written as its unit apart from it.
        alone: Whether the text must be nothing but a number with its unit.

    >>> read_number("The sofa is about 2.1 metres (± 0.2 m) long.")
    WrittenNumber(value=2.1, unit='m', rounding=0.05)
    >>> read_number("2 to 3 m") is None
    True
    """
    plain = _plain(text)
    found = _in_digits(plain, alone) or _in_words(plain, alone)
    if found is None or found.unit is not None or unit is None:
        return found
    known = UNIT_OF.get(_plain(unit).strip(" ."))
    return WrittenNumber(found.value, known, found.rounding)


def _plain(text: str) -> str:
    folded = text[:MOST_TEXT].casefold().replace("²", "2").replace("\u2212", "-").replace("\u2013", "-")
    folded = folded.replace("\u2019", "'").replace("*", "")
    return ABOUT.sub("", MARGIN.sub(" ", " ".join(folded.split())).strip(" `"))


def _in_digits(plain: str, alone: bool) -> WrittenNumber | None:
    matches = list(NUMBER.finditer(plain))
    if not matches or len(matches) > MOST_NUMBERS or RANGE.search(plain):
        return None
    if alone and (matches[0].start() > 0 or matches[-1].end() < len(plain.rstrip(" ."))):
        return None
    numbers = [_number(match) for match in matches]
    if len(numbers) == 2 and [number.unit for number in numbers] == ["ft", "in"]:
        feet, inches = numbers
        return WrittenNumber(feet.value + inches.value / 12.0, "ft", inches.rounding / 12.0)
    with_unit = [number for number in numbers if number.unit is not None]
    found = _agreed(with_unit or numbers)
    return found and _signed(found, plain)


def _number(match: re.Match[str]) -> WrittenNumber:
    digits, exponent = match[2], int(match[3] or 0)
    thousands = re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits)
    digits = digits.replace(",", "" if thousands else ".")
    decimals = len(digits.partition(".")[2]) - exponent
    value = float(f"{digits}e{exponent}")
    unit = UNIT_OF[match[4]] if match[4] else None
    return WrittenNumber(-value if "-" in match[1] else value, unit, 0.5 * 10.0**-decimals)


def _agreed(numbers: list[WrittenNumber]) -> WrittenNumber | None:
    """Return the first of numbers that say the same, as in "2.1 m (6.9 ft)"; None where they do not."""
    for one, other in pairwise(numbers):
        converted = other.to(one.unit)
        if converted is None or abs(converted.value - one.value) > max(one.rounding, converted.rounding):
            return None
    return numbers[0]


def _signed(number: WrittenNumber, plain: str) -> WrittenNumber:
    """Return an angle to the right as negative: angles are counted counter-clockwise, left positive."""
    right, left = TO_THE_RIGHT.search(plain), TO_THE_LEFT.search(plain)
    if number.unit != "deg" or number.value < 0 or not right or left:
        return number
    return WrittenNumber(-number.value, number.unit, number.rounding)


def _in_words(plain: str, alone: bool) -> WrittenNumber | None:
    """Return a number written as a word: "two feet", "there are three chairs"."""
    if any(mark.isdigit() for mark in plain):
        return None
    if (quantity := read_quantity(plain)) is not None:
        return WrittenNumber(quantity.value, quantity.unit, 0.5 if quantity.value % 1 == 0 else 0.25)
    words = set(COUNTING.findall(plain)) if not alone else set()
    return WrittenNumber(COUNTING_WORDS[words.pop()], None, 0.5) if len(words) == 1 else None
