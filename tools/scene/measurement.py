"""Numbers with a unit and an interval."""

from dataclasses import dataclass

import numpy as np

from spatial_agent.tools.errors import InvalidValueError, UnitError

#: How many base units (m, m2, deg, s, 1) one of each unit is, with the quantity it measures.
UNITS: dict[str, tuple[str, float]] = {
    "m": ("length", 1.0),
    "cm": ("length", 0.01),
    "mm": ("length", 0.001),
    "km": ("length", 1000.0),
    "in": ("length", 0.0254),
    "ft": ("length", 0.3048),
    "m2": ("area", 1.0),
    "cm2": ("area", 1e-4),
    "ft2": ("area", 0.3048**2),
    "deg": ("angle", 1.0),
    "rad": ("angle", 180.0 / np.pi),
    "s": ("time", 1.0),
    "count": ("count", 1.0),
    # A part of a whole, 0 to 1; apart from counts, so that neither is taken for the other.
    "share": ("share", 1.0),
}


def convert(value: float, from_unit: str, to_unit: str) -> float:
    """Convert a number between units of one quantity.

    Raises:
        UnitError: If a unit is unknown or the two measure different quantities.

    >>> convert(1.5, "m", "cm")
    150.0
    """
    for unit in (from_unit, to_unit):
        if unit not in UNITS:
            raise UnitError(f"unknown unit {unit!r}; expected one of {', '.join(UNITS)}")
    (quantity, factor), (wanted, divisor) = UNITS[from_unit], UNITS[to_unit]
    if quantity != wanted:
        raise UnitError(f"{from_unit!r} measures {quantity}, {to_unit!r} measures {wanted}")
    return value * factor / divisor


@dataclass(frozen=True)
class Measurement:
    """A measured number with its 90 % interval.

    Attributes:
        value: The best estimate, in `unit`.
        unit: One of `UNITS`.
        low: The 5 % end; None when open ("at most").
        high: The 95 % end; None when open ("at least").
        how: How it was obtained, a short phrase for people.
        exact: Whether it follows from given data without measuring (box-only scenes): both ends
            are then the value.
    """

    value: float
    unit: str
    low: float | None
    high: float | None
    how: str
    exact: bool = False

    def __post_init__(self) -> None:
        """Check the unit and the order of low, value and high."""
        if self.unit not in UNITS:
            raise UnitError(f"unknown unit {self.unit!r}; expected one of {', '.join(UNITS)}")
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        if not (np.isfinite(self.value) and low <= self.value <= high):
            raise InvalidValueError(
                f"measurement: expected low <= value <= high, got {self.low}, {self.value}, {self.high}"
            )

    @classmethod
    def given(cls, value: float, unit: str, how: str) -> "Measurement":
        """Build a number that follows exactly from given data."""
        return cls(value, unit, value, value, how, exact=True)

    @property
    def margin(self) -> float | None:
        """The larger half-width of the interval, in `unit`; None when an end is open."""
        if self.low is None or self.high is None:
            return None
        return max(self.value - self.low, self.high - self.value)

    def to(self, unit: str) -> "Measurement":
        """Return the same measurement in another unit of the same quantity."""
        low = None if self.low is None else convert(self.low, self.unit, unit)
        high = None if self.high is None else convert(self.high, self.unit, unit)
        return Measurement(convert(self.value, self.unit, unit), unit, low, high, self.how, self.exact)
