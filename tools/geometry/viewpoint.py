"""Cameras that nobody held: from a place and a direction, or a place and something to look at."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_agent.tools.errors import InvalidValueError, ViewpointError
from spatial_agent.tools.geometry.direction import LEAST_HORIZONTAL, SAME_PLACE_M
from spatial_agent.tools.geometry.transforms import rigid
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, check_array

Array = NDArray[np.float64]

#: Pictures narrower than this show less than lies between two points of a scan, degrees.
NARROWEST_DEG = 1.0
#: A pinhole sees less than half round; beyond this its picture is all border, degrees.
WIDEST_DEG = 170.0


def camera_facing(position_m: ArrayLike, yaw_deg: float, pitch_deg: float = 0.0) -> CameraPose:
    """Return a camera held upright.

    Args:
        position_m: Where it stands, shape (3,), metres.
        yaw_deg: Where it looks, degrees counter-clockwise from +x seen from above.
        pitch_deg: How far up from level, degrees, -90 to 90.

    Raises:
        ShapeError: If the position is not three finite numbers.
        ViewpointError: If an angle is not a number, or the pitch is beyond straight up or down.
    """
    position = check_array("position_m", np.asarray(position_m, float), (3,), np.float64)
    if not (np.isfinite(yaw_deg) and -90.0 <= pitch_deg <= 90.0):
        raise ViewpointError(
            f"expected a yaw in degrees and a pitch of -90 to 90 degrees, got {yaw_deg}, {pitch_deg}"
        )
    yaw, pitch = np.radians(yaw_deg), np.radians(pitch_deg)
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    level = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    forward = np.cos(pitch) * level + np.array([0.0, 0.0, np.sin(pitch)])
    return CameraPose(rigid(np.column_stack([right, np.cross(forward, right), forward]), position))


def camera_towards(position_m: ArrayLike, target_m: ArrayLike) -> CameraPose:
    """Return a camera held upright that has a point in the middle of its picture.

    Straight up and down, where upright means nothing, its right is that of a camera looking along +x.

    Args:
        position_m: Where it stands, shape (3,), metres.
        target_m: What it looks at, shape (3,), metres.

    Raises:
        ShapeError: If a point is not three finite numbers.
        ViewpointError: If the two are within 1 cm of each other.
    """
    position = check_array("position_m", np.asarray(position_m, float), (3,), np.float64)
    way_m = check_array("target_m", np.asarray(target_m, float), (3,), np.float64) - position
    length_m = float(np.linalg.norm(way_m))
    if length_m < SAME_PLACE_M:
        raise ViewpointError("no direction: the camera stands where it should look")
    level_m = float(np.hypot(way_m[0], way_m[1]))
    yaw = np.arctan2(way_m[1], way_m[0]) if level_m > 1e-9 else 0.0
    return camera_facing(position, float(np.degrees(yaw)), float(np.degrees(np.arctan2(way_m[2], level_m))))


def pinhole(width_px: int, height_px: int, fov_deg: float) -> CameraIntrinsics:
    """Return a pinhole with square pixels and the principal point in the middle.

    Args:
        width_px: Width of its pictures.
        height_px: Height of its pictures.
        fov_deg: Horizontal field of view, from the left edge of the picture to the right one.

    Raises:
        InvalidValueError: If the field of view is not from 1 to 170 degrees, or a size is not positive.
    """
    if not NARROWEST_DEG <= fov_deg <= WIDEST_DEG:
        raise InvalidValueError(
            f"expected a field of view of {NARROWEST_DEG:g} to {WIDEST_DEG:g} degrees, got {fov_deg}"
        )
    focal_px = width_px / 2 / float(np.tan(np.radians(fov_deg) / 2))
    return CameraIntrinsics(focal_px, focal_px, (width_px - 1) / 2, (height_px - 1) / 2, width_px, height_px)


def heading_deg(pose: CameraPose) -> float | None:
    """Return where a camera looks, degrees counter-clockwise from +x; None within 5 degrees of vertical."""
    x, y = pose.forward[:2]
    return float(np.degrees(np.arctan2(y, x))) if np.hypot(x, y) >= LEAST_HORIZONTAL else None
