"""What is not known, so that nobody reads silence as a fact."""

import re
from collections.abc import Mapping, Sequence

from spatial_agent.prompts.naming import is_partly_seen, named, present
from spatial_agent.prompts.template import Template
from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.contract import Json
from spatial_agent.tools.scene import SceneMap

MESSAGE, NOTE = 300, 200
#: Notes that tell of a gap; what was simply read from a file goes without saying.
GAP = re.compile(r"assum|guess|estimat|give or take|left out|not known|not seen|nothing|lack|lost|too little")


def unknown(
    scene: SceneMap | None,
    failures: Sequence[Mapping[str, Json]],
    entities: Sequence[str],
    *,
    notes: bool = True,
) -> str:
    """Return one line for each thing that is not known; nothing where there is none.

    Args:
        scene: The scene map; None where the source could not be measured.
        failures: Calls that failed, each with ``tool`` and ``message``.
        entities: Ids of the objects asked about.
        notes: Whether what was assumed, estimated or left out when the scene was measured is told too.
    """
    rows = [*_of_scene(scene), *_of_entities(scene, entities), *(_failure(failure) for failure in failures)]
    if notes and scene is not None:
        rows += [f"Of the scene: {quoted(note, NOTE)}" for note in scene.notes if GAP.search(note)]
    return Template.load("unknown").fill(rows="\n".join(f"- {row}" for row in rows)) if rows else ""


def _of_scene(scene: SceneMap | None) -> list[str]:
    if scene is None:
        return ["There is no map of the scene: nothing about it was measured in three dimensions."]
    if not scene.has_places:
        return ["Depth: only which way things are from the one camera is known, no distance and no size."]
    gaps = {
        "Metres: lengths of this scene have no unit, so no distance and no size.": scene.scale != "metric",
        "Which way is up: so no left or right, no above or below, no height.": scene.up is None,
        "The outline of the room, so its area.": scene.room is None,
        "Where the frames were taken from.": not scene.cameras,
    }
    return [words for words, holds in gaps.items() if holds]


def _of_entities(scene: SceneMap | None, entities: Sequence[str]) -> list[str]:
    if scene is None:
        return []
    items = present(scene, entities)
    found = {item.id for item in items}
    partly = [named(item) for item in items if is_partly_seen(item)]
    missing = [quoted(name) for name in dict.fromkeys(entities) if name not in found]
    rows = [f"How far these go on beyond what was seen of them: {', '.join(partly)}"] if partly else []
    return rows + ([f"Not in the scene: {', '.join(missing)}"] if missing else [])


def _failure(failure: Mapping[str, Json]) -> str:
    return f"{quoted(str(failure['tool']))} failed: {quoted(str(failure['message']), MESSAGE)}"
