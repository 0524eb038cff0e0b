"""The tools a model is offered, in as few words as will do, and whether a call that it wants can be made."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spatial_agent.agent.models.chat import ToolOffer, ToolRequest
from spatial_agent.agent.models.schema_check import schema_problem
from spatial_agent.agent.planner.loops import worn_out
from spatial_agent.agent.situation import Interface, Situation
from spatial_agent.tools.contract import Json
from spatial_agent.tools.registry import REFERENCE_SCHEMA

PROGRAM = "program"
SCENE = "scene"
#: Arguments that models need not give: the scene is always the same, and the wording of a question says
#: whose definitions apply.
HIDDEN = (SCENE, "definition")
#: Said of arguments that take a reference.
BY_REFERENCE = " ($reference)"
#: Tools whose only result is a picture, and tools that imagine views; each kind has its own budget.
DRAWING = frozenset({"crop", "draw", "side_by_side", "top_down", "zoom"})
IMAGINING = frozenset({"novel_view"})
#: Longest description of a tool and of an argument, characters; what they say first says most.
MOST_DESCRIPTION, MOST_ARGUMENT = 240, 160
#: Longest arguments of a call, characters of JSON.
MOST_ARGUMENTS = 24_000
FRAME = re.compile(r"\$frame/(\d{1,9})")
_HANDLE = re.compile(r"\$[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
#: What schemas say that only tools need to know.
_DROPPED = ("default", "pattern", "title")


def usable(offers: Sequence[ToolOffer], situation: Situation, interface: Interface) -> tuple[ToolOffer, ...]:
    """Return the offers that make sense now, as given: skills come first there.

    Left out are tools that keep failing, that need a scene or frames where there are none, or whose budget
    is used up; with the interface "code" all but the one that runs programs.
    """
    if interface == "code":
        return tuple(offer for offer in offers if offer.name == PROGRAM)
    tired = worn_out(situation.turns)
    return tuple(offer for offer in offers if offer.name not in tired and _is_possible(offer, situation))


def compact(offer: ToolOffer) -> ToolOffer:
    """Return an offer in few words, without what a model need not say."""
    parameters = _plainer(offer.parameters)
    hidden = HIDDEN if _takes_scene(offer) else ()
    properties = {
        name: value for name, value in parameters.get("properties", {}).items() if name not in hidden
    }
    required = [name for name in parameters.get("required", ()) if name in properties]
    return replace(
        offer,
        description=_first_words(offer),
        parameters=parameters | {"properties": properties, "required": required},
    )


def signature(offer: ToolOffer) -> str:
    """Return an offer as one line of Python-like words, for programs.

    >>> signature(ToolOffer("size", "Measure.", {"properties": {"of": {}, "unit": {}}, "required": ["of"]}))
    'tools.size(of, unit=...): Measure.'
    """
    needed = offer.parameters.get("required", ())
    properties = offer.parameters.get("properties", {})
    shown = [name for name in properties if name == SCENE or name not in HIDDEN]
    ordered = sorted(shown, key=lambda name: (name not in needed, name != SCENE))
    arguments = ", ".join(_argument(name, properties[name], name in needed) for name in ordered)
    return f"tools.{offer.name}({arguments}): {_first_words(offer)}"


def arguments_of(request: ToolRequest, offer: ToolOffer, situation: Situation) -> dict[str, Json]:
    """Return the arguments of a call, with the scene where it is left out."""
    given = {name: value for name, value in request.arguments.items() if value is not None}
    if _takes_scene(offer):
        given = {SCENE: situation.scene_reference} | given
    return given


def said_of(arguments: Mapping[str, Json], situation: Situation) -> dict[str, Json]:
    """Return the arguments of a call as a model says them: without the scene that goes without saying."""
    scene = {SCENE: situation.scene_reference}
    return {name: value for name, value in arguments.items() if {name: value} != scene}


def problem_of(request: ToolRequest, offers: Sequence[ToolOffer], situation: Situation) -> str | None:
    """Return why a call cannot be made, so that the model can correct it; None where it can."""
    offer = next((offer for offer in offers if offer.name == request.tool), None)
    if offer is None:
        names = [offer.name for offer in offers]
        near = difflib.get_close_matches(request.tool[:80], names, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
        return f"no tool {request.tool[:80]!r} is offered; {hint}"
    if request.problem is not None:
        return request.problem
    if _length(request.arguments) > MOST_ARGUMENTS:
        return f"the arguments are longer than {MOST_ARGUMENTS} characters; say less"
    arguments = arguments_of(request, offer, situation)
    problem = schema_problem(arguments, offer.parameters)
    return problem or next(_bad_references(arguments, offer, situation), None)


def _is_possible(offer: ToolOffer, situation: Situation) -> bool:
    capability = offer.name.partition(".")[0]
    if (capability in DRAWING and situation.left.pictures < 1) or (
        capability in IMAGINING and situation.left.views < 1
    ):
        return False
    return situation.scene is not None or not _takes_scene(offer)


def _first_words(offer: ToolOffer) -> str:
    return " ".join(offer.description.strip().split("\n\n")[0].split())[:MOST_DESCRIPTION]


def _argument(name: str, schema: Mapping[str, Any], is_needed: bool) -> str:
    choices = "|".join(str(choice) for choice in schema.get("enum", ()))
    return name if is_needed and not choices else f"{name}={choices or '...'}"


def _takes_scene(offer: ToolOffer) -> bool:
    return _is_reference(offer.parameters.get("properties", {}).get(SCENE, {}))


def _is_reference(schema: Mapping[str, Any]) -> bool:
    nested = (schema.get("items", {}), *schema.get("anyOf", ()))
    return schema.get("pattern") == REFERENCE_SCHEMA["pattern"] or any(
        isinstance(inner, Mapping) and inner and _is_reference(inner) for inner in nested
    )


def _plainer(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return a schema without what only tools need, and without null, which is said by leaving out."""
    kept = {name: value for name, value in schema.items() if name not in _DROPPED}
    choices = [choice for choice in kept.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del kept["anyOf"]
        kept = _plainer(choices[0]) | kept
    if isinstance(kept.get("description"), str):
        kept["description"] = kept["description"][:MOST_ARGUMENT]
        if _is_reference(schema):
            kept["description"] += BY_REFERENCE
    for name in ("properties", "$defs"):
        if name in kept:
            kept[name] = {key: _plainer(value) for key, value in kept[name].items()}
    return kept


def _length(arguments: Mapping[str, Json]) -> int:
    try:
        return len(json.dumps(dict(arguments), default=str))
    except (ValueError, RecursionError):
        return MOST_ARGUMENTS + 1


def _bad_references(arguments: Mapping[str, Json], offer: ToolOffer, situation: Situation) -> Iterator[str]:
    properties = offer.parameters.get("properties", {})
    for name, value in arguments.items():
        if _is_reference(properties.get(name, {})):
            wrong = [item for item in _each(value) if not _is_kept(item, situation)]
            yield from (f"{name}: {_shown(item)} refers to nothing; {_kept(situation)}" for item in wrong[:1])


def _each(value: Json) -> Iterable[Json]:
    return value if isinstance(value, list | tuple) else [value]


def _is_kept(value: Json, situation: Situation) -> bool:
    if not isinstance(value, str):
        return False
    frame = FRAME.fullmatch(value)
    if frame:
        return int(frame[1]) < situation.frames
    return value == situation.scene_reference or value in _handles(situation)


def _handles(situation: Situation) -> dict[str, None]:
    """Return the references that results were kept under, in order."""
    results = [seen for turn in situation.turns for seen in turn.seen]
    said = " ".join(f"{seen.text} {seen.picture or ''}" for seen in results)
    return dict.fromkeys(name.rstrip(".") for name in _HANDLE.findall(said))


def _kept(situation: Situation) -> str:
    frames = [f"$frame/0 to $frame/{situation.frames - 1}"] if situation.frames else []
    scene = [situation.scene_reference] if situation.scene is not None else []
    known = [*scene, *frames, *list(_handles(situation))[-8:]]
    return f"there are {', '.join(known)}" if known else "nothing is kept yet"


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
