"""What was measured, as a table with margins."""

import json
from collections.abc import Mapping, Sequence

from spatial_agent.prompts.template import Template
from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.contract import Evidence, Finding
from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import Measurement
from spatial_agent.tools.skills.wording import UNIT_TEXT, decimals_of

CLAIM, VALUE, REASON = 400, 160, 240


def measurements(evidence: Sequence[Evidence], weak: Mapping[str, str]) -> str:
    """Return one row for each piece of evidence; nothing where there is none.

    Args:
        evidence: What was found out.
        weak: Why a piece of evidence is weak, by its id, beside what findings say of themselves.
    """
    if not evidence:
        return ""
    return Template.load("measurements").fill(
        rows="\n".join(_row(item, weak.get(item.id)) for item in evidence)
    )


def interval(finding: Finding) -> str:
    """Return the 90 % interval of a finding in words: ``"1.49 to 1.55 m"``, ``"at least 1.4 m"``.

    A dash where the value is no number, or none that was measured.
    """
    number = _measurement(finding)
    if number is None or (number.low is None and number.high is None):
        return "–"
    if number.low == number.high:
        return "exact"
    decimals = decimals_of(number) + 1
    unit = f" {UNIT_TEXT.get(number.unit, number.unit)}".rstrip()
    if number.high is None:
        return f"at least {number.low:.{decimals}f}{unit}"
    if number.low is None:
        return f"at most {number.high:.{decimals}f}{unit}"
    return f"{number.low:.{decimals}f} to {number.high:.{decimals}f}{unit}"


def value(finding: Finding) -> str:
    """Return the value of a finding with its unit, as precisely as its margin allows; names as data."""
    number = _measurement(finding)
    if number is not None:
        unit = UNIT_TEXT.get(number.unit, number.unit)
        shown = (
            f"{finding.value}"
            if isinstance(finding.value, int)
            else f"{number.value:.{decimals_of(number)}f}"
        )
        return f"{shown} {unit}".rstrip()
    if isinstance(finding.value, bool):
        return "yes" if finding.value else "no"
    if isinstance(finding.value, str):
        return quoted(finding.value, VALUE)
    if isinstance(finding.value, int | float):
        return f"{finding.value:g} {quoted(finding.unit) if finding.unit else ''}".rstrip()
    return quoted(json.dumps(finding.value, ensure_ascii=False), VALUE)


def _row(item: Evidence, weak: str | None) -> str:
    finding = item.finding
    reason = weak or (finding.why_weak or "no reason given" if finding.quality == "weak" else None)
    quality = f"weak: {quoted(reason, REASON)}" if reason else "strong"
    row = f"{item.id} | {quoted(finding.claim, CLAIM)} | {value(finding)} | {interval(finding)} | {quality}"
    return f"{row} | borderline: {quoted(finding.borderline, REASON)}" if finding.borderline else row


def _measurement(finding: Finding) -> Measurement | None:
    """Return a numeric finding as a measurement, so that it is rounded as everywhere else.

    None for what is no number, has no unit of ours, or, from a stranger's tool, an interval that is none.
    """
    number, unit = finding.value, finding.unit
    if isinstance(number, bool) or not isinstance(number, int | float) or unit is None:
        return None
    exact = finding.low is not None and finding.low == finding.high
    try:
        return Measurement(float(number), unit, finding.low, finding.high, "", exact)
    except InvalidValueError:
        return None
