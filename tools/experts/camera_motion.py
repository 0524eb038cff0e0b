"""How the camera moved between two frames, in its own terms: forward, left, up, turned."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Finding, Json, Resources
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.geometry.direction import LEAST_HORIZONTAL, angle_between_headings_deg
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import CameraPose, SceneCamera, SceneMap

Array = NDArray[np.float64]
Asked = Literal["motion", "distance", "turn"]

#: Motions smaller than this, and than their margin, are no motion: metres and degrees.
STILL_M, STILL_DEG = 0.02, 1.0
#: Drift moves the surfaces that it was measured on at about this distance from the cameras, metres.
LEVER_M = 2.5
#: Relative standard deviation of the scale of poses where a scene does not state it, and the 90 % factor.
SCALE_PRIOR, Z90 = 0.01, 1.645


@dataclass(frozen=True, eq=False)
class Motion:
    """What takes a camera from one frame to another.

    Attributes:
        moved_m: Forward, left and up, shape (3,), metres, from the first camera held level where up is
            known; else along its own axes.
        distance_m: Straight-line distance, metres.
        turn_deg: Turn about the vertical, left positive, in (-180, 180].
        tilt_deg: How much further up it looks than before, degrees.
        rotation_deg: Angle of the whole rotation, whatever its axis, degrees.
    """

    moved_m: Array
    distance_m: float
    turn_deg: float
    tilt_deg: float
    rotation_deg: float


def motion_between(first: CameraPose, second: CameraPose, *, level: bool = True) -> Motion:
    """Return how a camera got from one pose to another.

    Args:
        first: Where it was.
        second: Where it came to, in the same world.
        level: Whether +Z is up; else forward, left and up are those of the first camera.
    """
    ahead, left, up = _axes(first, level)
    moved_m = second.position_m - first.position_m
    rotation = first.rotation.T @ second.rotation
    before, after = ((float(pose.forward @ ahead), float(pose.forward @ left)) for pose in (first, second))
    looks_up = [float(np.degrees(np.arcsin(np.clip(pose.forward @ up, -1, 1)))) for pose in (first, second)]
    turn_deg = 0.0
    if min(np.hypot(*before), np.hypot(*after)) >= LEAST_HORIZONTAL:
        turn_deg = angle_between_headings_deg(before, after)
    return Motion(
        moved_m=np.array([moved_m @ ahead, moved_m @ left, moved_m @ up]),
        distance_m=float(np.linalg.norm(moved_m)),
        turn_deg=turn_deg,
        tilt_deg=looks_up[1] - looks_up[0],
        rotation_deg=float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1)))),
    )


@expert("camera_motion", resources=Resources(in_caller=True))
def camera_motion(
    scene: SceneMap,
    start: int | None = None,
    end: int | None = None,
    start_s: float | None = None,
    end_s: float | None = None,
    asked: Asked = "motion",
) -> Finding:
    """Say how the camera moved and turned between two frames.

    Args:
        scene: A scene with its cameras.
        start: Frame it started from (negative: from the end); the first where left out.
        end: Frame it came to; the last where left out.
        start_s: Or the time it started, seconds; the nearest frame counts.
        end_s: Or the time it came to, seconds.
        asked: "motion" for words, "distance" for metres, "turn" for degrees, left positive.

    Raises:
        ToolArgumentError: If there is no such frame.
        ToolFailedError: If the scene has fewer than two cameras, or no times where a time was given.
        ScaleError: If a distance is asked of a scene of relative scale.
    """
    first = _camera(scene, start, start_s, 0)
    second = _camera(scene, end, end_s, -1)
    motion = motion_between(first.pose, second.pose, level=scene.up is not None)
    margin_m, margin_deg = _margins(scene, motion)
    words = _words(scene, motion, margin_m, margin_deg)
    claim = f"From frame {first.index} to frame {second.index} the camera {words}."
    details: dict[str, Json] = {
        "forward_left_up_m": motion.moved_m.tolist(),
        "distance_m": motion.distance_m,
        "margin_m": margin_m,
        "turn_deg": motion.turn_deg,
        "tilt_deg": motion.tilt_deg,
        "rotation_deg": motion.rotation_deg,
        "margin_deg": margin_deg,
    }
    if asked == "motion":
        return Finding(claim, words, definition="camera_motion", details=details)
    if asked == "turn":
        turn_deg = motion.turn_deg
        ends = (turn_deg - margin_deg, turn_deg + margin_deg)
        return Finding(claim, turn_deg, "deg", *ends, definition="camera_motion.turn", details=details)
    scene.require_metric("a distance")
    ends = (max(0.0, motion.distance_m - margin_m), motion.distance_m + margin_m)
    name = "camera_motion.distance"
    return Finding(claim, motion.distance_m, "m", *ends, definition=name, details=details)


def _axes(pose: CameraPose, level: bool) -> tuple[Array, Array, Array]:
    """Return forward, left and up of a camera, held level where up is known and it is not vertical."""
    right, down, ahead = pose.rotation.T
    plan = np.array([*ahead[:2], 0.0])
    if not level:
        return ahead, -right, -down
    if np.linalg.norm(plan) < LEAST_HORIZONTAL:
        # Looking straight down or up, the top of the picture is ahead.
        plan = np.array([*(-down[:2] if ahead[2] < 0 else down[:2]), 0.0])
    forward: Array = plan / np.linalg.norm(plan)
    up = np.array([0.0, 0.0, 1.0])
    return forward, np.cross(up, forward), up


def _camera(scene: SceneMap, frame: int | None, time_s: float | None, otherwise: int) -> SceneCamera:
    cameras = sorted(scene.cameras, key=lambda camera: camera.index)
    if len(cameras) < 2:
        raise ToolFailedError(f"camera motion needs two frames with poses, this scene has {len(cameras)}")
    if frame is not None and time_s is not None:
        raise ToolArgumentError("camera_motion: give a frame or a time, not both")
    if time_s is not None:
        timed = [(abs(camera.time_s - time_s), camera) for camera in cameras if camera.time_s is not None]
        if not timed:
            raise ToolFailedError("the frames of this scene have no times; give frame numbers")
        return min(timed, key=lambda pair: pair[0])[1]
    if frame is None or (frame < 0 and -frame <= len(cameras)):
        return cameras[otherwise if frame is None else frame]
    for camera in cameras:
        if camera.index == frame:
            return camera
    raise ToolArgumentError(
        f"camera_motion: there is no frame {frame}; frames are {cameras[0].index} to {cameras[-1].index}"
    )


def _margins(scene: SceneMap, motion: Motion) -> tuple[float, float]:
    """Return the half-widths of the 90 % intervals of distance and turn; 0 for given poses."""
    if scene.quality is None:
        return 0.0, 0.0
    # Both ends drift on their own.
    drift_m = float(np.sqrt(2.0) * scene.quality.pose_drift_m)
    scale = max(SCALE_PRIOR, scene.quality.scale_error)
    turn_deg = float(np.degrees(drift_m / LEVER_M))
    return Z90 * float(np.hypot(drift_m, scale * motion.distance_m)), Z90 * turn_deg


def _words(scene: SceneMap, motion: Motion, margin_m: float, margin_deg: float) -> str:
    """Return the motion in words: largest shares first, what is below its margin left out."""
    least_m, least_deg = max(STILL_M, margin_m), max(STILL_DEG, margin_deg)
    metric = scene.scale == "metric"
    parts = []
    names = (("forward", "back"), ("left", "right"), ("up", "down"))
    for axis in np.argsort(-np.abs(motion.moved_m)):
        along_m = float(motion.moved_m[axis])
        if abs(along_m) >= least_m:
            name = names[axis][0 if along_m > 0 else 1]
            parts.append(f"{abs(along_m):.2f} m {name}" if metric else name)
    said = [f"moved {' and '.join(parts)}{_margin(margin_m, ' m', 2) if metric else ''}"] if parts else []
    if abs(motion.turn_deg) >= least_deg:
        side = "left" if motion.turn_deg > 0 else "right"
        said.append(f"turned {side} {abs(motion.turn_deg):.0f}°{_margin(margin_deg, '°', 0)}")
    if abs(motion.tilt_deg) >= least_deg:
        said.append(f"tilted {'up' if motion.tilt_deg > 0 else 'down'} {abs(motion.tilt_deg):.0f}°")
    return ", ".join(said) or "stayed where it was"


def _margin(margin: float, unit: str, decimals: int) -> str:
    least = 10.0**-decimals
    return f" (± {max(margin, least):.{decimals}f}{unit})" if margin else ""
