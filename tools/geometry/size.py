"""Sizes of boxes."""

from typing import Literal, get_args

import numpy as np

from spatial_agent.tools.errors import InvalidValueError, ViewpointError
from spatial_agent.tools.scene import OrientedBox

Dimension = Literal["longest", "height", "width", "length", "depth"]


def size_of(box: OrientedBox, dimension: Dimension) -> float:
    """Return one edge of a box, metres.

    Args:
        box: Any box for ``"longest"``; an upright one for everything else.
        dimension: ``"longest"`` edge; ``"height"``, the vertical edge; ``"width"`` or ``"length"``,
            the longer horizontal edge; ``"depth"``, the shorter one.

    Raises:
        InvalidValueError: If there is no such dimension.
        ViewpointError: If the box is tilted, so that no edge is its height.

    >>> size_of(OrientedBox.upright([0, 0, 0], [0.4, 1.8, 0.7]), "width")
    1.8
    """
    if dimension not in get_args(Dimension):
        raise InvalidValueError(
            f"unknown dimension {dimension!r}; expected one of {', '.join(get_args(Dimension))}"
        )
    if dimension == "longest":
        return float(box.extent_m.max())
    vertical = box.upright_axis
    if vertical is None:
        tilt_deg = np.degrees(np.arccos(min(1.0, float(np.abs(box.world_from_box[2]).max()))))
        raise ViewpointError(
            f"{dimension} needs an upright box, but no edge of this one is vertical "
            f"(off by {tilt_deg:.1f} degrees); ask for its longest edge"
        )
    if dimension == "height":
        return float(box.extent_m[vertical])
    horizontal_m = np.delete(box.extent_m, vertical)
    return float(horizontal_m.min() if dimension == "depth" else horizontal_m.max())
