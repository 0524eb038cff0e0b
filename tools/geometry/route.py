"""Turns along a route."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.geometry.direction import Sector, signed_angle_deg, vsi_three


def route_turns(points_xy: Sequence[ArrayLike]) -> tuple[Sector, ...]:
    """Name the turn at every point of a route but the first and the last.

    Args:
        points_xy: Points on the floor plan in walking order, each shape (2,), metres.

    Returns:
        One of left, right or back each, with the signed angle from the incoming to the outgoing
        heading: 135 degrees or more to either side is back, else its sign decides.

    Raises:
        InvalidValueError: If there are fewer than three points.
        ViewpointError: If two points in a row are within 1 cm of each other.

    >>> [turn.name for turn in route_turns([(0, 0), (0, 2), (2, 2), (2, 5), (2, 1)])]
    ['right', 'left', 'back']
    """
    if len(points_xy) < 3:
        raise InvalidValueError(f"a turn needs three points, got {len(points_xy)}")
    points = [np.asarray(point, dtype=np.float64) for point in points_xy]
    # Seen from the corner, the heading in is that of someone who faces the point mirrored beyond it.
    return tuple(
        vsi_three(signed_angle_deg(corner, 2 * corner - before, after))
        for before, corner, after in zip(points, points[1:], points[2:], strict=False)
    )
