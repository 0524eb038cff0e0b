"""Whether pieces of evidence can all be true: each against itself, its second routes, and the options."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spatial_agent.agent.answerer import offered_numbers
from spatial_agent.agent.executor import is_own
from spatial_agent.agent.frame_routes import AGREEMENT, TWO_FRAMES
from spatial_agent.agent.second_routes import checked_by
from spatial_agent.agent.task import Intent, SpatialTask
from spatial_agent.tools.contract import Evidence, Finding
from spatial_agent.tools.errors import UnitError
from spatial_agent.tools.experts.two_frames import TELLING_M
from spatial_agent.tools.scene import convert
from spatial_agent.tools.skills.direction import DIVISIONS

#: What was compared: ids, whether they agree, and why not.
Check = dict[str, Any]
#: The benchmark samples box faces every 5 cm, so its distance may exceed the true one by a diagonal.
GRID_SLACK_M = 0.07
#: Two angles of the same three objects are equal up to rounding.
ANGLE_SLACK_DEG = 1.0
#: A size this many times beyond what is usual of its kind is no odd specimen but a mistake: of all edges in
#: annotated real rooms 91 % lie within the usual range itself.
GROSS = 2.0
OPPOSITE = {"above": "below", "below": "above", "level": "level"}
#: What the definition of a finding must begin with, to have the viewpoint that the question has.
DEFINITIONS: dict[Intent, tuple[str, ...]] = {
    "direction": ("direction.", "vsi.object_rel_direction"),
    "camera_direction": ("camera.",),
    "object_side": ("object_axes.",),
}


def compare_distances(evidence: Sequence[Evidence]) -> list[Check]:
    """Hold distances of the same two objects against each other.

    An object lies inside its box, so surfaces, and centres, cannot be nearer to each other than the boxes.
    """
    ways: dict[tuple[str, ...], dict[str, Evidence]] = {}
    for item in evidence:
        if item.tool == "distance" and len(item.finding.objects) == 2:
            ways.setdefault(tuple(sorted(item.finding.objects)), {})[item.finding.definition] = item
    return [
        _not_nearer(found[name], found["vsi.object_abs_distance"], words)
        for found in ways.values()
        for name, words in (("distance.surface", "surfaces"), ("distance.centre", "centres"))
        if name in found and "vsi.object_abs_distance" in found
    ]


def _not_nearer(inner: Evidence, boxes: Evidence, words: str) -> Check:
    inner_m, inner_margin_m = _metres(inner.finding)
    boxes_m, boxes_margin_m = _metres(boxes.finding)
    return {
        "evidence": [inner.id, boxes.id],
        "agree": inner_m >= boxes_m - inner_margin_m - boxes_margin_m - GRID_SLACK_M,
        "why": f"{words} are {inner_m:.2f} m apart, yet the boxes around them {boxes_m:.2f} m",
    }


def _metres(finding: Finding) -> tuple[float, float]:
    """Return the number before any rounding, and its margin, in metres."""
    unit = finding.unit or "m"
    value = float(finding.details.get("unrounded", finding.value))
    return convert(value, unit, "m"), convert(finding.margin or 0.0, unit, "m")


def compare_routes(evidence: Sequence[Evidence], task: SpatialTask) -> list[Check]:
    """Hold each piece of evidence against the second routes that were taken to it."""
    by_id = {item.id: item for item in evidence}
    checks = []
    for route in evidence:
        first = by_id.get(checked_by(route) or "")
        if first is None:
            continue
        compare = COMPARED.get((first.tool, route.tool)) or IN_FRAMES.get(route.tool)
        if compare is not None:
            checks.append(compare(first, route, task))
    return [check for check in checks if check is not None]


def _typical(first: Evidence, route: Evidence, _task: SpatialTask) -> Check | None:
    low, high = route.finding.low, route.finding.high
    if low is None or high is None or _is_given(first.finding):
        return None
    value_m, margin_m = _metres(first.finding)
    kind = route.finding.details.get("name", "thing of its kind")
    return {
        "evidence": [first.id],
        "agree": low / GROSS - margin_m <= value_m <= high * GROSS + margin_m,
        "why": f"a {kind} usually measures {low:.2f} to {high:.2f} m there, this one {value_m:.2f} m",
    }


def _is_given(finding: Finding) -> bool:
    """Return whether a number follows from a scene that was given, which is right by definition."""
    return finding.low is not None and finding.low == finding.high


def _mirrored(first: Evidence, route: Evidence, task: SpatialTask) -> Check | None:
    turn, back = first.finding.details.get("degrees"), route.finding.details.get("degrees")
    if turn is None or back is None:
        return None
    is_behind = task.viewpoint is not None and task.viewpoint.facing_away
    expected = -(turn + (180.0 if is_behind else 0.0))
    why = f"{turn:+.0f}° one way and {back:+.0f}° the other way round do not cancel out"
    return _same_angle([first.id, route.id], expected, back, why)


def _same_angle(ids: list[str], one_deg: float, other_deg: float, why: str) -> Check:
    gap_deg = abs((one_deg - other_deg + 180.0) % 360.0 - 180.0)
    return {"evidence": ids, "agree": gap_deg <= ANGLE_SLACK_DEG, "why": why}


def _upside_down(first: Evidence, route: Evidence, _task: SpatialTask) -> Check:
    one, other = str(first.finding.value), str(route.finding.value)
    return {
        "evidence": [first.id, route.id],
        "agree": OPPOSITE.get(one) == other,
        "why": f"one object is {one} the other, which is {other} the first",
    }


def _near_enough(first: Evidence, route: Evidence, _task: SpatialTask) -> Check | None:
    """Hold one of the distances of a "which is nearest" against the other way to measure it."""
    names = list(first.finding.details.get("distances_m", {}))
    place = _number(route) - 1
    if place >= len(names):
        return None
    distance_m = float(first.finding.details["distances_m"][names[place]])
    margin_m = float(first.finding.details.get("margins_m", {}).get(names[place]) or 0.0)
    route_m, route_margin_m = _metres(route.finding)
    is_box = first.finding.definition.startswith("vsi.")
    surfaces_m, boxes_m = (route_m, distance_m) if is_box else (distance_m, route_m)
    return {
        "evidence": [first.id, route.id],
        "agree": surfaces_m >= boxes_m - margin_m - route_margin_m - GRID_SLACK_M,
        "why": f"to '{names[place]}' surfaces are {surfaces_m:.2f} m apart, yet the boxes {boxes_m:.2f} m",
    }


def _turned(first: Evidence, route: Evidence, _task: SpatialTask) -> Check | None:
    turns, place = first.finding.details.get("turns_deg", ()), _number(route) - 1
    degrees = route.finding.details.get("degrees")
    if place >= len(turns) or degrees is None:
        return None
    why = f"turn {place + 1} is {turns[place]:+.0f}° along the route, and {degrees:+.0f}° seen from there"
    return _same_angle([first.id, route.id], float(turns[place]), float(degrees), why)


def _two_frames(first: Evidence, route: Evidence, _task: SpatialTask) -> Check | None:
    """Hold a measurement against single frames; None where they would not show even a gross fault."""
    details = route.finding.details
    if float(details.get("noticed_m", math.inf)) > TELLING_M:
        return None
    return _borne_out(first, route)


def _estimated(first: Evidence, route: Evidence, _task: SpatialTask) -> Check | None:
    """Hold recorded depth against a network's; None where that has nothing to be compared with."""
    return _borne_out(first, route) if route.finding.details.get("telling") else None


