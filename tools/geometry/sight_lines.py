"""Straight lines of sight among boxes and walls: what an eye reaches, and what is hidden from it."""

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.geometry.free_floor import outline
from spatial_agent.tools.scene import SceneMap

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: What lies this far beyond the outline of the room is in the wall, metres.
OUTLINE_M = 0.02
#: A room whose outline has less of its hull than this has corners to look round.
CONVEX_SHARE = 0.97


class Sight:
    """What boxes and walls hide from an eye."""

    def __init__(self, scene: SceneMap) -> None:
        """Keep the boxes, and the outline of the room where it has corners to look round."""
        boxes = [item.box for item in scene.objects]
        self._centres_m = np.array([box.centre_m for box in boxes]).reshape(-1, 3)
        self._axes = np.array([box.world_from_box for box in boxes]).reshape(-1, 3, 3)
        self._half_m = np.array([box.extent_m / 2 for box in boxes]).reshape(-1, 3)
        self._upright = scene.up is not None
        self._outline = None if scene.room is None else outline(scene.room.polygon_m)

    def reaches(self, eye_m: Array, places_m: Array) -> Flags:
        """Return which places, shape (N, 3), an eye sees, shape (N,)."""
        open_ = ~self._blocked(eye_m, places_m)
        if self._upright:
            open_ &= places_m[:, 2] >= 0.0
        if self._outline is not None and open_.any():
            open_[open_] = self._in_room(eye_m, places_m[open_])
        return open_

    def _blocked(self, eye_m: Array, places_m: Array) -> Flags:
        """Return where the way from the eye goes through a box."""
        if not len(self._centres_m):
            return np.zeros(len(places_m), bool)
        start = np.einsum("bi,bij->bj", eye_m - self._centres_m, self._axes)[:, None]
        way = np.einsum("ni,bij->bnj", places_m - eye_m, self._axes)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = (np.stack([-self._half_m, self._half_m])[:, :, None] - start) / way
        # A way along a face is inside it for ever, or never.
        beside = np.abs(start) > self._half_m[:, None]
        low = np.where(way == 0.0, np.where(beside, np.inf, -np.inf), np.minimum(ends[0], ends[1]))
        high = np.where(way == 0.0, np.where(beside, -np.inf, np.inf), np.maximum(ends[0], ends[1]))
        first, last = low.max(axis=2), high.min(axis=2)
        hit: Flags = ((first <= last) & (last > 0.0) & (first < 1.0)).any(axis=0)
        return hit

    def _in_room(self, eye_m: Array, places_m: Array) -> Flags:
        import shapely

        near = self._near_room
        inside: Flags = shapely.contains_xy(near, places_m[:, 0], places_m[:, 1])
        if not self._has_corners or not inside.any():
            return inside
        ends_m = np.stack([np.broadcast_to(eye_m[:2], (int(inside.sum()), 2)), places_m[inside, :2]], axis=1)
        inside[inside] = shapely.covers(near, shapely.linestrings(ends_m))
        return inside

    @cached_property
    def _near_room(self) -> "BaseGeometry | None":
        import shapely

        near = shapely.buffer(self._outline, OUTLINE_M)
        shapely.prepare(near)
        return near

    @cached_property
    def _has_corners(self) -> bool:
        room = self._outline
        return room is not None and room.area < CONVEX_SHARE * room.convex_hull.area
