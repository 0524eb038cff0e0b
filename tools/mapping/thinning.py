"""From voxel sums to one thin layer of points.

Where noise is as wide as a voxel, a wall fills two or three layers of voxels. A signed-distance
volume would keep only the zero crossing; here every voxel is moved, along its normal, to the weighted
mean of the layers in front of and behind it, and only the heaviest layer stays.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.mapping.voxels import Keys, VoxelSums, find_keys, voxel_indices, voxel_keys

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Index = NDArray[np.intp]

#: Layers looked at on either side, voxels.
LAYERS = (-2, -1, 1, 2)
#: Normals of one surface agree at least this well (cosine).
SAME_SURFACE = 0.5
#: A voxel alone among its 26 and more neighbours needs this many pixels.
LONE_PIXELS = 8


@dataclass(frozen=True, eq=False)
class Voxels:
    """Averages per voxel; lengths in voxels.

    Attributes:
        keys: Sorted, shape (N,).
        xyz: Mean position, shape (3, N).
        normals: Unit normals, zero where undefined, shape (3, N).
        precision: Summed weight, shape (N,).
    """

    keys: Keys
    xyz: Floats
    normals: Floats
    precision: Floats


@dataclass(frozen=True, eq=False)
class Surface:
    """One thin layer of points; lengths in voxels.

    Attributes:
        keys: Voxel in which each point was collected, sorted, shape (N,).
        xyz: Positions, shape (3, N).
        normals: Unit normals, zero where undefined, shape (3, N).
        chosen: Their numbers in the grid, shape (N,).
    """

    keys: Keys
    xyz: Floats
    normals: Floats
    chosen: Index


def surface_of(grid: VoxelSums) -> Surface:
    """Turn sums (precision, offset, normal, pixels, ...) into one thin layer of points."""
    voxels = averages(grid)
    xyz, stays = thin(voxels)
    chosen = np.flatnonzero(stays & crowded(voxels, grid.columns[7]))
    return Surface(voxels.keys[chosen], xyz[:, chosen], voxels.normals[:, chosen], chosen)


def averages(grid: VoxelSums) -> Voxels:
    """Divide the sums (precision, offset, normal, ...) of a grid."""
    precision = grid.columns[0]
    corner = voxel_indices(grid.keys)
    xyz = np.array([low + column / precision for low, column in zip(corner, grid.columns[1:4], strict=True)])
    normals = np.array(grid.columns[4:7], np.float32)
    normals /= np.maximum(np.sqrt((normals**2).sum(axis=0)), np.float32(1e-12))
    return Voxels(grid.keys, xyz.astype(np.float32), normals, precision.astype(np.float32))


def thin(voxels: Voxels) -> tuple[Floats, Flags]:
    """Return positions moved onto the surface, shape (3, N), and which of them stay, shape (N,)."""
    total = voxels.precision.copy()
    moment = np.zeros_like(total)
    stays = np.ones(len(total), bool)
    for layer in LAYERS:
        here, there = _neighbours(voxels, layer)
        along = ((voxels.xyz[:, there] - voxels.xyz[:, here]) * voxels.normals[:, here]).sum(axis=0)
        own, other = voxels.precision[here], voxels.precision[there]
        total[here] += other
        moment[here] += other * along
        heavier = (other > own) | ((other == own) & (there < here))
        stays[here[heavier & (np.abs(along) > 0.5)]] = False
    return voxels.xyz + voxels.normals * (moment / total), stays


def _neighbours(voxels: Voxels, layer: int) -> tuple[Index, Index]:
    """Return pairs of voxels so many layers apart along the normal of the first that share a surface."""
    keys = voxel_keys(*np.floor(voxels.xyz + np.float32(layer) * voxels.normals))
    at, found = find_keys(voxels.keys, keys)
    here = np.flatnonzero(found & (keys != voxels.keys))
    there = at[here]
    agree = (voxels.normals[:, there] * voxels.normals[:, here]).sum(axis=0) > SAME_SURFACE
    return here[agree], there[agree]


def crowded(voxels: Voxels, pixels: Floats) -> Flags:
    """Return which voxels have company within a few voxels, or enough pixels of their own."""
    coarse = voxel_keys(*(axis // 3 for axis in voxel_indices(voxels.keys)))
    _, group, count = np.unique(coarse, return_inverse=True, return_counts=True)
    return np.asarray((count[group] > 1) | (pixels >= LONE_PIXELS))
