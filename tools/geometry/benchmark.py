"""VSI-Bench's own operators, to the letter; nothing else may use them for anything else.

Source: the released generator of the VSI-Bench questions (VLM-3R data pipeline) and the benchmark's
metadata. Lengths in here are absolute: 5 cm grids, 10 cm and 1 cm rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.geometry.direction import Sector, quadrants, sectors_2, signed_angle_deg, vsi_three
from spatial_agent.tools.geometry.distance import distances_to_box, distances_to_point
from spatial_agent.tools.geometry.order import first_appearance_order
from spatial_agent.tools.geometry.room import ALPHA_PER_M, SAMPLES, alpha_shape, sample_points
from spatial_agent.tools.geometry.route import route_turns
from spatial_agent.tools.scene import OrientedBox

Array = NDArray[np.float64]
Difficulty = Literal["easy", "medium", "hard"]

_SECTORS: Mapping[str, Callable[[float], Sector]] = {
    "easy": sectors_2,
    "medium": vsi_three,
    "hard": quadrants,
}


#: The grid the benchmark lays over a box, metres.
SPACING_M = 0.05
#: A box too flat for the crop to leave anything at any of these halvings is not cropped.
HALVINGS = 6
#: More than rounding can move a point of a room, metres.
ROUNDING_M = 1e-9


def vsi_surface_samples(box: OrientedBox) -> Array:
    """Return the points by which the benchmark stands for a box, shape (N, 3), metres.

    Per axis ``linspace(-e/2, e/2, ceil(e/0.05))``; points more than a quarter edge out in some axis
    are kept, turned into the world and cropped to the box; where nothing is left, the step is halved.

    The crop removes those points of the faces that rounding has moved out by a hair, a third of all
    points, and so decides many a tenth of a metre. The sums are therefore taken in the benchmark's
    order (numpy's, then Open3D's).

    Raises:
        InvalidValueError: If the box has no extent at all.
    """
    if box.extent_m.max() == 0.0:
        raise InvalidValueError("vsi_surface_samples: expected a box with an extent, got a point")
    for halving in range(HALVINGS):
        outer_m = _outer_grid_m(box, SPACING_M / 2**halving)
        samples_m: Array = outer_m[_survives_crop(box, outer_m)]
        if len(samples_m):
            return samples_m
    return _outer_grid_m(box, SPACING_M)


def _outer_grid_m(box: OrientedBox, spacing_m: float) -> Array:
    axes_m = [np.linspace(-e / 2, e / 2, max(1, ceil(e / spacing_m))) for e in box.extent_m]
    grid_m = np.vstack([steps_m.ravel() for steps_m in np.meshgrid(*axes_m)]).T
    outer_m = grid_m[~_all_within(grid_m, box.extent_m / 4)]
    world_m: Array = np.dot(outer_m, box.world_from_box.T) + box.centre_m
    return world_m


def _survives_crop(box: OrientedBox, xyz_m: Array) -> NDArray[np.bool_]:
    x, y, z = (xyz_m - box.centre_m).T
    axes = box.world_from_box
    local_m = np.column_stack([x * axes[0, k] + y * axes[1, k] + z * axes[2, k] for k in range(3)])
    return _all_within(local_m, box.extent_m / 2)


def _all_within(xyz_m: Array, half_m: Array) -> NDArray[np.bool_]:
    # Column by column: numpy is many times slower at reducing rows of three.
    x, y, z = np.abs(xyz_m).T
    within: NDArray[np.bool_] = (x <= half_m[0]) & (y <= half_m[1]) & (z <= half_m[2])
    return within


def vsi_distance(a: Sequence[OrientedBox], b: Sequence[OrientedBox]) -> float:
    """Return the benchmark's distance between two categories, metres, not rounded.

    The smallest distance between surface samples of any instance of one and any of the other.

    Raises:
        InvalidValueError: If a category has no instance.
    """
    if not a or not b:
        raise InvalidValueError("vsi_distance: expected at least one box of each category")
    return min(_sampled_distance_m(one, other) for one, other in product(a, b))


def _sampled_distance_m(a: OrientedBox, b: OrientedBox) -> float:
    """Return the smallest distance between the samples of two boxes, without comparing them all."""
    from scipy.spatial import KDTree

    a_m, b_m = vsi_surface_samples(a), vsi_surface_samples(b)
    # No sample can be nearer than the solid it comes from, so few of them can matter.
    a_least_m, b_least_m = distances_to_box(b, a_m), distances_to_box(a, b_m)
    bound_m = float(distances_to_point(a_m[a_least_m.argmin()], b_m).min()) + ROUNDING_M
    near_a_m, near_b_m = a_m[a_least_m <= bound_m], b_m[b_least_m <= bound_m]
    return float(np.min(KDTree(near_b_m).query(near_a_m)[0]))


def round_metres(distance_m: float) -> float:
    """Round a distance as the benchmark does, to 0.1 m."""
    return round(distance_m, 1)


def vsi_size_cm(box: OrientedBox) -> int:
    """Return the benchmark's size of an object: its longest edge in whole centimetres."""
    return round(float(box.extent_m.max()) * 100)


