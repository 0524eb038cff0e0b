"""Findings made of measurements."""

from collections.abc import Mapping, Sequence
from typing import Any

from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.scene import Measurement, SceneObject
from spatial_agent.tools.skills.wording import quantity

#: Relative margin above which a number says too little to decide anything by itself.
WEAK_RELATIVE_MARGIN = 0.5


def numeric_finding(
    measurement: Measurement,
    subject: str,
    definition: str,
    *,
    ending: str = "",
    objects: Sequence[str] = (),
    details: Mapping[str, Json] | None = None,
    marks: Sequence[Mapping[str, Any]] = (),
    decimals: int | None = None,
) -> Finding:
    """Return the finding ``"<subject> <quantity><ending>."``.

    Args:
        measurement: The number, already in the unit asked for.
        subject: The sentence up to the number, such as ``"The sofa is"``.
        definition: The operator.
        ending: The sentence after the number, such as ``" high"``.
        objects: Ids of the objects it speaks of.
        details: Further facts.
        marks: What to draw.
        decimals: Decimals the definition rounds the value to; None keeps all.
    """
    value = measurement.value if decimals is None else round(measurement.value, decimals)
    weak = _weakness(measurement)
    return Finding(
        claim=f"{subject} {quantity(measurement)}{ending}.",
        value=int(value) if decimals == 0 else value,
        unit=measurement.unit,
        low=measurement.low,
        high=measurement.high,
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
