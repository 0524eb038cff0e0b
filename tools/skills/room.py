"""How big the room is."""

from typing import Literal

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.geometry.measuring import measure_room
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.skills.findings import Rounding, numeric_finding
from spatial_agent.tools.skills.wording import UNIT_TEXT

VSI_ROUNDING = Rounding("m2", 1)


@skill("room")
def room(scene: SceneMap, definition: Literal["plain", "vsi"] = "plain", unit: str = "m2") -> Finding:
    """Measure the floor area of the room.

    Args:
        scene: The scene.
        definition: "vsi" rounds to 0.1 m² as the benchmark does.
        unit: Unit of the answer.
    """
    vsi = definition == "vsi"
    measurement = measure_room(scene, definition).to(unit)
    outline = scene.room.polygon_m if scene.room else None
    label = f"{measurement.value:.1f} {UNIT_TEXT.get(unit, unit)}"
    marks = () if outline is None else ({"kind": "polygon", "points_m": outline.tolist(), "label": label},)
    return numeric_finding(
        measurement,
        "The floor of the room is",
        "vsi.room_size_estimation" if vsi else "room.area",
        marks=marks,
        rounding=VSI_ROUNDING if vsi else None,
    )
