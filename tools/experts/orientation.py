"""Which way a chair, sofa or bed faces.

A learned model comes in as another expert, ``orientation.NAME``, with the signature of `geometric`; in scene
building it is a `tools.mapping.facing.FacingEstimator`.
"""

from spatial_agent.tools.contract import Finding, Resources
from spatial_agent.tools.errors import ToolFailedError, ViewpointError
from spatial_agent.tools.mapping.facing import find_facing
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import capitalised, the


@expert("orientation.geometric", resources=Resources(in_caller=True))
def geometric(scene: SceneMap, of: str) -> Finding:
    """Say which way a chair, sofa, bed or toilet faces, from where its back-rest is.

    Args:
        scene: A measured scene whose up is known.
        of: The object, by its name or id.

    Raises:
        ToolFailedError: If its front is undefined (a table, a lamp) or cannot be told from what was seen.
        ViewpointError: If up is unknown.
    """
    scene.require_up("a front")
    item = resolve_one(scene, of)
    try:
        facing = find_facing(item)
    except ViewpointError as error:
        raise ToolFailedError(
            f"the front of {the(scene, item)} cannot be told: {error}; give an observer instead"
        ) from error
    yaw_deg, margin_deg = facing.yaw_deg, facing.margin_deg
    ahead_m = item.box.centre_m + facing.direction
    return Finding(
        claim=f"{capitalised(the(scene, item))} faces {yaw_deg:.0f}° counter-clockwise from the scene's +x, "
        f"seen from above (± {margin_deg:.0f}°).",
        value=yaw_deg,
        unit="deg",
        low=yaw_deg - margin_deg,
        high=yaw_deg + margin_deg,
        definition="facing.back_rest",
        objects=(item.id,),
        details={
            "facing": facing.direction.tolist(),
            "how": facing.how,
            "off_centre": facing.off_centre,
            "symmetry": facing.symmetry,
        },
        marks=(
            {
                "kind": "path",
                "points_m": [item.box.centre_m.tolist(), ahead_m.tolist()],
                "towards_m": ahead_m.tolist(),
                "label": "front",
            },
        ),
    )
