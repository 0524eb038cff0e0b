"""How far apart."""

from typing import Literal

import numpy as np

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.geometry.distance import box_distance
from spatial_agent.tools.geometry.measuring import (
    measure_centre_distance,
    measure_distance,
    measure_vsi_distance,
)
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import Measurement, SceneMap, SceneObject
from spatial_agent.tools.skills.findings import Rounding, numeric_finding, segment
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import capitalised, the

Between = Literal["surfaces", "centres", "vsi"]
WORDS = {
    "surfaces": "surface to surface",
    "centres": "centre to centre",
    "vsi": "closest point to closest point",
}
DEFINITIONS = {
    "surfaces": "distance.surface",
    "centres": "distance.centre",
    "vsi": "vsi.object_abs_distance",
}
VSI_ROUNDING = Rounding("m", 1)


@skill("distance")
def distance(scene: SceneMap, a: str, b: str, between: Between = "surfaces", unit: str = "m") -> Finding:
    """Measure the distance between two objects.

    Args:
        scene: The scene.
        a: One object, such as "sofa", "chair-2" or "lamp near the sofa".
        b: The other object.
        between: "surfaces" (nearest observed surfaces), "centres", or "vsi" (the benchmark's
            distance between box surfaces, rounded to 0.1 m).
        unit: Unit of the answer.
    """
    first, second = (resolve_one(scene, phrase, exact_label=between == "vsi") for phrase in (a, b))
    measurement, points_m = measure_between(scene, first, second, between)
    converted = measurement.to(unit)
    return numeric_finding(
        converted,
        f"{capitalised(the(scene, first))} is",
        DEFINITIONS[between],
        ending=f" from {the(scene, second)}, {WORDS[between]}",
        objects=(first.id, second.id),
        details={"box_distance_m": box_distance(first.box, second.box)},
        marks=(segment(points_m, f"{converted.value:.2f} {unit}"),),
        rounding=VSI_ROUNDING if between == "vsi" else None,
    )


def measure_between(
    scene: SceneMap, a: SceneObject, b: SceneObject, between: Between
) -> tuple[Measurement, np.ndarray]:
    """Return the distance in metres and the two points it runs between, shape (2, 3)."""
    if between == "centres":
        return measure_centre_distance(scene, a, b), np.stack([a.box.centre_m, b.box.centre_m])
    if between == "vsi":
        return measure_vsi_distance(scene, a, b)
    return measure_distance(scene, a, b)
