"""How well frames agree with the fused surface and with one another: what margins are made of."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.mapping.blocks import Axes, Blocks
from spatial_agent.tools.mapping.thinning import Surface
from spatial_agent.tools.mapping.voxels import find_keys, voxel_keys
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, Frame

Array = NDArray[np.float64]
Index = NDArray[np.intp]

#: Blocks compared per frame, and the image is compared in this many tiles to a side.
SAMPLE, TILES = 2000, 4
#: Surfaces further apart than this are different surfaces, metres.
GATE_M = 0.10
#: A tile speaks from this many blocks on.
LEAST_BLOCKS = 30
#: From the median absolute deviation to the standard deviation of a normal distribution.
MAD = 1.4826


@dataclass(frozen=True, eq=False)
class View:
    """What one frame saw, kept for comparison.

    Attributes:
        blocks: Its block averages, in camera coordinates.
        at: Row-major number of the block of each lattice place, -1 where none, shape (rows, columns).
        pixel_z_m: Depth of one single pixel of each block, shape (N,).
        pose: Where it was taken from.
        intrinsics: Its pinhole.
    """

    blocks: Blocks
    at: NDArray[np.int32]
    pixel_z_m: NDArray[np.float32]
    pose: CameraPose
    intrinsics: CameraIntrinsics


def keep_view(frame: Frame, blocks: Blocks) -> View:
    """Keep what a frame saw."""
    header = frame.header
    assert frame.depth is not None
    assert header.pose is not None
    assert header.intrinsics is not None
    rows, columns = blocks.shape
    at = np.full(rows * columns, -1, np.int32)
    at[blocks.place] = np.arange(len(blocks.place))
    row, column = np.divmod(blocks.place, columns)
    pixel_z_m = frame.depth.z_m[row * blocks.side_px, column * blocks.side_px]
    return View(blocks, at.reshape(rows, columns), pixel_z_m, header.pose, header.intrinsics)


def depth_noise_m(views: Sequence[View], surface: Surface, origin_m: Array, voxel_m: float) -> float:
    """Return the robust standard deviation of single depth pixels about the fused surface, along the ray."""
    residuals = [_pixel_residuals_m(view, surface, origin_m, voxel_m) for view in views]
    together = np.concatenate(residuals) if residuals else np.empty(0)
    return MAD * float(np.median(np.abs(together))) if len(together) else 0.0


def pose_drift_m(views: Sequence[View]) -> float | None:
    """Return the robust disagreement between where frames put one surface, as a deviation per frame.

    Tiles of one frame are compared, point to plane, with what another frame saw there. Noise averages
    out within a tile; what is left is that the poses (or the depth's calibration) do not agree.
    None where no two of the frames saw the same surface.
    """
    offsets = [_tile_offsets_m(one, other) for one, other in combinations(views, 2)]
    together = np.concatenate(offsets) if offsets else np.empty(0)
    return MAD * float(np.median(np.abs(together)) / np.sqrt(2)) if len(together) >= 4 else None


def _sampled(view: View) -> Index:
    count = len(view.blocks.place)
    return np.unique(np.linspace(0, count - 1, min(SAMPLE, count)).astype(np.intp))


def _pixel_residuals_m(view: View, surface: Surface, origin_m: Array, voxel_m: float) -> Array:
    """Return how far single pixels lie from the fused surface along their rays, shape (K,)."""
    chosen = _sampled(view)
    local, pixel_z_m = view.blocks.xyz_m.take(chosen), view.pixel_z_m[chosen]
    ray = Axes(local.x / local.z, local.y / local.z, np.ones_like(local.z)).turned(view.pose.rotation)
    shift = (view.pose.position_m - origin_m) / voxel_m
    xyz = np.array([r * (local.z / voxel_m) + s for r, s in zip(ray, shift, strict=True)])
    normals = np.array(view.blocks.normals.take(chosen).turned(view.pose.rotation))
    best = np.full(len(chosen), np.inf)
    for layer in (0, -1, 1, -2, 2, -3, 3):
        at, found = find_keys(surface.keys, voxel_keys(*np.floor(xyz + layer * normals)))
        found &= (surface.normals[:, at] * normals).sum(axis=0) > 0.7
        apart = ((xyz - surface.xyz[:, at]) * surface.normals[:, at]).sum(axis=0)
        best = np.where(found & (np.abs(apart) < np.abs(best)), apart, best)
    slant = (np.array(ray) * normals).sum(axis=0)
    known = np.isfinite(best) & (np.abs(slant) > 0.3)
    off_m = (pixel_z_m - local.z).astype(float) + best * voxel_m / slant
    return np.asarray(off_m[known])


def _tile_offsets_m(one: View, other: View) -> Array:
    """Return by how much tiles of one frame lie in front of what the other saw there, shape (K,)."""
    chosen = _sampled(one)
    other_from_one = other.pose.camera_from_world @ one.pose.world_from_camera
    points = one.blocks.xyz_m.take(chosen).turned(other_from_one[:3, :3])
    points = Axes(*(axis + np.float32(t) for axis, t in zip(points, other_from_one[:3, 3], strict=True)))
    normals = one.blocks.normals.take(chosen).turned(other_from_one[:3, :3])
    here, there = _matches(points, other)
    met, facing = other.blocks.xyz_m.take(there), other.blocks.normals.take(there)
    apart_m = sum((p[here] - q) * n for p, q, n in zip(points, met, facing, strict=True))
    agree = sum(m[here] * n for m, n in zip(normals, facing, strict=True))
    good = (np.abs(apart_m) < GATE_M) & (np.asarray(agree) > 0.8)
    return _tile_medians(np.asarray(apart_m)[good], _tile(one, chosen[here[good]]))


def _matches(points: Axes, view: View) -> tuple[Index, Index]:
    """Return which points fall on which blocks of a view."""
    k, side = view.intrinsics, view.blocks.side_px
    z = np.maximum(points.z, np.float32(1e-3))
    column = np.floor((k.fx * points.x / z + k.cx + 0.5) / side).astype(np.int64)
    row = np.floor((k.fy * points.y / z + k.cy + 0.5) / side).astype(np.int64)
    rows, columns = view.at.shape
    inside = (points.z > 0.1) & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    here = np.flatnonzero(inside)
    block = view.at[row[here], column[here]]
    return here[block >= 0], block[block >= 0].astype(np.intp)


def _tile(view: View, chosen: Index) -> Index:
    rows, columns = view.blocks.shape
    row, column = np.divmod(view.blocks.place[chosen], columns)
    tile: Index = (row * TILES // rows) * TILES + column * TILES // columns
    return tile


def _tile_medians(values: Array, tile: Index) -> Array:
    parts = (values[tile == number] for number in range(TILES * TILES))
    return np.array([np.median(part) for part in parts if len(part) >= LEAST_BLOCKS])
