"""Above, below, on: relations along gravity, which need no viewpoint besides knowing up."""

from dataclasses import dataclass

import numpy as np

from spatial_agent.tools.scene import OrientedBox

#: How much of the lower of two heights may overlap for one thing still to be above the other.
ABOVE_OVERLAP = 0.1
#: How far the underside of a thing may be from the top of what it stands on, metres.
CONTACT_M = 0.1


@dataclass(frozen=True)
class VerticalRelation:
    """How one thing stands to another along gravity.

    Attributes:
        name: ``"above"``, ``"below"``, or ``"level"`` where their heights overlap by more than a
            tenth of the lower one.
        clearance_m: The vertical gap between them, metres; negative where they overlap.
        rise_m: How much higher the centre is than the other's, metres.
    """

    name: str
    clearance_m: float
    rise_m: float


def vertical_relation(box: OrientedBox, other: OrientedBox) -> VerticalRelation:
    """Say whether a box is above or below another, wherever they are on the floor plan."""
    z_m, other_z_m = box.corners_m[:, 2], other.corners_m[:, 2]
    rise_m = float(box.centre_m[2] - other.centre_m[2])
    clearance_m = float(max(z_m.min() - other_z_m.max(), other_z_m.min() - z_m.max()))
    lower_height_m = float(min(np.ptp(z_m), np.ptp(other_z_m)))
    apart = clearance_m >= -ABOVE_OVERLAP * lower_height_m and rise_m != 0.0
    name = ("above" if rise_m > 0 else "below") if apart else "level"
    return VerticalRelation(name, clearance_m, rise_m)


def is_over(upper: OrientedBox, lower: OrientedBox) -> bool:
    """Return whether a box is above another one and its centre over the other's footprint."""
    over_m = upper.centre_m.copy()
    over_m[2] = lower.centre_m[2]
    return bool(lower.contains(over_m[None])[0]) and _gap_m(upper, lower) >= -CONTACT_M


def rests_on(upper: OrientedBox, lower: OrientedBox) -> bool:
    """Return whether a box stands on another one: over it, and in contact."""
    return is_over(upper, lower) and _gap_m(upper, lower) <= CONTACT_M


def _gap_m(upper: OrientedBox, lower: OrientedBox) -> float:
    return float(upper.corners_m[:, 2].min() - lower.corners_m[:, 2].max())
