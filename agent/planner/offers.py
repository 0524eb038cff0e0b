"""The tools that a model is offered: those that can work now, in as few words as will do."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from spatial_agent.agent.models.chat import ToolOffer
from spatial_agent.agent.models.request_size import offer_tokens
from spatial_agent.agent.planner.loops import worn_out
from spatial_agent.agent.situation import PROGRAM, Interface, Situation
from spatial_agent.tools.registry import REFERENCE_SCHEMA

SCENE, FRAME = "scene", "frame"
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
_HANDLE = re.compile(r"\$[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")
#: What schemas say that only tools need to know.
_DROPPED = ("default", "pattern", "title")


def usable(offers: Sequence[ToolOffer], situation: Situation, interface: Interface) -> tuple[ToolOffer, ...]:
    """Return the offers that make sense now, as given: skills come first there.

    Left out are tools that keep failing, that need a scene, frames or results where there are none, or whose
    budget is used up. Of those that do the same with the same arguments the first is offered, and the others
    once it has failed. With the interface "code" only the one that runs programs is left.
    """
    if interface == "code":
        return tuple(offer for offer in offers if offer.name == PROGRAM)
    tired = worn_out(situation.turns)
    failed = {seen.tool for turn in situation.turns for seen in turn.seen if seen.failed}
    kept: list[ToolOffer] = []
    for offer in offers:
        possible = offer.name not in tired and _is_possible(offer, situation)
        alike = [other.name for other in kept if _work(other) == _work(offer)]
        if possible and failed.issuperset(alike):
            kept.append(offer)
    return tuple(kept)


def within(offers: Sequence[ToolOffer], most_tokens: int) -> tuple[ToolOffer, ...]:
    """Return the first offers, as many as there is room for; at least one."""
    sizes = accumulate(map(offer_tokens, offers))
    kept = sum(size <= most_tokens for size in sizes)
    return tuple(offers[: max(1, kept)])


def compact(offer: ToolOffer) -> ToolOffer:
    """Return an offer in few words, without what a model need not say."""
    parameters = _plainer(offer.parameters)
    hidden = HIDDEN if takes_scene(offer) else ()
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


def _is_possible(offer: ToolOffer, situation: Situation) -> bool:
    capability = _capability(offer)
    if (capability in DRAWING and situation.left.pictures < 1) or (
        capability in IMAGINING and situation.left.views < 1
    ):
        return False
    needed = offer.parameters.get("required", ())
    properties = offer.parameters.get("properties", {})
    return all(
        _is_there(name, properties[name], situation)
        for name in needed
        if name in properties and is_reference(properties[name])
    )


def _is_there(name: str, schema: Mapping[str, Any], situation: Situation) -> bool:
    """Return whether there is anything that an argument could refer to."""
    if name == SCENE:
        return situation.scene is not None
    has_frames = situation.frames > 0
    only_frames = name == FRAME or schema.get("type") == "array"
    return has_frames or (not only_frames and bool(handles(situation)))


def _capability(offer: ToolOffer) -> str:
    return offer.name.partition(".")[0]


def _work(offer: ToolOffer) -> tuple[str, ...]:
    """Return what tools have in common of which one can do another's work."""
    return (_capability(offer), *sorted(offer.parameters.get("properties", {})))


def _first_words(offer: ToolOffer) -> str:
    return " ".join(offer.description.strip().split("\n\n")[0].split())[:MOST_DESCRIPTION]


def _argument(name: str, schema: Mapping[str, Any], is_needed: bool) -> str:
    choices = "|".join(str(choice) for choice in schema.get("enum", ()))
    return name if is_needed and not choices else f"{name}={choices or '...'}"


def takes_scene(offer: ToolOffer) -> bool:
    """Return whether a tool works on the scene, needed or not."""
    return is_reference(offer.parameters.get("properties", {}).get(SCENE, {}))


def is_reference(schema: Mapping[str, Any]) -> bool:
    """Return whether an argument takes references to what the runner keeps."""
    nested = (schema.get("items", {}), *schema.get("anyOf", ()))
    return schema.get("pattern") == REFERENCE_SCHEMA["pattern"] or any(
        isinstance(inner, Mapping) and inner and is_reference(inner) for inner in nested
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
        if is_reference(schema):
            kept["description"] += BY_REFERENCE
    for name in ("properties", "$defs"):
        if name in kept:
            kept[name] = {key: _plainer(value) for key, value in kept[name].items()}
    return kept


def handles(situation: Situation) -> dict[str, None]:
    """Return the references that results were kept under, in order."""
    results = [seen for turn in situation.turns for seen in turn.seen]
    said = " ".join(f"{seen.text} {seen.picture or ''}" for seen in results)
    return dict.fromkeys(name.rstrip(".") for name in _HANDLE.findall(said))
