"""Where the surface of an object ends along an axis, whatever noise its points have.

The farthest point overestimates by two or three standard deviations of the depth noise, a plain
quantile underestimates long objects. Ends are therefore read off the density of points: a face is a
peak and ends at its middle; a rim is a step and ends where density falls to half.
"""

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import OrientedBox

Array = NDArray[np.float64]

#: Weight outside which nothing is believed, at each end: without noise, and more per metre of noise, up to
#: a limit.
STRAY_SHARE, STRAY_SHARE_PER_M, MOST_STRAY_SHARE = 0.00005, 0.3, 0.003
#: The end lies within this of the first believed point: metres, and times the noise.
REACH_M, REACH_SIGMA = 0.002, 4.0
#: Density is smoothed by at least this, else by half the noise.
SMOOTH_M = 0.001
BIN_M = 0.001
#: The outermost maximum of density counts when it has this share of the highest within reach.
COUNTING_SHARE = 0.4
#: The yaw is sought with this many points; distance to the sides weighs this much beside area.
YAW_POINTS, CLOSENESS = 2000, 2.0


def fitted_box(xyz_m: Array, weight: Array, noise_m: float, *, upright: bool = True) -> OrientedBox:
    """Fit a box to surface points.

    Args:
        xyz_m: Shape (N, 3), metres, N at least 1.
        weight: How much each point counts, shape (N,).
        noise_m: Standard deviation of the points about the surface.
        upright: Whether +Z is up; else the box follows the principal axes.
    """
    axes = upright_axes(xyz_m, noise_m) if upright else _principal_axes(xyz_m)
    local_m = xyz_m @ axes
    low_m = np.array([end_m(local_m[:, k], weight, noise_m) for k in range(3)])
    high_m = np.array([-end_m(-local_m[:, k], weight, noise_m) for k in range(3)])
    return OrientedBox(axes @ ((low_m + high_m) / 2), np.maximum(high_m - low_m, 0.0), axes)


def upright_axes(xyz_m: Array, noise_m: float) -> Array:
    """Return the axes of the upright box that fits best, columns: longer horizontal edge, shorter one, +Z.

    The footprint should be small and its sides covered. Area alone does not tell two sides of a
    cabinet from their diagonal: the triangle between them fills half of either rectangle.

    Source: the closeness criterion of Zhang et al., Efficient L-Shape Fitting for Vehicle Detection
    Using Laser Scanners, 2017, on top of the smallest area.
    """
    xy_m = xyz_m[:: max(1, len(xyz_m) // YAW_POINTS), :2] - xyz_m[:, :2].mean(axis=0)
    trim = _stray_share(noise_m)
    coarse = _best_yaw(xy_m, np.arange(0.0, 90.0, 3.0), trim)
    yaw_deg = _best_yaw(xy_m, coarse + np.arange(-2.0, 2.05, 0.2), trim)
    axes = OrientedBox.upright(np.zeros(3), np.ones(3), np.radians(yaw_deg)).world_from_box
    across_m = np.ptp(np.quantile(xy_m @ axes[:2, :2], (trim, 1 - trim), axis=0), axis=0)
    if across_m[1] > across_m[0]:
        axes = np.column_stack([axes[:, 1], -axes[:, 0], axes[:, 2]])
    return axes


def _best_yaw(xy_m: Array, yaws_deg: Array, trim: float) -> float:
    costs = [_yaw_cost(xy_m, float(np.radians(yaw_deg)), trim) for yaw_deg in yaws_deg]
    return float(yaws_deg[int(np.argmin(costs))])


def _yaw_cost(xy_m: Array, yaw_rad: float, trim: float) -> float:
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    along_m = xy_m @ np.array([[cos, -sin], [sin, cos]])
    low_m, high_m = np.quantile(along_m, (trim, 1 - trim), axis=0)
    to_side_m = np.minimum(np.abs(along_m - low_m), np.abs(high_m - along_m)).min(axis=1)
    area_m2 = float(np.prod(high_m - low_m))
    return float(area_m2 + CLOSENESS * to_side_m.mean() * np.sqrt(area_m2))


def end_m(along_m: Array, weight: Array, noise_m: float) -> float:
    """Return the low end of a surface along one axis.

    Args:
        along_m: Coordinates of its points, shape (N,), metres.
        weight: How much each point counts, shape (N,).
        noise_m: Standard deviation of the points about the surface.
    """
    order = np.argsort(along_m)
    total = np.cumsum(weight[order])
    first_m = float(along_m[order][np.searchsorted(total, _stray_share(noise_m) * total[-1])])
    reach_m = max(REACH_M, REACH_SIGMA * noise_m)
    smooth_m = max(SMOOTH_M, noise_m / 2)
    low_m = float(first_m - reach_m)
    bins = int(3 * reach_m / BIN_M) + 1
    near = (along_m >= low_m) & (along_m < low_m + bins * BIN_M)
    along_m, weight = along_m[near] - low_m, weight[near]
    count: Array = np.bincount((along_m / BIN_M).astype(int), weight, minlength=bins).astype(np.float64)
    density = _smoothed(count[:bins], smooth_m)
    left, right = _first_peak(density, int(2 * reach_m / BIN_M))
    if (right - left) * BIN_M <= 3.3 * np.hypot(smooth_m, noise_m):
        face = (along_m >= left * BIN_M) & (along_m < (right + 1) * BIN_M)
        if weight[face].sum() > 0:
            return float(low_m + np.average(along_m[face], weights=weight[face]))
    return float(low_m + (left + 0.5) * BIN_M)


def _stray_share(noise_m: float) -> float:
    return min(MOST_STRAY_SHARE, STRAY_SHARE + STRAY_SHARE_PER_M * noise_m)


def _smoothed(count: Array, smooth_m: float) -> Array:
    steps = np.arange(-int(3 * smooth_m / BIN_M) - 1, int(3 * smooth_m / BIN_M) + 2) * BIN_M
    kernel = np.exp(-0.5 * (steps / smooth_m) ** 2)
    density: Array = np.convolve(count, kernel / kernel.sum(), "same")
    return density


def _first_peak(density: Array, within: int) -> tuple[int, int]:
    """Return where the outermost maximum that counts falls to half on either side, as bins."""
    inner = density[1 : within + 1]
    rising, falling = inner >= density[:within], inner >= density[2 : within + 2]
    counting = np.flatnonzero(rising & falling & (inner >= COUNTING_SHARE * inner.max())) + 1
    left = right = int(counting[0]) if len(counting) else int(inner.argmax()) + 1
    half = density[left] / 2
    while left > 0 and density[left - 1] >= half:
        left -= 1
    while right < len(density) - 1 and density[right + 1] >= half:
        right += 1
    return left, right


def _principal_axes(xyz_m: Array) -> Array:
    axes = np.linalg.eigh(np.cov(xyz_m.T))[1][:, ::-1]
    proper: Array = axes * (1.0, 1.0, np.sign(np.linalg.det(axes)))
    return proper
