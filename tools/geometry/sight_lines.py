"""Straight lines of sight among boxes and walls: which places an eye reaches, and which are hidden."""

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
#: Stands for no way at all along an axis, metres.
NO_WAY_M = 1e-12


class SightLines:
    """Lines of sight to some places, from any eye.

    The boxes of all objects hide what is behind and inside them; so do the walls, where the outline of the
    room is known, and the floor, where up is.
    """

    def __init__(self, scene: SceneMap, places_m: Array) -> None:
        """Look at the places, shape (N, 3), once from every box.

        Args:
            scene: The scene.
            places_m: What is to be seen.
        """
        boxes = [item.box for item in scene.objects]
        self._places_m = places_m
        self._centres_m = np.array([box.centre_m for box in boxes]).reshape(-1, 3)
        self._axes = np.array([box.world_from_box for box in boxes]).reshape(-1, 3, 3)
        self._half_m = np.array([box.extent_m / 2 for box in boxes]).reshape(-1, 3).T[:, :, None]
        # Axis first, because what follows takes the most or the least of three axes.
        local_m = np.matmul(places_m - self._centres_m[:, None], self._axes)
        self._local_m: Array = np.ascontiguousarray(np.moveaxis(local_m, 2, 0))
        self._possible = np.ones(len(places_m), bool)
        if scene.up is not None:
            self._possible &= places_m[:, 2] >= 0.0
        self._round_corners = self._within_walls(None if scene.room is None else scene.room.polygon_m)

    def reached(self, eye_m: Array) -> Flags:
        """Return which of the places an eye, shape (3,), sees, shape (N,)."""
        seen = self._possible & ~self._blocked(eye_m)
        if self._round_corners is not None and seen.any():
            seen[seen] = _covered(self._round_corners, eye_m, self._places_m[seen])
        return seen

    def _within_walls(self, polygon_m: Array | None) -> "BaseGeometry | None":
        """Leave out places in the wall; return the room where walls may stand between two places in it."""
        import shapely

        room = outline(polygon_m)
        if room is None:
            return None
        near = shapely.buffer(room, OUTLINE_M)
        shapely.prepare(near)
        self._possible &= shapely.contains_xy(near, self._places_m[:, 0], self._places_m[:, 1])
        return near if room.area < CONVEX_SHARE * room.convex_hull.area else None

    def _blocked(self, eye_m: Array) -> Flags:
        """Return to which places the way goes through a box, or ends in one."""
        if not len(self._centres_m):
            return np.zeros(len(self._places_m), bool)
        start_m = np.matmul((eye_m - self._centres_m)[:, None], self._axes)[:, 0].T[:, :, None]
        way_m = self._local_m - start_m
        way_m[np.abs(way_m) < NO_WAY_M] = NO_WAY_M
        one, other = (-self._half_m - start_m) / way_m, (self._half_m - start_m) / way_m
        enters, leaves = np.minimum(one, other).max(axis=0), np.maximum(one, other).min(axis=0)
        hit: Flags = ((enters <= leaves) & (leaves > 0.0) & (enters < 1.0)).any(axis=0)
        return hit


def _covered(room: "BaseGeometry", eye_m: Array, places_m: Array) -> Flags:
    import shapely

    ends_m = np.stack([np.broadcast_to(eye_m[:2], (len(places_m), 2)), places_m[:, :2]], axis=1)
    return np.asarray(shapely.covers(room, shapely.linestrings(ends_m)), bool)
