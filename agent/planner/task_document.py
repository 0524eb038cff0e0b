"""Reading what a model says a question asks: every document becomes a valid task, or a problem in words."""

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from spatial_agent.agent.models.schema_check import schema_problem
from spatial_agent.agent.planner.choosing_forms import VERTICAL, kind
from spatial_agent.agent.planner.task_schema import (
    COMMON,
    KEYS,
    QUANTITY,
    SCHEMA,
    default_sectors,
    default_turns,
    natural_form,
)
from spatial_agent.agent.planner.units import check_unit
from spatial_agent.agent.planner.vsi_forms import DECIMALS
from spatial_agent.agent.planner.wording import DIRECTION_WORDS, QUOTES, canonical_direction, reference
from spatial_agent.agent.task import (
    NEEDED_VIEWPOINT,
    AnswerForm,
    Comparison,
    Definition,
    Intent,
    Leg,
    Option,
    Reference,
    SpatialTask,
    Viewpoint,
)
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError, QuestionError

Document = Mapping[str, Any]
LONGEST_NAME = 160
LONGEST_OBJECTIVE = 300
#: What models write into places that they should leave out.
NOTHING = ("", "none", "null", "n/a")
HOUR = re.compile(r"(1[0-2]|[1-9]) ?o'? ?clock")
#: How many entities an intent takes where it does not choose among several; None where any number will do.
EXACTLY: dict[Intent, int] = {"count": 1, "distance": 2, "size": 1, "vertical": 2}


def read_task(
    document: Json, question: str, options: tuple[Option, ...] = (), definition: Definition = "plain"
) -> SpatialTask:
    """Return the task that a document describes.

    Args:
        document: Anything; should fit `task_schema.SCHEMA`.
        question: The question it is about.
        options: The answers offered.
        definition: Whose definitions apply; the wording of the question says so, not a model.

    Raises:
        InvalidValueError: If it describes none; the message says what was expected, what came, and what to
            do, so that it can be put to the model.
    """
    said = _said(document)
    intent: Intent = said["intent"]
    try:
        _check_keys(intent, said)
        comparison = _comparison(intent, said)
        entities = _entities(intent, said)
        task = SpatialTask(
            question=question,
            intent=intent,
            definition=definition,
            answer_form="text",
            entities=entities,
            viewpoint=_viewpoint(intent, said),
            dimension=_dimension(intent, said),
            sectors=_sectors(intent, said, entities, comparison, options),
            select=_select(intent, said),
            centres="centres" in said,
            closest_instance=definition == "vsi" and intent == "nearest",
            comparison=comparison,
            legs=_legs(intent, said),
            side=said.get("side"),
            objective=_objective(said) if intent == "open" else None,
        )
        return _in_form(_in_unit(task, said), said, options)
    except QuestionError as error:
        raise InvalidValueError(str(error)) from error


def _said(document: Json) -> dict[str, Any]:
    """Return what a document says, without what it says nothing in."""
    if not isinstance(document, Mapping):
        raise InvalidValueError(f"expected a JSON object, got {type(document).__name__}")
    always = SCHEMA["required"]
    said = {key: value for key, value in document.items() if key in always or not _is_nothing(value)}
    problem = schema_problem(said, SCHEMA)
    if problem:
        raise InvalidValueError(problem)
    return said


def _is_nothing(value: Json) -> bool:
    is_empty_word = isinstance(value, str) and value.strip().casefold() in NOTHING
    return value is None or value is False or value == [] or is_empty_word


def _check_keys(intent: Intent, said: Document) -> None:
    """Refuse what would be lost, instead of losing it."""
    lost = sorted(set(said) - COMMON - KEYS[intent])
    if lost:
        raise InvalidValueError(
            f"intent {intent!r} has no {', '.join(lost)}; it goes with {', '.join(sorted(KEYS[intent]))}: "
            "leave out what the question does not ask, or take intent 'open' where no other has it all"
        )
    needed = NEEDED_VIEWPOINT.get(intent, "none")
    if said["viewpoint"] not in (needed, "none") and intent in NEEDED_VIEWPOINT:
        fitting = [name for name, view in NEEDED_VIEWPOINT.items() if view == said["viewpoint"]]
        raise InvalidValueError(
            f"intent {intent!r} goes with viewpoint {needed!r}, got {said['viewpoint']!r}, which goes with "
            f"{' or '.join(map(repr, fitting))}"
        )


