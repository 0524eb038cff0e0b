"""Which calls measure a task: one small function per intent."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from spatial_agent.agent.executor import OWN
from spatial_agent.agent.task import Intent, Reference, SpatialTask
from spatial_agent.tools.contract import Json, ToolCall
from spatial_agent.tools.labels import main_name
from spatial_agent.tools.skills.phrases import read_phrase

Wanted = tuple[str, dict[str, Json]]
#: Arguments in whose order nothing lies: which of two things is ``a``, which candidate comes first.
UNORDERED = ("candidates", "kinds")


def plan_calls(task: SpatialTask, scene: str, *, prefix: str = OWN) -> tuple[ToolCall, ...]:
    """Return the calls that measure what a task needs; none for an open one, which no skill answers.

    Args:
        task: What is asked.
        scene: Reference of the scene.
        prefix: First letter of the ids of the calls.
    """
    return tuple(
        ToolCall(f"{prefix}{number}", tool, {"scene": scene} | arguments)
        for number, (tool, arguments) in enumerate(PLANS[task.intent](task), start=1)
    )


def measured_by(task: SpatialTask) -> tuple[tuple[str, Mapping[str, Json]], ...]:
    """Return what a task measures, however it is worded: two tasks that give the same measure the same.

    Synonyms, the unit and the order of things that have none make no difference.
    """
    return tuple((tool, _unworded(tool, arguments)) for tool, arguments in PLANS[task.intent](task))


def _unworded(tool: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
    plain = {name: _main(value) for name, value in arguments.items() if name != "unit"}
    for name in UNORDERED:
        if name in plain:
            plain[name] = sorted(plain[name])
    if tool == "distance":
        plain["a"], plain["b"] = sorted((plain["a"], plain["b"]))
    return plain


def _main(value: Json) -> Json:
    """Return a phrase with the main names of what it names; other values as they are."""
    if isinstance(value, list):
        return [_main(item) for item in value]
    if not isinstance(value, str):
        return value
    phrase = read_phrase(value)
    parts = (
        phrase.superlative,
        main_name(phrase.noun),
        phrase.relation,
        phrase.anchor and _main(phrase.anchor),
    )
    return " ".join(part for part in parts if part)


def _open(_: SpatialTask) -> list[Wanted]:
    return []


def _phrases(references: Iterable[Reference]) -> list[str]:
    return [reference.phrase for reference in references]


def _definition(task: SpatialTask) -> dict[str, Json]:
    return {"definition": task.definition}


def _compared(task: SpatialTask) -> tuple[Reference, ...]:
    return task.comparison.against if task.comparison else ()


def _unit(task: SpatialTask, default: str) -> dict[str, Json]:
    compared = task.comparison.unit if task.comparison else None
    return {"unit": task.unit or compared or default}


def _count(task: SpatialTask) -> list[Wanted]:
    kinds = _phrases((*task.entities, *_compared(task)))
    return [("count", {"kind": kind} | _definition(task)) for kind in kinds]


def _distance(task: SpatialTask) -> list[Wanted]:
    between = "vsi" if task.definition == "vsi" else "centres" if task.centres else "surfaces"
    pairs = [task.entities, _compared(task)]
    return [
        ("distance", dict(zip("ab", _phrases(pair), strict=True)) | {"between": between} | _unit(task, "m"))
        for pair in pairs
        if pair
    ]


def _size(task: SpatialTask) -> list[Wanted]:
    dimension = {"dimension": task.dimension or "longest"}
    if task.select:
        candidates = {"candidates": _phrases(task.entities), "each_of_kind": _each_of_kind(task.entities)}
        return [("size_extreme", candidates | dimension | {"select": task.select})]
    return [
        ("size", {"of": phrase} | dimension | _definition(task) | _unit(task, "m"))
        for phrase in _phrases((*task.entities, *_compared(task)))
    ]


def _room(task: SpatialTask) -> list[Wanted]:
    return [("room", _definition(task) | _unit(task, "m2"))]


def _nearest(task: SpatialTask) -> list[Wanted]:
    anchor, *candidates = task.entities
    arguments = {
        "anchor": anchor.phrase,
        "candidates": _phrases(candidates),
        "select": task.select or "least",
        "each_of_kind": _each_of_kind(candidates),
    }
    return [("nearest", arguments | _definition(task))]


def _direction(task: SpatialTask) -> list[Wanted]:
    view = task.viewpoint
    if view is None or view.at is None or view.facing is None:
        raise ValueError("a direction task always has an observer")
    target, *against = _phrases(task.entities)
    arguments = {
        "at": view.at.phrase,
        "facing": view.facing.phrase,
        "target": target,
        "sectors": task.sectors or "four",
        "against": against[0] if against else None,
        "facing_away": view.facing_away,
    }
    return [("direction", arguments | _definition(task))]


def _camera_direction(task: SpatialTask) -> list[Wanted]:
    target, *against = _phrases(task.entities)
    arguments = {
        "target": target,
        "frame": task.viewpoint.frame if task.viewpoint else None,
        "against": against[0] if against else None,
        "sectors": task.sectors or "two",
    }
    return [("camera_direction", arguments)]


def _object_side(task: SpatialTask) -> list[Wanted]:
    if task.viewpoint is None or task.viewpoint.at is None:
        raise ValueError("an object-axes task always has its object")
    target = task.entities[0].phrase if task.entities else None
    arguments = {
        "of": task.viewpoint.at.phrase,
        "target": target,
        "side": task.side,
        "sectors": task.sectors or "four",
    }
    return [("object_side", arguments)]


def _vertical(task: SpatialTask) -> list[Wanted]:
    if task.select:
        candidates = {"candidates": _phrases(task.entities), "each_of_kind": _each_of_kind(task.entities)}
        return [("vertical_extreme", candidates | {"select": task.select})]
    a, b = _phrases(task.entities)
    return [("vertical", {"a": a, "b": b})]


def _order(task: SpatialTask) -> list[Wanted]:
    arguments: dict[str, Json] = {"kinds": _phrases(task.entities), "select": task.select}
    return [("order", arguments | _definition(task))]


def _route(task: SpatialTask) -> list[Wanted]:
    view = task.viewpoint
    if view is None or view.at is None or view.facing is None:
        raise ValueError("a route task always has a start and something faced")
    arguments = {
        "at": view.at.phrase,
        "facing": view.facing.phrase,
        "stops": _phrases(leg.to for leg in task.legs),
        "asked": [leg.turn_asked for leg in task.legs],
    }
    return [("route", arguments | _definition(task))]


def _each_of_kind(references: Sequence[Reference]) -> bool:
    return len(references) == 1 and references[0].plural


PLANS: dict[Intent, Callable[[SpatialTask], list[Wanted]]] = {
    "count": _count,
    "distance": _distance,
    "size": _size,
    "room": _room,
    "nearest": _nearest,
    "direction": _direction,
    "camera_direction": _camera_direction,
    "object_side": _object_side,
    "vertical": _vertical,
    "order": _order,
    "route": _route,
    "open": _open,
}
