"""Questions about synthetic rooms, what is true, and lies of one tool past a decision boundary.

Truth and what follows from a lie come from the room's parameters; what is tested works out neither.
"""

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np

from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.scene import Measurement
from spatial_agent.tools.skills.wording import quantity
from spatial_agent.tools.synthetic import SyntheticRoom

EIGHT = ("front", "front-left", "left", "back-left", "back", "back-right", "right", "front-right")
QUADRANTS = ("front-left", "back-left", "back-right", "front-right")
#: How far from a boundary questions stay, and by how much lies go past it.
CLEAR_M, PAST_M, CLEAR_DEG = 0.25, 0.4, 10.0
#: Number of the frame that shows what none does.
NEVER_SEEN = 10**6

#: A number in a claim, with its margin.
_QUANTITY = re.compile(r"(?:at least |at most )?\d+(?:\.\d+)? m²?(?: \([^)]*\))?")

Lie = Callable[[Finding], Finding]


@dataclass(frozen=True)
class Case:
    """A question and a lie.

    Attributes:
        tool: The tool that lies.
        boundary: What the lie goes past.
        question: The question.
        truth: What is true: a letter, number, name, list, or yes and no.
        wanted: What follows from the lie, likewise.
        lie: Changes the finding.
        options: The answers offered.
        echo: Changes what the tool says to a second route, so that it fits the lie; `lie` where None.
    """

    tool: str
    boundary: str
    question: str
    truth: Json
    wanted: Json
    lie: Lie
    options: tuple[str, ...] = ()
    echo: Lie | None = None


# What is true of a room


@dataclass(frozen=True)
class Known:
    """A room; objects are asked about by labels that only one of them has."""

    room: SyntheticRoom
    rng: np.random.Generator

    def names(self, count: int) -> list[tuple[str, ...]]:
        """Return groups of different objects, in an order of chance."""
        single = [label for label, number in self.room.counts.items() if number == 1]
        groups = list(permutations(single, count))
        return [groups[place] for place in self.rng.permutation(len(groups))]

    def apart_m(self, a: str, b: str) -> float:
        """Return the distance between the surfaces of two objects."""
        labels = [item.label for item in self.room.objects]
        return self.room.distance_m(labels.index(a), labels.index(b))

    def high_m(self, name: str) -> float:
        """Return how high an object is."""
        return float(self._piece(name).box.extent_m[2])

    def turn_deg(self, at: str, facing: str, target: str) -> float:
        """Return how far to the left a third object is, standing at the first and facing the second."""
        here, ahead, there = (complex(*self._piece(name).box.centre_m[:2]) for name in (at, facing, target))
        return float(np.degrees(np.angle((there - here) / (ahead - here))))

    def seen(self, name: str) -> int:
        """Return the frame that shows an object first; `NEVER_SEEN` for none."""
        firsts = zip(self.room.objects, self.room.first_seen, strict=True)
        return next(NEVER_SEEN if frame is None else frame for item, frame in firsts if item.label == name)

    def _piece(self, name: str) -> Any:  # noqa: ANN401 - furniture
        return next(item for item in self.room.objects if item.label == name)


def cases(seed: int, most: int = 2) -> Iterator[Case]:
    """Yield the cases of one room, at most so many of a kind."""
    room = SyntheticRoom.random(seed)
    for number, kind in enumerate(KINDS):
        found = kind(Known(room, np.random.default_rng((seed, number))))
        yield from (case for case, _ in zip(found, range(most), strict=False))


def _distance_options(known: Known) -> Iterator[Case]:
    for a, b in known.names(2):
        true_m = known.apart_m(a, b)
        first_m = round(true_m - 0.8 * int(known.rng.integers(0, min(4, 1 + int(true_m / 0.8)))), 1)
        offered = [first_m + 0.8 * place for place in range(4)]
        place = min(range(4), key=lambda k: abs(offered[k] - true_m))
        other = int(known.rng.choice([k for k in range(4) if k != place]))
        if first_m > 0.2:
            yield Case(
                "distance",
                "nearest option",
                f"How far is the {a} from the {b}?",
                "ABCD"[place],
                "ABCD"[other],
                number_of(offered[other] + 0.1),
                tuple(f"{metres:.1f} m" for metres in offered),
            )


def _distance_threshold(known: Known) -> Iterator[Case]:
    for a, b in known.names(2):
        true_m, is_within = known.apart_m(a, b), bool(known.rng.integers(2))
        border_m = round(true_m + (PAST_M if is_within else -PAST_M), 1)
        if border_m > PAST_M:
            lied = number_of(border_m + (PAST_M if is_within else -PAST_M / 2))
            question = f"Is the {a} within {border_m} m of the {b}?"
            yield Case("distance", "yes or no", question, is_within, not is_within, lied)


def _distance_compared(known: Known) -> Iterator[Case]:
    for a, b, c in known.names(3):
        one_m, other_m = known.apart_m(a, b), known.apart_m(a, c)
        if abs(one_m - other_m) > CLEAR_M and other_m > 2 * PAST_M:
            lied = number_of(other_m + (PAST_M if one_m < other_m else -PAST_M))
            question = f"Is the {a} closer to the {b} than to the {c}?"
            yield Case("distance", "yes or no", question, one_m < other_m, one_m > other_m, lied)


