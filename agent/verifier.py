"""Holds evidence against itself: second routes where there are any, and what makes evidence weak.

A distance can be had two ways that share only the box fit: between observed surfaces, and between
box surfaces. An object lies inside its box, so the first cannot be shorter than the second by more
than their margins; where it is, one of them is wrong and neither decides anything by itself. This is
always looked at. The dearer routes (`agent.second_routes`, `agent.frame_routes`) and the checks that need
them (`agent.checks`) are for when much depends on an answer: a model is in the loop, or readings disagree.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from spatial_agent.agent.checks import compare_distances, compare_routes, inspect
from spatial_agent.agent.executor import CHECKING, call_to_json
from spatial_agent.agent.frame_routes import Means, frame_routes
from spatial_agent.agent.second_routes import routes_for
from spatial_agent.agent.task import SpatialTask
from spatial_agent.tools.contract import Evidence, ToolCall

SECOND_ROUTE = {"surfaces": "vsi", "vsi": "surfaces"}


def verify_evidence(
    task: SpatialTask,
    evidence: Sequence[Evidence],
    rounds: int,
    scene: str,
    *,
    thorough: bool = False,
    failures: Sequence[Mapping[str, Any]] | None = None,
    means: Means | None = None,
) -> dict[str, Any]:
    """Say what evidence is weak, and what should still be measured.

    Args:
        task: What is asked.
        evidence: What was found out so far.
        rounds: Plan-execute-verify rounds so far.
        scene: Reference of the scene.
        thorough: Whether to take every second route there is, and to check each finding in itself.
        failures: Calls that failed so far; with them, thorough checks also reach what a model measured
            after the first round, each route being taken once whether it fails or not.
        means: What checks in single frames can be made with; thorough checks make none without it.

    Returns:
        ``wanted``: calls as JSON; ``weak``: reason by evidence id; ``checks``: what was compared.
    """
    weak = {item.id: item.finding.why_weak or "weak" for item in evidence if item.finding.quality == "weak"}
    checks = compare_distances(evidence)
    if thorough:
        checks += compare_routes(evidence, task) + inspect(task, evidence)
    for check in checks:
        if not check["agree"]:
            weak |= dict.fromkeys(check["evidence"], check["why"])
    wanted = _wanted(task, evidence, rounds, scene, thorough, failures, means)
    return {"wanted": [call_to_json(call) for call in wanted], "weak": weak, "checks": checks}


def _wanted(
    task: SpatialTask,
    evidence: Sequence[Evidence],
    rounds: int,
    scene: str,
    thorough: bool,
    failures: Sequence[Mapping[str, Any]] | None,
    means: Means | None,
) -> list[ToolCall]:
    if not thorough:
        return _second_distances(task, evidence, scene) if rounds == 1 else []
    if rounds > 1 and failures is None:
        return []
    made = {item.call_id for item in evidence} | {failure["call_id"] for failure in failures or ()}
    routes = [call for item in evidence for call in routes_for(task, item, scene)]
    if means is not None:
        made |= means.called
        routes += frame_routes(evidence, scene, means)
    return [call for call in routes if call.id not in made and not _is_known(call, evidence)]


def _is_known(call: ToolCall, evidence: Sequence[Evidence]) -> bool:
    """Return whether another call has measured the same distance the same way already."""
    if call.tool != "distance" or call.arguments["between"] not in SECOND_ROUTE:
        return False
    definition = {"surfaces": "distance.surface", "vsi": "vsi.object_abs_distance"}[call.arguments["between"]]
    pair = {call.arguments["a"], call.arguments["b"]}
    return any(
        item.finding.definition == definition and set(item.finding.objects) == pair for item in evidence
    )


def _second_distances(task: SpatialTask, evidence: Sequence[Evidence], scene: str) -> list[ToolCall]:
    """Return the other route of a distance that stands alone; compared distances check each other."""
    if task.intent != "distance" or task.centres or task.comparison:
        return []
    measured = [item for item in evidence if item.tool == "distance" and item.finding.objects]
    between = SECOND_ROUTE["vsi" if task.definition == "vsi" else "surfaces"]
    return [
        ToolCall(
            f"{CHECKING}{number}",
            "distance",
            dict(zip("ab", item.finding.objects, strict=True))
            | {"scene": scene, "between": between, "unit": "m"},
        )
        for number, item in enumerate(measured, start=1)
    ]
