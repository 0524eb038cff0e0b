"""Which way: for an observer, for a camera, from an object's own point of view, along gravity."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.errors import ToolFailedError, ViewpointError
from spatial_agent.tools.geometry.direction import (
    Sector,
    angle_between_headings_deg,
    clock_hour,
    eight,
    four,
    own_angle_deg,
    quadrants,
    sectors_2,
    vsi_three,
)
from spatial_agent.tools.geometry.measuring import (
    measure_camera_bearing,
    measure_direction,
    measure_own_bearing,
)
from spatial_agent.tools.registry import skill
from spatial_agent.tools.scene import Measurement, SceneCamera, SceneMap, SceneObject
from spatial_agent.tools.skills.references import resolve_one
from spatial_agent.tools.skills.wording import name_in, the

Sectors = Literal["two", "vsi_three", "quadrants", "four", "eight", "clock", "degrees"]
DIVISIONS: dict[str, Callable[[float], Sector]] = {
    "two": sectors_2,
    "vsi_three": vsi_three,
    "quadrants": quadrants,
    "four": four,
    "eight": eight,
    "clock": clock_hour,
    "degrees": four,
}


@skill("direction")
def direction(
    scene: SceneMap,
    at: str,
    facing: str,
    target: str,
    sectors: Sectors = "four",
    against: str | None = None,
    facing_away: bool = False,
    definition: Literal["plain", "vsi"] = "plain",
) -> Finding:
    """Say which way an object is for an observer who stands at one object and faces another.

    Args:
        scene: The scene.
        at: Where the observer stands.
        facing: What the observer faces.
        target: What is looked for.
        sectors: How finely: "two" left/right, "vsi_three" left/right/back, "quadrants",
            "four", "eight", "clock" or "degrees".
        against: Compare with the bearing of this object rather than with straight ahead.
        facing_away: Whether the observer has its back to `facing`.
        definition: "vsi" names the benchmark's operator.
    """
    scene.require_up("left and right")
    vsi = definition == "vsi"
    observer, faced, looked_for = (
        resolve_one(scene, phrase, exact_label=vsi) for phrase in (at, facing, target)
    )
    turn = measure_direction(scene, observer, faced, looked_for)
    words = (
        f"Standing at {the(scene, observer)}, {'back to' if facing_away else 'facing'} {the(scene, faced)}"
    )
    if against is not None:
        other = resolve_one(scene, against)
        # How two bearings differ does not depend on which way the observer faces.
        turn = _relative(turn, measure_direction(scene, observer, faced, other))
        words += f", compared with {the(scene, other)}"
    elif facing_away:
        turn = _turned_round(turn)
    sector = DIVISIONS[sectors](turn.value)
    mark: dict[str, Json] = {
        "kind": "observer",
        "at_m": observer.box.centre_m.tolist(),
        "towards_m": faced.box.centre_m.tolist(),
        "target_m": looked_for.box.centre_m.tolist(),
        "sectors": sectors,
        "label": f"{looked_for.label}: {sector.name}",
    }
    name = f"vsi.object_rel_direction.{sectors}" if vsi else f"direction.{sectors}"
    ids = (observer.id, faced.id, looked_for.id)
    return _finding(f"{words}, {the(scene, looked_for)} is", turn, sectors, name, ids, (mark,))


@skill("camera_direction")
def camera_direction(
    scene: SceneMap,
    target: str,
    frame: int | None = None,
    against: str | None = None,
    sectors: Sectors = "two",
) -> Finding:
    """Say whether an object is left or right for the camera of one frame.

    Args:
        scene: The scene.
        target: What is looked for.
        frame: Frame number from 0 (negative: from the end); may be left out where there is only one.
        against: Compare with this object rather than with the middle of the image.
        sectors: How finely.
    """
    if scene.has_places:
        scene.require_up("left and right")
    camera = _camera(scene, frame)
    item = resolve_one(scene, target)
    turn = measure_camera_bearing(scene, camera.pose, item)
    words = f"Seen from frame {camera.index}, {the(scene, item)} is"
    if against is not None:
        other = resolve_one(scene, against)
        reference = measure_camera_bearing(scene, camera.pose, other)
        turn = _relative(turn, reference)
        words = f"Seen from frame {camera.index}, compared with {the(scene, other)}, {the(scene, item)} is"
    mark = {
        "kind": "observer",
        "at_m": camera.pose.position_m.tolist(),
        "towards_m": (camera.pose.position_m + camera.pose.forward).tolist(),
        "target_m": item.box.centre_m.tolist(),
        "sectors": sectors,
        "label": f"{item.label}: {DIVISIONS[sectors](turn.value).name}",
    }
    details = {"frame": camera.index}
    return _finding(words, turn, sectors, f"camera.{sectors}", (item.id,), (mark,), details)


@skill("object_side")
def object_side(
    scene: SceneMap, of: str, target: str | None = None, side: str | None = None, sectors: Sectors = "four"
) -> Finding:
    """Say on which side of an object, in its occupant's sense, another one is.

    Args:
        scene: The scene.
        of: The object whose own left and right are meant; its front must be known.
        target: What is looked for; left out to list all objects on `side`.
        side: "left", "right", "front" or "back", where all objects on that side are wanted.
        sectors: How finely.
    """
    scene.require_up("left and right")
    owner = resolve_one(scene, of)
    if owner.facing is None:
        raise ToolFailedError(
            f"the front of {the(scene, owner)} is not known, so its own left and right are undefined; "
            "ask from an observer's viewpoint instead: 'standing at the A, facing the B, where is the C?'"
        )
    if target is None:
        return _all_on_side(scene, owner, side or "left")
    item = resolve_one(scene, target)
    turn = measure_own_bearing(scene, owner, item)
    words = f"From {the(scene, owner)}'s own point of view, {the(scene, item)} is"
    return _finding(words, turn, sectors, f"object_axes.{sectors}", (owner.id, item.id), ())


def _all_on_side(scene: SceneMap, owner: SceneObject, side: str) -> Finding:
    found = []
    for item in scene.objects:
        if item.id == owner.id:
            continue
        try:
            if four(own_angle_deg(owner, item.box.centre_m)).name == side:
                found.append(item)
        except ViewpointError:
            continue
    names = [name_in(scene, item) for item in found]
    return Finding(
        claim=f"On {the(scene, owner)}'s own {side} there is: {', '.join(names) or 'nothing'}.",
        value=names,
        definition="object_axes.four",
        objects=tuple(item.id for item in (owner, *found)),
    )


def _camera(scene: SceneMap, frame: int | None) -> SceneCamera:
    if not scene.cameras:
        raise ToolFailedError("this scene has no cameras, so nothing is left or right in an image")
    if frame is None:
        if len(scene.cameras) > 1:
            raise ToolFailedError(
                f"left and right need a frame: say 'in frame 0' to 'in frame {scene.cameras[-1].index}', "
                "or give an observer: 'standing at the A, facing the B'"
            )
        return scene.cameras[0]
    ordered = sorted(scene.cameras, key=lambda camera: camera.index)
    if frame < 0 and -frame <= len(ordered):
        return ordered[frame]
    for camera in ordered:
        if camera.index == frame:
            return camera
    raise ToolFailedError(f"there is no frame {frame}; frames are {ordered[0].index} to {ordered[-1].index}")


def _turned_round(turn: Measurement) -> Measurement:
    value = 180.0 - (-turn.value) % 360.0
    shift = value - turn.value
    low = None if turn.low is None else turn.low + shift
    high = None if turn.high is None else turn.high + shift
    return Measurement(value, "deg", low, high, turn.how, turn.exact)


def _relative(turn: Measurement, other: Measurement) -> Measurement:
    value = angle_between_headings_deg(_heading(other.value), _heading(turn.value))
    margin = float(np.hypot(turn.margin or 0.0, other.margin or 0.0))
    return Measurement(value, "deg", value - margin, value + margin, turn.how, turn.exact and other.exact)


def _heading(angle_deg: float) -> tuple[float, float]:
    return float(np.cos(np.radians(angle_deg))), float(np.sin(np.radians(angle_deg)))


def _finding(
    words: str,
    turn: Measurement,
    sectors: str,
    definition: str,
    objects: tuple[str, ...],
    marks: tuple[dict[str, Any], ...],
    details: dict[str, Json] | None = None,
) -> Finding:
    sector = DIVISIONS[sectors](turn.value)
    margin = turn.margin or 0.0
    borderline = None
    if sectors != "degrees" and sector.to_boundary_deg < margin:
        borderline = (
            f"close: the runner-up is {sector.runner_up}; the angle is {sector.to_boundary_deg:.0f}° "
            f"from that boundary, with a margin of {margin:.0f}°"
        )
    side = "left" if turn.value >= 0 else "right"
    angle = f"{abs(turn.value):.0f}° to the {side}{'' if turn.exact else f', ± {margin:.0f}°'}"
    plain_degrees = sectors == "degrees"
    return Finding(
        claim=f"{words} {f'{angle} of straight ahead' if plain_degrees else f'{sector.name} ({angle})'}.",
        value=turn.value if plain_degrees else sector.name,
        unit="deg" if plain_degrees else None,
        low=turn.low if plain_degrees else None,
        high=turn.high if plain_degrees else None,
        definition=definition,
        borderline=borderline,
        objects=objects,
        details={
            "degrees": turn.value,
            "margin_deg": margin,
            "to_boundary_deg": sector.to_boundary_deg,
            "runner_up": sector.runner_up,
        }
        | (details or {}),
        marks=marks,
    )