def _reference(text: str) -> Reference:
    plain = unicodedata.normalize("NFKC", text.translate(QUOTES)).casefold()
    plain = " ".join("".join(mark if mark.isprintable() else " " for mark in plain).split())
    if len(plain) > LONGEST_NAME:
        raise InvalidValueError(f"expected the name of one object, got {len(plain)} characters")
    return reference(plain)


def _references(texts: Sequence[str]) -> tuple[Reference, ...]:
    return tuple(_reference(text) for text in texts)


def _one(said: Document, key: str) -> Reference:
    if key not in said:
        raise InvalidValueError(f"intent {said['intent']!r} needs {key!r}: an object that the question names")
    return _reference(said[key])


def _entities(intent: Intent, said: Document) -> tuple[Reference, ...]:
    found = _references(said["entities"])
    phrases = [item.phrase for item in found]
    if intent != "open" and len(set(phrases)) < len(phrases):
        raise InvalidValueError(f"entities: an object stands twice: {', '.join(phrases)}")
    if intent == "nearest" and len(found) == 2:
        return (found[0], *kind(phrases[1]))
    if intent == "size" and "select" in said and len(found) == 1:
        return kind(phrases[0])
    wanted = None if "select" in said else EXACTLY.get(intent)
    if wanted is not None and len(found) != wanted:
        raise InvalidValueError(f"intent {intent!r} takes {wanted} entities, got {len(found)}")
    if intent == "vertical" and len(found) < 2:
        raise InvalidValueError("intent 'vertical' with select takes two or more entities")
    if intent == "object_side" and bool(found) == ("side" in said):
        raise InvalidValueError(
            "intent 'object_side' takes either the one entity looked for, or the side of which all is wanted"
        )
    return found


def _viewpoint(intent: Intent, said: Document) -> Viewpoint | None:
    wanted = NEEDED_VIEWPOINT.get(intent) or (said["viewpoint"] if intent == "open" else "none")
    if wanted == "observer":
        at, facing = _one(said, "at"), _one(said, "facing")
        if at.phrase == facing.phrase:
            raise InvalidValueError(f"nobody can stand at the {at.phrase} and face it too; name two objects")
        return Viewpoint("observer", at, facing, facing_away="facing_away" in said)
    if wanted == "object_axes":
        return Viewpoint("object_axes", _one(said, "at"))
    if wanted == "camera":
        frame = said.get("frame")
        return Viewpoint("camera", frame=None if frame is None else int(frame))
    return Viewpoint("gravity") if wanted == "gravity" else None


def _dimension(intent: Intent, said: Document) -> Any:  # noqa: ANN401 - one of the schema's
    return said.get("dimension", "longest") if intent == "size" else None


def _select(intent: Intent, said: Document) -> Any:  # noqa: ANN401 - one of the schema's
    return said.get("select", "least") if intent == "nearest" else said.get("select")


def _sectors(
    intent: Intent,
    said: Document,
    entities: tuple[Reference, ...],
    comparison: Comparison | None,
    options: tuple[Option, ...],
) -> Any:  # noqa: ANN401 - one of the schema's
    usual = default_sectors(intent, entities, comparison, options)
    fixed = comparison is not None or len(entities) > 1 or intent == "camera_direction" or not entities
    return usual if fixed else said.get("sectors", usual)


def _comparison(intent: Intent, said: Document) -> Comparison | None:
    if "direction" in said:
        return Comparison("is", name=_name(intent, said["direction"]))
    given = [key for key in ("value", "against") if key in said]
    if "relation" not in said:
        if given:
            raise InvalidValueError(f"{given[0]} needs a relation: how the measurement is compared with it")
        return None
    if len(given) != 1 or "select" in said:
        raise InvalidValueError(
            "relation needs either a value (a number with its unit) or against (the entities of a second "
            "measurement), and goes with no select"
        )
    if "value" in said:
        return _held_against(intent, said)
    against = _references(said["against"])
    if len(against) != EXACTLY[intent]:
        raise InvalidValueError(f"against: intent {intent!r} takes {EXACTLY[intent]}, got {len(against)}")
    return Comparison(said["relation"], against=against)


