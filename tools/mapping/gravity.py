"""Which way is up, and where the floor is.

The floor is the lowest large near-horizontal plane below the cameras, not the largest plane: a table
may show more of itself than the floor under it. The scan's own gravity is trusted to a few degrees
and refined by the floor; without it, people hold cameras upright, which gives the prior.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import PointCloud, SceneCamera

Array = NDArray[np.float64]

#: How far the floor may lie from level by the scan's own gravity, and by the cameras' idea of up.
GIVEN_GRAVITY_RAD = np.radians(8.0)
CAMERA_UP_RAD = np.radians(50.0)
#: Standard deviation granted to a gravity that no floor confirms.
UNCONFIRMED_RAD = np.radians(2.0)
#: The floor lies this far below the lowest camera, metres.
CAMERA_ABOVE_FLOOR_M = (0.25, 3.2)
#: A floor covers at least this much, square metres, counted in cells of `CELL_M`.
FLOOR_AREA_M2 = 0.25
CELL_M = 0.1
#: Share of the points that may lie below a floor (mirrors, windows, stray depth).
BELOW_FLOOR = 0.02
SAMPLE = 15_000
#: What tracking turns the whole world by without any patch of the floor showing it.
DRIFT_RAD = np.radians(0.2)


@dataclass(frozen=True, eq=False)
class Floor:
    """Up, and the level of the floor, in the scan's own world.

    Attributes:
        up: Unit vector against gravity, shape (3,), or None where it cannot be told.
        offset_m: Height of the floor: points on it satisfy ``up @ xyz = offset_m``.
        up_error_rad: Standard deviation of `up`; pi where up is None.
        seen: Whether the floor itself was seen.
        note: How it was found or why not, one sentence.
    """

    up: Array | None
    offset_m: float
    up_error_rad: float
    seen: bool
    note: str

    @property
    def scene_from_scan(self) -> Array:
        """Rigid 4x4 that puts up on +Z and the floor on z = 0 by the shortest turn; identity without up."""
        matrix = np.eye(4)
        if self.up is not None:
            matrix[:3, :3] = _shortest_turn_to_z(self.up)
            matrix[2, 3] = -self.offset_m
        return matrix

    def heights_m(self, xyz_m: Array) -> Array:
        """Return heights of points, shape (N, 3), above the floor, shape (N,); needs `up`."""
        assert self.up is not None
        heights: Array = xyz_m @ self.up - self.offset_m
        return heights


def find_floor(
    cloud: PointCloud, cameras: Sequence[SceneCamera], gravity: Array | None = None, *, seed: int = 0
) -> Floor:
    """Find up and the floor.

    Args:
        cloud: Evenly spread surface points in the scan's own world.
        cameras: Where the frames were taken from, in the same world.
        gravity: Unit vector along which things fall as the scan gives it, shape (3,), or None.
        seed: Decides which points are sampled.
    """
    prior, cone_rad = _prior_up(cameras, gravity)
    points_m, normals = _sample_with_normals(cloud, seed)
    plane = None
    if prior is not None and len(points_m):
        plane = _lowest_plane(points_m, normals, _positions(cameras), prior, cone_rad)
    if plane is not None:
        return _refined(plane, cloud.xyz_m, gravity)
    if gravity is None:
        note = "no gravity in the scan, and no floor below the cameras was seen, so up is unknown"
        return Floor(None, 0.0, float(np.pi), False, note)
    up = -np.asarray(gravity, float)
    low_m = float(np.percentile(cloud.xyz_m @ up, 0.5)) if len(cloud) else 0.0
    note = "the floor was not seen: up is the scan's own, and z = 0 is the lowest surface seen"
    return Floor(up, low_m, float(UNCONFIRMED_RAD), False, note)


def _positions(cameras: Sequence[SceneCamera]) -> Array:
    return np.array([camera.pose.position_m for camera in cameras]).reshape(-1, 3)


def _prior_up(cameras: Sequence[SceneCamera], gravity: Array | None) -> tuple[Array | None, float]:
    """Return a first idea of up, and how far it may be off."""
    if gravity is not None:
        return -np.asarray(gravity, float), float(GIVEN_GRAVITY_RAD)
    if not cameras:
        return None, 0.0
    mean = np.mean([-camera.pose.rotation[:, 1] for camera in cameras], axis=0)
    norm = float(np.linalg.norm(mean))
    return (mean / norm if norm > 0.2 else None), float(CAMERA_UP_RAD)


def _sample_with_normals(cloud: PointCloud, seed: int) -> tuple[Array, Array]:
    """Return sampled points and the normals of their neighbourhoods (sign arbitrary, zero where not flat)."""
    from scipy.spatial import cKDTree

    if len(cloud) < 50:
        return np.empty((0, 3)), np.empty((0, 3))
    order = np.lexsort(cloud.xyz_m.T)
    if len(order) > SAMPLE:
        order = np.random.default_rng(seed).choice(order, SAMPLE, replace=False)
    points_m = cloud.xyz_m[order]
    neighbours = points_m[cKDTree(points_m).query(points_m, k=16)[1]]
    centred = neighbours - neighbours.mean(axis=1, keepdims=True)
    spread, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", centred, centred))
    flat = spread[:, 0] < 0.1 * spread[:, 1]
    return points_m, axes[:, :, 0] * flat[:, None]


def _lowest_plane(
    points_m: Array, normals: Array, positions_m: Array, prior: Array, cone_rad: float
) -> tuple[Array, float] | None:
    """Return (up, offset) of the floor, or None."""
    up = _consensus_up(normals, prior, cone_rad)
    if up is None:
        return None
    level = np.abs(normals @ up) > np.cos(np.radians(15))
    heights_m = points_m @ up
    ceiling_m = float((positions_m @ up).min())
    for height_m in _levels(heights_m[level]):
        below_camera_m = ceiling_m - height_m
        on_it = level & (np.abs(heights_m - height_m) < 0.04)
        if (
            CAMERA_ABOVE_FLOOR_M[0] < below_camera_m < CAMERA_ABOVE_FLOOR_M[1]
            and _covered_m2(points_m[on_it], up) >= FLOOR_AREA_M2
        ):
            lower = float(np.mean(heights_m < height_m - 0.08))
            return (up, height_m) if lower <= BELOW_FLOOR else None
    return None


def _consensus_up(normals: Array, prior: Array, cone_rad: float) -> Array | None:
    """Return the direction within the cone that most normals are along, or else square to."""
    aligned = normals * np.where(normals @ prior < 0, -1.0, 1.0)[:, None]
    inside = aligned[aligned @ prior > np.cos(cone_rad)]
    if len(inside) < 20:
        return None
    hypotheses = inside[np.linspace(0, len(inside) - 1, 300).astype(int)]
    cosines = np.abs(hypotheses @ normals.T)
    known = np.linalg.norm(normals, axis=1) > 0.5
    votes = (cosines > np.cos(np.radians(4))).sum(axis=1)
    votes = votes + 0.3 * ((cosines < np.sin(np.radians(4))) & known).sum(axis=1)
    up = hypotheses[int(votes.argmax())]
    for _ in range(5):
        near = aligned[aligned @ up > np.cos(np.radians(6))]
        up = near.mean(axis=0)
        up /= np.linalg.norm(up)
    return np.asarray(up)


def _levels(heights_m: Array) -> list[float]:
    """Return heights at which surfaces gather, lowest first."""
    if not len(heights_m):
        return []
    step_m = 0.02
    low = float(heights_m.min()) - 0.1
    count = np.bincount(((heights_m - low) / step_m).astype(int), minlength=12)
    smooth = np.convolve(count, [1, 1, 1], mode="same")
    peak = smooth >= np.max([np.roll(smooth, shift) for shift in range(-3, 4)], axis=0)
    peak &= smooth >= max(8, 0.002 * len(heights_m))
    return [float(low + (index + 0.5) * step_m) for index in np.flatnonzero(peak)]


def _covered_m2(points_m: Array, up: Array) -> float:
    """Return the area of the cells that points cover, seen from above."""
    flat = points_m @ _shortest_turn_to_z(up).T
    return len(np.unique(np.floor(flat[:, :2] / CELL_M).astype(int), axis=0)) * CELL_M**2


def _refined(plane: tuple[Array, float], xyz_m: Array, gravity: Array | None) -> Floor:
    """Fit the plane to all points near it, and say how well up is known."""
    up, offset_m = plane
    for band_m in (0.06, 0.04, 0.03):
        near = xyz_m[np.abs(xyz_m @ up - offset_m) < band_m]
        middle = near.mean(axis=0)
        axes = np.linalg.eigh(np.cov((near - middle).T))[1]
        fitted = axes[:, 0] * np.sign(axes[:, 0] @ up)
        up, offset_m = fitted, float(fitted @ middle)
    error_rad = _up_error_rad(near, up, offset_m)
    if gravity is None:
        return Floor(up, offset_m, error_rad, True, "up is square to the floor, the lowest large plane")
    off_rad = float(np.arccos(np.clip(-np.asarray(gravity) @ up, -1.0, 1.0)))
    note = f"up is the scan's own, refined by {np.degrees(off_rad):.1f} deg to be square to the floor"
    return Floor(up, offset_m, error_rad, True, note)


def _up_error_rad(near_m: Array, up: Array, offset_m: float) -> float:
    """Return the standard deviation of a plane's normal, from how half-metre patches scatter about it."""
    flat = near_m @ _shortest_turn_to_z(up).T
    cells = np.floor(flat[:, :2] / 0.5).astype(int)
    _, patch = np.unique(cells, axis=0, return_inverse=True)
    count = np.bincount(patch)
    means = np.array([np.bincount(patch, column) for column in flat.T]).T / count[:, None]
    means = means[count >= 10]
    if len(means) < 3:
        return float(np.radians(2.0))
    spread_m = max(float(np.std(means[:, 2] - offset_m)), 0.002)
    narrow_m = np.sqrt(max(float(np.linalg.eigvalsh(np.cov(means[:, :2].T))[0]), 0.01))
    return float(np.hypot(spread_m / (narrow_m * np.sqrt(len(means))), DRIFT_RAD))


def _shortest_turn_to_z(up: Array) -> Array:
    """Return the rotation about a horizontal axis that takes the unit vector `up` to +Z, shape (3, 3).

    Source: Rodrigues' formula with axis ``up x z``; half a turn about x where up is -Z.
    """
    x, y, z = up
    if z < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    cross = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    turn: Array = np.eye(3) + cross + cross @ cross / (1 + z)
    return turn
