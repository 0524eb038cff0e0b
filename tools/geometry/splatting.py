"""Seeing points from anywhere: z-buffered splats, with what is unknown left unknown.

Every point is a square patch facing the camera, as wide as points are apart, so that a surface is closed
and gaps wider than that stay holes. The nearest patch of a pixel decides what is seen; depth is then the
mean of the patches of that same surface, weighted by how near their points lie to the pixel.

Source: Pfister et al., Surfels: Surface Elements as Rendering Primitives, 2000 (visibility splatting);
Zwicker et al., Surface Splatting, 2001 (blending within a depth tolerance).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.geometry.projection import project
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose

Array = NDArray[np.float64]
Index = NDArray[np.int64]

#: Nothing nearer than this is drawn, metres.
NEAREST_M = 0.05
#: Edge of a patch, in spacings: points of a square grid seen at any angle in their plane leave no gap.
PATCH_SPACINGS = 1.5
#: A patch never covers more than this to either side, pixels, however near its point.
MOST_REACH_PX = 24
#: Patches this many spacings behind the nearest one still belong to the same surface.
SAME_SURFACE_SPACINGS = 2.0
#: Patches are drawn about so many pixels at a time.
BATCH = 1_000_000
#: Points asked for how far apart neighbours are.
SPACING_SAMPLE = 2000


@dataclass(frozen=True, eq=False)
class SplatView:
    """What a camera sees of points.

    Attributes:
        z_m: Z-depth, shape (H, W), metres; 0 where no point covers the pixel.
        nearest: Which point decides each pixel, shape (H, W); -1 where none does.
    """

    z_m: Array
    nearest: Index

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where some point covers the pixel, shape (H, W)."""
        known: NDArray[np.bool_] = self.nearest >= 0
        return known

    @property
    def unknown_share(self) -> float:
        """Share of the pixels that no point covers."""
        return float(1.0 - self.known.mean())


def splat(intrinsics: CameraIntrinsics, pose: CameraPose, xyz_m: Array, spacing_m: float) -> SplatView:
    """Draw points as a camera would see the surface they lie on.

    Args:
        intrinsics: The pinhole.
        pose: Where the camera stands, in the points' world.
        xyz_m: Shape (N, 3), metres.
        spacing_m: How far apart neighbouring points are, see `point_spacing_m`.
    """
    camera_m = (xyz_m - pose.position_m) @ pose.rotation
    front = np.flatnonzero(camera_m[:, 2] > NEAREST_M)
    uv_px, z_m = project(intrinsics, camera_m[front])
    half_px = np.minimum(PATCH_SPACINGS / 2 * spacing_m * intrinsics.fx / z_m, MOST_REACH_PX)
    size = intrinsics.height * intrinsics.width
    shape = (intrinsics.height, intrinsics.width)
    keys = np.full(size, np.iinfo(np.uint64).max, np.uint64)
    # Positive floats sort like their bits, so one minimum finds depth and point together.
    packed = z_m.astype(np.float32).view(np.uint32).astype(np.uint64) << np.uint64(32)
    packed |= np.arange(len(front), dtype=np.uint64)
    for pixels, points, _ in _fragments(shape, uv_px, half_px):
        np.minimum.at(keys, pixels, packed[points])
    seen = keys != np.iinfo(np.uint64).max
    nearest = np.full(size, -1, np.int64)
    nearest[seen] = (keys[seen] & np.uint64(0xFFFFFFFF)).astype(np.int64)
    first_m = np.where(seen, z_m[nearest], 0.0) if len(front) else np.zeros(size)
    depth_m = _blended(shape, uv_px, half_px, z_m, first_m, SAME_SURFACE_SPACINGS * spacing_m)
    nearest[seen] = front[nearest[seen]]
    return SplatView(depth_m.reshape(shape), nearest.reshape(shape))


def point_spacing_m(xyz_m: Array) -> float:
    """Return how far apart neighbouring points of a surface are, metres; 0 for fewer than five points.

    It is the distance within which a point usually has four neighbours: the grid it would lie on.
    """
    from scipy.spatial import cKDTree

    if len(xyz_m) < 5:
        return 0.0
    sample_m = xyz_m[:: max(1, len(xyz_m) // SPACING_SAMPLE)]
    return float(np.median(cKDTree(xyz_m).query(sample_m, k=[5])[0]))


def _fragments(shape: tuple[int, int], uv_px: Array, half_px: Array) -> Iterator[tuple[Index, Index, Array]]:
    """Return pixels (flat), the points that cover them and how much each point counts there, in batches."""
    height, width = shape
    reach = np.ceil(half_px - 0.5).astype(np.int64).clip(0)
    middle = np.rint(uv_px).astype(np.int64)
    in_reach = ((middle + reach[:, None] >= 0) & (middle - reach[:, None] < (width, height))).all(axis=1)
    for step in np.unique(reach[in_reach]):
        of_size = np.flatnonzero(in_reach & (reach == step))
        around = np.stack(np.meshgrid(*[np.arange(-step, step + 1)] * 2), axis=-1).reshape(-1, 2)
        for batch in np.array_split(of_size, -(-len(of_size) * len(around) // BATCH)):
            at = middle[batch, None] + around
            off_px = np.abs(at - uv_px[batch, None]).max(axis=2)
            # The pixel of the point itself is always covered, however small the patch.
            covered = (off_px <= np.maximum(half_px[batch, None], 0.5)) & (at >= 0).all(axis=2)
            covered &= (at[..., 0] < width) & (at[..., 1] < height)
            points = np.broadcast_to(batch[:, None], covered.shape)[covered]
            weight = np.exp(-2.0 * (off_px[covered] / np.maximum(half_px[points], 0.5)) ** 2)
            yield at[covered, 1] * width + at[covered, 0], points, weight


def _blended(
    shape: tuple[int, int], uv_px: Array, half_px: Array, z_m: Array, first_m: Array, tolerance_m: float
) -> Array:
    """Return the weighted mean depth of the patches of the nearest surface, shape (H * W,)."""
    total, moment = np.zeros(len(first_m)), np.zeros(len(first_m))
    for pixels, points, weight in _fragments(shape, uv_px, half_px):
        same = z_m[points] <= first_m[pixels] + tolerance_m
        pixels, points, weight = pixels[same], points[same], weight[same]
        total += np.bincount(pixels, weight, len(total))
        moment += np.bincount(pixels, weight * z_m[points], len(total))
    return np.divide(moment, total, out=np.zeros_like(moment), where=total > 0)
