"""What is above, below or on top of what."""

from typing import Literal

import numpy as np

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.geometry.measuring import measure_height_above_floor
from spatial_agent.tools.geometry.vertical import CONTACT_M, rests_on, vertical_relation
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.skills.candidates import named_candidates
from spatial_agent.tools.skills.ranking import rank
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import capitalised, quantity, the

#: From the axes of a level camera (x right, y down, z forward) to +Z up, 4x4.
UPRIGHT_FROM_CAMERA = np.array(
    [[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [0.0, -1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
)


@skill("vertical")
def vertical(scene: SceneMap, a: str, b: str) -> Finding:
    """Say whether one object is above, below, level with, or resting on another.

    Args:
        scene: The scene.
        a: The object asked about.
        b: The object it is compared with.
    """
    if not scene.has_places:
        return _in_the_picture(scene, a, b)
    scene.require_up("above and below")
    first, second = resolve_one(scene, a), resolve_one(scene, b)
    relation = vertical_relation(first.box, second.box)
    resting = rests_on(first.box, second.box)
    close = abs(relation.clearance_m) < CONTACT_M and relation.name != "level" and not resting
    return Finding(
        claim=f"{capitalised(the(scene, first))} is {relation.name} "
        f"{'with ' if relation.name == 'level' else ''}{the(scene, second)}; its centre is "
        f"{abs(relation.rise_m):.2f} m {'higher' if relation.rise_m >= 0 else 'lower'}.",
        value=relation.name,
        definition="vertical",
        borderline=f"close: the vertical gap is {relation.clearance_m:.2f} m" if close else None,
        objects=(first.id, second.id),
        details={
            "clearance_m": relation.clearance_m,
            "rise_m": relation.rise_m,
            "resting_on": resting,
        },
    )


def _in_the_picture(scene: SceneMap, a: str, b: str) -> Finding:
    """Say which of two objects is higher in the picture, where nothing else is known of them."""
    first, second = resolve_one(scene, a), resolve_one(scene, b)
    relation = vertical_relation(first.box.moved(UPRIGHT_FROM_CAMERA), second.box.moved(UPRIGHT_FROM_CAMERA))
    return Finding(
        claim=f"In the picture, {the(scene, first)} is {relation.name} "
        f"{'with ' if relation.name == 'level' else ''}{the(scene, second)}.",
        value=relation.name,
        definition="picture.vertical",
        quality="weak",
        why_weak="without depth only the picture is known: what is farther away also appears higher",
        objects=(first.id, second.id),
    )


@skill("vertical_extreme")
def vertical_extreme(
    scene: SceneMap,
    candidates: list[str],
    select: Literal["least", "most"] = "most",
    each_of_kind: bool = False,
) -> Finding:
    """Find the object whose centre is highest or lowest above the floor.

    Args:
        scene: The scene.
        candidates: Object phrases; empty for every object of the scene.
        select: "most" for the highest, "least" for the lowest.
        each_of_kind: Whether each phrase names a kind, all objects of which compete.
    """
    scene.require_up("above and below")
    groups = named_candidates(scene, candidates, each_of_kind=each_of_kind)
    heights = {name: measure_height_above_floor(scene, items[0], "centre") for name, items in groups.items()}
    ranked = rank(heights, select)
    return Finding(
        claim=f"{capitalised(the(scene, groups[ranked.winner][0]))} is the "
        f"{'highest' if select == 'most' else 'lowest'}: its centre is "
        f"{quantity(heights[ranked.winner])} above the floor.",
        value=ranked.winner,
        definition="vertical",
        borderline=ranked.borderline,
        objects=(groups[ranked.winner][0].id,),
        details={"heights_m": {name: height.value for name, height in heights.items()}},
    )
