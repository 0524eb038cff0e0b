"""Regions on the command line: ``FRAME:x,y`` is a point, ``FRAME:left,top,right,bottom`` a box, in pixels."""

from typing import TYPE_CHECKING

from spatial_agent.tools.errors import InvalidValueError

if TYPE_CHECKING:
    from spatial_agent.agent.regions import Region


def read_region(text: str) -> "Region":
    """Return the region that a text names.

    Raises:
        InvalidValueError: If it names none.
    """
    from spatial_agent.agent.regions import Region

    frame, _, places = text.partition(":")
    try:
        at_px = tuple(float(place) for place in places.split(","))
        number = int(frame)
    except ValueError:
        at_px, number = (), 0
    if len(at_px) == 2:
        return Region(number, point_px=(at_px[0], at_px[1]))
    if len(at_px) == 4:
        return Region(number, xyxy_px=(at_px[0], at_px[1], at_px[2], at_px[3]))
    raise InvalidValueError(
        f"region: expected FRAME:x,y or FRAME:left,top,right,bottom in pixels, got {text!r}"
    )
