"""Holds evidence against itself: second routes where there are two, and what makes evidence weak.

A distance can be had two ways that share only the box fit: between observed surfaces, and between
box surfaces. An object lies inside its box, so the first cannot be shorter than the second by more
than their margins; where it is, one of them is wrong and neither decides anything by itself.
"""

from collections.abc import Sequence
from typing import Any

from spatial_agent.agent.executor import call_to_json
from spatial_agent.agent.task import SpatialTask
from spatial_agent.tools.contract import Evidence, ToolCall

#: The benchmark samples box faces every 5 cm, so its distance may exceed the true one by a diagonal.
GRID_SLACK_M = 0.07
SECOND_ROUTE = {"surfaces": "vsi", "vsi": "surfaces"}
DEFINITION_OF = {"surfaces": "distance.surface", "vsi": "vsi.object_abs_distance"}


def verify_evidence(
    task: SpatialTask, evidence: Sequence[Evidence], rounds: int, scene: str
) -> dict[str, Any]:
    """Say what evidence is weak, and what should still be measured.

    Args:
        task: What is asked.
        evidence: What was found out so far.
        rounds: Plan-execute-verify rounds so far.
        scene: Reference of the scene.

    Returns:
        ``wanted``: calls as JSON; ``weak``: reason by evidence id; ``checks``: what was compared.
    """
    wanted = _second_routes(task, evidence, scene) if rounds == 1 else []
    weak = {item.id: item.finding.why_weak or "weak" for item in evidence if item.finding.quality == "weak"}
    checks = _compare_routes(evidence)
    for check in checks:
        if not check["agree"]:
            weak |= dict.fromkeys(check["evidence"], check["why"])
    return {"wanted": [call_to_json(call) for call in wanted], "weak": weak, "checks": checks}


def _second_routes(task: SpatialTask, evidence: Sequence[Evidence], scene: str) -> list[ToolCall]:
    """Return the other route of a distance that stands alone; compared distances check each other."""
    if task.intent != "distance" or task.centres or task.comparison:
        return []
    measured = [item for item in evidence if item.tool == "distance" and item.finding.objects]
    between = SECOND_ROUTE["vsi" if task.definition == "vsi" else "surfaces"]
    return [
        ToolCall(
            f"v{number}",
            "distance",
            dict(zip("ab", item.finding.objects, strict=True))
            | {"scene": scene, "between": between, "unit": "m"},
        )
        for number, item in enumerate(measured, start=1)
    ]


def _compare_routes(evidence: Sequence[Evidence]) -> list[dict[str, Any]]:
    routes: dict[tuple[str, ...], dict[str, Evidence]] = {}
    for item in evidence:
        if item.tool == "distance":
            routes.setdefault(item.finding.objects, {})[item.finding.definition] = item
    pairs = [
        (found[DEFINITION_OF["surfaces"]], found[DEFINITION_OF["vsi"]])
        for found in routes.values()
        if len(found) == 2
    ]
    return [_check(surfaces, boxes) for surfaces, boxes in pairs]


def _check(surfaces: Evidence, boxes: Evidence) -> dict[str, Any]:
    from spatial_agent.tools.scene import convert

    values, margins = [], []
    for item in (surfaces, boxes):
        unit = item.finding.unit or "m"
        values.append(convert(item.finding.details["unrounded"], unit, "m"))
        margins.append(convert(item.finding.margin or 0.0, unit, "m"))
    agree = values[0] >= values[1] - sum(margins) - GRID_SLACK_M
    return {
        "evidence": [surfaces.id, boxes.id],
        "agree": agree,
        "why": f"surfaces are {values[0]:.2f} m apart, yet the boxes around them {values[1]:.2f} m",
    }
