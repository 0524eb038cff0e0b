"""Distances between boxes and between point clouds, with the two points they are measured at."""

from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.scene import OrientedBox, check_array

Array = NDArray[np.float64]
#: Points of each cloud that bound a search among all of them.
BOUND_POINTS = 300
#: Points of a leaf of a search tree; larger ones are faster where many points are about as far.
LEAF_POINTS = 64


@dataclass(frozen=True, eq=False)
class Nearest:
    """A distance and where it was measured.

    Attributes:
        distance_m: Metres.
        point_a_m: The end on the first thing, shape (3,).
        point_b_m: The end on the second, shape (3,).
    """

    distance_m: float
    point_a_m: Array
    point_b_m: Array


def centre_distance(a: OrientedBox, b: OrientedBox) -> float:
    """Return the distance between the centres of two boxes, metres."""
    return float(np.linalg.norm(a.centre_m - b.centre_m))


def box_distance(a: OrientedBox, b: OrientedBox) -> float:
    """Return the exact shortest distance between two solid boxes, metres; 0 where they overlap."""
    return nearest_of_boxes(a, b).distance_m


def nearest_points_of_boxes(a: OrientedBox, b: OrientedBox) -> tuple[Array, Array]:
    """Return the nearest point of each of two solid boxes, shape (3,) each.

    Where the boxes overlap both are the same point, in the middle of what they share.
    """
    nearest = nearest_of_boxes(a, b)
    return nearest.point_a_m, nearest.point_b_m


def nearest_of_boxes(a: OrientedBox, b: OrientedBox) -> Nearest:
    """Return the exact shortest distance between two solid boxes of any orientation, and where it is.

    Two convex polyhedra that meet share a corner of their intersection, which lies on an edge of one
    inside the other. If they do not meet, the shortest way between them ends in a corner of one, or
    runs between the insides of two edges. All of these are tried, which is exact and never iterates.
    """
    shared_m = np.vstack([_edges_inside(a, b), _edges_inside(b, a)])
    if len(shared_m):
        middle_m = shared_m.mean(axis=0)
        return Nearest(0.0, middle_m, middle_m)
    from_a, from_b = a.corners_m, b.corners_m
    edge_a, edge_b = _edge_pairs(a, b)
    ends_a = np.vstack([from_a, nearest_in_box(a, from_b), edge_a])
    ends_b = np.vstack([nearest_in_box(b, from_a), from_b, edge_b])
    lengths_m = _lengths(ends_a - ends_b)
    best = int(lengths_m.argmin())
    return Nearest(float(lengths_m[best]), ends_a[best], ends_b[best])


def nearest_in_box(box: OrientedBox, xyz_m: Array) -> Array:
    """Return the point of a solid box nearest to each of some points, shape (N, 3)."""
    half_m = box.extent_m / 2
    nearest_m: Array = box.centre_m + np.clip(box.local(xyz_m), -half_m, half_m) @ box.world_from_box.T
    return nearest_m


def distances_to_box(box: OrientedBox, xyz_m: Array) -> Array:
    """Return how far points, shape (N, 3), are from a solid box, shape (N,), metres; 0 inside."""
    outside_m = np.maximum(np.abs(box.local(xyz_m)) - box.extent_m / 2, 0.0)
    return _lengths(outside_m)


def distances_to_point(point_m: Array, xyz_m: Array) -> Array:
    """Return how far points, shape (N, 3), are from one point, shape (3,), shape (N,), metres."""
    return _lengths(xyz_m - point_m)


def _lengths(vectors: Array) -> Array:
    lengths: Array = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
    return lengths


