"""What hides what: how much of an object is seen from a frame or a place, and what is behind it."""

from typing import Literal

import numpy as np

from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError, ViewpointError
from spatial_agent.tools.geometry.visibility import REST, Visibility, visibility
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import SceneCamera, SceneMap, SceneObject
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import capitalised, the

#: Something that hides less of an object than this, or than the margin, is not said to hide it.
LEAST_SHARE = 0.02


@expert("occlusion")
def occlusion(
    scene: SceneMap,
    of: str,
    frame: int | None = None,
    position_m: list[float] | None = None,
    asked: Literal["visible", "hidden_by", "behind"] = "visible",
) -> Finding:
    """Say how much of an object is seen from a frame or a place, what hides it, and what is behind it.

    Args:
        scene: The scene; surface points make it exact, boxes alone rough.
        of: The object, by its name or id.
        frame: Number of the frame whose camera looks.
        position_m: Or where the eye is: x, y, z in the scene, metres; it may look anywhere.
        asked: "visible" for the visible share, 0 to 1; "hidden_by" or "behind" for ids of objects.

    Raises:
        ToolArgumentError: If not exactly one of frame and position is given, or there is no such frame.
        ToolFailedError: If the object cannot be seen as a whole from there, because the eye is too near.
    """
    item = resolve_one(scene, of)
    if (frame is None) == (position_m is None):
        raise ToolArgumentError("occlusion: give either a frame or position_m (x, y, z)")
    camera = None if frame is None else _camera(scene, frame)
    eye_m = np.asarray(position_m if camera is None else camera.pose.position_m, np.float64)
    if eye_m.shape != (3,) or not np.isfinite(eye_m).all():
        raise ToolArgumentError(f"occlusion: expected position_m as x, y, z in metres, got {position_m}")
    try:
        seen = visibility(scene, item, eye_m, camera)
    except ViewpointError as error:
        raise ToolFailedError(f"{the(scene, item)} cannot be judged from there: {error}") from error
    where = f"frame {frame}" if camera else f"({', '.join(f'{x:.4g}' for x in eye_m.tolist())}) m"
    return _finding(scene, item, seen, asked, where)


def _camera(scene: SceneMap, frame: int) -> SceneCamera:
    for camera in scene.cameras:
        if camera.index == frame:
            return camera
    known = [camera.index for camera in scene.cameras]
    there = f"frames are {min(known)} to {max(known)}" if known else "this scene has no cameras"
    raise ToolArgumentError(f"occlusion: there is no frame {frame}; {there}")


def _finding(scene: SceneMap, item: SceneObject, seen: Visibility, asked: str, where: str) -> Finding:
    least = max(LEAST_SHARE, seen.margin / 2)
    hiding = [name for name, share in seen.hidden_by.items() if share >= least]
    behind = [name for name, share in seen.behind.items() if share >= LEAST_SHARE]
    values: dict[str, Json] = {
        "visible": seen.visible,
        "hidden_by": [name for name in hiding if name != REST],
        "behind": behind,
    }
    is_share = asked == "visible"
    details: dict[str, Json] = {
        "visible": seen.visible,
        "hidden": seen.hidden,
        "out_of_view": seen.out_of_view,
        "margin": seen.margin,
        "hidden_by": {name or "unnamed": share for name, share in seen.hidden_by.items()},
        "behind": dict(seen.behind),
    }
    rough = None if seen.from_surface else "only its box is known, so its outline is rough"
    return Finding(
        claim=_claim(scene, item, seen, hiding, behind, where),
        value=values[asked],
        unit="share" if is_share else None,
        low=max(0.0, seen.visible - seen.margin) if is_share else None,
        high=min(1.0, seen.visible + seen.margin) if is_share else None,
        definition=f"occlusion.{asked}",
        quality="weak" if rough else "strong",
        why_weak=rough,
        objects=(item.id, *(name for name in dict.fromkeys([*hiding, *behind]) if name != REST)),
        details=details,
    )


def _claim(
    scene: SceneMap, item: SceneObject, seen: Visibility, hiding: list[str], behind: list[str], where: str
) -> str:
    text = f"{capitalised(the(scene, item))} is {seen.visible:.0%} visible (± {seen.margin:.0%}) from {where}"
    if hiding:
        named = [
            f"{'something unnamed' if name == REST else the(scene, scene.object(name))} "
            f"({seen.hidden_by[name]:.0%})"
            for name in hiding
        ]
        text += f"; it is hidden by {' and '.join(named)}"
    if seen.out_of_view >= LEAST_SHARE:
        text += f"; {seen.out_of_view:.0%} of it is out of the picture"
    if behind:
        text += f"; behind it: {', '.join(the(scene, scene.object(name)) for name in behind)}"
    return f"{text}."
