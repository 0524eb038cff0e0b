"""Which of several is nearest or farthest."""

from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.geometry.distance import box_distance
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import Measurement, SceneMap, SceneObject
from spatial_agent.tools.skills.candidates import Groups, named_candidates
from spatial_agent.tools.skills.distance import Between, measure_between
from spatial_agent.tools.skills.findings import segment
from spatial_agent.tools.skills.ranking import rank
from spatial_agent.tools.skills.references import resolve, resolve_one
from spatial_agent.tools.skills.wording import capitalised, quantity, the

Objects = tuple[SceneObject, ...]
#: A distance, the points it runs between, and the two ids.
Pair = tuple[Measurement, NDArray[np.float64], tuple[str, str]]
#: How far a measured distance may be outside what the boxes allow: noise, and the benchmark's grid.
SLACK_M = 0.15


@skill("nearest")
def nearest(
    scene: SceneMap,
    anchor: str,
    candidates: list[str],
    select: Literal["least", "most"] = "least",
    each_of_kind: bool = False,
    definition: Literal["plain", "vsi"] = "plain",
) -> Finding:
    """Find which candidate is nearest to (or farthest from) an object.

    Args:
        scene: The scene.
        anchor: The object distances are measured from.
        candidates: Object phrases; empty for every other object.
        select: "least" for the nearest, "most" for the farthest.
        each_of_kind: Whether each phrase names a kind, all objects of which compete.
        definition: "vsi" measures as the benchmark does, to the closest object of each kind.
    """
    vsi = definition == "vsi"
    anchors = resolve(scene, anchor, exact_label=True) if vsi else (resolve_one(scene, anchor),)
    groups = named_candidates(
        scene,
        candidates,
        each_of_kind=each_of_kind,
        any_instance=vsi,
        without=[item.id for item in anchors],
    )
    pairs = _contenders(scene, anchors, groups, select, "vsi" if vsi else "surfaces")
    distances = {name: pair[0] for name, pair in pairs.items()}
    ranked = rank(distances, select)
    measurement, points_m, ids = pairs[ranked.winner]
    return Finding(
        claim=f"{capitalised(the(scene, scene.object(ids[1])))} is "
        f"{'nearest to' if select == 'least' else 'farthest from'} {the(scene, scene.object(ids[0]))}: "
        f"{quantity(measurement)}.",
        value=ranked.winner,
        definition="vsi.object_rel_distance" if vsi else "nearest",
        borderline=ranked.borderline,
        objects=ids,
        details={
            "distances_m": {name: distances[name].value for name in ranked.names},
            "margins_m": {name: distances[name].margin for name in ranked.names},
        },
        marks=(segment(points_m, f"{measurement.value:.2f} m"),),
    )


def _contenders(
    scene: SceneMap, anchors: Objects, groups: Groups, select: Literal["least", "most"], between: Between
) -> dict[str, Pair]:
    """Measure the groups that can be first or second; boxes tell which of the others cannot."""
    sign = 1 if select == "least" else -1
    bounds_m = {name: _bound_m(anchors, items, select) for name, items in groups.items()}
    measured: dict[str, Pair] = {}
    for name in sorted(groups, key=lambda name: (sign * bounds_m[name], name)):
        best = sorted(sign * pair[0].value for pair in measured.values())[:2]
        if len(best) == 2 and sign * bounds_m[name] > best[1]:
            break
        measured[name] = _closest_pair(scene, anchors, groups[name], between)
    return measured


def _bound_m(anchors: Objects, items: Objects, select: Literal["least", "most"]) -> float:
    """Return a length that the distance of a group cannot be below ("least") or above ("most")."""
    if select == "least":
        return min(box_distance(anchor.box, item.box) for anchor, item in product(anchors, items)) - SLACK_M
    return SLACK_M + min(
        float(np.linalg.norm(anchor.box.corners_m[:, None] - item.box.corners_m[None], axis=2).max())
        for anchor, item in product(anchors, items)
    )


def _closest_pair(scene: SceneMap, anchors: Objects, items: Objects, between: Between) -> Pair:
    pairs = (
        (*measure_between(scene, anchor, item, between), (anchor.id, item.id))
        for anchor, item in product(anchors, items)
    )
    return min(pairs, key=lambda pair: pair[0].value)
