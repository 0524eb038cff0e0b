from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from spatial_agent.tools.errors import ShapeError, ViewpointError
from spatial_agent.tools.geometry.direction import (
    Sector,
    angle_between_headings_deg,
    camera_angle_deg,
    clock_hour,
    eight,
    four,
    own_angle_deg,
    quadrants,
    sectors_2,
    signed_angle_deg,
    vsi_three,
)
from spatial_agent.tools.geometry.vertical import vertical_relation
from spatial_agent.tools.scene import CameraPose, OrientedBox, SceneObject

Array = NDArray[np.float64]
coordinates = st.floats(-50.0, 50.0)
reaches = st.floats(0.05, 20.0)


def beyond(start: Array, bearing_deg: float, reach_m: float) -> Array:
    angle = np.radians(bearing_deg)
    return start + reach_m * np.array([np.cos(angle), np.sin(angle)])


@given(
    observer=st.tuples(coordinates, coordinates),
    heading_deg=st.floats(-180, 180),
    angle_deg=st.floats(-179.9, 180),
    faced_m=reaches,
    target_m=reaches,
)
def test_a_target_put_at_an_angle_is_found_at_that_angle(
    observer: tuple[float, float], heading_deg: float, angle_deg: float, faced_m: float, target_m: float
) -> None:
    here = np.array(observer)
    faced, target = beyond(here, heading_deg, faced_m), beyond(here, heading_deg + angle_deg, target_m)
    found = signed_angle_deg(here, faced, target)
    assert -180 < found <= 180
    assert (found - angle_deg + 180) % 360 - 180 == pytest.approx(0.0, abs=1e-6)


def test_left_is_counter_clockwise_seen_from_above() -> None:
    north, west, east, south = (0, 1), (-1, 0), (1, 0), (0, -1)
    assert signed_angle_deg((0, 0), north, west) == 90.0
    assert signed_angle_deg((0, 0), north, east) == -90.0
    assert signed_angle_deg((0, 0), north, south) == 180.0
    assert signed_angle_deg((0, 0), (-1, 0), (1, -0.0)) == 180.0


def test_the_published_case_of_stove_sofa_and_tv() -> None:
    degrees = signed_angle_deg((-0.735, -0.935), (-2.368, 2.951), (-3.847, 0.824))
    assert degrees == pytest.approx(37.7, abs=0.05)
    sector = quadrants(degrees)
    assert (sector.name, sector.runner_up) == ("front-left", "front-right")
    assert sector.to_boundary_deg == pytest.approx(37.7, abs=0.05)


@pytest.mark.parametrize("other", ["faced", "target"])
def test_an_observer_within_a_centimetre_has_no_direction(other: str) -> None:
    points = {"faced": (0.0, 3.0), "target": (2.0, 0.0)} | {other: (0.009, 0.0)}
    with pytest.raises(ViewpointError, match="1 cm"):
        signed_angle_deg((0.0, 0.0), points["faced"], points["target"])


def test_points_that_are_not_on_the_floor_plan_are_refused() -> None:
    with pytest.raises(ShapeError, match="faced_xy"):
        signed_angle_deg((0, 0), (1, 0, 0), (0, 1))
    with pytest.raises(ShapeError, match="target_xy"):
        signed_angle_deg((0, 0), (1, 0), (np.nan, 1))


def test_a_heading_without_length_is_refused() -> None:
    with pytest.raises(ViewpointError, match="length zero"):
        angle_between_headings_deg((0.0, 0.0), (1.0, 0.0))


@pytest.mark.parametrize(
    ("name_angle", "angle_deg", "name", "to_boundary_deg", "runner_up"),
    [
        (sectors_2, 10.0, "left", 10.0, "right"),
        (sectors_2, 170.0, "left", 10.0, "right"),
        (sectors_2, -100.0, "right", 80.0, "left"),
        (vsi_three, 30.0, "left", 30.0, "right"),
        (vsi_three, 130.0, "left", 5.0, "back"),
        (vsi_three, 135.0, "back", 0.0, "left"),
        (vsi_three, -135.0, "back", 0.0, "right"),
        (vsi_three, -134.0, "right", 1.0, "back"),
        (vsi_three, 180.0, "back", 45.0, "left"),
        (vsi_three, -1.0, "right", 1.0, "left"),
        (quadrants, 0.0, "front-left", 0.0, "front-right"),
        (quadrants, 89.0, "front-left", 1.0, "back-left"),
        (quadrants, 91.0, "back-left", 1.0, "front-left"),
        (quadrants, -91.0, "back-right", 1.0, "front-right"),
        (quadrants, -1e-17, "front-right", 0.0, "front-left"),
        (four, 44.0, "front", 1.0, "left"),
        (four, -44.0, "front", 1.0, "right"),
        (four, 46.0, "left", 1.0, "front"),
        (four, -120.0, "right", 15.0, "back"),
        (four, 180.0, "back", 45.0, "left"),
        (eight, 22.0, "front", 0.5, "front-left"),
        (eight, 50.0, "front-left", 17.5, "left"),
        (eight, -140.0, "back-right", 17.5, "right"),
        (eight, 179.0, "back", 21.5, "back-left"),
        (clock_hour, 0.0, "12 o'clock", 15.0, "11 o'clock"),
        (clock_hour, -30.0, "1 o'clock", 15.0, "12 o'clock"),
        (clock_hour, 90.0, "9 o'clock", 15.0, "8 o'clock"),
        (clock_hour, -100.0, "3 o'clock", 5.0, "4 o'clock"),
        (clock_hour, 180.0, "6 o'clock", 15.0, "5 o'clock"),
    ],
)
def test_angles_have_the_names_people_give_them(
    name_angle: Callable[[float], Sector], angle_deg: float, name: str, to_boundary_deg: float, runner_up: str
) -> None:
    sector = name_angle(angle_deg)
    assert (sector.name, sector.degrees) == (name, angle_deg)
    assert sector.to_boundary_deg == pytest.approx(to_boundary_deg, abs=1e-9)
    if sector.to_boundary_deg < 15.0:
        assert sector.runner_up == runner_up


