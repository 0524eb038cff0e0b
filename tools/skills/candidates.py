"""Who competes in a "which of these" question, and under which name."""

from collections.abc import Sequence

from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.scene import SceneMap, SceneObject
from spatial_agent.tools.skills.references import resolve, resolve_one
from spatial_agent.tools.skills.wording import name_in

Groups = dict[str, tuple[SceneObject, ...]]


def named_candidates(
    scene: SceneMap,
    phrases: Sequence[str],
    *,
    each_of_kind: bool = False,
    any_instance: bool = False,
    without: Sequence[str] = (),
) -> Groups:
    """Return the competitors by the name an answer should use.

    Args:
        scene: The scene.
        phrases: What the question names; empty for every object.
        each_of_kind: Whether each object of each phrase competes for itself.
        any_instance: Whether an object of a kind may stand for all of its kind, as in the benchmark.
        without: Ids that do not compete.

    Raises:
        ToolFailedError: If a phrase names nothing, or several where one is needed.
    """
    if not phrases or each_of_kind:
        found = [item for phrase in phrases for item in resolve(scene, phrase)] or list(scene.objects)
        groups: Groups = {name_in(scene, item): (item,) for item in found if item.id not in without}
    elif any_instance:
        groups = {
            phrase: tuple(item for item in resolve(scene, phrase, exact_label=True) if item.id not in without)
            for phrase in phrases
        }
    else:
        groups = {phrase: (resolve_one(scene, phrase),) for phrase in phrases}
    groups = {name: items for name, items in groups.items() if items}
    if not groups:
        raise ToolFailedError("there is nothing else in the scene to compare")
    return groups
