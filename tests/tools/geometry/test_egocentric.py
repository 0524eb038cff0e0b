"""Places in an observer's own terms: by plain trigonometry, with margins that follow the lever rule."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.geometry.egocentric import (
    Place,
    camera_viewpoint,
    measure_places,
    observer_viewpoint,
    own_viewpoint,
)
from spatial_agent.tools.geometry.measuring import measure_direction
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    Provenance,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)

SEEN = Provenance((0,), 5000, 800, 0.01, (0.5, 0.5, 0.5, 0.5, 0.5, 0.5))
COORDINATES = st.floats(-5, 5)
POINTS = st.tuples(COORDINATES, COORDINATES)
LENS = CameraIntrinsics(300, 300, 159.5, 119.5, 320, 240)


def cube(name: str, x: float, y: float, provenance: Provenance | None = None) -> SceneObject:
    box = OrientedBox.upright(np.array([x, y, 0.5]), np.ones(3) * 0.4)
    return SceneObject(name, name, box, provenance=provenance)


def scene_of(*items: SceneObject) -> SceneMap:
    return SceneMap(items, quality=SceneQuality(0.01, 0.01, 0.0, 0.0))


def place_of(observer: SceneObject, faced: SceneObject, target: SceneObject, *, away: bool = False) -> Place:
    scene = scene_of(*{item.id: item for item in (observer, faced, target)}.values())
    return measure_places(scene, observer_viewpoint(scene, observer, faced, away=away), [target])[0]


def margins(place: Place) -> tuple[float, float, float]:
    """Return the margins of bearing, forward and left, as numbers."""
    numbers = [number and number.margin for number in (place.bearing, place.forward, place.left)]
    return tuple(float(number or 0.0) for number in numbers)  # type: ignore[return-value]


@settings(max_examples=30)
@given(POINTS, POINTS, POINTS)
def test_given_boxes_are_where_trigonometry_says(
    at: tuple[float, float], faced: tuple[float, float], sought: tuple[float, float]
) -> None:
    heading = math.atan2(faced[1] - at[1], faced[0] - at[0])
    range_m = math.dist(at, sought)
    assume(math.dist(at, faced) > 0.02 and range_m > 0.02)
    angle = math.atan2(sought[1] - at[1], sought[0] - at[0]) - heading
    place = place_of(cube("a", *at), cube("b", *faced), cube("c", *sought))

    assert place.forward is not None
    assert place.left is not None
    assert place.bearing is not None
    assert place.forward.value == pytest.approx(range_m * math.cos(angle), abs=1e-9)
    assert place.left.value == pytest.approx(range_m * math.sin(angle), abs=1e-9)
    assert math.cos(math.radians(place.bearing.value) - angle) == pytest.approx(1.0)
    assert margins(place) == (0.0, 0.0, 0.0)


def test_turning_round_changes_every_sign() -> None:
    ahead, behind = (
        place_of(cube("a", 0, 0), cube("b", 0, 2), cube("c", 1, 3), away=away) for away in (False, True)
    )

    assert (ahead.forward and ahead.forward.value, ahead.left and ahead.left.value) == (3.0, -1.0)
    assert (behind.forward and behind.forward.value, behind.left and behind.left.value) == (-3.0, 1.0)


def test_an_error_of_what_is_faced_reaches_the_target_by_the_lever_between_them() -> None:
    # Only what is faced, 2 m ahead, was measured: it swings the view, which moves targets sideways by as
    # much more as they are farther, those at the side forward and back, and nothing at the observer's feet.
    faced = cube("b", 0, 2, SEEN)
    _, _, unit = margins(place_of(cube("a", 0, 0), faced, cube("c", 0, 2)))
    _, forward, left = margins(place_of(cube("a", 0, 0), faced, cube("c", 0, 6)))
    _, forward_aside, left_aside = margins(place_of(cube("a", 0, 0), faced, cube("c", -6, 0)))

    assert unit > 0.005
    assert (forward, left) == pytest.approx((0.0, 3 * unit), abs=1e-9)
    assert (forward_aside, left_aside) == pytest.approx((3 * unit, 0.0), abs=1e-9)


def test_a_back_turned_swings_the_view_as_much_as_a_face() -> None:
    faced = cube("b", 0.3, 2, SEEN)
    seen = [
        margins(place_of(cube("a", 0, 0, SEEN), faced, cube("c", 1, 3, SEEN), away=away))
        for away in (False, True)
    ]

    assert seen[0] == pytest.approx(seen[1])


def test_what_is_faced_is_straight_ahead_however_badly_it_was_measured() -> None:
    faced = cube("b", 1, 2, SEEN)
    bearing, forward, left = margins(place_of(cube("a", 0, 0), faced, faced))

    assert (bearing, left) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert forward > 0.005


@settings(max_examples=30)
@given(POINTS, POINTS, POINTS)
def test_bearings_have_the_margin_that_directions_have(
    at: tuple[float, float], faced: tuple[float, float], sought: tuple[float, float]
) -> None:
    assume(min(math.dist(at, faced), math.dist(at, sought)) > 0.2)
    items = [cube(name, *where, SEEN) for name, where in zip("abc", (at, faced, sought), strict=True)]
    told, measured = place_of(*items).bearing, measure_direction(scene_of(*items), *items)

    assert told is not None
    # 180 and -180 degrees are one direction, and rounding decides which it is called.
    assert math.cos(math.radians(told.value - measured.value)) == pytest.approx(1.0)
    assert told.margin == pytest.approx(measured.margin, rel=1e-6)


def test_a_camera_and_an_occupant_have_their_own_ahead() -> None:
    pose = CameraPose(np.array([[1.0, 0, 0, 1], [0, 0, 1, -1], [0, -1, 0, 1.5], [0, 0, 0, 1]]))
    target = cube("c", 3, 1)
    owner = dataclasses.replace(cube("a", 0, 0), facing=np.array([-1.0, 0.0, 0.0]), facing_error_rad=0.1)
    scene = SceneMap((owner, target), cameras=(SceneCamera(0, LENS, pose),))
    (by_camera,) = measure_places(scene, camera_viewpoint(scene, pose), [target])
    (by_owner,) = measure_places(scene, own_viewpoint(scene, owner), [target])

    assert (by_camera.forward and by_camera.forward.value, by_camera.left and by_camera.left.value) == (2, -2)
    assert (by_owner.forward and by_owner.forward.value, by_owner.left and by_owner.left.value) == (-3, -1)
    # Both boxes are given, so only the direction of the front errs: 0.1 rad times the other leg.
    bearing, forward, left = margins(by_owner)
    assert forward / left == pytest.approx(1 / 3)
    assert math.radians(bearing) == pytest.approx(left / 3)


def test_without_metres_there_are_bearings_alone() -> None:
    items = cube("a", 0, 0), cube("b", 0, 2), cube("c", 1, 1)
    scene = SceneMap(items, scale="relative")
    (place,) = measure_places(scene, observer_viewpoint(scene, *items[:2]), [items[2]])

    assert (place.forward, place.left) == (None, None)
    assert place.bearing is not None
    assert place.bearing.value == pytest.approx(-45.0)


def test_there_is_no_viewpoint_without_up_or_without_ahead() -> None:
    items = cube("a", 0, 0), cube("b", 0, 2)
    down = CameraPose(np.diag([1.0, -1.0, -1.0, 1.0]))

    with pytest.raises(ViewpointError, match="which way is up"):
        observer_viewpoint(SceneMap(items, up=None), *items)
    with pytest.raises(ViewpointError, match="within 1 cm"):
        observer_viewpoint(SceneMap(items), items[0], items[0])
    with pytest.raises(ViewpointError, match="5 degrees of vertical"):
        camera_viewpoint(SceneMap(items), down)
    with pytest.raises(ViewpointError, match="no known front"):
        own_viewpoint(SceneMap(items), items[0])
