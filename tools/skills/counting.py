"""How many."""

from typing import Literal

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import NoSuchObjectError
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.skills.findings import spot
from spatial_agent.tools.skills.references import resolve


@skill("count")
def count(scene: SceneMap, kind: str, definition: Literal["plain", "vsi"] = "plain") -> Finding:
    """Count the objects of a label; further kinds of it are named but not counted where the label exists.

    Args:
        scene: The scene.
        kind: What to count, such as "chair" or "chairs near the table".
        definition: "vsi" names the benchmark's operator.
    """
    try:
        found = resolve(scene, kind, exact_label=True)
        others = [item.id for item in resolve(scene, kind) if item not in found]
    except NoSuchObjectError as error:
        if error.suggestions or not scene.objects:
            raise
        found, others = (), []
    partly = [item.id for item in found if item.provenance and item.provenance.cut_off]
    names = ", ".join(item.id for item in found) or "none"
    seen = f" Only partly seen: {', '.join(partly)}." if partly else ""
    besides = f" Not counted, being of a narrower kind: {', '.join(others)}." if others else ""
    return Finding(
        claim=f"{len(found)} found for '{kind}': {names}.{besides}{seen}",
        value=len(found),
        unit="count",
        definition="vsi.object_counting" if definition == "vsi" else "count",
        objects=tuple(item.id for item in found),
        details={"partly_seen": partly, "narrower_kinds": others},
        marks=tuple(spot(item, str(number)) for number, item in enumerate(found, start=1)),
    )
