"""Furnishing a room at random and walking a camera round it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import CameraPose
from spatial_agent.tools.synthetic.furniture import FURNITURE, SyntheticObject
from spatial_agent.tools.synthetic.truth import footprint_m, rectangle_distance_m

Array = NDArray[np.float64]
GAP_M = 0.15
WALL_GAP_M = 0.05
TRIES = 400


def furnish(
    width_m: float, depth_m: float, rng: np.random.Generator, count: int = 9
) -> tuple[SyntheticObject, ...]:
    """Place furniture without overlap: big pieces first, always two chairs and a table.

    Args:
        width_m: Length of the floor along x.
        depth_m: Length of the floor along y.
        rng: Source of chance.
        count: How many pieces are wanted; pieces that find no place are left out.
    """
    kinds = ["table", "chair", "chair"]
    others = sorted(set(FURNITURE) - {"table", "chair"})
    kinds += [str(kind) for kind in rng.permutation(others)[: count - len(kinds)]]
    kinds.sort(key=lambda kind: -FURNITURE[kind].size_m[0] * FURNITURE[kind].size_m[1])
    placed: list[SyntheticObject] = []
    for kind in kinds:
        size_m = tuple(float(edge * rng.uniform(0.85, 1.15)) for edge in FURNITURE[kind].size_m)
        item = _find_place(kind, (size_m[0], size_m[1], size_m[2]), (width_m, depth_m), placed, rng)
        placed += [item] if item else []
    return tuple(placed)


def look_at(position_m: Array, target_m: Array) -> CameraPose:
    """Return an upright camera that looks at a point."""
    forward = (target_m - position_m) / np.linalg.norm(target_m - position_m)
    right = np.cross(forward, (0.0, 0.0, 1.0))
    right /= np.linalg.norm(right)
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    world_from_camera[:3, 3] = position_m
    return CameraPose(world_from_camera)


def walk_round(
    size_m: tuple[float, float, float], objects: Sequence[SyntheticObject], count: int = 16
) -> tuple[CameraPose, ...]:
    """Walk an ellipse about the middle of the room, looking across it and, in turn, up and down.

    Args:
        size_m: Width, depth and height of the room.
        objects: What must not be walked through.
        count: Number of frames.
    """
    middle = np.array([size_m[0] / 2, size_m[1] / 2, 0.0])
    cameras = []
    for step in range(count):
        angle = 2 * np.pi * step / count
        out = np.array([np.cos(angle) * size_m[0], np.sin(angle) * size_m[1], 0.0]) / 2
        position_m = _step_aside(middle, 0.72 * out, objects)
        aim = np.array([0.0, 0.0, 0.25 if step % 4 else 1.3]) - 0.35 * out
        cameras.append(look_at(position_m, middle + aim))
    return tuple(cameras)


def _step_aside(middle: Array, out: Array, objects: Sequence[SyntheticObject]) -> Array:
    eye_m = np.array([0.0, 0.0, 1.55])
    for share in np.arange(1.0, 0.2, -0.05):
        position_m: Array = middle + share * out + eye_m
        # The eye stands above the low furniture; only what reaches near it is in the way.
        if not any(item.box.contains(position_m[None], 0.25)[0] for item in objects):
            return position_m
    return position_m


def _find_place(
    kind: str,
    size_m: tuple[float, float, float],
    floor_m: tuple[float, float],
    placed: Sequence[SyntheticObject],
    rng: np.random.Generator,
) -> SyntheticObject | None:
    taken = [footprint_m(item.box) for item in placed]
    for _ in range(TRIES):
        yaw_rad = float(rng.integers(4) * np.pi / 2 + (rng.uniform(-0.6, 0.6) if rng.random() < 0.35 else 0))
        xy_m = rng.uniform((0.0, 0.0), floor_m)
        outline = xy_m + _rectangle_m(size_m[0], size_m[1], yaw_rad)
        inside = (outline > WALL_GAP_M).all() and (outline < np.array(floor_m) - WALL_GAP_M).all()
        if inside and all(rectangle_distance_m(outline, other) > GAP_M for other in taken):
            return SyntheticObject.placed(kind, (float(xy_m[0]), float(xy_m[1])), yaw_rad, size_m)
    return None


def _rectangle_m(depth_m: float, width_m: float, yaw_rad: float) -> Array:
    along = np.array([np.cos(yaw_rad), np.sin(yaw_rad)]) * depth_m / 2
    across = np.array([-np.sin(yaw_rad), np.cos(yaw_rad)]) * width_m / 2
    return np.array([-along - across, along - across, along + across, across - along])
