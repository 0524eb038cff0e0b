"""Boxes round points, their outline on the floor and how much two of them share."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.geometry.transforms import yaw_rotation
from spatial_agent.tools.scene import OrientedBox, check_array

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Array = NDArray[np.float64]


def fit_upright_box(xyz_m: Array, trim: float = 0.0) -> OrientedBox:
    """Fit the upright box with the smallest footprint round points.

    Args:
        xyz_m: Shape (N, 3), metres, N at least 1.
        trim: Share of the points left outside at each end of every axis, in [0, 0.5); 0 keeps all.

    Returns:
        A box whose third axis is +Z and whose first is its longer horizontal edge.

    Raises:
        ShapeError: If there are no points, or not three numbers each.
        InvalidValueError: If `trim` is out of range.

    Source: Freeman and Shapira 1975 (one side of the smallest rectangle lies on a hull edge);
    with trimming there is no hull, and yaws are searched to a tenth of a degree.
    """
    xyz_m = check_array("xyz_m", xyz_m, ("N", 3), np.float64)
    if not len(xyz_m):
        raise ShapeError("xyz_m: expected at least one point, got none")
    if not 0.0 <= trim < 0.5:
        raise InvalidValueError(f"trim: expected a share in [0, 0.5), got {trim!r}")
    xy_m = xyz_m[:, :2]
    yaw_rad = _trimmed_yaw_rad(xy_m, trim) if trim else _smallest_yaw_rad(xy_m)
    centred_m = xyz_m - xyz_m.mean(axis=0)
    local_m = centred_m @ yaw_rotation(yaw_rad)
    low_m, high_m = np.quantile(local_m, (trim, 1.0 - trim), axis=0)
    extent_m = high_m - low_m
    centre_m = xyz_m.mean(axis=0) + yaw_rotation(yaw_rad) @ ((low_m + high_m) / 2)
    if extent_m[1] > extent_m[0]:
        extent_m, yaw_rad = extent_m[[1, 0, 2]], yaw_rad + np.pi / 2
    return OrientedBox.upright(centre_m, extent_m, yaw_rad)


def _smallest_yaw_rad(xy_m: Array) -> float:
    """Return the direction of the hull edge that carries the smallest rectangle."""
    import shapely

    hull_m = shapely.get_coordinates(shapely.convex_hull(shapely.multipoints(xy_m)))
    edges_m = np.diff(hull_m, axis=0)
    if not len(edges_m):
        return 0.0
    yaws_rad = np.arctan2(edges_m[:, 1], edges_m[:, 0])
    return _best_yaw_rad(hull_m - hull_m[0], yaws_rad, 0.0)


def _trimmed_yaw_rad(xy_m: Array, trim: float) -> float:
    """Return the yaw of the smallest rectangle that may leave points outside."""
    centred_m = xy_m - xy_m.mean(axis=0)
    # The search needs shape, not every point; striding keeps it deterministic.
    sample_m = centred_m[:: max(1, len(centred_m) // 5000)]
    coarse_rad = _best_yaw_rad(sample_m, np.radians(np.arange(0.0, 90.0, 2.0)), trim)
    return _best_yaw_rad(sample_m, coarse_rad + np.radians(np.arange(-2.0, 2.05, 0.1)), trim)


def _best_yaw_rad(xy_m: Array, yaws_rad: Array, trim: float) -> float:
    cos, sin = np.cos(yaws_rad), np.sin(yaws_rad)
    along_m, across_m = xy_m @ np.array([cos, sin]), xy_m @ np.array([-sin, cos])
    spans_m = [_span(offsets_m, trim) for offsets_m in (along_m, across_m)]
    areas_m2 = spans_m[0] * spans_m[1]
    # Different rectangles can be equally small; the squarer one is taken, lest rounding choose.
    smallest = areas_m2 <= areas_m2.min() * (1.0 + 1e-9)
    perimeters_m = np.where(smallest, spans_m[0] + spans_m[1], np.inf)
    return float(yaws_rad[perimeters_m.argmin()])


def _span(offsets_m: Array, trim: float) -> Array:
    span: Array = np.ptp(offsets_m, axis=0)
    if trim:
        low, high = np.quantile(offsets_m, (trim, 1.0 - trim), axis=0)
        span = high - low
    return span


def footprint(box: OrientedBox) -> "BaseGeometry":
    """Return the outline of a box, tilted or not, seen from above; a line or point where it is flat."""
    import shapely

    outline: BaseGeometry = shapely.convex_hull(shapely.MultiPoint(box.corners_m[:, :2]))
    return outline


def upright_box_iou(a: OrientedBox, b: OrientedBox) -> float:
    """Return the volume two upright boxes share over the volume they fill together, 0 to 1.

    Raises:
        InvalidValueError: If a box is tilted.
    """
    if a.upright_axis is None or b.upright_axis is None:
        raise InvalidValueError("upright_box_iou: expected two upright boxes, got a tilted one")
    (a_low, a_high), (b_low, b_high) = _heights_m(a), _heights_m(b)
    shared_height_m = min(a_high, b_high) - max(a_low, b_low)
    if shared_height_m <= 0:
        return 0.0
    shared_m3 = footprint(a).intersection(footprint(b)).area * shared_height_m
    together_m3 = a.volume_m3 + b.volume_m3 - shared_m3
    return float(min(1.0, shared_m3 / together_m3)) if together_m3 > 0 else 0.0


def _heights_m(box: OrientedBox) -> tuple[float, float]:
    heights_m = box.corners_m[:, 2]
    return float(heights_m.min()), float(heights_m.max())
