"""Which second measurements could show that a first one is wrong: other ways to what it says.

Each kind of finding has its own: a distance between surfaces has the one between boxes, a size has what is
typical of its kind, a direction has the one with target and faced object swapped, and so on. They are asked
for by ids that name what they check: ``v3.1`` is the first check of evidence ``e3``.
"""

import re
from collections.abc import Callable, Sequence
from itertools import islice

from spatial_agent.agent.executor import CHECKING, is_own
from spatial_agent.agent.task import SpatialTask
from spatial_agent.tools.contract import Evidence, Json, ToolCall
from spatial_agent.tools.experts.sizes import Dimension, typical_size

#: Most turns of one route that are checked.
MOST_TURNS = 4
#: The other way between two objects.
OTHER_WAY = {
    "distance.surface": "vsi",
    "distance.centre": "vsi",
    "vsi.object_abs_distance": "surfaces",
}
#: Which typical edge belongs to a measured one.
TYPICAL_OF: dict[str, Dimension] = {
    "size.longest": "longest",
    "size.height": "height",
    "size.width": "width",
    "size.length": "width",
    "size.depth": "depth",
    "vsi.object_size_estimation": "longest",
}
NUMBERED = re.compile(r"-\d+$")
Wanted = tuple[str, dict[str, Json]]


def routes_for(task: SpatialTask, item: Evidence, scene: str) -> list[ToolCall]:
    """Return the calls that check one piece of evidence; none where there is no second way.

    Args:
        task: What is asked.
        item: What was found out.
        scene: Reference of the scene.
    """
    routes = ROUTES.get(item.tool)
    if routes is None or item.call_id.startswith(CHECKING):
        return []
    return [
        ToolCall(f"{CHECKING}{item.id[1:]}.{number}", tool, arguments | _scene(tool, scene))
        for number, (tool, arguments) in enumerate(routes(task, item), start=1)
    ]


def checked_by(item: Evidence) -> str | None:
    """Return the id of the evidence that a piece of evidence checks; None where it checks none."""
    if not item.call_id.startswith(CHECKING) or "." not in item.call_id:
        return None
    return f"e{item.call_id[1:].partition('.')[0]}"


def label_of(object_id: str) -> str:
    """Return the label that an object's id is made of.

    >>> label_of("office-chair-2")
    'office chair'
    """
    return NUMBERED.sub("", object_id).replace("-", " ")


def _scene(tool: str, scene: str) -> dict[str, Json]:
    return {} if tool == "sizes.typical" else {"scene": scene}


def _distance(_task: SpatialTask, item: Evidence) -> list[Wanted]:
    between = OTHER_WAY.get(item.finding.definition)
    if between is None or len(item.finding.objects) != 2:
        return []
    a, b = item.finding.objects
    return [("distance", {"a": a, "b": b, "between": between, "unit": "m"})]


def _size(_task: SpatialTask, item: Evidence) -> list[Wanted]:
    """Return the typical size, where one is known."""
    dimension = TYPICAL_OF.get(item.finding.definition)
    if dimension is None or len(item.finding.objects) != 1:
        return []
    label = label_of(item.finding.objects[0])
    typical = typical_size(label)
    if typical is None or typical.section == "rooms" or typical.range_of(dimension) is None:
        return []
    return [("sizes.typical", {"of": label, "dimension": dimension})]


def _direction(task: SpatialTask, item: Evidence) -> list[Wanted]:
    """Return the direction with target and faced object swapped, which turns the other way."""
    is_relative = len(task.entities) > 1
    if (
        task.intent != "direction"
        or is_relative
        or not is_own(item.call_id)
        or len(item.finding.objects) != 3
    ):
        return []
    at, facing, target = item.finding.objects
    return [("direction", {"at": at, "facing": target, "target": facing, "sectors": "degrees"})]


def _vertical(_task: SpatialTask, item: Evidence) -> list[Wanted]:
    if len(item.finding.objects) != 2:
        return []
    a, b = item.finding.objects
    return [("vertical", {"a": b, "b": a})]


def _nearest(_task: SpatialTask, item: Evidence) -> list[Wanted]:
    """Return the winner's distance and the runner-up's, measured the other way."""
    if len(item.finding.objects) != 2:
        return []
    anchor, winner = item.finding.objects
    between = "surfaces" if item.finding.definition.startswith("vsi.") else "vsi"
    second = list(islice(item.finding.details.get("distances_m", {}), 1, 2))
    return [("distance", {"a": anchor, "b": b, "between": between, "unit": "m"}) for b in (winner, *second)]


def _route(_task: SpatialTask, item: Evidence) -> list[Wanted]:
    """Return each turn as a direction: at a stop, with the back to where one came from."""
    start, faced, *stops = item.finding.objects
    places = [faced, start, *stops]
    return [
        (
            "direction",
            {"at": at, "facing": came_from, "target": to, "sectors": "degrees"} | {"facing_away": number > 0},
        )
        for number, (came_from, at, to) in enumerate(
            islice(zip(places, places[1:], places[2:], strict=False), MOST_TURNS)
        )
    ]


ROUTES: dict[str, Callable[[SpatialTask, Evidence], Sequence[Wanted]]] = {
    "distance": _distance,
    "size": _size,
    "direction": _direction,
    "vertical": _vertical,
    "nearest": _nearest,
    "route": _route,
}
