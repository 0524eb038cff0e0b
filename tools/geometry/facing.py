"""Which way a thing with a back-rest faces, from the points of its surface alone.

What people sit or lie on faces away from its back-rest: the part that rises above the seat at one end.
The upper part of the thing is looked at from above, as the cells of the floor plan it covers. Where they
lie to one side of the middle is the back; a stripe of them (a chair's back, a headboard) also gives the
direction, square to it; arms as high as the back make a U, and its axis of symmetry decides. A table, a
stool or a box has as much above on one side as on the other and is refused, and so is a back-rest with
nothing seen in front of it, whose front and back look alike.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.scene import OrientedBox

Array = NDArray[np.float64]
Cells = NDArray[np.int64]

#: Fewer surface points than this have no shape.
LEAST_POINTS = 60
#: The upper part begins at this share of the height; arms of sofas and chairs mostly end below it.
UPPER_SHARE = 0.78
#: Cells of the floor plan, share of the longer edge, and at least metres.
CELL_SHARE, LEAST_CELL_M = 0.05, 0.02
#: The middle of the upper part lies at least this far off, in half edges of the box.
LEAST_OFF_CENTRE = 0.15
#: Off along the other axis at most this much as far: a corner sofa faces two ways.
MOST_ASIDE = 0.5
#: A stripe is this many times as long as thick, and as long as this share of the edge it runs along.
STRIPE_RATIO, STRIPE_LENGTH = 2.5, 0.5
#: In front of the back-rest this share of the footprint is covered by something lower.
LEAST_IN_FRONT = 0.3
#: Mirrored across its middle plane, at least this share of the upper part falls on itself.
LEAST_SYMMETRY = 0.4
#: Standard deviations: of what the direction of any stripe or box is worth, of the thickness of a stripe
#: end, and their 90 % factor.
LEAST_STD_DEG, Z90 = 2.0, 1.645


@dataclass(frozen=True, eq=False)
class Facing:
    """Which way a thing faces.

    Attributes:
        direction: Unit, horizontal, shape (3,).
        margin_deg: Half-width of the 90 % interval of its direction, where the side is right.
        off_centre: How far the upper part lies from the middle, in half edges, 0 to 1: how sure the side is.
        symmetry: Share of the upper part that falls on itself when mirrored across the middle plane.
        how: What decided: ``"back-rest"`` or ``"symmetry"``.
    """

    direction: Array
    margin_deg: float
    off_centre: float
    symmetry: float
    how: str

    @property
    def std_rad(self) -> float:
        """Standard deviation of its direction, radians."""
        return float(np.radians(self.margin_deg / Z90))

    @property
    def yaw_deg(self) -> float:
        """Its direction, degrees counter-clockwise from +x seen from above, in (-180, 180]."""
        return float(np.degrees(np.arctan2(self.direction[1], self.direction[0])))


def facing_from_back_rest(xyz_m: Array, box: OrientedBox) -> Facing:
    """Find the front of a thing that has a back-rest.

    Args:
        xyz_m: Points of its surface, shape (N, 3), metres, +Z up.
        box: Its upright box.

    Raises:
        ViewpointError: If its front is undefined or cannot be told; the message says why.
    """
    upright = box.upright_axis
    if upright is None:
        raise ViewpointError("its box is tilted, so it has no upper part")
    if len(xyz_m) < LEAST_POINTS:
        raise ViewpointError(f"only {len(xyz_m)} points of it were seen; a shape needs {LEAST_POINTS}")
    level = [axis for axis in range(3) if axis != upright]
    axes = box.world_from_box[:2, level]
    half_m = np.maximum(box.extent_m[level] / 2, 1e-3)
    low_m = box.centre_m[2] - box.extent_m[upright] / 2
    plan_m, share = xyz_m[:, :2] - box.centre_m[:2], (xyz_m[:, 2] - low_m) / max(box.extent_m[upright], 1e-3)
    cell_m = max(LEAST_CELL_M, CELL_SHARE * 2 * float(half_m.max()))
    upper = _cells(plan_m[share >= UPPER_SHARE] @ axes, cell_m)
    lower = _cells(plan_m[share < UPPER_SHARE] @ axes, cell_m)
    if not len(upper):
        raise ViewpointError("nothing of its upper part was seen")
    off = upper.mean(axis=0) * cell_m / half_m
    axis = int(np.abs(off).argmax())
    _check_side(off, axis)
    forward = np.eye(2)[axis] * -np.sign(off[axis])
    _check_front(lower, upper, forward, half_m, cell_m)
    return _direction(cell_m * upper.astype(np.float64), forward, axes, half_m, cell_m, float(abs(off[axis])))


def _check_side(off: Array, axis: int) -> None:
    """Refuse what has its upper part in the middle, or off to two sides at once."""
    if abs(off[axis]) < LEAST_OFF_CENTRE:
        raise ViewpointError(
            "no back-rest: its upper part is over the middle, so front and back cannot be told apart"
        )
    if abs(off[1 - axis]) > MOST_ASIDE * abs(off[axis]):
        raise ViewpointError("its upper part runs round a corner, so it may face either way")


def _check_front(lower: Cells, upper: Cells, forward: Array, half_m: Array, cell_m: float) -> None:
    """Refuse a back-rest with nothing in front of it, between arms or free: a panel has two equal sides."""
    depth_m, half_width_m = abs(float(half_m @ forward)), abs(float(half_m @ forward[::-1]))
    back = float((upper @ forward).mean())
    ahead = {tuple(cell) for cell in lower[lower @ forward > back].tolist()}
    above = {tuple(cell) for cell in upper[upper @ forward > back].tolist()}
    open_m2 = (depth_m - back * cell_m) * 2 * half_width_m - len(above) * cell_m**2
    seen_m2 = len(ahead - above) * cell_m**2
    if depth_m < 1.5 * cell_m or seen_m2 < LEAST_IN_FRONT * max(open_m2, 0.0) or not seen_m2:
        raise ViewpointError("nothing was seen in front of its back-rest, so it may face either way")


def _direction(
    upper_m: Array, forward: Array, axes: Array, half_m: Array, cell_m: float, off_centre: float
) -> Facing:
    across = np.array([-forward[1], forward[0]])
    middle_m = upper_m.mean(axis=0)
    symmetry = _symmetry(upper_m, across, cell_m)
    spread, directions = np.linalg.eigh(np.cov((upper_m - middle_m).T) if len(upper_m) > 1 else np.eye(2))
    length_m, thick_m = np.sqrt(12 * np.maximum(spread[::-1], 0.0))
    is_stripe = length_m >= STRIPE_RATIO * max(thick_m, cell_m / 2)
    runs_across = abs(directions[:, 0] @ forward) > 0.8
    if is_stripe and runs_across and length_m >= STRIPE_LENGTH * 2 * abs(half_m @ np.abs(across)):
        normal = directions[:, 0] * np.sign(directions[:, 0] @ forward)
        std_deg = float(np.degrees(max(thick_m, cell_m) / length_m / np.sqrt(len(upper_m))))
        return _facing(axes @ normal, np.hypot(std_deg, LEAST_STD_DEG), off_centre, symmetry, "back-rest")
    if symmetry < LEAST_SYMMETRY:
        raise ViewpointError("its upper part is neither a back-rest nor symmetric, so it may face any way")
    std_deg = float(np.degrees(cell_m / (2 * np.hypot(*half_m))))
    return _facing(axes @ forward, np.hypot(std_deg, LEAST_STD_DEG), off_centre, symmetry, "symmetry")


def _facing(plan: Array, std_deg: float, off_centre: float, symmetry: float, how: str) -> Facing:
    direction = np.array([*plan, 0.0]) / np.linalg.norm(plan)
    return Facing(direction, float(Z90 * std_deg), off_centre, symmetry, how)


def _symmetry(cells_m: Array, across: Array, cell_m: float) -> float:
    """Return the share of cells that have a counterpart, within one cell, across their own middle plane."""
    from scipy.spatial import cKDTree

    offsets_m = cells_m @ across
    middle_m = (offsets_m.min() + offsets_m.max()) / 2
    mirrored_m = cells_m - 2 * (offsets_m - middle_m)[:, None] * across
    gap_m = cKDTree(cells_m).query(mirrored_m)[0]
    return float(np.mean(gap_m <= 1.5 * cell_m))


def _cells(plan_m: Array, cell_m: float) -> Cells:
    """Return the cells of the floor plan that points cover, about the middle of the box, shape (M, 2)."""
    return np.unique(np.rint(plan_m / cell_m).astype(np.int64), axis=0)
