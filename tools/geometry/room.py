"""The floor plan of a room from points on its surfaces."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.scene import check_array

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Array = NDArray[np.float64]

#: The benchmark's alpha, per metre: gaps wider than about 2 / alpha = 0.4 m are left open.
ALPHA_PER_M = 5.0
#: How many points the benchmark triangulates.
SAMPLES = 10_000


def alpha_shape(points_xy_m: ArrayLike, alpha_per_m: float = ALPHA_PER_M) -> "BaseGeometry":
    """Return the area that points cover, without its holes.

    Delaunay triangles whose circumscribed circle has a radius below ``1 / alpha_per_m`` are kept, and
    holes wholly inside are filled: the convention of the ``alphashape`` package, which VSI-Bench used.
    An alpha of 0 gives the convex hull. The result is a polygon, several, or empty where
    no triangle is small enough.

    Args:
        points_xy_m: Shape (N, 2), metres.
        alpha_per_m: One over the largest radius, per metre, at least 0.

    Raises:
        ShapeError: If the points are not finite or not of shape (N, 2).
        InvalidValueError: If alpha is negative, or fewer than three points are not on one line.

    Source: Edelsbrunner, Kirkpatrick and Seidel 1983.
    """
    import shapely
    from scipy.spatial import Delaunay, QhullError

    points_m = check_array("points_xy_m", points_xy_m, ("N", 2), np.float64)
    if not alpha_per_m >= 0:
        raise InvalidValueError(f"alpha_per_m: expected at least 0 per metre, got {alpha_per_m!r}")
    try:
        triangles = Delaunay(points_m).simplices
    except (QhullError, ValueError) as error:
        raise InvalidValueError(
            f"alpha shape: expected at least 3 points not on one line, got {len(points_m)}"
        ) from error
    kept = triangles[alpha_per_m * _circumradii_m(points_m[triangles]) < 1.0]
    faces = shapely.polygonize(shapely.linestrings(points_m[_border(kept)]))
    return shapely.union_all(shapely.get_parts(faces))


def _circumradii_m(corners_m: Array) -> Array:
    """Return the radius of the circle through each triangle, shape (T, 3, 2); infinite for slivers."""
    sides_m = np.linalg.norm(corners_m - np.roll(corners_m, 1, axis=1), axis=2)
    u, v = corners_m[:, 1] - corners_m[:, 0], corners_m[:, 2] - corners_m[:, 0]
    twice_area = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    with np.errstate(divide="ignore"):
        radii: Array = sides_m.prod(axis=1) / (2 * twice_area)
    return radii


def _border(triangles: NDArray[np.integer]) -> NDArray[np.integer]:
    """Return the edges, shape (E, 2), that belong to exactly one triangle."""
    edges = np.sort(triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, times = np.unique(edges, axis=0, return_counts=True)
    border: NDArray[np.integer] = unique[times == 1]
    return border


def sample_points(points: Array, n: int, seed: int) -> Array:
    """Return `n` of the points, drawn with replacement, the same ones for the same seed."""
    if not len(points):
        raise ShapeError("points: expected at least one, got none")
    chosen: Array = points[np.random.default_rng(seed).integers(len(points), size=n)]
    return chosen


def room_outline(
    points_xy_m: Array, alpha_per_m: float = ALPHA_PER_M, n: int = SAMPLES, seed: int = 0
) -> Array:
    """Return the outline of the floor that points cover: the largest piece of their alpha shape.

    Args:
        points_xy_m: Points on all surfaces seen from above, shape (N, 2), metres.
        alpha_per_m: See `alpha_shape`.
        n: More points than this are thinned by a seeded draw.
        seed: Seed of the draw.

    Returns:
        Corners, counter-clockwise, not closed, shape (M, 2), metres.

    Raises:
        InvalidValueError: If the points cover no area.
    """
    import shapely

    kept_m = points_xy_m if len(points_xy_m) <= n else sample_points(points_xy_m, n, seed)
    pieces = shapely.get_parts(alpha_shape(kept_m, alpha_per_m))
    if not len(pieces):
        raise InvalidValueError(
            f"room: the points are too far apart to cover a floor; expect gaps under {2 / alpha_per_m:.1f} m"
        )
    largest = max(pieces, key=lambda piece: float(piece.area))
    outline_m: Array = shapely.get_coordinates(shapely.orient_polygons(largest))[:-1]
    return outline_m


def polygon_area(polygon_m: ArrayLike) -> float:
    """Return the area of a simple polygon, shape (N, 2), square metres.

    Source: the shoelace formula.

    >>> polygon_area([[0, 0], [4, 0], [4, 3], [0, 3]])
    12.0
    """
    corners_m = check_array("polygon_m", polygon_m, ("N", 2), np.float64)
    x, y = (corners_m - corners_m[0]).T
    return abs(float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum())) / 2


def room_area(points_xy_m: Array, alpha_per_m: float = ALPHA_PER_M, n: int = SAMPLES, seed: int = 0) -> float:
    """Return the area of `room_outline`, square metres."""
    return polygon_area(room_outline(points_xy_m, alpha_per_m, n, seed))
