"""The winner of a comparison, and how clear the win is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from spatial_agent.tools.scene import Measurement
from spatial_agent.tools.skills.wording import quantity


@dataclass(frozen=True)
class Ranking:
    """Names from winner to last.

    Attributes:
        names: Winner first.
        borderline: The runner-up and the gap, where the gap is within the margins; else None.
    """

    names: tuple[str, ...]
    borderline: str | None

    @property
    def winner(self) -> str:
        """The first name."""
        return self.names[0]


def rank(measured: Mapping[str, Measurement], select: Literal["least", "most"]) -> Ranking:
    """Order names by measured value; ties in name order.

    Args:
        measured: Measurements of one unit by name.
        select: Which end wins.
    """
    sign = 1 if select == "least" else -1
    names = sorted(measured, key=lambda name: (sign * measured[name].value, name))
    if len(names) == 1:
        return Ranking(tuple(names), None)
    first, second = measured[names[0]], measured[names[1]]
    gap = abs(first.value - second.value)
    margin = gap_margin(first, second)
    if gap >= margin:
        return Ranking(tuple(names), None)
    return Ranking(
        tuple(names),
        f"close: the runner-up is {names[1]} with {quantity(second)}, "
        f"{gap:.2f} {first.unit} behind; the margin of that gap is {margin:.2f} {first.unit}",
    )


def gap_margin(a: Measurement, b: Measurement) -> float:
    """Return the 90 % half-width of the difference of two independent measurements, in their unit."""
    return float(np.hypot(_half_width(a), _half_width(b)))


def _half_width(item: Measurement) -> float:
    if item.margin is not None:
        return item.margin
    ends = [abs(item.value - end) for end in (item.low, item.high) if end is not None]
    return max([*ends, 0.1 * abs(item.value)])