@cache
def _edge_ends() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the corner numbers at which the twelve edges of a box start and end."""
    pairs = [(i, j) for i, j in combinations(range(8), 2) if (i ^ j).bit_count() == 1]
    starts, ends = np.array(pairs).T
    return starts, ends


def _edges_inside(a: OrientedBox, b: OrientedBox) -> Array:
    """Return both ends of the part of each edge of `a` that lies in `b`, shape (N, 3).

    Source: Kay and Kajiya 1986, ray tracing by slabs.
    """
    starts, ends = _edge_ends()
    origin_m = b.local(a.corners_m[starts])
    along_m = b.local(a.corners_m[ends]) - origin_m
    half_m = b.extent_m / 2
    parallel = np.abs(along_m) < 1e-15
    step = np.where(parallel, 1.0, along_m)
    first, second = (-half_m - origin_m) / step, (half_m - origin_m) / step
    between = np.abs(origin_m) <= half_m
    enter = np.where(parallel, np.where(between, -np.inf, np.inf), np.minimum(first, second)).max(axis=1)
    leave = np.where(parallel, np.where(between, np.inf, -np.inf), np.maximum(first, second)).min(axis=1)
    enter, leave = np.maximum(enter, 0.0), np.minimum(leave, 1.0)
    hit = enter <= leave
    shares = np.concatenate([enter[hit], leave[hit]])[:, None]
    local_m = np.tile(origin_m[hit], (2, 1)) + shares * np.tile(along_m[hit], (2, 1))
    inside_m: Array = b.centre_m + local_m @ b.world_from_box.T
    return inside_m


def _edge_pairs(a: OrientedBox, b: OrientedBox) -> tuple[Array, Array]:
    """Return where edges of two boxes come closest to each other strictly within both, shape (N, 3) each.

    Pairs that come closest at an end are left out: that end is a corner, and corners are tried anyway.

    Source: Ericson, Real-Time Collision Detection, 2005, section 5.1.9.
    """
    starts, ends = _edge_ends()
    p, q = a.corners_m[starts][:, None], b.corners_m[starts][None, :]
    u, v = a.corners_m[ends][:, None] - p, b.corners_m[ends][None, :] - q
    gap = p - q
    uu, vv, uv = (u * u).sum(-1), (v * v).sum(-1), (u * v).sum(-1)
    ug, vg = (u * gap).sum(-1), (v * gap).sum(-1)
    square = uu * vv - uv * uv
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        along_a = (uv * vg - vv * ug) / square
        along_b = (uu * vg - uv * ug) / square
        within = (along_a > 0) & (along_a < 1) & (along_b > 0) & (along_b < 1)
    points_a = (p + np.where(within, along_a, 0.0)[..., None] * u)[within]
    points_b = (q + np.where(within, along_b, 0.0)[..., None] * v)[within]
    return points_a, points_b


def nearest_points(a_xyz_m: Array, b_xyz_m: Array) -> tuple[Array, Array]:
    """Return the two points, one of each cloud (N, 3) and (M, 3), that are nearest to each other.

    Raises:
        ShapeError: If a cloud is empty or not of shape (N, 3).
    """
    nearest = quantile_surface_distance(a_xyz_m, b_xyz_m, 0.0)
    return nearest.point_a_m, nearest.point_b_m


def quantile_surface_distance(
    a_xyz_m: Array, b_xyz_m: Array, quantile: float, axes: tuple[Array, Array] | None = None
) -> Nearest:
    """Return the distance between two clouds that a few stray points cannot shorten.

    Each point of one cloud has a nearest point in the other. The k nearest points of either cloud
    are passed over, k being `quantile` of the smaller cloud's points, and the larger of the two
    distances that are then left is taken. It is symmetric, never less than the shortest distance,
    and equal to it for quantile 0. Up to k stray points in either cloud, however close, do not
    bring it below what the others give.

    Args:
        a_xyz_m: Shape (N, 3), metres.
        b_xyz_m: Shape (M, 3), metres.
        quantile: Share of the smaller cloud passed over, in [0, 1).
        axes: Rotation for each cloud, shape (3, 3), whose columns its faces are square to; its main axes
            where None. The distance is the same along any; along these it is found soonest.

    Raises:
        ShapeError: If a cloud is empty or not of shape (N, 3).
        InvalidValueError: If the quantile is out of range.
    """
    if not 0.0 <= quantile < 1.0:
        raise InvalidValueError(f"quantile: expected a share in [0, 1), got {quantile!r}")
    a_xyz_m = check_array("a_xyz_m", a_xyz_m, ("N", 3), np.float64)
    b_xyz_m = check_array("b_xyz_m", b_xyz_m, ("N", 3), np.float64)
    if not len(a_xyz_m) or not len(b_xyz_m):
        raise ShapeError(f"expected points in both clouds, got {len(a_xyz_m)} and {len(b_xyz_m)}")
    passed_over = int(quantile * min(len(a_xyz_m), len(b_xyz_m)))
    a_axes, b_axes = axes or (_main_axes(a_xyz_m), _main_axes(b_xyz_m))
    a = _Cloud(a_xyz_m, a_axes, _gaps_m(a_xyz_m, b_xyz_m, b_axes))
    b = _Cloud(b_xyz_m, b_axes, _gaps_m(b_xyz_m, a_xyz_m, a_axes))
    return _larger(a, b, passed_over) if passed_over else _Search(a, b, 0).nearest()


@dataclass(frozen=True, eq=False)
class _Cloud:
    """A cloud, the axes of its faces, and how far its points are at least from the other cloud."""

    xyz_m: Array
    axes: Array
    gaps_m: Array


def _larger(a: _Cloud, b: _Cloud, passed_over: int) -> Nearest:
    """Return the larger of the distances from either cloud to the other; that of the first where equal."""
    there, back = _Search(a, b, passed_over), _Search(b, a, passed_over)
    # The one that is likely the larger is searched first, which often spares the other search.
    turned = back.bound_m > there.bound_m
    first, second = (back, there) if turned else (there, back)
    found = first.nearest()
    other = second.nearest_unless_below(found.distance_m)
    is_larger = other is not None and (
        other.distance_m > found.distance_m or (turned and other.distance_m == found.distance_m)
    )
    if other is not None and is_larger:
        found, turned = other, not turned
    return Nearest(found.distance_m, found.point_b_m, found.point_a_m) if turned else found


class _Search:
    """The search for the point of one cloud nearest to another cloud, but for those passed over.

    Points near the box round the other cloud bound the answer, and the bound shuts most of the others out;
    without it, a search among points about as far visits most of the tree.
    """

    def __init__(self, start: _Cloud, end: _Cloud, passed_over: int) -> None:
        from scipy.spatial.distance import cdist

        self._start, self._end, self._passed_over = start, end, passed_over
        self._foremost_m = _foremost(start, max(BOUND_POINTS, 4 * (passed_over + 1)))
        gaps_m = cdist(self._foremost_m, _foremost(end, BOUND_POINTS)).min(axis=1)
        #: The distance is less than this.
        self.bound_m = _kth(gaps_m, passed_over)

    def nearest(self) -> Nearest:
        found = self.nearest_unless_below(0.0)
        assert found is not None  # no distance is below 0
        return found

    def nearest_unless_below(self, least_m: float) -> Nearest | None:
        """Return the distance and where it is; None if it is soon seen to be below some length."""
        from scipy.spatial import KDTree

        if self.bound_m <= least_m:
            return None
        # The boxes of a tree are tight round faces that its axes are square to.
        axes = self._end.axes
        partners_m = self._end.xyz_m[self._end.gaps_m <= self.bound_m]
        tree = KDTree(partners_m @ axes, leafsize=LEAF_POINTS)
        lengths_m, _ = tree.query(self._foremost_m @ axes, distance_upper_bound=self.bound_m)
        bound_m = _kth(np.asarray(lengths_m), self._passed_over)
        if bound_m <= least_m:
            return None
        near_m = self._start.xyz_m[self._start.gaps_m <= bound_m]
        lengths_m, partners = tree.query(near_m @ axes, distance_upper_bound=bound_m)
        found = np.isfinite(lengths_m)
        near_m, partners_m = near_m[found], partners_m[np.asarray(partners)[found]]
        lengths_m = _lengths(near_m - partners_m)
        start = int(np.argpartition(lengths_m, self._passed_over)[self._passed_over])
        return Nearest(float(lengths_m[start]), near_m[start], partners_m[start])


def _main_axes(xyz_m: Array) -> Array:
    if len(xyz_m) < 2:
        return np.eye(3)
    axes: Array = np.linalg.eigh(np.cov((xyz_m - xyz_m.mean(axis=0)).T))[1]
    return axes


def _gaps_m(xyz_m: Array, other_m: Array, axes: Array) -> Array:
    """Return how far each point is from the box round another cloud along some axes, shape (N,)."""
    # One row for each axis: numpy goes along long rows many times faster than down three columns.
    local_m, turned_m = axes.T @ (xyz_m - other_m[0]).T, axes.T @ (other_m - other_m[0]).T
    low_m, high_m = turned_m.min(axis=1, keepdims=True), turned_m.max(axis=1, keepdims=True)
    outside_m = np.maximum(np.maximum(low_m - local_m, local_m - high_m), 0.0)
    # A hair less, so that rounding shuts no point out.
    gaps_m: Array = np.sqrt(np.einsum("ij,ij->j", outside_m, outside_m)) * (1 - 1e-9)
    return gaps_m


def _kth(lengths_m: Array, passed_over: int) -> float:
    """Return the length after those passed over, by a hair more, so that it is itself within the bound."""
    return float(np.partition(lengths_m, passed_over)[passed_over]) * (1 + 1e-9) + 1e-9


def _foremost(cloud: _Cloud, most: int) -> Array:
    """Return the points of a cloud that are likely nearest to the other."""
    if len(cloud.xyz_m) <= most:
        return cloud.xyz_m
    return cloud.xyz_m[np.argpartition(cloud.gaps_m, most)[:most]]
