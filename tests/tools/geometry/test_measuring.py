"""Measurements of scenes built by hand: truth is known by construction."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ScaleError, ViewpointError
from spatial_agent.tools.geometry.measuring import (
    corrected_box,
    measure_camera_bearing,
    measure_centre_distance,
    measure_direction,
    measure_distance,
    measure_height_above_floor,
    measure_own_bearing,
    measure_room,
    measure_size,
    measure_vsi_distance,
    measure_vsi_size,
)
from spatial_agent.tools.scene import (
    CameraPose,
    OrientedBox,
    PointCloud,
    Provenance,
    Room,
    SceneMap,
    SceneObject,
    SceneQuality,
)
from spatial_agent.tools.synthetic import SyntheticObject, SyntheticRoom

Array = NDArray[np.float64]
QUALITY = SceneQuality(depth_noise_m=0.005, pose_drift_m=0.005, up_error_rad=0.003, scale_error=0.0)
SEEN = (1.0, 1.0, 1.0, 1.0, 0.0, 1.0)
ROOM = SyntheticRoom.example()


def observed(position: int, **provenance: object) -> SceneObject:
    """Return a piece of the example room with points all over its parts, as if well observed."""
    piece = ROOM.objects[position]
    points_m = np.concatenate([faces_m(part) for part in piece.parts])
    known = Provenance(tuple(range(16)), 40 * len(points_m), len(points_m), 0.004, SEEN)
    return SceneObject(
        ROOM.ids[position],
        piece.label,
        piece.box,
        PointCloud(points_m),
        provenance=replace(known, **provenance),  # type: ignore[arg-type]
    )


def faces_m(part: OrientedBox, step_m: float = 0.02) -> Array:
    axes = [np.linspace(-e / 2, e / 2, max(2, round(e / step_m))) for e in part.extent_m]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    on_face = (np.abs(np.abs(grid) - part.extent_m / 2) < 1e-9).any(axis=1)
    points: Array = grid[on_face] @ part.world_from_box.T + part.centre_m
    return points


def scene_of(*objects: SceneObject, quality: SceneQuality = QUALITY) -> SceneMap:
    return replace(ROOM.scene_map(), objects=objects, quality=quality)


def width(low: float | None, high: float | None) -> float:
    assert low is not None
    assert high is not None
    return high - low


def test_given_boxes_are_measured_exactly() -> None:
    scene = ROOM.scene_map()
    table, sofa, can = (scene.object(name) for name in ("table-1", "sofa-1", "trash can-1"))
    apart = measure_distance(scene, table, sofa)[0]
    # The table's near long side is at x = 2.6 - 0.425, the sofa's front at x = 0.6 + 0.45.
    assert apart.value == pytest.approx(2.175 - 1.05)
    assert apart.exact
    assert (apart.low, apart.high) == (apart.value, apart.value)
    assert measure_size(scene, sofa, "longest").value == pytest.approx(1.9)
    assert measure_size(scene, sofa, "height").exact
    assert measure_vsi_size(scene, sofa).value == 190
    assert measure_room(scene).value == pytest.approx(20.0)
    assert measure_centre_distance(scene, table, can).value == pytest.approx(
        np.linalg.norm([4.3 - 2.6, 0.5 - 1.9, 0.2 - 0.37])
    )
    assert measure_height_above_floor(scene, sofa, "top").value == pytest.approx(0.82)
    assert measure_direction(scene, table, sofa, can).exact


@pytest.mark.parametrize("pair", [(0, 1), (0, 3), (1, 2), (5, 6), (3, 4), (2, 7)])
def test_observed_surfaces_are_apart_by_the_distance_of_their_meshes(pair: tuple[int, int]) -> None:
    a, b = (observed(position) for position in pair)
    measured, points_m = measure_distance(scene_of(a, b), a, b)
    truth = ROOM.distance_m(*pair)
    assert measured.value == pytest.approx(truth, abs=0.05)
    assert measured.low is not None
    assert measured.high is not None
    assert measured.low <= truth <= measured.high
    assert points_m.shape == (2, 3)
    assert np.linalg.norm(points_m[1] - points_m[0]) == pytest.approx(truth, abs=0.05)


def test_overlapping_boxes_of_things_that_do_not_touch_are_not_at_distance_zero() -> None:
    table = SyntheticObject.placed("table", (2.5, 2.0), 0.0, (1.2, 2.0, 0.74))
    stool = SyntheticObject.placed("stool", (2.5, 2.0), 0.0, (0.4, 0.4, 0.4))
    objects = [
        SceneObject(
            piece.label,
            piece.label,
            piece.box,
            PointCloud(np.concatenate([faces_m(part) for part in piece.parts])),
        )
        for piece in (table, stool)
    ]
    measured, _ = measure_distance(scene_of(*objects), *objects)
    assert measured.value == pytest.approx(0.30, abs=0.05)


def test_a_stray_point_between_two_objects_does_not_shorten_their_distance() -> None:
    a, b = observed(0), observed(3)
    assert a.surface is not None
    middle_m = (a.box.centre_m + b.box.centre_m) / 2
    stray = replace(a, surface=PointCloud(np.vstack([a.surface.xyz_m, middle_m])))
    clean = measure_distance(scene_of(a, b), a, b)[0].value
    assert measure_distance(scene_of(stray, b), stray, b)[0].value == pytest.approx(clean, abs=0.005)


def test_distance_is_symmetric() -> None:
    a, b = observed(0), observed(5)
    scene = scene_of(a, b)
    there, back = measure_distance(scene, a, b)[0], measure_distance(scene, b, a)[0]
    assert (there.low, there.value, there.high) == pytest.approx((back.low, back.value, back.high))


def test_a_side_never_seen_can_only_bring_things_nearer() -> None:
    seen, unseen = observed(0), observed(0, face_coverage=(0.0,) * 6)
    sofa = observed(3)
    clear = measure_distance(scene_of(seen, sofa), seen, sofa)[0]
    unclear = measure_distance(scene_of(unseen, sofa), unseen, sofa)[0]
    assert clear.low is not None
    assert unclear.low is not None
    assert unclear.low < clear.low
    assert unclear.high == pytest.approx(clear.high)


@pytest.mark.parametrize("dimension", ["height", "width", "depth", "longest"])
def test_sizes_hold_the_truth_and_grow_less_sure_with_drift(dimension: str) -> None:
    sofa = observed(3)
    truth = {"height": 0.82, "width": 1.9, "depth": 0.9, "longest": 1.9}[dimension]
    steady = measure_size(scene_of(sofa), sofa, dimension)  # type: ignore[arg-type]
    drifting = replace(QUALITY, pose_drift_m=0.03)
    shaky = measure_size(scene_of(sofa, quality=drifting), sofa, dimension)  # type: ignore[arg-type]
    assert steady.low is not None
    assert steady.high is not None
    assert steady.low <= truth <= steady.high
    assert width(shaky.low, shaky.high) > 1.2 * width(steady.low, steady.high)
    assert not steady.exact


def test_an_object_cut_off_by_every_image_is_at_least_as_long_as_seen() -> None:
    sofa = observed(3, cut_off=True, face_coverage=(1.0, 1.0, 1.0, 0.0, 1.0, 1.0))
    scene = scene_of(sofa)
    along, across = measure_size(scene, sofa, "width"), measure_size(scene, sofa, "depth")
    assert along.high is None
    assert along.margin is None
    assert along.low is not None
    assert along.low < 1.9
    assert across.high is not None
    assert measure_vsi_size(scene, sofa).high is None


def test_poor_depth_scale_widens_long_distances_most() -> None:
    near, far = (observed(0), observed(1)), (observed(3), observed(4))
    doubtful = replace(QUALITY, scale_error=0.05)
    wider = []
    for a, b in (near, far):
        narrow = measure_distance(scene_of(a, b), a, b)[0]
        wide = measure_distance(scene_of(a, b, quality=doubtful), a, b)[0]
        wider.append(width(wide.low, wide.high) - width(narrow.low, narrow.high))
    assert wider[1] > wider[0] > 0


def test_a_direction_has_a_margin_that_shrinks_with_distance() -> None:
    table, sofa, tv, chair = (observed(position) for position in (0, 3, 4, 1))
    scene = scene_of(table, sofa, tv, chair)
    # From the sofa at (0.6, 2.0) facing the tv at (4.7, 2.0): the table lies ahead at (2.6, 1.9).
    ahead = measure_direction(scene, sofa, tv, table)
    assert ahead.value == pytest.approx(-np.degrees(np.arctan2(0.1, 2.0)), abs=0.1)
    assert ahead.unit == "deg"
    close = measure_direction(scene, chair, tv, table)
    assert width(close.low, close.high) > width(ahead.low, ahead.high) > 0


def test_a_bearing_from_a_camera_is_that_of_the_object_and_has_a_margin() -> None:
    item = observed(3)
    scene = scene_of(item)
    # 3 m from its centre in -x, looking along +y: it is 90 degrees to the right.
    pose = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 1.5], [0, 0, 0, 1]])
    pose[:2, 3] = item.box.centre_m[:2] - (3.0, 0.0)
    turn = measure_camera_bearing(scene, CameraPose(pose), item)
    given = replace(item, surface=None, provenance=None)

    assert turn.value == pytest.approx(-90.0, abs=1.5)
    assert 0.05 < width(turn.low, turn.high) / 2 < 5.0
    assert measure_camera_bearing(scene_of(given), CameraPose(pose), given).value == pytest.approx(-90.0)


def test_an_own_bearing_turns_with_the_front() -> None:
    owner, item = replace(observed(3), facing=np.array([1.0, 0, 0])), observed(1)
    scene = scene_of(owner, item)
    turned = replace(owner, facing=np.array([0.0, 1.0, 0.0]))

    ahead = measure_own_bearing(scene, owner, item)
    assert measure_own_bearing(scene, turned, item).value == pytest.approx(ahead.value - 90.0)


def test_vsi_distance_is_that_of_the_boxes() -> None:
    a, b = observed(0), observed(3)
    measured, points_m = measure_vsi_distance(scene_of(a, b), a, b)
    # Both long sides run along y and overlap, so shells are as far apart as the sides; the benchmark's
    # crop may take a layer of 5 to 6 cm off each.
    assert 1.12 <= measured.value <= 1.125 + 2 * 0.06 + 0.04
    assert width(measured.low, measured.high) > 0
    assert points_m.shape == (2, 3)


def test_height_above_the_floor_is_that_of_the_part_asked_for() -> None:
    lamp = observed(6)
    scene = scene_of(lamp)
    assert measure_height_above_floor(scene, lamp, "top").value == pytest.approx(1.45, abs=0.03)
    assert measure_height_above_floor(scene, lamp, "bottom").value == pytest.approx(0.0, abs=0.03)
    assert width(*ends_of(scene, lamp)) > 0


def ends_of(scene: SceneMap, item: SceneObject) -> tuple[float | None, float | None]:
    measured = measure_height_above_floor(scene, item, "top")
    return measured.low, measured.high


def test_a_measured_room_has_the_margin_of_its_outline_and_of_the_depth_scale() -> None:
    outline = Room(20.0, ROOM.polygon_m, 19.8, 20.2, exact=False)
    scene = replace(ROOM.scene_map(), room=outline, quality=QUALITY)
    measured = measure_room(scene)
    assert measured.value == pytest.approx(20.0)
    assert width(measured.low, measured.high) > 0.4
    open_ended = replace(scene, room=replace(outline, area_high_m2=None))
    assert measure_room(open_ended).high is None


def test_a_scene_without_a_floor_plan_says_so() -> None:
    with pytest.raises(InvalidValueError, match="no floor plan"):
        measure_room(replace(ROOM.scene_map(), room=None))


def test_nothing_in_metres_comes_from_a_relative_scale() -> None:
    scene = replace(ROOM.scene_map(), scale="relative")
    a, b = scene.objects[:2]
    attempts: tuple[Callable[[], object], ...] = (
        lambda: measure_distance(scene, a, b),
        lambda: measure_centre_distance(scene, a, b),
        lambda: measure_vsi_distance(scene, a, b),
        lambda: measure_size(scene, a, "longest"),
        lambda: measure_vsi_size(scene, a),
        lambda: measure_room(scene),
        lambda: measure_height_above_floor(scene, a),
    )
    for attempt in attempts:
        with pytest.raises(ScaleError):
            attempt()
    assert measure_direction(scene, *scene.objects[:3]).unit == "deg"


def test_without_up_there_is_no_height_no_room_and_no_left() -> None:
    scene = replace(ROOM.scene_map(), up=None)
    a, b, c = scene.objects[:3]
    assert measure_size(scene, a, "longest").value == pytest.approx(1.4)
    attempts: tuple[Callable[[], object], ...] = (
        lambda: measure_size(scene, a, "height"),
        lambda: measure_room(scene),
        lambda: measure_direction(scene, a, b, c),
        lambda: measure_height_above_floor(scene, a),
    )
    for attempt in attempts:
        with pytest.raises(ViewpointError):
            attempt()


def test_given_boxes_are_never_refitted() -> None:
    scene = ROOM.scene_map()
    assert corrected_box(scene, scene.objects[0]) is scene.objects[0].box


def test_an_uncertain_front_widens_what_is_said_from_its_point_of_view() -> None:
    scene = ROOM.scene_map()
    sofa, tv = scene.objects[0], scene.objects[1]
    front = np.array([1.0, 0.0, 0.0])
    given = measure_own_bearing(scene, replace(sofa, facing=front), tv)
    known_to_10, known_to_20 = (
        measure_own_bearing(scene, replace(sofa, facing=front, facing_error_rad=np.radians(std_deg)), tv)
        for std_deg in (10.0, 20.0)
    )

    assert given.exact
    assert known_to_10.value == given.value
    assert 1.645 * 10 <= (known_to_10.margin or 0.0) <= 2.5 * 10
    assert known_to_20.margin == pytest.approx(2 * (known_to_10.margin or 0.0))
