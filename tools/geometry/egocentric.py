"""Where everything is for one viewpoint: sideways angle, how far ahead and how far to the left, with margins.

Angles are those of `measure_direction` and its like. Here many things are measured from one place, so what
the error model says of a box is asked once for each box, and the two legs of the way come with the angle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.geometry.direction import LEAST_HORIZONTAL, SAME_PLACE_M, angle_between_headings_deg
from spatial_agent.tools.geometry.intervals import (
    Z90,
    SurfaceError,
    combined_std,
    is_measured,
    margin_90,
    surface_error,
)
from spatial_agent.tools.geometry.measuring import corrected_box
from spatial_agent.tools.scene import CameraPose, Measurement, OrientedBox, SceneMap, SceneObject

Array = NDArray[np.float64]
#: How a number changes with the centre of each object on the floor plan, shape (2,), by its id.
Pulls = Mapping[str, Array]

HOW = "between box centres on the floor plan"
AHEAD: Array = np.array([1.0, 0.0])


@dataclass(frozen=True)
class Place:
    """Where a thing is on the floor plan, in the terms of whoever looks.

    Attributes:
        object_id: The thing.
        bearing: Signed degrees, left positive; None where it is right above or below, within 1 cm.
        forward: How far ahead, metres, negative behind; None in a scene without metres.
        left: How far to the left, metres, negative to the right; None in a scene without metres.
    """

    object_id: str
    bearing: Measurement | None
    forward: Measurement | None
    left: Measurement | None


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """Whose left and whose ahead.

    Attributes:
        at_m: Where they stand, shape (2,).
        ahead: Unit direction they face, shape (2,).
        at: The object they are at, whose error is theirs; None for a camera.
        faced: The object faced, which turns them if it is elsewhere; None where nothing is.
        faced_m: How far away it is; negative where they have their back to it.
        facing_error_rad: Standard deviation of a direction that was measured by itself.
    """

    at_m: Array
    ahead: Array
    at: SceneObject | None = None
    faced: SceneObject | None = None
    faced_m: float = 1.0
    facing_error_rad: float = 0.0


def observer_viewpoint(
    scene: SceneMap, at: SceneObject, facing: SceneObject, *, away: bool = False
) -> Viewpoint:
    """Return the viewpoint of somebody at one object's centre who faces another's.

    Args:
        scene: The scene.
        at: Where they stand.
        facing: What they face.
        away: Whether they have their back to it.

    Raises:
        ViewpointError: If up is unknown, or the two are above each other.
    """
    scene.require_up("left and right")
    start, end = (corrected_box(scene, item).centre_m[:2] for item in (at, facing))
    gap_m = float(np.hypot(*(end - start)))
    if gap_m < SAME_PLACE_M:
        raise ViewpointError(
            f"no direction: {at.id} and {facing.id} are within 1 cm of each other on the floor plan"
        )
    signed_m = -gap_m if away else gap_m
    return Viewpoint(start, (end - start) / signed_m, at, facing, signed_m)


def camera_viewpoint(scene: SceneMap, pose: CameraPose) -> Viewpoint:
    """Return the viewpoint of somebody who holds a camera level.

    Raises:
        ViewpointError: If up is unknown, or the camera looks within 5 degrees of straight up or down.
    """
    scene.require_up("left and right")
    return Viewpoint(pose.position_m[:2], _level("the camera", pose.forward))


def own_viewpoint(scene: SceneMap, owner: SceneObject) -> Viewpoint:
    """Return the viewpoint of an object's occupant.

    Raises:
        ViewpointError: If up is unknown, or the object has no front, or one within 5 degrees of vertical.
    """
    scene.require_up("left and right")
    if owner.facing is None:
        raise ViewpointError(f"{owner.id} has no known front, so it has no left of its own")
    ahead = _level(f"the front of {owner.id}", owner.facing)
    at_m = corrected_box(scene, owner).centre_m[:2]
    return Viewpoint(at_m, ahead, owner, facing_error_rad=owner.facing_error_rad)


def measure_places(
    scene: SceneMap, viewpoint: Viewpoint, targets: Sequence[SceneObject]
) -> tuple[Place, ...]:
    """Measure where things are for a viewpoint.

    Args:
        scene: The scene.
        viewpoint: Whose left and whose ahead.
        targets: The things.
    """
    return Survey(scene, viewpoint).places(targets)


class Survey:
    """What is measured from one viewpoint: each thing once, with the errors of each box looked up once."""

    def __init__(self, scene: SceneMap, viewpoint: Viewpoint) -> None:
        """Measure nothing yet; see `measure_places`."""
        self._scene = scene
        self._view = viewpoint
        self._known = {item.id: item for item in (viewpoint.at, viewpoint.faced) if item is not None}
        self._boxes: dict[str, OrientedBox] = {}
        self._errors: dict[str, list[tuple[Array, SurfaceError, SurfaceError]]] = {}
        self._places: dict[str, Place] = {}

    def places(self, targets: Sequence[SceneObject]) -> tuple[Place, ...]:
        """Return where things of the scene are."""
        for item in targets:
            if item.id not in self._places:
                self._places[item.id] = self._place(item)
        return tuple(self._places[item.id] for item in targets)

    def _place(self, item: SceneObject) -> Place:
        view = self._view
        self._known[item.id] = item
        way_m = self._box(item.id).centre_m[:2] - view.at_m
        aside = np.array([-view.ahead[1], view.ahead[0]])
        forward, left = float(way_m @ view.ahead), float(way_m @ aside)
        # Turning a little to the left adds to the way ahead what lies left, and takes it from the other leg.
        forward_pulls = self._pulls(item, view.ahead, left)
        left_pulls = self._pulls(item, aside, -forward)
        return Place(
            item.id,
            self._bearing(item, forward, left, forward_pulls, left_pulls),
            self._leg(forward, forward_pulls, abs(left)),
            self._leg(left, left_pulls, abs(forward)),
        )

    def _pulls(self, item: SceneObject, axis: Array, per_turn: float) -> dict[str, Array]:
        """Return the gradient of a leg along an axis that changes by so much for each radian turned."""
        view = self._view
        pulls = {item.id: axis}
        if view.at is not None:
            pulls[view.at.id] = pulls.get(view.at.id, np.zeros(2)) - axis
        if view.at is not None and view.faced is not None:
            turn = per_turn / view.faced_m * np.array([-view.ahead[1], view.ahead[0]])
            pulls[view.at.id] = pulls[view.at.id] - turn
            pulls[view.faced.id] = pulls.get(view.faced.id, np.zeros(2)) + turn
        return pulls

    def _leg(self, value: float, pulls: Pulls, per_rad: float) -> Measurement | None:
        """Return one leg with its interval, which may reach to the other side of the viewpoint."""
        if self._scene.scale != "metric":
            return None
        if self._is_exact(pulls):
            return Measurement.given(value, "m", HOW)
        half = Z90 * float(np.hypot(self._std(pulls), per_rad * self._view.facing_error_rad))
        return Measurement(value, "m", value - half, value + half, HOW)

    def _bearing(
        self, item: SceneObject, forward: float, left: float, forward_pulls: Pulls, left_pulls: Pulls
    ) -> Measurement | None:
        range_2 = forward**2 + left**2
        if range_2 < SAME_PLACE_M**2:
            return None
        angle_deg = angle_between_headings_deg(AHEAD, (forward, left))
        pulls = {
            name: (forward * left_pulls[name] - left * forward_pulls[name]) / range_2
            for name in forward_pulls
        }
        if self._is_exact(pulls):
            return Measurement.given(angle_deg, "deg", "from box centres")
        std_rad = float(np.hypot(self._std(pulls), self._view.facing_error_rad))
        return margin_90(angle_deg, min(float(np.degrees(std_rad)), 180.0), "deg", "from box centres")

    def _is_exact(self, pulls: Pulls) -> bool:
        measured = any(is_measured(self._known[name]) for name in pulls)
        return not measured and not self._view.facing_error_rad

    def _std(self, pulls: Pulls) -> float:
        errors: list[SurfaceError] = []
        weights: list[float] = []
        for name, pull in pulls.items():
            for axis, low, high in self._ends(name):
                # A centre is the mean of both ends; the near one is measured along the negative axis.
                half = float(axis @ pull) / 2
                errors += [low, high]
                weights += [-half, half]
        return combined_std(self._scene, errors, weights)

    def _ends(self, name: str) -> list[tuple[Array, SurfaceError, SurfaceError]]:
        """Return, for each axis of a box, its part on the floor plan and the errors of both its ends."""
        if name not in self._errors:
            item, box = self._known[name], self._box(name)
            self._errors[name] = [
                (
                    axis[:2],
                    surface_error(self._scene, item, box.centre_m - axis * edge_m / 2, -axis),
                    surface_error(self._scene, item, box.centre_m + axis * edge_m / 2, axis),
                )
                for axis, edge_m in zip(box.world_from_box.T, box.extent_m, strict=True)
            ]
        return self._errors[name]

    def _box(self, name: str) -> OrientedBox:
        if name not in self._boxes:
            self._boxes[name] = corrected_box(self._scene, self._known[name])
        return self._boxes[name]


def _level(who: str, forward: Array) -> Array:
    length = float(np.hypot(forward[0], forward[1]))
    if length < LEAST_HORIZONTAL:
        raise ViewpointError(f"{who} points within 5 degrees of vertical, so it has no left and right")
    level: Array = forward[:2] / length
    return level
