"""Directions: signed angles from a stated viewpoint, and the names people give them."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import atan2, degrees, hypot, nextafter, radians, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.scene import CameraPose, SceneObject, check_array

Array = NDArray[np.float64]

#: Two points closer than this on the floor plan have no direction between them, metres.
SAME_PLACE_M = 0.01
#: A forward direction within 5 degrees of vertical has no left and right.
LEAST_HORIZONTAL = sin(radians(5.0))


@dataclass(frozen=True)
class Sector:
    """A named direction.

    Attributes:
        name: Its name, such as ``"front-left"``.
        degrees: The signed angle it was named for, left positive, in (-180, 180].
        to_boundary_deg: How far the angle is from the nearest other name.
        runner_up: That other name.
    """

    name: str
    degrees: float
    to_boundary_deg: float
    runner_up: str


@dataclass(frozen=True)
class Division:
    """A circle cut into named sectors.

    Attributes:
        starts_deg: Where sectors begin, counter-clockwise, ascending in [0, 360).
        names: Name of the sector that begins there.
    """

    starts_deg: tuple[float, ...]
    names: tuple[str, ...]

    @classmethod
    def centred(cls, names: Sequence[str]) -> "Division":
        """Cut equal sectors, counter-clockwise, the first one centred ahead."""
        width = 360.0 / len(names)
        return cls(
            tuple(width * (index + 0.5) for index in range(len(names))),
            (*names[1:], names[0]),
        )

    def locate(self, angle_deg: float) -> Sector:
        """Return the sector of a signed angle, with its margin."""
        turn = angle_deg % 360.0
        index = bisect_right(self.starts_deg, turn) - 1
        since = (turn - self.starts_deg[index]) % 360.0
        until = (self.starts_deg[(index + 1) % len(self.names)] - turn) % 360.0
        neighbour = index - 1 if since <= until else (index + 1) % len(self.names)
        return Sector(self.names[index], angle_deg, min(since, until), self.names[neighbour])


_TWO = Division((0.0, 180.0), ("left", "right"))
# Right begins just after 225: turning exactly 135 degrees to the right is still "back".
_THREE = Division((0.0, 135.0, nextafter(225.0, 360.0)), ("left", "back", "right"))
_QUADRANTS = Division((0.0, 90.0, 180.0, 270.0), ("front-left", "back-left", "back-right", "front-right"))
_FOUR = Division.centred(("front", "left", "back", "right"))
_EIGHT = Division.centred(
    ("front", "front-left", "left", "back-left", "back", "back-right", "right", "front-right")
)
_CLOCK = Division.centred(tuple(f"{hour} o'clock" for hour in range(12, 0, -1)))


def sectors_2(angle_deg: float) -> Sector:
    """Name an angle left (0 to 180) or right."""
    return _TWO.locate(angle_deg)


def vsi_three(angle_deg: float) -> Sector:
    """Name an angle left (0 to 135), back (135 or more to either side) or right; there is no front."""
    return _THREE.locate(angle_deg)


def quadrants(angle_deg: float) -> Sector:
    """Name an angle front-left (0 to 90), back-left, back-right or front-right.

    >>> quadrants(37.7).name
    'front-left'
    """
    return _QUADRANTS.locate(angle_deg)


def four(angle_deg: float) -> Sector:
    """Name an angle front, left, back or right, each 45 degrees to either side of its axis."""
    return _FOUR.locate(angle_deg)


def eight(angle_deg: float) -> Sector:
    """Name an angle front, front-left, left and so on, each 45 degrees wide and centred."""
    return _EIGHT.locate(angle_deg)


def clock_hour(angle_deg: float) -> Sector:
    """Name an angle by the hour of a clock whose 12 is ahead, each hour 30 degrees wide.

    >>> clock_hour(-90.0).name
    "3 o'clock"
    """
    return _CLOCK.locate(angle_deg)


def angle_between_headings_deg(from_xy: ArrayLike, to_xy: ArrayLike) -> float:
    """Return the signed turn from one direction on the floor, shape (2,), to another.

    Returns:
        Degrees in (-180, 180], counter-clockwise seen from above: left positive.

    Raises:
        ShapeError: If a direction is not two finite numbers.
        ViewpointError: If a direction has no length.
    """
    (ax, ay), (bx, by) = _pair("from_xy", from_xy), _pair("to_xy", to_xy)
    if hypot(ax, ay) == 0.0 or hypot(bx, by) == 0.0:
        raise ViewpointError("no direction: a heading of length zero points nowhere")
    angle_deg = degrees(atan2(ax * by - ay * bx, ax * bx + ay * by))
    return 180.0 if angle_deg == -180.0 else angle_deg


def signed_angle_deg(observer_xy: ArrayLike, faced_xy: ArrayLike, target_xy: ArrayLike) -> float:
    """Return where a target is, for an observer at one point who faces another.

    Args:
        observer_xy: Where the observer stands on the floor plan, shape (2,), metres.
        faced_xy: The point looked at, shape (2,), metres.
        target_xy: The point asked about, shape (2,), metres.

    Returns:
        Degrees in (-180, 180], counter-clockwise seen from above: ahead 0, left positive.

    Raises:
        ShapeError: If a point is not two finite numbers.
        ViewpointError: If the observer stands within 1 cm of either point.

    >>> signed_angle_deg((0, 0), (0, 1), (-1, 0))
    90.0
    """
    observer = _pair("observer_xy", observer_xy)
    facing = _leg(observer, _pair("faced_xy", faced_xy), "the point faced")
    target = _leg(observer, _pair("target_xy", target_xy), "the point asked about")
    return angle_between_headings_deg(facing, target)


def camera_angle_deg(pose: CameraPose, point_m: ArrayLike) -> float:
    """Return where a point, shape (3,), is for someone holding the camera upright, degrees, left positive.

    The optical axis is projected on the floor, so a tilted camera has the same left and right as a
    level one.

    Raises:
        ViewpointError: If the camera looks within 5 degrees of straight up or down, or the point
            is above or below it within 1 cm.
    """
    return _angle_from_forward_deg(pose.position_m, pose.forward, point_m, "the camera")


def own_angle_deg(item: SceneObject, point_m: ArrayLike) -> float:
    """Return where a point, shape (3,), is for an occupant of the object, degrees, occupant's left positive.

    Raises:
        ViewpointError: If the object has no front, its front is within 5 degrees of vertical, or
            the point is above or below its centre within 1 cm.
    """
    if item.facing is None:
        raise ViewpointError(f"{item.id} has no known front, so it has no left of its own")
    return _angle_from_forward_deg(item.box.centre_m, item.facing, point_m, f"the front of {item.id}")


def _angle_from_forward_deg(position_m: Array, forward: Array, point_m: ArrayLike, who: str) -> float:
    if hypot(forward[0], forward[1]) < LEAST_HORIZONTAL:
        raise ViewpointError(f"{who} points within 5 degrees of vertical, so it has no left and right")
    point = check_array("point_m", point_m, (3,), np.float64)
    position = _pair("position", position_m[:2])
    return angle_between_headings_deg(forward[:2], _leg(position, _pair("point_m", point[:2]), "the point"))


def _pair(name: str, value: ArrayLike) -> tuple[float, float]:
    x, y = check_array(name, value, (2,), np.float64)
    return float(x), float(y)


def _leg(start: tuple[float, float], end: tuple[float, float], what: str) -> tuple[float, float]:
    leg = (end[0] - start[0], end[1] - start[1])
    if hypot(*leg) < SAME_PLACE_M:
        raise ViewpointError(
            f"no direction: the observer and {what} are within 1 cm of each other on the floor plan"
        )
    return leg
