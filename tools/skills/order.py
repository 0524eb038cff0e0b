"""In what order things came into view."""

from typing import Literal

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.geometry.order import first_appearance_order
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.skills.references import resolve


@skill("order")
def order(
    scene: SceneMap,
    kinds: list[str],
    select: Literal["least", "most"] | None = None,
    definition: Literal["plain", "vsi"] = "plain",
) -> Finding:
    """Put kinds of objects in the order in which they first came into view.

    Args:
        scene: The scene.
        kinds: Object phrases; of several objects of a kind the first one seen counts.
        select: "least" for only the first, "most" for only the last; left out for the whole order.
        definition: "vsi" names the benchmark's operator.

    Raises:
        ToolArgumentError: If no kind is named.
        ToolFailedError: If the scene does not say when one of them came into view.
    """
    if not kinds:
        raise ToolArgumentError("order: expected one or more kinds of objects, got none")
    seen = {kind: _first_seen(scene, kind, definition == "vsi") for kind in kinds}
    ordered = first_appearance_order(seen)
    unit = _unit(scene)
    times = ", ".join(f"{kind} ({_when(seen[kind], unit)})" for kind in ordered)
    value = {None: list(ordered), "least": ordered[0], "most": ordered[-1]}[select]
    return Finding(
        claim=f"First seen in this order: {times}.",
        value=value,
        definition="vsi.obj_appearance_order" if definition == "vsi" else "first_seen",
        details={f"first_seen_{unit}": seen},
    )


def _unit(scene: SceneMap) -> str:
    timed = all(item.first_seen_s is not None for item in scene.objects)
    return "s" if timed and scene.objects else "frame"


def _first_seen(scene: SceneMap, kind: str, exact_label: bool) -> float:
    unit = _unit(scene)
    found = resolve(scene, kind, exact_label=exact_label)
    values = [item.first_seen_s if unit == "s" else item.first_seen_frame for item in found]
    times = [float(value) for value in values if value is not None]
    if not times:
        raise ToolFailedError(f"the scene does not say when the {kind} was first seen")
    return min(times)


def _when(value: float, unit: str) -> str:
    return f"{value:.1f} s" if unit == "s" else f"frame {value:.0f}"
