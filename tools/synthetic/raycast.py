"""Ray casting into a furnished box room with numpy alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, OrientedBox
from spatial_agent.tools.synthetic.furniture import SyntheticObject

Array = NDArray[np.float64]
CHECKER_M = 0.12
NEAR_M = 0.05
SHELL_RGB = np.array([[205, 198, 186], [214, 208, 200], [168, 132, 98]], dtype=np.float64)
PALETTE = np.array(
    [
        [188, 71, 62],
        [64, 112, 176],
        [82, 150, 88],
        [214, 164, 64],
        [134, 92, 160],
        [70, 158, 160],
        [200, 112, 60],
        [120, 120, 128],
        [168, 96, 116],
        [96, 128, 72],
        [92, 84, 140],
        [156, 128, 96],
    ],
    dtype=np.float64,
)


@dataclass(frozen=True, eq=False)
class Rendering:
    """What one camera sees, without noise.

    Attributes:
        z_m: Z-depth, shape (H, W).
        ids: 1 + position of the object hit, 0 for the room itself, shape (H, W) uint16.
        part: Running number of the part hit over all objects, -1 for the room, shape (H, W).
    """

    z_m: Array
    ids: NDArray[np.uint16]
    part: NDArray[np.int32]


def ray_directions(intrinsics: CameraIntrinsics, pose: CameraPose) -> Array:
    """Return rays of unit z-depth in the room's world, shape (H, W, 3)."""
    x = (np.arange(intrinsics.width) - intrinsics.cx) / intrinsics.fx
    y = (np.arange(intrinsics.height) - intrinsics.cy) / intrinsics.fy
    rotation = pose.rotation
    rows = y[:, None, None] * rotation[:, 1] + rotation[:, 2]
    rays: Array = x[None, :, None] * rotation[:, 0] + rows
    return rays


def render(
    shell: OrientedBox,
    objects: Sequence[SyntheticObject],
    intrinsics: CameraIntrinsics,
    pose: CameraPose,
) -> Rendering:
    """Cast one ray through every pixel centre.

    Args:
        shell: The room itself, seen from inside.
        objects: What stands in it.
        intrinsics: Pinhole of the camera.
        pose: Camera in the room's world; it must stand inside the shell.
    """
    rays = ray_directions(intrinsics, pose)
    z_m = _leave(shell, pose.position_m, rays)
    ids = np.zeros(z_m.shape, np.uint16)
    part_number = np.full(z_m.shape, -1, np.int32)
    number = 0
    for index, item in enumerate(objects):
        for part in item.parts:
            window = _window(part, intrinsics, pose)
            if window is not None:
                entry_m = _enter(part, pose.position_m, rays[window])
                closer = entry_m < z_m[window]
                z_m[window][closer] = entry_m[closer]
                ids[window][closer] = index + 1
                part_number[window][closer] = number
            number += 1
    return Rendering(z_m, ids, part_number)


def paint(
    rendering: Rendering, shell: OrientedBox, objects: Sequence[SyntheticObject], rays: Array, origin_m: Array
) -> NDArray[np.uint8]:
    """Colour a rendering with flat shading and a checker texture, shape (H, W, 3)."""
    hit_m = origin_m + rays * rendering.z_m[..., None]
    rgb = _checker(hit_m, shell, SHELL_RGB)
    parts = [(index, part) for index, item in enumerate(objects) for part in item.parts]
    for number in np.unique(rendering.part[rendering.part >= 0]):
        pixels = rendering.part == number
        index, part = parts[number]
        shades = PALETTE[index % len(PALETTE)] * np.array([[0.82], [0.68], [1.0]])
        rgb[pixels] = _checker(hit_m[pixels], part, shades)
    return np.clip(np.rint(rgb), 0, 255).astype(np.uint8)


def _checker(hit_m: Array, box: OrientedBox, rgb_by_axis: Array) -> Array:
    local_m = (hit_m - box.centre_m) @ box.world_from_box
    axis = (np.abs(local_m) - box.extent_m / 2).argmax(axis=-1)
    squares = np.floor((local_m + box.extent_m / 2) / CHECKER_M + 1e-6).astype(np.int64)
    along_face = squares.sum(axis=-1) - np.take_along_axis(squares, axis[..., None], -1)[..., 0]
    colours: Array = rgb_by_axis[axis] * np.where(along_face % 2 == 0, 1.0, 0.86)[..., None]
    return colours


def _slabs(box: OrientedBox, origin_m: Array, rays: Array) -> tuple[Array, Array]:
    origin = box.world_from_box.T @ (origin_m - box.centre_m)
    direction = rays @ box.world_from_box
    inverse = 1.0 / np.where(np.abs(direction) < 1e-12, 1e-12, direction)
    middle, reach = -origin * inverse, (box.extent_m / 2) * np.abs(inverse)
    return middle - reach, middle + reach


def _enter(box: OrientedBox, origin_m: Array, rays: Array) -> Array:
    first, last = _slabs(box, origin_m, rays)
    entry, leave = first.max(axis=-1), last.min(axis=-1)
    return np.where((entry <= leave) & (entry > 0), entry, np.inf)


def _leave(shell: OrientedBox, origin_m: Array, rays: Array) -> Array:
    leave: Array = _slabs(shell, origin_m, rays)[1].min(axis=-1)
    return leave


def _window(box: OrientedBox, camera: CameraIntrinsics, pose: CameraPose) -> tuple[slice, slice] | None:
    """Return the pixel rows and columns a box can reach, so that no other ray is tested against it."""
    seen = (box.corners_m - pose.position_m) @ pose.rotation
    if seen[:, 2].max() < NEAR_M:
        return None
    if seen[:, 2].min() < NEAR_M:
        return slice(0, camera.height), slice(0, camera.width)
    u = camera.fx * seen[:, 0] / seen[:, 2] + camera.cx
    v = camera.fy * seen[:, 1] / seen[:, 2] + camera.cy
    columns, rows = _reach(u, camera.width), _reach(v, camera.height)
    return None if columns is None or rows is None else (rows, columns)


def _reach(pixels: Array, size: int) -> slice | None:
    low, high = max(0, int(np.floor(pixels.min()))), min(size, int(np.ceil(pixels.max())) + 1)
    return slice(low, high) if low < high else None