def _distance_number(known: Known) -> Iterator[Case]:
    for a, b in known.names(2):
        lied_m = known.apart_m(a, b) + float(known.rng.choice([-0.4, 0.4, 1.2]))
        if known.apart_m(a, b) > CLEAR_M and lied_m > CLEAR_M:
            question = f"What is the distance between the {a} and the {b}?"
            yield Case("distance", "number", question, known.apart_m(a, b), lied_m, number_of(lied_m))


def _height_number(known: Known) -> Iterator[Case]:
    for (a,) in known.names(1):
        lied_m = known.high_m(a) * float(known.rng.choice([0.6, 1.4]))
        question = f"How tall is the {a}?"
        yield Case("size", "number", question, known.high_m(a), lied_m, number_of(lied_m))


def _height_threshold(known: Known) -> Iterator[Case]:
    for (a,) in known.names(1):
        is_taller = bool(known.rng.integers(2))
        border_m = round(known.high_m(a) + (-0.2 if is_taller else 0.2), 1)
        if abs(border_m - known.high_m(a)) > 0.1:
            lied = number_of(border_m + (-0.2 if is_taller else 0.2))
            question = f"Is the {a} taller than {border_m} m?"
            yield Case("size", "yes or no", question, is_taller, not is_taller, lied)


def _tallest(known: Known) -> Iterator[Case]:
    for a, b in known.names(2):
        if known.high_m(a) > known.high_m(b) + CLEAR_M:
            pair = " or the ".join(sorted((a, b)))
            yield Case("size_extreme", "name", f"Which is taller, the {pair}?", a, b, named(b))


def _nearest(known: Known) -> Iterator[Case]:
    for a, b, c in known.names(3):
        if known.apart_m(a, b) < known.apart_m(a, c) - CLEAR_M:
            pair = " or the ".join(sorted((b, c)))
            yield Case("nearest", "name", f"Which is closer to the {a}, the {pair}?", b, c, named(c))


def _direction_name(known: Known) -> Iterator[Case]:
    for at, facing, target in known.names(3):
        turn_deg = known.turn_deg(at, facing, target)
        place = _sector(turn_deg, 8, centred=True)
        if place is not None:
            other = (place + int(known.rng.integers(2, 7))) % 8
            question = f"Standing at the {at} facing the {facing}, where is the {target}?"
            lied, echo = both_ways(45.0 * other, EIGHT[other])
            yield Case("direction", "sector", question, EIGHT[place], EIGHT[other], lied, (), echo)


def _direction_options(known: Known) -> Iterator[Case]:
    for at, facing, target in known.names(3):
        place = _sector(known.turn_deg(at, facing, target), 4, centred=False)
        if place is not None:
            other = (place + int(known.rng.integers(1, 4))) % 4
            question = (
                f"If I am standing by the {at} and facing the {facing}, is the {target} to my front-left, "
                "front-right, back-left, or back-right?"
            )
            lied, echo = both_ways(46.0 + 90.0 * other, QUADRANTS[other])
            yield Case("direction", "sector", question, "ABCD"[place], "ABCD"[other], lied, QUADRANTS, echo)


def _count(known: Known) -> Iterator[Case]:
    true = known.room.counts["chair"]
    more = true + int(known.rng.integers(1, 4))
    yield Case("count", "number", "How many chairs are there?", true, more, counted(more))
    yield Case("count", "yes or no", f"Are there more than {true} chairs?", False, True, counted(more))


def _room(known: Known) -> Iterator[Case]:
    true_m2, border_m2 = known.room.area_m2, round(known.room.area_m2 + 3.0)
    lied = number_of(border_m2 + 4.0)
    yield Case("room", "number", "What is the area of the room?", true_m2, border_m2 + 4.0, lied)
    yield Case("room", "yes or no", f"Is the room larger than {border_m2} m2?", False, True, lied)


def _order(known: Known) -> Iterator[Case]:
    for trio in known.names(3):
        true = sorted(trio, key=known.seen)
        frames = sorted(map(known.seen, trio))
        if len({*frames}) == 3 and frames[-1] < NEVER_SEEN:
            question = f"In what order do the {trio[0]}, the {trio[1]} and the {trio[2]} appear?"
            yield Case("order", "order", question, true, true[::-1], reordered(true[::-1]))


def _vertical(known: Known) -> Iterator[Case]:
    for a, b in known.names(2):
        question = f"Is the {a} above the {b}?"
        yield Case("vertical", "yes or no", question, False, True, placed("above"), (), placed("below"))


KINDS: tuple[Callable[[Known], Iterator[Case]], ...] = (
    _distance_options,
    _distance_threshold,
    _distance_compared,
    _distance_number,
    _height_number,
    _height_threshold,
    _tallest,
    _nearest,
    _direction_name,
    _direction_options,
    _count,
    _room,
    _order,
    _vertical,
)