@given(angle_deg=st.floats(-180, 180, exclude_min=True))
@pytest.mark.parametrize("name_angle", [sectors_2, vsi_three, quadrants, four, eight, clock_hour])
def test_crossing_the_boundary_gives_the_runner_up_and_stopping_short_does_not(
    name_angle: Callable[[float], Sector], angle_deg: float
) -> None:
    sector = name_angle(angle_deg)
    short, over = sector.to_boundary_deg - 1e-6, sector.to_boundary_deg + 1e-6
    if short > 0:
        assert {name_angle(angle_deg + short).name, name_angle(angle_deg - short).name} == {sector.name}
    assert sector.runner_up in {name_angle(angle_deg + over).name, name_angle(angle_deg - over).name}
    assert sector.runner_up != sector.name


def camera(yaw_deg: float, pitch_deg: float) -> CameraPose:
    yaw, pitch = np.radians((yaw_deg, pitch_deg))
    level = np.array([np.cos(yaw), np.sin(yaw), 0.0])
    right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
    forward = np.cos(pitch) * level + np.sin(pitch) * np.array([0.0, 0, 1])
    world_from_camera = np.eye(4)
    world_from_camera[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
    world_from_camera[:3, 3] = (1.0, 2.0, 1.5)
    return CameraPose(world_from_camera)


@pytest.mark.parametrize("yaw_deg", [-170.0, -20.0, 0.0, 95.0])
@pytest.mark.parametrize("pitch_deg", [-60.0, 0.0, 30.0])
@pytest.mark.parametrize("angle_deg", [-130.0, -10.0, 25.0, 100.0])
def test_a_camera_sees_left_as_whoever_holds_it(yaw_deg: float, pitch_deg: float, angle_deg: float) -> None:
    bearing = np.radians(yaw_deg + angle_deg)
    point = np.array([1.0, 2.0, 0.0]) + 3 * np.array([np.cos(bearing), np.sin(bearing), 0.1])
    assert camera_angle_deg(camera(yaw_deg, pitch_deg), point) == pytest.approx(angle_deg)


def test_what_a_level_camera_shows_in_its_right_half_is_to_its_right() -> None:
    pose = camera(30.0, 0.0)
    for point in np.random.default_rng(0).uniform(-4, 4, (50, 3)):
        x, _, z = (pose.camera_from_world @ [*point, 1.0])[:3]
        if z > 0:
            assert (camera_angle_deg(pose, point) < 0) == (x > 0)


def test_a_camera_looking_straight_down_has_no_left() -> None:
    with pytest.raises(ViewpointError, match="vertical"):
        camera_angle_deg(camera(0.0, -86.0), (3.0, 0.0, 0.0))


def armchair(facing: tuple[float, float, float] | None) -> SceneObject:
    box = OrientedBox.upright(np.array([2.0, 1.0, 0.4]), np.array([0.8, 0.8, 0.8]))
    return SceneObject("armchair-1", "armchair", box, facing=None if facing is None else np.array(facing))


def test_an_objects_own_left_is_its_occupants() -> None:
    # Sitting at (2, 1) and looking along -y, left is +x.
    assert own_angle_deg(armchair((0.0, -1.0, 0.2)), (4.0, 1.0, 0.0)) == pytest.approx(90.0)


@pytest.mark.parametrize(
    ("facing", "point", "reason"),
    [
        (None, (4.0, 1.0, 0.0), "no known front"),
        ((0.05, 0.0, 1.0), (4.0, 1.0, 0.0), "vertical"),
        ((1.0, 0.0, 0.0), (2.0, 1.0, 3.0), "1 cm"),
    ],
)
def test_an_object_without_a_usable_front_has_no_left(
    facing: tuple[float, float, float] | None, point: tuple[float, float, float], reason: str
) -> None:
    with pytest.raises(ViewpointError, match=reason):
        own_angle_deg(armchair(facing), point)


def test_a_point_without_height_is_not_in_the_scene() -> None:
    with pytest.raises(ShapeError, match="point_m"):
        own_angle_deg(armchair((1.0, 0.0, 0.0)), (2.0, 1.0))


def standing(bottom_m: float, top_m: float) -> OrientedBox:
    centre = np.array([bottom_m, 3.0, (bottom_m + top_m) / 2])
    return OrientedBox.upright(centre, np.array([0.5, 0.5, top_m - bottom_m]))


@pytest.mark.parametrize(
    ("heights", "other", "name", "clearance_m"),
    [
        ((2.0, 2.5), (0.0, 0.8), "above", 1.2),
        ((0.0, 0.8), (2.0, 2.5), "below", 1.2),
        ((0.79, 0.99), (0.0, 0.8), "above", -0.01),
        ((0.7, 0.9), (0.0, 0.8), "level", -0.1),
        ((0.0, 1.8), (0.0, 0.8), "level", -0.8),
        ((0.5, 0.5), (0.5, 0.5), "level", 0.0),
    ],
)
def test_above_means_more_than_standing_higher(
    heights: tuple[float, float], other: tuple[float, float], name: str, clearance_m: float
) -> None:
    relation = vertical_relation(standing(*heights), standing(*other))
    assert relation.name == name
    assert relation.clearance_m == pytest.approx(clearance_m)
    assert relation.rise_m == pytest.approx((sum(heights) - sum(other)) / 2)
