"""Exact distances between upright boxes, by a closed form of their own.

An upright box is a rectangle on the floor times an interval of heights, so the squared distance of
two is the squared distance of the rectangles plus the squared gap of the intervals.
"""

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import OrientedBox

Array = NDArray[np.float64]


def parts_distance_m(first: tuple[OrientedBox, ...], second: tuple[OrientedBox, ...]) -> float:
    """Return the smallest distance between two groups of upright boxes; 0 where they touch or overlap."""
    return min(upright_distance_m(a, b) for a in first for b in second)


def upright_distance_m(first: OrientedBox, second: OrientedBox) -> float:
    """Return the exact distance between two upright boxes."""
    across_m = rectangle_distance_m(footprint_m(first), footprint_m(second))
    return float(np.hypot(across_m, _height_gap_m(first, second)))


def footprint_m(box: OrientedBox) -> Array:
    """Return the floor rectangle of an upright box, counter-clockwise, shape (4, 2)."""
    half = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * box.extent_m[:2] / 2
    corners: Array = box.centre_m[:2] + half @ box.world_from_box[:2, :2].T
    return corners


def rectangle_distance_m(first: Array, second: Array) -> float:
    """Return the distance between two convex polygons given counter-clockwise; 0 where they overlap."""
    if _overlap(first, second):
        return 0.0
    return min(_corner_to_edge_m(first, second), _corner_to_edge_m(second, first))


def _height_gap_m(first: OrientedBox, second: OrientedBox) -> float:
    apart = abs(first.centre_m[2] - second.centre_m[2]) - (first.extent_m[2] + second.extent_m[2]) / 2
    return max(0.0, float(apart))


def _overlap(first: Array, second: Array) -> bool:
    edges = np.concatenate([np.roll(polygon, -1, axis=0) - polygon for polygon in (first, second)])
    normals = edges[:, ::-1] * (1, -1)
    a, b = first @ normals.T, second @ normals.T
    return bool(((a.max(axis=0) >= b.min(axis=0)) & (b.max(axis=0) >= a.min(axis=0))).all())


def _corner_to_edge_m(corners: Array, polygon: Array) -> float:
    edges = np.roll(polygon, -1, axis=0) - polygon
    offsets = corners[:, None] - polygon[None]
    along = (offsets * edges).sum(axis=2) / (edges**2).sum(axis=1)
    nearest = np.clip(along, 0, 1)[..., None] * edges
    return float(np.sqrt(((offsets - nearest) ** 2).sum(axis=2).min()))
