"""Yes or no: a measurement held against a number, a name, or a second measurement."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from spatial_agent.agent.task import Comparison, SpatialTask
from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.scene import convert

RELATIONS: dict[str, Callable[[float, float], bool]] = {
    "less": operator.lt,
    "greater": operator.gt,
    "at_most": operator.le,
    "at_least": operator.ge,
    "equal": operator.eq,
}


@dataclass(frozen=True)
class Verdict:
    """What evidence comes to.

    Attributes:
        value: The conclusion.
        text: It as a sentence.
        borderline: What makes it close, or None.
        unit: Unit of a numeric value.
        low: 5 % end of a numeric value.
        high: 95 % end of a numeric value.
        margin: The larger half-width of a numeric value.
    """

    value: Json
    text: str
    borderline: str | None = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None


def compare(task: SpatialTask, findings: Sequence[Finding]) -> Verdict:
    """Answer a yes/no task from its findings: one, or two to hold against each other."""
    comparison = task.comparison
    if comparison is None:
        raise ValueError("only a task with a comparison can be compared")
    if comparison.name is not None:
        return _named(findings[0], comparison.name)
    first = findings[0]
    if comparison.against:
        return _numeric(comparison, first, float(findings[1].value), findings[1].margin or 0.0, findings)
    unit = comparison.unit or first.unit or "count"
    return _numeric(
        comparison, first, convert(comparison.value or 0.0, unit, first.unit or unit), 0.0, findings
    )


def _numeric(
    comparison: Comparison, first: Finding, other: float, other_margin: float, findings: Sequence[Finding]
) -> Verdict:
    value = float(first.value)
    holds = RELATIONS[comparison.relation](value, other)
    gap = abs(value - other)
    margin = float(np.hypot(first.margin or 0.0, other_margin))
    borderline = None
    if first.unit != "count" and gap < margin:
        borderline = f"close: the difference is {gap:.2f} {first.unit}, its margin {margin:.2f} {first.unit}"
    claims = " ".join(finding.claim for finding in findings)
    return Verdict(holds, f"{'Yes' if holds else 'No'}. {claims}", borderline)


def _named(finding: Finding, name: str) -> Verdict:
    resting = bool(finding.details.get("resting_on"))
    holds = resting if name == "on" else str(finding.value) == name
    return Verdict(holds, f"{'Yes' if holds else 'No'}. {finding.claim}", finding.borderline)
