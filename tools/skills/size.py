"""How big."""

from typing import Literal

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.geometry.measuring import measure_size, measure_vsi_size
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.skills.candidates import named_candidates
from spatial_agent.tools.skills.findings import Rounding, numeric_finding, spot
from spatial_agent.tools.skills.ranking import rank
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import capitalised, quantity, the

VSI_ROUNDING = Rounding("cm", 0)
Dimension = Literal["longest", "height", "width", "depth", "length"]
WORDS: dict[str, str] = {
    "longest": "along its longest side",
    "height": "high",
    "width": "wide (longer horizontal side)",
    "depth": "deep (shorter horizontal side)",
    "length": "long (longer horizontal side)",
}


#: What the smallest and the largest are called.
EXTREMES: dict[str, tuple[str, str]] = {
    "longest": ("smallest", "largest"),
    "height": ("lowest", "tallest"),
    "width": ("narrowest", "widest"),
    "depth": ("shallowest", "deepest"),
    "length": ("shortest", "longest"),
}


@skill("size")
def size(
    scene: SceneMap,
    of: str,
    dimension: Dimension = "longest",
    definition: Literal["plain", "vsi"] = "plain",
    unit: str = "m",
) -> Finding:
    """Measure an edge of an object's box.

    Args:
        scene: The scene.
        of: The object, such as "sofa" or "table near the window".
        dimension: Which edge: "height" is vertical, "width" and "length" the longer horizontal,
            "depth" the shorter horizontal, "longest" the longest of all.
        definition: "vsi" rounds to whole centimetres as the benchmark does.
        unit: Unit of the answer.
    """
    vsi = definition == "vsi"
    item = resolve_one(scene, of, exact_label=vsi)
    measurement = (measure_vsi_size(scene, item) if vsi else measure_size(scene, item, dimension)).to(unit)
    return numeric_finding(
        measurement,
        f"{capitalised(the(scene, item))} is",
        "vsi.object_size_estimation" if vsi else f"size.{dimension}",
        ending=f" {WORDS[dimension]}",
        objects=(item.id,),
        marks=(spot(item, f"{measurement.value:.2f} {unit}"),),
        rounding=VSI_ROUNDING if vsi else None,
    )


@skill("size_extreme")
def size_extreme(
    scene: SceneMap,
    candidates: list[str],
    dimension: Dimension = "longest",
    select: Literal["least", "most"] = "most",
    each_of_kind: bool = False,
) -> Finding:
    """Find the largest or smallest of several objects.

    Args:
        scene: The scene.
        candidates: Object phrases; empty for every object of the scene.
        dimension: Which edge is compared.
        select: "most" for the largest, "least" for the smallest.
        each_of_kind: Whether each phrase names a kind, all objects of which compete.
    """
    groups = named_candidates(scene, candidates, each_of_kind=each_of_kind)
    sizes = {name: measure_size(scene, items[0], dimension) for name, items in groups.items()}
    ranked = rank(sizes, select)
    winner = groups[ranked.winner][0]
    return Finding(
        claim=f"{capitalised(the(scene, winner))} is the {EXTREMES[dimension][select == 'most']}: "
        f"{quantity(sizes[ranked.winner])} {WORDS[dimension]}.",
        value=ranked.winner,
        definition=f"size.{dimension}",
        borderline=ranked.borderline,
        objects=(winner.id,),
        details={"sizes_m": {name: item.value for name, item in sizes.items()}},
        marks=(spot(winner, quantity(sizes[ranked.winner])),),
    )
