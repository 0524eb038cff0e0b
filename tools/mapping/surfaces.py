"""One surface from many sightings: the best view of every spot, cleaned, with how well the views agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.mapping.lifting import VOXEL_M, Sighting, distinct_cells, voxel_means
from spatial_agent.tools.scene import PointCloud

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Points below this share of the best precision within a cell or two are left out: a closer view shows
#: them better.
WORSE_SHARE, CELL_M = 0.25, 0.04
#: A point is stray where its neighbours are this many times as far as is usual on the object.
STRAY_TIMES, NEIGHBOURS = 4.0, 8
MOST_POINTS = 20_000
#: Places at which views are compared, and how far round them.
PATCHES, PATCH_M = 200, 0.05
#: Points a source needs in a patch to be compared.
LEAST_IN_PATCH = 5
#: Quantile of patch thickness that is taken for noise.
FLATTER = 0.25
#: From the median absolute deviation to the standard deviation of a normal distribution.
MAD = 1.4826


@dataclass(frozen=True, eq=False)
class Surface:
    """The merged surface of one object.

    Attributes:
        xyz_m: Shape (N, 3), metres.
        pixels: Depth pixels behind each point, shape (N,).
        precision: One over the expected variance of each point, 1/m2, shape (N,).
        noise_m: Robust standard deviation of its points about the surface.
        spread_m: Robust standard deviation of where single frames put the surface.
    """

    xyz_m: Array
    pixels: Array
    precision: Array
    noise_m: float
    spread_m: float

    def only(self, kept: Flags) -> "Surface":
        """Return the surface with some of its points."""
        return Surface(self.xyz_m[kept], self.pixels[kept], self.precision[kept], self.noise_m, self.spread_m)

    @property
    def cloud(self) -> PointCloud:
        """At most `MOST_POINTS` points, evenly thinned where there are more."""
        xyz_m, pixels, voxel_m = self.xyz_m, self.pixels, VOXEL_M
        while len(xyz_m) > MOST_POINTS:
            voxel_m *= 1.25
            xyz_m, (pixels,) = voxel_means(self.xyz_m, [self.pixels], voxel_m)
        return PointCloud(xyz_m, None, pixels)


def merged(sightings: Sequence[Sighting]) -> Surface:
    """Merge sightings, whose points lie in one world and number at least one in all."""
    xyz_m = np.concatenate([sighting.xyz_m for sighting in sightings])
    pixels = np.concatenate([sighting.weight for sighting in sightings])
    precision = np.concatenate([sighting.precision for sighting in sightings])
    source = np.repeat(np.arange(len(sightings)), [len(sighting.xyz_m) for sighting in sightings])
    best = _best_seen(xyz_m, precision)
    noise_m, spread_m = _agreement(xyz_m[best], source[best])
    points, (count, sharpness) = voxel_means(xyz_m[best], [pixels[best], precision[best]], VOXEL_M)
    surface = Surface(points, count, sharpness, noise_m, spread_m)
    return surface.only(_not_stray(points))


def _best_seen(xyz_m: Array, precision: Array) -> Flags:
    """Return which points are about as precise as the best ones near them."""
    from scipy.spatial import cKDTree

    cells, cell_of = distinct_cells(np.floor(xyz_m / CELL_M).astype(np.int64))
    own = np.zeros(len(cells))
    np.maximum.at(own, cell_of, precision)
    around = own.copy()
    first, second = cKDTree(cells).query_pairs(1.0, p=np.inf, output_type="ndarray").T
    np.maximum.at(around, first, own[second])
    np.maximum.at(around, second, own[first])
    best: Flags = precision >= WORSE_SHARE * around[cell_of]
    return best


def _not_stray(xyz_m: Array) -> Flags:
    from scipy.spatial import cKDTree

    if len(xyz_m) <= NEIGHBOURS:
        return np.ones(len(xyz_m), bool)
    reach_m = np.ravel(cKDTree(xyz_m).query(xyz_m, k=[NEIGHBOURS])[0])
    kept: Flags = reach_m <= STRAY_TIMES * np.median(reach_m)
    return kept


def _agreement(xyz_m: Array, source: NDArray[np.int_]) -> tuple[float, float]:
    """Return how thick the surface is, and how far apart its sources put it, both robust, metres."""
    from scipy.spatial import cKDTree

    tree = cKDTree(xyz_m)
    thickness, offsets = [], []
    places = xyz_m[:: max(1, len(xyz_m) // PATCHES)]
    for members in np.atleast_1d(tree.query_ball_point(places, PATCH_M)):
        if len(members) < 2 * LEAST_IN_PATCH:
            continue
        patch = xyz_m[members] - xyz_m[members].mean(axis=0)
        spread, axes = np.linalg.eigh(patch.T @ patch / len(patch))
        if spread[0] > 0.35 * spread[1]:
            continue
        thickness.append(np.sqrt(max(float(spread[0]), 0.0)))
        offsets.append(_source_offsets(patch @ axes[:, 0], source[members]))
    # Curved parts and edges are thick without noise; the flatter patches tell.
    noise_m = float(np.quantile(thickness, FLATTER)) if thickness else PATCH_M / 5
    apart = np.concatenate(offsets) if offsets else np.empty(0)
    return noise_m, float(MAD * np.median(np.abs(apart))) if len(apart) else noise_m


def _source_offsets(heights_m: Array, source: NDArray[np.int_]) -> Array:
    """Return how far each source's mean height lies from the mean of all sources; empty for a single one."""
    count = np.bincount(source)
    enough = count >= LEAST_IN_PATCH
    if enough.sum() < 2:
        return np.empty(0)
    means = np.bincount(source, heights_m)[enough] / count[enough]
    # Few sources hide part of their own scatter in the mean that they share.
    return np.asarray((means - means.mean()) * np.sqrt(len(means) / (len(means) - 1)))
