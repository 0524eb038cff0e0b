"""Where somebody with a camera can stand and walk: the floor of a room without its furniture."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ViewpointError
from spatial_agent.tools.geometry.boxes import footprint
from spatial_agent.tools.scene import SceneMap

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Array = NDArray[np.float64]

#: Whoever holds the camera keeps this far from walls and furniture, metres.
CLEAR_M = 0.25
#: What is lower is stepped over, what begins this far above the eye is walked under, metres.
STEP_OVER_M, OVERHEAD_M = 0.10, 0.15
#: About this many places are tried at first, and places this far apart round the best ones, metres.
FIRST_PLACES, FINE_M = 600, 0.05
#: A camera stood where floor this near to it is free, metres.
NEAR_CAMERA_M = 0.6


class FreeFloor:
    """Where somebody with a camera can stand: free floor inside the room, reached from where cameras were."""

    def __init__(self, scene: SceneMap, eye_height_m: float) -> None:
        """Find the free floor.

        Raises:
            ViewpointError: If up is unknown, or nothing is free.
            ScaleError: If the scale is only relative.
            InvalidValueError: If the room has no outline.
        """
        scene.require_metric("a next view")
        scene.require_up("a next view")
        room = None if scene.room is None else outline(scene.room.polygon_m)
        if room is None:
            raise InvalidValueError(
                "a next view needs the outline of the room, to know where one can stand; "
                "it is found where frames show the floor and the walls"
            )
        self.eye_height_m = eye_height_m
        self._free = self._reached(self._without_furniture(room, scene), scene)

    def _without_furniture(self, room: "BaseGeometry", scene: SceneMap) -> "BaseGeometry":
        import shapely

        taken = []
        for item in scene.objects:
            heights_m = item.box.corners_m[:, 2]
            below_eye = heights_m.min() < self.eye_height_m + OVERHEAD_M
            if below_eye and heights_m.max() > STEP_OVER_M:
                taken.append(shapely.buffer(footprint(item.box), CLEAR_M))
        free: BaseGeometry = shapely.buffer(room, -CLEAR_M).difference(shapely.union_all(taken))
        return free

    def _reached(self, free: "BaseGeometry", scene: SceneMap) -> "BaseGeometry":
        """Return the parts of free floor where cameras stood; the largest where none is known to."""
        import shapely

        parts = [part for part in shapely.get_parts(free) if part.area > 0.0]
        if not parts:
            raise ViewpointError(
                f"there is no free floor to stand on with {CLEAR_M} m to walls and furniture"
            )
        stood_m = [shapely.Point(camera.pose.position_m[:2]) for camera in scene.cameras]
        reached = [part for part in parts if any(part.distance(at) <= NEAR_CAMERA_M for at in stood_m)]
        joined: BaseGeometry = shapely.union_all(reached or [max(parts, key=lambda part: part.area)])
        shapely.prepare(joined)
        return joined

    @property
    def coarse_m(self) -> float:
        """How far apart places are tried at first, metres."""
        return max(FINE_M, float(np.sqrt(self._free.area / FIRST_PLACES)))

    def places_m(self, step_m: float) -> Array:
        """Return eyes over the free floor on a grid, shape (N, 3)."""
        low_x, low_y, high_x, high_y = self._free.bounds
        xs, ys = (
            np.arange(low + step_m / 2, high, step_m) if high - low > step_m else np.array([(low + high) / 2])
            for low, high in ((low_x, high_x), (low_y, high_y))
        )
        return self._free_of(np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2))

    def round_m(self, eye_m: Array) -> Array:
        """Return eyes near one, shape (N, 3)."""
        offsets = np.arange(-self.coarse_m / 2, self.coarse_m / 2 + FINE_M / 2, FINE_M)
        return self._free_of(eye_m[:2] + np.stack(np.meshgrid(offsets, offsets), axis=-1).reshape(-1, 2))

    def has(self, xy_m: Array) -> bool:
        """Return whether a place on the floor, shape (2,), is free and can be reached."""
        return bool(len(self._free_of(np.asarray(xy_m, float)[None])))

    def _free_of(self, xy_m: Array) -> Array:
        import shapely

        kept = xy_m[shapely.contains_xy(self._free, xy_m[:, 0], xy_m[:, 1])]
        return np.column_stack([kept, np.full(len(kept), self.eye_height_m)])


def outline(polygon_m: Array | None) -> "BaseGeometry | None":
    """Return the outline of a room as a valid polygon, or None where there is none."""
    import shapely

    if polygon_m is None or len(polygon_m) < 3:
        return None
    polygon: BaseGeometry = shapely.make_valid(shapely.Polygon(polygon_m))
    return polygon if polygon.area > 0.0 else None
