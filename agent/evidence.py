"""Evidence as the plain JSON that checkpoints, traces and answers carry, and back."""

from collections.abc import Mapping
from dataclasses import asdict, fields

from spatial_agent.tools.contract import Evidence, Finding, Json

FINDING_FIELDS = tuple(field.name for field in fields(Finding))


def to_json(evidence: Evidence) -> dict[str, Json]:
    """Return a piece of evidence as one flat JSON object, its margin included."""
    finding = evidence.finding
    flat = {"id": evidence.id, "call_id": evidence.call_id, "tool": evidence.tool} | asdict(finding)
    return {name: _plain(value) for name, value in flat.items()} | {"margin": finding.margin}


def from_json(data: Mapping[str, Json]) -> Evidence:
    """Build a piece of evidence from what `to_json` returned."""
    values = {name: data[name] for name in FINDING_FIELDS}
    values["objects"] = tuple(values["objects"])
    values["marks"] = tuple(values["marks"])
    return Evidence(data["id"], data["call_id"], data["tool"], Finding(**values))


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
