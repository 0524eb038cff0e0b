"""Findings made of measurements."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.scene import Measurement, SceneObject, convert
from spatial_agent.tools.skills.wording import quantity

#: Relative margin above which a number says too little to decide anything by itself.
WEAK_RELATIVE_MARGIN = 0.5


class Rounding(NamedTuple):
    """How a definition rounds: to a number of decimals in its own unit, whatever unit is asked for.

    >>> Rounding("cm", 0).apply(1.904, "m"), Rounding("m", 1).apply(157.0, "cm")
    (1.9, 160.0)
    """

    unit: str
    decimals: int

    def apply(self, value: float, unit: str) -> float:
        """Return a number in some unit, rounded; an int where it is whole by definition."""
        if unit == self.unit:
            return round(value, self.decimals or None)
        rounded = round(convert(value, unit, self.unit), self.decimals)
        # The way back leaves noise in the last digits, such as 1.9000000000000001 m.
        return round(convert(rounded, self.unit, unit), 12)


def numeric_finding(
    measurement: Measurement,
    subject: str,
    definition: str,
    *,
    ending: str = "",
    objects: Sequence[str] = (),
    details: Mapping[str, Json] | None = None,
    marks: Sequence[Mapping[str, Any]] = (),
    rounding: Rounding | None = None,
) -> Finding:
    """Return the finding ``"<subject> <quantity><ending>."``.

    A definition that rounds may move the value beyond an end of the interval, which is then widened to it.

    Args:
        measurement: The number, already in the unit asked for.
        subject: The sentence up to the number, such as ``"The sofa is"``.
        definition: The operator.
        ending: The sentence after the number, such as ``" high"``.
        objects: Ids of the objects it speaks of.
        details: Further facts.
        marks: What to draw.
        rounding: How the definition rounds the value; None keeps all decimals.
    """
    value = measurement.value if rounding is None else rounding.apply(measurement.value, measurement.unit)
    weak = _weakness(measurement)
    return Finding(
        claim=f"{subject} {quantity(measurement)}{ending}.",
        value=value,
        unit=measurement.unit,
        low=None if measurement.low is None else min(measurement.low, value),
        high=None if measurement.high is None else max(measurement.high, value),
        definition=definition,
        quality="weak" if weak else "strong",
        why_weak=weak,
        objects=tuple(objects),
        details={"how": measurement.how, "unrounded": measurement.value} | dict(details or {}),
        marks=tuple(marks),
    )


def segment(points_m: Any, label: str) -> dict[str, Json]:  # noqa: ANN401 - any (2, 3) array
    """Return the mark of a measured line between two points, scene metres."""
    start, end = ([float(value) for value in point] for point in points_m)
    return {"kind": "segment", "from_m": start, "to_m": end, "label": label}


def spot(item: SceneObject, label: str) -> dict[str, Json]:
    """Return the mark of something said about one object, at its centre."""
    return {"kind": "point", "at_m": item.box.centre_m.tolist(), "label": label}


def _weakness(measurement: Measurement) -> str | None:
    margin = measurement.margin
    if margin is None:
        return "one end of the interval is open: part of the object was never seen"
    if measurement.value and margin > WEAK_RELATIVE_MARGIN * abs(measurement.value):
        return f"the margin is {margin / abs(measurement.value):.0%} of the value"
    return None
