"""The flat document in which models write down what a question asks; small enough for small models.

A document is the `SpatialTask` without what follows by itself: the options, the nouns of phrases, units and
forms that the intent fixes. `document_of` writes one, `planner.task_document.read_task` reads one back.
"""

from typing import Any, get_args

from spatial_agent.agent.planner.wording import MOST_THINGS, canonical_direction, sectors_for
from spatial_agent.agent.task import (
    NEEDED_VIEWPOINT,
    AnswerForm,
    Comparison,
    Dimension,
    Intent,
    Option,
    Reference,
    Sectors,
    Select,
    Side,
    SpatialTask,
    Viewpoint,
)
from spatial_agent.tools.contract import Json
from spatial_agent.tools.scene import UNITS

#: Relations of numbers; "is" goes with ``direction`` and need not be said.
RELATIONS = ("less", "greater", "at_most", "at_least", "equal")
VIEWPOINTS = ("none", "observer", "camera", "object_axes", "gravity")
ANSWER_FORMS = tuple(form for form in get_args(AnswerForm) if form != "letter")
#: Keys that go with every intent.
COMMON = frozenset({"intent", "entities", "viewpoint", "answer_form", "objective"})
NUMBER_KEYS = frozenset({"relation", "value", "against", "unit"})
#: Keys that mean something for an intent, beside the common ones. Any other would be lost, so it is refused.
KEYS: dict[Intent, frozenset[str]] = {
    "count": NUMBER_KEYS,
    "distance": NUMBER_KEYS | {"centres"},
    "size": NUMBER_KEYS | {"dimension", "select"},
    "room": frozenset({"relation", "value", "unit"}),
    "nearest": frozenset({"select"}),
    "direction": frozenset({"at", "facing", "facing_away", "sectors", "direction", "unit"}),
    "camera_direction": frozenset({"frame", "sectors", "direction"}),
    "object_side": frozenset({"at", "sectors", "direction", "side", "unit"}),
    "vertical": frozenset({"direction", "select"}),
    "order": frozenset({"select"}),
    "route": frozenset({"at", "facing", "stops", "turns"}),
    "open": frozenset({"at", "facing", "facing_away", "frame", "unit"}),
}
#: What a unit has to measure.
QUANTITY: dict[Intent, str] = {"distance": "length", "size": "length", "room": "area"}


def _text(*choices: str) -> dict[str, Json]:
    return {"type": "string", "enum": list(choices)} if choices else {"type": "string"}


def _list(kind: str) -> dict[str, Json]:
    return {"type": "array", "items": {"type": kind}, "maxItems": MOST_THINGS}


#: JSON schema of a document.
SCHEMA: dict[str, Json] = {
    "type": "object",
    "properties": {
        "objective": _text(),
        "intent": _text(*get_args(Intent)),
        "entities": _list("string"),
        "viewpoint": _text(*VIEWPOINTS),
        "answer_form": _text(*ANSWER_FORMS),
        "at": _text(),
        "facing": _text(),
        "facing_away": {"type": "boolean"},
        "frame": {"type": "integer", "minimum": -1_000_000, "maximum": 1_000_000},
        "dimension": _text(*get_args(Dimension)),
        "sectors": _text(*get_args(Sectors)),
        "select": _text(*get_args(Select)),
        "centres": {"type": "boolean"},
        "relation": _text(*RELATIONS),
        "value": {"type": "number", "minimum": -1e9, "maximum": 1e9},
        "unit": _text(*UNITS),
        "against": _list("string"),
        "direction": _text(),
        "side": _text(*get_args(Side)),
        "stops": _list("string"),
        "turns": _list("boolean"),
    },
    "required": ["intent", "entities", "viewpoint", "answer_form"],
    "additionalProperties": False,
}


def document_of(task: SpatialTask) -> dict[str, Any]:
    """Return the document that `read_task` turns into the task again, given its question and options.

    >>> from spatial_agent.agent.planner.grammar import parse
    >>> document_of(parse("Is the sofa longer than 2 m?"))["relation"]
    'greater'
    """
    document = {
        "intent": task.intent,
        "entities": _phrases(task.entities),
        "viewpoint": NEEDED_VIEWPOINT.get(task.intent, task.viewpoint.kind if task.viewpoint else "none"),
        "answer_form": natural_form(task),
        "objective": task.objective,
        "dimension": task.dimension,
        "sectors": _stated_sectors(task),
        "select": task.select,
        "centres": task.centres or None,
        "side": task.side,
        "unit": task.unit if task.intent in QUANTITY or task.intent == "open" else None,
    }
    said = _viewed(task.viewpoint) | _compared(task.comparison) | _route(task)
    return {key: value for key, value in (document | said).items() if value is not None}


def natural_form(task: SpatialTask) -> AnswerForm:
    """Return the form that the answer of a task has where no options are given."""
    if task.intent == "open":
        return "text" if task.answer_form == "letter" else task.answer_form
    if task.comparison:
        return "yes_no"
    if task.intent in ("count", "distance", "room") or (task.intent == "size" and not task.select):
        return "number"
    if task.sectors == "degrees":
        return "number"
    return "order" if task.intent == "route" or (task.intent == "order" and not task.select) else "name"


def default_sectors(
    intent: Intent,
    entities: tuple[Reference, ...],
    comparison: Comparison | None,
    options: tuple[Option, ...],
) -> Sectors | None:
    """Return how finely a direction is asked for where nobody says: as finely as what it is compared with."""
    if intent not in ("direction", "camera_direction", "object_side"):
        return None
    if intent == "camera_direction" or len(entities) > 1:
        return "two"
    if comparison and comparison.name:
        return "clock" if comparison.name.endswith("o'clock") else sectors_for([comparison.name])
    names = [canonical_direction(option.text) for option in options]
    if names and entities and all(names):
        return sectors_for([name for name in names if name])
    return "eight" if intent == "direction" else "four"


def default_turns(at_start: Viewpoint, stops: tuple[Reference, ...]) -> tuple[bool, ...]:
    """Return which turns of a route are asked for: all, but for the way straight to what is faced."""
    faced = at_start.facing.phrase if at_start.facing else None
    return tuple(number > 0 or stop.phrase != faced for number, stop in enumerate(stops))


def _phrases(references: tuple[Reference, ...]) -> list[str]:
    return [reference.phrase for reference in references]


def _stated_sectors(task: SpatialTask) -> Sectors | None:
    default = default_sectors(task.intent, task.entities, task.comparison, task.options)
    return None if task.sectors == default else task.sectors


def _viewed(view: Viewpoint | None) -> dict[str, Any]:
    if view is None:
        return {}
    return {
        "at": view.at.phrase if view.at else None,
        "facing": view.facing.phrase if view.facing else None,
        "facing_away": view.facing_away or None,
        "frame": view.frame,
    }


def _compared(comparison: Comparison | None) -> dict[str, Any]:
    if comparison is None:
        return {}
    if comparison.name is not None:
        return {"direction": comparison.name}
    compared: dict[str, Any] = {
        "relation": comparison.relation,
        "against": _phrases(comparison.against) or None,
    }
    if comparison.value is not None:
        compared |= {"value": comparison.value, "unit": comparison.unit}
    return compared


def _route(task: SpatialTask) -> dict[str, Any]:
    if not task.legs or task.viewpoint is None:
        return {}
    stops = tuple(leg.to for leg in task.legs)
    turns = tuple(leg.turn_asked for leg in task.legs)
    usual = turns == default_turns(task.viewpoint, stops)
    return {"stops": _phrases(stops), "turns": None if usual else list(turns)}
