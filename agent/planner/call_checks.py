"""Whether a call that a model wants can be made: its tool, its arguments, and what they refer to."""

import difflib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from spatial_agent.agent.models.chat import ToolOffer, ToolRequest
from spatial_agent.agent.models.schema_check import schema_problem
from spatial_agent.agent.planner.offers import SCENE, handles, is_reference, takes_scene
from spatial_agent.agent.situation import Situation
from spatial_agent.tools.contract import Json

#: Longest arguments of a call, characters of JSON.
MOST_ARGUMENTS = 24_000
FRAME = re.compile(r"\$frame/(\d{1,9})")


def arguments_of(request: ToolRequest, offer: ToolOffer, situation: Situation) -> dict[str, Json]:
    """Return the arguments of a call, with the scene where it is left out."""
    given = {name: value for name, value in request.arguments.items() if value is not None}
    if takes_scene(offer) and situation.scene is not None:
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


def _length(arguments: Mapping[str, Json]) -> int:
    try:
        return len(json.dumps(dict(arguments), default=str))
    except (ValueError, RecursionError):
        return MOST_ARGUMENTS + 1


def _bad_references(arguments: Mapping[str, Json], offer: ToolOffer, situation: Situation) -> Iterator[str]:
    properties = offer.parameters.get("properties", {})
    for name, value in arguments.items():
        if is_reference(properties.get(name, {})):
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
    return value == situation.scene_reference or value in handles(situation)


def _kept(situation: Situation) -> str:
    frames = [f"$frame/0 to $frame/{situation.frames - 1}"] if situation.frames else []
    scene = [situation.scene_reference] if situation.scene is not None else []
    known = [*scene, *frames, *list(handles(situation))[-8:]]
    return f"there are {', '.join(known)}" if known else "nothing is kept yet"


def _shown(value: Json) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