def _held_against(intent: Intent, said: Document) -> Comparison:
    value = float(said["value"])
    if not math.isfinite(value):
        raise InvalidValueError(f"value: expected a number, got {value}")
    unit = said.get("unit")
    if intent not in QUANTITY:
        if unit not in (None, "count"):
            raise InvalidValueError(f"unit: a {intent} is a bare number, not in {unit!r}: leave it out")
        return Comparison(said["relation"], value)
    if unit is None:
        raise InvalidValueError(f"value needs its unit: intent {intent!r} compares a {QUANTITY[intent]}")
    return Comparison(said["relation"], value, check_unit(unit, QUANTITY[intent]))


def _name(intent: Intent, said: str) -> str:
    """Return the name of a direction as measurements call it."""
    text = " ".join(said[:LONGEST_NAME].casefold().translate(QUOTES).split())
    hour = HOUR.fullmatch(text)
    if hour and intent == "direction":
        return f"{hour[1]} o'clock"
    known = VERTICAL.get(text) if intent == "vertical" else canonical_direction(text)
    fitting = ("left", "right") if intent == "camera_direction" else tuple(DIRECTION_WORDS)
    fitting = ("above", "below", "on") if intent == "vertical" else fitting
    if known not in fitting:
        raise InvalidValueError(f"direction: expected one of {', '.join(fitting)}, got {text[:40]!r}")
    return known


def _legs(intent: Intent, said: Document) -> tuple[Leg, ...]:
    if intent != "route":
        return ()
    stops = _references(said.get("stops", ()))
    view = _viewpoint(intent, said)
    usual = default_turns(view, stops) if view else ()
    turns = tuple(said.get("turns", usual))
    if len(turns) != len(stops) or not any(turns):
        raise InvalidValueError(
            f"a route needs stops, one turn for each stop and at least one that is asked for; got "
            f"{len(stops)} stops and {len(turns)} turns"
        )
    return tuple(map(Leg, stops, turns))


def _objective(said: Document) -> str:
    words = " ".join(str(said.get("objective", "")).split())
    if not words:
        raise InvalidValueError("intent 'open' needs an objective: what has to be found out, in a sentence")
    return "".join(mark for mark in words if mark.isprintable())[:LONGEST_OBJECTIVE]


def _in_unit(task: SpatialTask, said: Document) -> SpatialTask:
    """Return the task with the unit of its answer, which a comparison has not, and the rounding."""
    if task.intent == "open":
        return replace(task, unit=said.get("unit"))
    if task.comparison is not None:
        return task
    unit = said.get("unit")
    if task.intent in QUANTITY:
        unit = check_unit(unit, QUANTITY[task.intent]) if task.select is None else None
    else:
        own = "count" if task.intent == "count" else "deg" if task.sectors == "degrees" else None
        if unit not in (None, own):
            raise InvalidValueError(
                f"unit: the answer of intent {task.intent!r} is not in {unit!r}: leave it out"
            )
        unit = own
    decimals = {"count": 0} | DECIMALS if task.definition == "vsi" else {}
    return replace(task, unit=unit, decimals=decimals.get(unit or ""))


def _in_form(task: SpatialTask, said: Document, options: tuple[Option, ...]) -> SpatialTask:
    """Return the task with its answer form, which must be what the model has in mind."""
    if options:
        return replace(task, options=options, answer_form="letter")
    wanted = cast("AnswerForm", said["answer_form"])
    if task.intent == "open":
        return replace(task, answer_form=wanted)
    form = natural_form(task)
    if wanted != form and not (wanted == "text" and form != "yes_no"):
        raise InvalidValueError(
            f"answer_form: intent {task.intent!r} as described is answered by {form!r}, got {wanted!r}; a "
            "yes/no question needs relation (or direction), and no other has one; take intent 'open' where "
            "neither fits"
        )
    return replace(task, answer_form=form)
