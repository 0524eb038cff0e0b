"""The smooth patch of surface round a pixel: bounded by occlusion edges and by creases."""

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.geometry.projection import unproject
from spatial_agent.tools.mapping.blocks import depth_sigma_m
from spatial_agent.tools.scene import CameraIntrinsics, DepthMap

Array = NDArray[np.float64]
Pixels = NDArray[np.bool_]

#: Normals are taken over this many pixels to either side, and more where depth is noisy: so many standard
#: deviations of depth are to be seen as less than the angle of a crease.
LEAST_STEP_PX, MOST_STEP_PX, STEP_SIGMA = 1, 6, 6.0
#: Surfaces that meet at more than this are two patches, degrees.
CREASE_DEG = 25.0
#: Inverse depth bends by this share of itself at an occlusion edge.
EDGE_SHARE = 0.04
#: A seed without depth, or on an edge, is moved by at most this many pixels.
NEAR_SEED_PX = 4
#: The patch is grown back over its border where points lie this near its planes: metres, standard deviations.
ON_PLANE_M, ON_PLANE_SIGMA = 0.006, 2.5


def surface_patch(depth: DepthMap, intrinsics: CameraIntrinsics, column: float, row: float) -> Pixels:
    """Return the pixels of the connected smooth surface that a pixel lies on.

    Args:
        depth: Z-depth.
        intrinsics: Its pinhole.
        column: The pixel, from the left.
        row: The pixel, from the top.

    Returns:
        Shape (H, W).

    Raises:
        InvalidValueError: If the pixel is outside the picture, or no surface with depth is near it.
    """
    from scipy.ndimage import label

    z_m = depth.z_m.astype(np.float64)
    height, width = z_m.shape
    if not (-0.5 <= column < width - 0.5 and -0.5 <= row < height - 0.5):
        raise InvalidValueError(f"the pixel ({column:g}, {row:g}) is outside the {width}x{height} picture")
    at = round(row), round(column)
    xyz_m = unproject(intrinsics, z_m)
    sigma_m = _sigma_m(z_m, at)
    step = _step_px(sigma_m, float(z_m[at]) or float(np.median(z_m[z_m > 0])), intrinsics)
    while step:
        normals = _normals(xyz_m, z_m, step)
        parts = label(_smooth(z_m, normals, step))[0]
        if part := _part_near(parts, at):
            return _grown_back(parts == part, xyz_m, normals, z_m > 0, 2 * step + 1, sigma_m)
        # A narrow surface shows only to a closer look, which noise may break up.
        step //= 2
    raise InvalidValueError(
        f"there is no surface with depth at the pixel ({column:g}, {row:g}); choose one on a surface"
    )


def _sigma_m(z_m: Array, at: tuple[int, int]) -> float:
    near = z_m[max(0, at[0] - 2) : at[0] + 3, max(0, at[1] - 2) : at[1] + 3]
    seen = near[near > 0]
    return float(depth_sigma_m(np.array([np.median(seen)], np.float32))[0]) if len(seen) else 0.01


def _step_px(sigma_m: float, z_m: float, intrinsics: CameraIntrinsics) -> int:
    """Return over how many pixels a crease stands out of the noise of depth."""
    rise_m = np.tan(np.radians(CREASE_DEG)) * z_m / intrinsics.fx
    return int(np.clip(np.ceil(STEP_SIGMA * sigma_m / (2 * rise_m)), LEAST_STEP_PX, MOST_STEP_PX))


def _normals(xyz_m: Array, z_m: Array, step: int) -> Array:
    """Return unit normals, shape (H, W, 3); 0 where they are not known."""
    from scipy.ndimage import uniform_filter

    known = (z_m > 0).astype(np.float64)
    # Means over a small window, of the pixels that have depth.
    weight = uniform_filter(known, 2 * step - 1)
    mean_m = np.stack(
        [uniform_filter(xyz_m[..., k] * known, 2 * step - 1) / np.maximum(weight, 1e-9) for k in range(3)],
        axis=-1,
    )
    across, down = np.zeros_like(xyz_m), np.zeros_like(xyz_m)
    across[:, step:-step] = mean_m[:, 2 * step :] - mean_m[:, : -2 * step]
    down[step:-step] = mean_m[2 * step :] - mean_m[: -2 * step]
    normals = np.cross(across, down)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    flat: Array = np.where((length > 0) & (known[..., None] > 0), normals / np.maximum(length, 1e-12), 0.0)
    return flat


def _smooth(z_m: Array, normals: Array, step: int) -> Pixels:
    """Return the pixels with depth that lie neither on an occlusion edge nor on a crease."""
    from scipy.ndimage import binary_dilation

    inverse = np.divide(1.0, z_m, out=np.zeros_like(z_m), where=z_m > 0)
    edge, crease = np.zeros(z_m.shape, bool), np.zeros(z_m.shape, bool)
    for axis in (0, 1):
        jump, bend = (np.moveaxis(a, axis, 0) for a in (edge, crease))
        inverse_, normals_ = np.moveaxis(inverse, axis, 0), np.moveaxis(normals, axis, 0)
        second = np.abs(inverse_[:-2] - 2 * inverse_[1:-1] + inverse_[2:])
        jump[1:-1] |= second > EDGE_SHARE * inverse_[1:-1]
        agree = (normals_[2 * step :] * normals_[: -2 * step]).sum(axis=-1)
        bend[step:-step] |= agree < np.cos(np.radians(CREASE_DEG))
    # Normals across an occlusion edge mean nothing.
    near_edge = binary_dilation(edge, iterations=step)
    smooth: Pixels = (z_m > 0) & ~near_edge & ~crease & normals.any(axis=-1)
    return smooth


def _part_near(parts: NDArray[np.signedinteger], at: tuple[int, int]) -> int:
    """Return the number of the part at a pixel, or of the nearest one within reach; 0 where there is none."""
    rows, columns = np.nonzero(parts)
    if not len(rows):
        return 0
    off_px = np.hypot(rows - at[0], columns - at[1])
    nearest = int(off_px.argmin())
    return int(parts[rows[nearest], columns[nearest]]) if off_px[nearest] <= NEAR_SEED_PX else 0


def _grown_back(
    patch: Pixels, xyz_m: Array, normals: Array, known: Pixels, times: int, sigma_m: float
) -> Pixels:
    """Return the patch with those pixels of its border that lie on the plane of their neighbour in it."""
    reach_m = ON_PLANE_M + ON_PLANE_SIGMA * sigma_m
    patch, normals = patch.copy(), normals.copy()
    for _ in range(times):
        before = patch.copy()
        for axis in (0, 1):
            for side in (1, -1):
                inside, here, plane = (
                    np.moveaxis(np.roll(a, side, axis), axis, 0) for a in (before, xyz_m, normals)
                )
                off_m = np.abs(((np.moveaxis(xyz_m, axis, 0) - here) * plane).sum(axis=-1))
                joins = inside & (off_m <= reach_m) & np.moveaxis(known & ~patch, axis, 0)
                joins[0 if side == 1 else -1] = False
                np.moveaxis(patch, axis, 0)[joins] = True
                np.moveaxis(normals, axis, 0)[joins] = plane[joins]
    return patch
