"""Rooms of boxes seen by pinholes: every pixel can be checked by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import CameraIntrinsics, Frame
from spatial_agent.tools.synthetic import FURNITURE, SyntheticObject, SyntheticRoom
from spatial_agent.tools.synthetic.layout import look_at

Array = NDArray[np.float64]
CAMERA = CameraIntrinsics(60.0, 60.0, 39.5, 29.5, 80, 60)


def facing_wall(*objects: SyntheticObject) -> SyntheticRoom:
    eye = np.array([1.0, 2.0, 1.0])
    return SyntheticRoom(
        objects=objects, cameras=(look_at(eye, eye + np.array([1.0, 0.0, 0.0])),), intrinsics=CAMERA
    )


def points_of(frame: Frame) -> Array:
    assert frame.depth is not None
    assert frame.header.pose is not None
    v, u = np.mgrid[0:60, 0:80]
    z_m = frame.depth.z_m.astype(float)
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx * z_m, (v - CAMERA.cy) / CAMERA.fy * z_m, z_m], axis=-1)
    points: Array = rays @ frame.header.pose.rotation.T + frame.header.pose.position_m
    return points


def test_depth_is_along_the_optical_axis_so_a_wall_straight_ahead_is_equally_deep_everywhere() -> None:
    frame = facing_wall().frames().load(0)
    assert frame.depth is not None
    middle_rows = frame.depth.z_m[28:32]
    straight_ahead = middle_rows[:, 25:55]
    assert straight_ahead == pytest.approx(4.0, abs=1e-6)


def test_the_front_of_a_cabinet_is_where_it_stands() -> None:
    cabinet = SyntheticObject.placed("cabinet", (3.0, 2.0), np.pi, (0.4, 1.0, 1.6))
    frame = facing_wall(cabinet).frames().load(0)
    assert frame.depth is not None
    assert frame.instance_ids is not None
    assert frame.depth.z_m[30, 40] == pytest.approx(3.0 - 0.2 - 1.0, abs=1e-6)
    # A front 1.0 m wide at 1.8 m covers 1.0 * 60 / 1.8 = 33.3 columns.
    assert (frame.instance_ids[30] == 1).sum() == pytest.approx(33.3, abs=1)


@pytest.mark.parametrize("label", sorted(FURNITURE))
def test_every_pixel_lies_on_a_face_of_what_it_is_said_to_show(label: str) -> None:
    item = SyntheticObject.placed(label, (3.2, 2.1), 0.4)
    frame = facing_wall(item).frames().load(0)
    assert frame.instance_ids is not None
    points = points_of(frame)
    on_item = points[frame.instance_ids == 1]
    assert len(on_item) > 20
    outside = np.min(
        [(np.abs(part.local(on_item)) - part.extent_m / 2).max(axis=1) for part in item.parts], axis=0
    )
    assert np.abs(outside).max() < 1e-5
    elsewhere = points[frame.instance_ids == 0]
    shell_gap = np.minimum(elsewhere, np.array([5.0, 4.0, 2.6]) - elsewhere).min(axis=1)
    assert np.abs(shell_gap).max() < 1e-5


def test_what_is_near_hides_what_is_far() -> None:
    near, far = SyntheticObject.placed("cabinet", (2.5, 2.0), 0), SyntheticObject.placed("bed", (3.9, 2.0), 0)
    ids = [facing_wall(*pair).frames().load(0).instance_ids for pair in ((near, far), (far, near))]
    assert ids[0] is not None
    assert ids[1] is not None
    assert ids[0][40, 40] == 1
    assert ids[1][40, 40] == 2


@pytest.mark.parametrize("label", sorted(FURNITURE))
def test_furniture_fills_exactly_the_size_it_was_given(label: str) -> None:
    item = SyntheticObject.placed(label, (2.0, 2.0), 0.7, (0.5, 0.8, 1.1))
    assert item.box.extent_m == pytest.approx([0.5, 0.8, 1.1])
    assert item.box.centre_m == pytest.approx([2.0, 2.0, 0.55])


def test_a_stool_under_a_table_is_nearer_than_its_legs_but_not_touching() -> None:
    table = SyntheticObject.placed("table", (2.5, 2.0), 0.0, (1.0, 2.0, 0.74))
    stool = SyntheticObject.placed("stool", (2.5, 2.0), 0.0, (0.4, 0.4, 0.5))
    # Legs stand 0.25 m away; the underside of the top hangs 0.70 - 0.50 = 0.20 m above the seat.
    assert SyntheticRoom(objects=(table, stool)).distance_m(0, 1) == pytest.approx(0.2)


@pytest.mark.parametrize("seed", range(6))
def test_random_rooms_hold_two_chairs_and_at_least_six_pieces_that_do_not_touch(seed: int) -> None:
    room = SyntheticRoom.random(seed)
    assert len(room.objects) >= 6
    assert room.counts["chair"] == 2
    assert len(room.counts) >= 5
    pairs = [(a, b) for a in range(len(room.objects)) for b in range(a)]
    assert min(room.distance_m(a, b) for a, b in pairs) > 0.1
    assert room.counts == SyntheticRoom.random(seed).counts
    assert min(sum(frame is not None for frame in room.first_seen), 6) == 6


def test_an_object_is_first_seen_where_it_covers_a_thousandth_of_the_picture() -> None:
    eye = np.array([1.0, 2.0, 1.0])
    away = look_at(eye, eye - np.array([1.0, 0.0, 0.0]))
    towards = look_at(eye, eye + np.array([1.0, 0.0, 0.0]))
    can = SyntheticObject.placed("trash can", (4.5, 2.0), 0.0)
    hidden = SyntheticObject.placed("stool", (4.5, 3.8), 0.0, (0.1, 0.1, 0.1))
    room = SyntheticRoom(objects=(can, hidden), cameras=(away, towards), intrinsics=CAMERA)
    assert room.first_seen == (1, None)


def test_the_truth_as_a_scene_has_every_object_the_floor_and_the_cameras() -> None:
    room = SyntheticRoom.example()
    scene = room.scene_map()
    assert [item.id for item in scene.objects][:3] == ["table-1", "chair-1", "chair-2"]
    assert scene.room is not None
    assert scene.room.area_m2 == pytest.approx(20.0)
    assert len(scene.cameras) == len(room.cameras)
    assert scene.object("table-1").facing is None
    assert scene.object("sofa-1").facing == pytest.approx([1.0, 0.0, 0.0])


def test_the_scan_world_may_lie_anywhere_without_changing_a_pixel() -> None:
    room = facing_wall(SyntheticObject.placed("sofa", (3.5, 2.0), np.pi))
    scan_from_room = np.array([[0.0, 0, 1, 5], [1, 0, 0, -2], [0, 1, 0, 3], [0, 0, 0, 1]])
    here, there = room.frames(), room.frames(scan_from_room=scan_from_room)
    assert there.gravity == pytest.approx([-1.0, 0.0, 0.0])
    first, second = here.load(0), there.load(0)
    assert first.depth is not None
    assert second.depth is not None
    assert np.array_equal(first.depth.z_m, second.depth.z_m)
    moved = points_of(first) @ scan_from_room[:3, :3].T + scan_from_room[:3, 3]
    assert points_of(second) == pytest.approx(moved)
    assert here.content_hash != there.content_hash


def test_the_content_hash_depends_on_all_that_is_measured_and_nothing_else() -> None:
    assert SyntheticRoom.example().frames().content_hash == SyntheticRoom.example().frames().content_hash
    hashes = {SyntheticRoom.random(seed).frames(seed=shot).content_hash for seed in (0, 1) for shot in (0, 1)}
    assert len(hashes) == 4


def test_frames_without_recorded_instances_have_none() -> None:
    frames = SyntheticRoom.example().frames(with_instances=False, with_gravity=False)
    assert not frames.has_instances
    assert frames.gravity is None
    assert frames.load(0).instance_ids is None


def test_only_what_is_asked_for_is_rendered() -> None:
    frame = SyntheticRoom.example().frames().load(0, rgb=False, instances=False)
    assert frame.rgb is None
    assert frame.instance_ids is None
    assert frame.depth is not None


def test_colour_tells_objects_from_the_wall() -> None:
    frame = facing_wall(SyntheticObject.placed("cabinet", (3.0, 2.0), np.pi)).frames().load(0)
    assert frame.rgb is not None
    assert frame.instance_ids is not None
    inside = frame.rgb[frame.instance_ids == 1].mean(axis=0)
    outside = frame.rgb[frame.instance_ids == 0].mean(axis=0)
    assert np.abs(inside - outside).max() > 50


@pytest.mark.parametrize("xy_m", [(-1.0, 2.0), (4.9, 2.0)])
def test_furniture_outside_the_room_is_refused(xy_m: tuple[float, float]) -> None:
    with pytest.raises(InvalidValueError, match="reaches outside"):
        SyntheticRoom(objects=(SyntheticObject.placed("sofa", xy_m),))


def test_cameras_outside_the_room_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="inside the room"):
        SyntheticRoom(cameras=(look_at(np.array([9.0, 1, 1]), np.zeros(3)),))


def test_unknown_furniture_is_refused_with_what_there_is() -> None:
    with pytest.raises(InvalidValueError, match="expected one of bed, bookshelf"):
        SyntheticObject.placed("spaceship", (1.0, 1.0))
