"""How objects stand in prompts: quoted ids, in an order, and whether they were seen whole."""

from collections.abc import Sequence

from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.drawing.set_of_marks import mark_number
from spatial_agent.tools.scene import SceneMap, SceneObject

PARTLY = "partly seen"


def named(item: SceneObject) -> str:
    """Return the id of an object as data, with its label where the id does not begin with it."""
    if item.id.startswith(item.label):
        return quoted(item.id)
    return f"{quoted(item.id)} ({quoted(item.label)})"


def numbers(scene: SceneMap) -> dict[str, int]:
    """Return the number of each object by its id, which is that of its mark in every picture."""
    return {item.id: mark_number(scene, item.id) for item in scene.objects}


def is_partly_seen(item: SceneObject) -> bool:
    """Return whether the border of the image cut it in every frame, so that it may go on unseen."""
    return item.provenance is not None and item.provenance.cut_off


def seen_remark(item: SceneObject) -> str:
    """Return ``" (partly seen)"`` for an object that may go on unseen, else nothing."""
    return f" ({PARTLY})" if is_partly_seen(item) else ""


def present(scene: SceneMap, ids: Sequence[str]) -> tuple[SceneObject, ...]:
    """Return the objects of those ids that the scene has, each once, in the order given."""
    known = {item.id: item for item in scene.objects}
    return tuple(known[name] for name in dict.fromkeys(ids) if name in known)


def foremost(scene: SceneMap, ids: Sequence[str]) -> tuple[SceneObject, ...]:
    """Return all objects of the scene, those of the ids first."""
    return present(scene, (*ids, *(item.id for item in scene.objects)))