def _borne_out(first: Evidence, route: Evidence) -> Check:
    contradicted = route.finding.details.get("contradicted")
    why = contradicted or f"{route.tool} bears it out: {route.finding.claim}"
    return {"evidence": [first.id], "agree": contradicted is None, "why": why}


def _number(route: Evidence) -> int:
    return int(route.call_id.rpartition(".")[2])


Compare = Callable[[Evidence, Evidence, SpatialTask], Check | None]
COMPARED: Mapping[tuple[str, str], Compare] = {
    ("size", "sizes.typical"): _typical,
    ("direction", "direction"): _mirrored,
    ("vertical", "vertical"): _upside_down,
    ("nearest", "distance"): _near_enough,
    ("route", "direction"): _turned,
}


#: Checks that are the same whatever they check.
IN_FRAMES: Mapping[str, Compare] = {TWO_FRAMES: _two_frames, AGREEMENT: _estimated}


def inspect(task: SpatialTask, evidence: Sequence[Evidence]) -> list[Check]:
    """Hold each piece of evidence against itself and against what the question asks for."""
    checks = []
    for item in evidence:
        reasons = [_own_interval(item.finding), _own_angle(item.finding), _one_object(item)]
        if is_own(item.call_id):
            reasons += [
                _unit(task, item.finding),
                _viewpoint(task, item.finding),
                _options(task, item.finding),
            ]
        checks += [{"evidence": [item.id], "agree": False, "why": reason} for reason in reasons if reason]
    return checks


def _own_interval(finding: Finding) -> str | None:
    if not isinstance(finding.value, int | float) or isinstance(finding.value, bool):
        return None
    low = -math.inf if finding.low is None else finding.low
    high = math.inf if finding.high is None else finding.high
    if math.isfinite(finding.value) and low <= finding.value <= high:
        return None
    return f"the number {finding.value:g} lies outside its own interval, {low:g} to {high:g}"


def _own_angle(finding: Finding) -> str | None:
    """Say where the name of a direction is not that of its angle."""
    division = DIVISIONS.get(finding.definition.rpartition(".")[2])
    degrees = finding.details.get("degrees")
    if division is None or not isinstance(degrees, int | float) or not isinstance(finding.value, str):
        return None
    name = division(float(degrees)).name
    return None if name == finding.value else f"{degrees:+.0f}° is called {finding.value}, which is {name}"


def _one_object(item: Evidence) -> str | None:
    objects = item.finding.objects
    if item.tool not in ("distance", "vertical") or len(objects) != 2 or objects[0] != objects[1]:
        return None
    return f"both names were taken to mean {objects[0]}"


def _unit(task: SpatialTask, finding: Finding) -> str | None:
    if task.unit is None or finding.unit is None:
        return None
    try:
        convert(1.0, finding.unit, task.unit)
    except UnitError as error:
        return f"another quantity was asked for: {error}"
    return None


def _viewpoint(task: SpatialTask, finding: Finding) -> str | None:
    wanted = DEFINITIONS.get(task.intent)
    if wanted is None or finding.definition.startswith(wanted):
        return None
    return f"the question has another viewpoint than '{finding.definition}'"


def _options(task: SpatialTask, finding: Finding) -> str | None:
    """Say where a measured number is far from every option, which one of them should be near."""
    if not isinstance(finding.value, int | float) or finding.unit is None or task.comparison is not None:
        return None
    offered = offered_numbers(task.options, finding.unit) if task.options else None
    if offered is None:
        return None
    numbers = sorted(offered.values())
    gap = min(after - before for before, after in zip(numbers, numbers[1:], strict=False))
    nearest = min(numbers, key=lambda number: abs(number - finding.value))
    if abs(nearest - finding.value) <= (finding.margin or 0.0) + gap:
        return None
    return (
        f"{finding.value:.2f} {finding.unit} is near none of the options, the nearest being "
        f"{nearest:.2f} {finding.unit}"
    )
