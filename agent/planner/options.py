"""Answers offered: reading them, and finding the one that a measured value amounts to."""

import re
from collections.abc import Callable, Sequence

from spatial_agent.agent.planner.units import read_quantity
from spatial_agent.agent.planner.wording import canonical_direction
from spatial_agent.agent.task import Option
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import QuestionError, UnitError
from spatial_agent.tools.labels import main_name, normalise
from spatial_agent.tools.scene import convert

MOST_OPTIONS = 26
LONGEST_OPTION = 300
LETTERED = re.compile(r"(?:\(([A-Za-z])\)|([A-Za-z])[.):])\s*(.*)", re.DOTALL)
SEPARATORS = re.compile(r"\s*(?:,|;|->|→|>|\bthen\b)\s*(?:then |and )?")
TRUTH = {"yes": True, "true": True, "no": False, "false": False}


def read_options(options: Sequence[str]) -> tuple[Option, ...]:
    """Read options with letters ("A. left", "(B) right", "c) back") or without, which get A, B, C.

    Raises:
        QuestionError: If only some have letters, letters or texts repeat, or a text is missing.
    """
    if not options:
        return ()
    if not 2 <= len(options) <= MOST_OPTIONS:
        raise QuestionError(f"expected 2 to {MOST_OPTIONS} options, got {len(options)}")
    texts = [option.strip() for option in options]
    found = [LETTERED.fullmatch(text) for text in texts]
    if all(found):
        read = [Option((match[1] or match[2]).upper(), match[3].strip()) for match in found if match]
    elif any(found):
        raise QuestionError("give all options a letter ('A. left', 'B. right') or none of them")
    else:
        read = [Option(chr(ord("A") + index), text) for index, text in enumerate(texts)]
    _check(read)
    return tuple(read)


def _check(options: Sequence[Option]) -> None:
    letters = [option.letter for option in options]
    wordings = [option.text.casefold() for option in options]
    if len(set(letters)) < len(letters):
        raise QuestionError(f"option letters must differ, got {', '.join(letters)}")
    if not all(wordings) or max(map(len, wordings)) > LONGEST_OPTION:
        raise QuestionError(f"every option needs a text of at most {LONGEST_OPTION} characters")
    if len(set(wordings)) < len(wordings):
        raise QuestionError("options must differ, but a text stands twice")


def match_option(options: Sequence[Option], value: Json, unit: str | None = None) -> Option | None:
    """Return the option that a value amounts to, or None where there is none or more than one.

    A number goes to the nearest option, whatever its unit; a name to the same name, else to the only
    synonym; a list to the same things in the same order; true and false to yes and no.

    Args:
        options: The answers offered.
        value: Number, name, list of names, or bool.
        unit: Unit of a number.

    >>> match_option(read_options(["1 m", "200 cm"]), 1.8, "m").letter
    'B'
    """
    if isinstance(value, bool):
        return _only(options, lambda text: TRUTH.get(_bare(text)) is value)
    if isinstance(value, int | float):
        return _nearest(options, float(value), unit)
    if isinstance(value, list | tuple):
        names = [str(item) for item in value]
        return _by_name(options, lambda text, same: _same_order(text, names, same))
    return _by_name(options, lambda text, same: same(text, str(value)))


Same = Callable[[str, str], bool]


def _by_name(options: Sequence[Option], fits: Callable[[str, Same], bool]) -> Option | None:
    """Return the only option that fits, trying the strictest sense of "the same" first."""
    for same in (_same_text, _same_direction, _same_thing):
        if found := _only(options, lambda text, same=same: fits(text, same)):  # type: ignore[misc]
            return found
    return None


def _only(options: Sequence[Option], fits: Callable[[str], bool]) -> Option | None:
    found = [option for option in options if fits(option.text)]
    return found[0] if len(found) == 1 else None


def _bare(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!'\"")


def _same_text(one: str, other: str) -> bool:
    return _bare(one) == _bare(other) or bool(normalise(one)) and normalise(one) == normalise(other)


def _same_direction(one: str, other: str) -> bool:
    direction = canonical_direction(one)
    return direction is not None and direction == canonical_direction(other)


def _same_thing(one: str, other: str) -> bool:
    return main_name(one) == main_name(other)


def _same_order(text: str, names: Sequence[str], same: Same) -> bool:
    parts = [part for part in SEPARATORS.split(text.casefold().strip(" .")) if part]
    return len(parts) == len(names) and all(map(same, parts, names))


def _nearest(options: Sequence[Option], value: float, unit: str | None) -> Option | None:
    gaps: dict[Option, float] = {}
    for option in options:
        offered = read_quantity(option.text)
        if offered is None:
            return None
        try:
            number = convert(offered.value, offered.unit, unit) if offered.unit and unit else offered.value
        except UnitError:
            return None
        gaps[option] = abs(number - value)
    least = min(gaps.values())
    nearest = [option for option, gap in gaps.items() if gap <= least * (1 + 1e-9)]
    return nearest[0] if len(nearest) == 1 else None