def vsi_room_area(points_m: Array, seed: int = 0) -> float:
    """Return the benchmark's room size, square metres, not rounded.

    The area of the alpha shape (alpha 5) of 10 000 points drawn with replacement, all pieces
    together, holes filled.

    Args:
        points_m: The whole scene, shape (N, 2) or (N, 3), metres.
        seed: Seed of the draw.
    """
    return float(alpha_shape(sample_points(points_m[:, :2], SAMPLES, seed), ALPHA_PER_M).area)


def round_square_metres(area_m2: float) -> float:
    """Round an area as the benchmark does, to 0.1 square metres."""
    return round(area_m2, 1)


def vsi_relative_direction(
    positioning: OrientedBox, orienting: OrientedBox, querying: OrientedBox, difficulty: Difficulty
) -> Sector:
    """Return where the querying object is for someone at the positioning object who faces the orienting one.

    Args:
        positioning: Where the observer stands.
        orienting: What the observer faces.
        querying: What is asked about.
        difficulty: ``"easy"`` left or right, ``"medium"`` left, right or back, ``"hard"`` quadrants.

    Raises:
        InvalidValueError: If there is no such difficulty.
        ViewpointError: If two centres coincide on the floor plan.
    """
    if difficulty not in _SECTORS:
        raise InvalidValueError(f"unknown difficulty {difficulty!r}; expected one of {', '.join(_SECTORS)}")
    centres_xy = (box.centre_m[:2] for box in (positioning, orienting, querying))
    return _SECTORS[difficulty](signed_angle_deg(*centres_xy))


@dataclass(frozen=True)
class Ranking:
    """Categories by their distance to one thing.

    Attributes:
        distances_m: Category and distance, metres, nearest first.
    """

    distances_m: tuple[tuple[str, float], ...]

    @property
    def nearest(self) -> str:
        """The nearest category."""
        return self.distances_m[0][0]

    @property
    def lead_m(self) -> float | None:
        """How much farther the second is, metres; None where there is no second."""
        return self.distances_m[1][1] - self.distances_m[0][1] if len(self.distances_m) > 1 else None


def vsi_nearest(target: Sequence[OrientedBox], candidates: Mapping[str, Sequence[OrientedBox]]) -> Ranking:
    """Rank categories by the benchmark's distance to a target category, each by its closest instance.

    Raises:
        InvalidValueError: If there are no candidates, or a category has no instance.
    """
    if not candidates:
        raise InvalidValueError("vsi_nearest: expected at least one candidate")
    distances_m = {name: vsi_distance(boxes, target) for name, boxes in candidates.items()}
    return Ranking(tuple(sorted(distances_m.items(), key=lambda entry: entry[1])))


def vsi_appearance_order(first_seen_s: Mapping[str, float | None]) -> tuple[str, ...]:
    """Return the benchmark's order of first appearance.

    The benchmark sorts whole seconds and asks only where they all differ by more than one; sorting
    exact times gives that same order and still has one where our times are closer.

    Raises:
        InvalidValueError: If something was never seen, or two were first seen at the same time.
    """
    return first_appearance_order(first_seen_s)


def vsi_route(
    start_xy: ArrayLike, faced_xy: ArrayLike, stops_xy: Sequence[ArrayLike], *, turns_first: bool
) -> tuple[Sector, ...]:
    """Return the turns a benchmark route leaves to be filled in: left, right or back.

    Args:
        start_xy: Where the robot begins, shape (2,), metres.
        faced_xy: What it faces there, shape (2,), metres.
        stops_xy: Where each "go forward until" ends, in order.
        turns_first: Whether the first action is a turn; else the robot walks to the first stop.

    Raises:
        InvalidValueError: If there is no turn to fill in.
        ViewpointError: If two places in a row coincide.
    """
    start, faced = np.asarray(start_xy, dtype=np.float64), np.asarray(faced_xy, dtype=np.float64)
    # Facing a thing is like having come from its reflection through where one stands.
    lead_in = [2 * start - faced] if turns_first else []
    return route_turns([*lead_in, start, *stops_xy])
