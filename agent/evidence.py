"""Evidence as the flat JSON that checkpoints, traces and answers carry, and back."""

from collections.abc import Mapping

from spatial_agent.tools.call_json import evidence_from_json, evidence_to_json
from spatial_agent.tools.contract import Evidence, Json


def to_json(evidence: Evidence) -> dict[str, Json]:
    """Return a piece of evidence as one flat JSON object, its margin included."""
    data = evidence_to_json(evidence)
    finding: dict[str, Json] = data.pop("finding")
    margin = evidence.finding.margin
    return data | finding | {"margin": None if margin is None else float(margin)}


def from_json(data: Mapping[str, Json]) -> Evidence:
    """Build a piece of evidence from what `to_json` returned."""
    return evidence_from_json({**data, "finding": data})
