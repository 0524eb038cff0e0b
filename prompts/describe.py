"""Evidence as the text that people and models read."""

from collections.abc import Mapping, Sequence
from typing import Any

from spatial_agent.tools.contract import Evidence


def describe_evidence(
    evidence: Sequence[Evidence], weak: Mapping[str, str], failures: Sequence[Mapping[str, Any]]
) -> str:
    """Return what was measured, line by line, then what could not be.

    Args:
        evidence: What was found out.
        weak: Why a piece of evidence is weak, by its id.
        failures: Failed calls, each with ``tool`` and ``message``.
    """
    lines = ["Measured:"] if evidence else []
    for item in evidence:
        lines.append(f"- [{item.id}] {item.finding.claim}")
        if item.finding.borderline:
            lines.append(f"  {item.finding.borderline}")
        if reason := weak.get(item.id):
            lines.append(f"  weak: {reason}")
    lines += ["Not known:"] if failures else []
    lines += [f"- {failure['tool']}: {failure['message']}" for failure in failures]
    return "\n".join(lines)