def _sector(turn_deg: float, count: int, *, centred: bool) -> int | None:
    """Return the number of an angle's sector, counted to the left; None where it is near a border."""
    width = 360.0 / count
    place = (turn_deg + (width / 2 if centred else 0.0)) / width
    is_clear = min(place % 1, 1 - place % 1) * width > CLEAR_DEG
    return math.floor(place) % count if is_clear else None


def number_of(value: float) -> Lie:
    """Return the lie that a number is another one; its interval goes along."""

    def lie(finding: Finding) -> Finding:
        by = value - float(finding.value)
        low, high = (None if end is None else end + by for end in (finding.low, finding.high))
        told = _QUANTITY.search(finding.claim)
        details = {**finding.details, "unrounded": value}
        claim = _put(finding.claim, told[0] if told else "", _in_words(value, finding.unit, low, high))
        return replace(finding, claim=claim, value=value, low=low, high=high, details=details, marks=())

    return lie


def named(winner: str) -> Lie:
    """Return the lie that another one is first: the two change places."""

    def lie(finding: Finding) -> Finding:
        true = str(finding.value)
        details = {
            name: _swapped(value, true, winner) if isinstance(value, dict) else value
            for name, value in finding.details.items()
        }
        objects = (*finding.objects[:-1], f"{winner}-1")
        claim = _put(finding.claim, f"The {true} ", f"The {winner} ")
        return replace(finding, claim=claim, value=winner, details=details, objects=objects, marks=())

    return lie


def turned(degrees: float, name: str) -> Lie:
    """Return the lie that something is another way; degrees to the left."""

    def lie(finding: Finding) -> Finding:
        side = "left" if degrees > 0 else "right"
        true = re.search(r" is [a-z-]+ \(\d+° to the (?:left|right)", finding.claim)
        claim = _put(finding.claim, true[0] if true else "", f" is {name} ({abs(degrees):.0f}° to the {side}")
        details = {**finding.details, "degrees": degrees}
        return replace(finding, claim=claim, value=name, details=details, marks=())

    return lie


def turned_by(degrees: float) -> Lie:
    """Return the lie that something is so many degrees to the left, where they are asked for."""

    def lie(finding: Finding) -> Finding:
        by = degrees - float(finding.value)
        low, high = (None if end is None else end + by for end in (finding.low, finding.high))
        true = re.search(r" is \d+° to the (?:left|right)", finding.claim)
        side = "left" if degrees > 0 else "right"
        claim = _put(finding.claim, true[0] if true else "", f" is {abs(degrees):.0f}° to the {side}")
        details = {**finding.details, "degrees": degrees}
        return replace(finding, claim=claim, value=degrees, low=low, high=high, details=details, marks=())

    return lie


def both_ways(degrees: float, name: str) -> tuple[Lie, Lie]:
    """Return the lie about a direction, and the one that fits it with target and faced object swapped."""
    turn_deg = (degrees + 180.0) % 360.0 - 180.0
    return turned(turn_deg, name), turned_by(-turn_deg)


def counted(number: int) -> Lie:
    """Return the lie that there is another number of things."""

    def lie(finding: Finding) -> Finding:
        claim = _put(finding.claim, f"{finding.value} found", f"{number} found")
        return replace(finding, claim=claim, value=number, marks=())

    return lie


def reordered(names: list[str]) -> Lie:
    """Return the lie that things appear in another order, at the same times."""

    def lie(finding: Finding) -> Finding:
        times = sorted(finding.details["first_seen_s"].values())
        first_seen = dict(zip(names, times, strict=True))
        told = ", ".join(f"{name} ({seconds:.1f} s)" for name, seconds in first_seen.items())
        claim = f"First seen in this order: {told}."
        return replace(finding, claim=claim, value=names, details={"first_seen_s": first_seen})

    return lie


def placed(name: str) -> Lie:
    """Return the lie that one thing, which is level with another, is above or below it."""
    up = 1.0 if name == "above" else -1.0

    def lie(finding: Finding) -> Finding:
        details = {**finding.details, "clearance_m": 0.5 * up, "rise_m": up}
        claim = _put(finding.claim, "is level with", f"is {name}")
        claim = re.sub(
            r"centre is .* m (?:higher|lower)", f"centre is 1.00 m {'higher' if up > 0 else 'lower'}", claim
        )
        return replace(finding, claim=claim, value=name, details=details)

    return lie


def _put(claim: str, true: str, false: str) -> str:
    """Return a claim with the truth in it replaced; a lie that cannot be told is an error, not a truth."""
    if not true or true not in claim:
        raise ValueError(f"expected {true!r} in the claim {claim!r}; its words have changed: change the lie")
    return claim.replace(true, false, 1)


def _in_words(value: float, unit: str | None, low: float | None, high: float | None) -> str:
    is_exact = low is not None and low == high
    return quantity(Measurement(value, unit or "", low, high, "", is_exact))


def _swapped(values: dict[str, Json], a: str, b: str) -> dict[str, Json]:
    """Return values by name in their order, with two names exchanged."""
    other = {a: b, b: a}
    return {other.get(name, name): value for name, value in values.items()}
