"""Novel views against ray casting from the same place, in pictures that are not square."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.drawing.canvas import PALETTE
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.novel_view import novel_frame, novel_view
from spatial_agent.tools.geometry.transforms import rigid, yaw_rotation
from spatial_agent.tools.scene import CameraIntrinsics, SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom, raycast
from spatial_agent.tools.synthetic.layout import look_at
from spatial_agent.tools.synthetic.perfect_scan import perfect_scan

#: A width of 120 pixels across 70 degrees, by hand.
LENS = CameraIntrinsics(60 / np.tan(np.radians(35)), 60 / np.tan(np.radians(35)), 59.5, 39.5, 120, 80)
PLACES = [
    ((2.5, 0.5, 1.5), (2.0, 3.0, 0.6)),
    ((4.3, 3.5, 1.6), (1.0, 1.0, 0.5)),
    ((0.6, 0.6, 1.9), (3.5, 2.5, 0.4)),
]


@pytest.fixture(scope="module")
def room() -> SyntheticRoom:
    return SyntheticRoom.example()


@pytest.fixture(scope="module")
def scene(room: SyntheticRoom) -> SceneMap:
    return perfect_scan(room)


@pytest.mark.parametrize(("position", "target"), PLACES)
def test_depth_and_colour_are_those_of_the_room(
    room: SyntheticRoom, scene: SceneMap, position: tuple[float, ...], target: tuple[float, ...]
) -> None:
    frame = novel_frame(scene, list(position), list(target), width_px=120, height_px=80)
    pose = look_at(np.array(position), np.array(target))
    truth = raycast.render(room.shell, room.objects, LENS, pose)
    painted = raycast.paint(
        truth, room.shell, room.objects, raycast.ray_directions(LENS, pose), pose.position_m
    )
    assert frame.depth is not None
    assert frame.rgb is not None
    known = frame.depth.valid
    error_m = np.abs(frame.depth.z_m - truth.z_m)[known]

    assert known.mean() > 0.9
    assert np.median(error_m) < 0.01
    assert np.mean(error_m < 0.05) > 0.93
    differing = np.abs(frame.rgb.astype(int) - painted).max(axis=2)[known]
    assert np.median(differing) < 8


def test_a_view_turned_left_shows_what_is_left(scene: SceneMap) -> None:
    """The tv is at x = 4.7, y = 2: straight along +x from the middle, so right of a camera turned left."""
    straight = novel_frame(scene, [2.6, 0.5, 1.6], yaw_deg=35.0, width_px=120, height_px=80)
    bounds = scene.object("tv-1").box
    assert straight.depth is not None
    assert straight.header.pose is not None
    towards = straight.header.pose.camera_from_world @ (*bounds.centre_m, 1.0)

    # atan2(1.5, 2.1) is 35.5 degrees: the tv is in the middle column.
    assert abs(towards[0] / towards[2]) < 0.05
    assert straight.depth.z_m[48, 60] == pytest.approx(towards[2], abs=0.35)


def test_what_no_camera_saw_is_hatched_called_unknown_and_counted(room: SyntheticRoom) -> None:
    """One camera sees nothing behind itself, so a view from the far wall is mostly unknown."""
    one = dataclasses.replace(room, cameras=(look_at(np.array([0.5, 0.5, 1.5]), np.array([4.0, 3.0, 0.8])),))
    scene = perfect_scan(one)
    seen = novel_frame(scene, [0.5, 0.5, 1.5], [4.0, 3.0, 0.8], width_px=120, height_px=80)
    back = novel_frame(scene, [4.5, 3.5, 1.5], [0.5, 0.5, 1.0], width_px=120, height_px=80)
    picture = novel_view(scene, [4.5, 3.5, 1.5], [0.5, 0.5, 1.0], width_px=120, height_px=80)
    assert seen.depth is not None
    assert back.depth is not None
    unknown = 1 - back.depth.valid.mean()

    assert seen.depth.valid.mean() > 0.9
    assert unknown > 0.4
    assert (
        f"{1 - unknown:.0%} of the picture is known, the rest (hatched in pink) no frame saw"
        in picture.caption
    )
    hatched = (picture.rgb[:, :, None] == ((255, 0, 200), (250, 235, 248))).all(axis=3).any(axis=2)
    words = ~back.depth.valid & ~hatched
    # No surface is pink; and the only thing in the unknown part that is not hatched is the word for it.
    assert not hatched[back.depth.valid].any()
    assert 0 < words.sum() < 0.2 * (~back.depth.valid).sum()
    assert back.rgb is not None
    assert np.isin(back.rgb[~back.depth.valid], (70, 95)).all()


def test_a_frame_of_a_turned_scan_has_its_pose_in_the_scan(scene: SceneMap) -> None:
    scan_from_scene = rigid(yaw_rotation(0.7), (3.0, -1.0, 0.5))
    turned = dataclasses.replace(scene, scan_from_scene=scan_from_scene)
    frame = novel_frame(turned, [2.5, 0.5, 1.5], yaw_deg=90.0, width_px=60, height_px=40)
    assert frame.header.pose is not None

    np.testing.assert_allclose(
        frame.header.pose.position_m, (scan_from_scene @ (2.5, 0.5, 1.5, 1.0))[:3], atol=1e-9
    )
    assert frame.header.index == 1 + max(camera.index for camera in scene.cameras)


def test_a_scene_without_colours_is_shaded_by_depth(scene: SceneMap) -> None:
    assert scene.cloud is not None
    grey = dataclasses.replace(scene, cloud=dataclasses.replace(scene.cloud, rgb=None))
    shaded = novel_frame(grey, [2.5, 0.5, 1.5], [2.0, 3.0, 0.6], width_px=120, height_px=80).rgb
    assert shaded is not None

    # The wall at the top of the picture is farther than the floor at its lower edge.
    assert shaded[10].mean() < shaded[-1].mean()
    assert (np.ptp(shaded.astype(int), axis=2) == 0).all()


def test_marks_in_an_imagined_view_are_those_of_the_frames(scene: SceneMap) -> None:
    """From the middle of the room towards the sofa: the tv is behind the camera."""
    pose = ([3.8, 3.4, 1.7], [0.6, 2.0, 0.4])
    picture = novel_view(scene, *pose, width_px=120, height_px=80, mark=["tv-1", "sofa-1"])
    plain = novel_view(scene, *pose, width_px=120, height_px=80)
    drawn = (picture.rgb == PALETTE[3]).all(axis=2)

    assert "Marked: 3 sofa-1; hidden or outside: 4 tv-1." in picture.caption
    assert drawn.sum() > 40
    assert not (plain.rgb == PALETTE[3]).all(axis=2).any()
    assert not (picture.rgb == PALETTE[4]).all(axis=2).any()
    with pytest.raises(ToolArgumentError, match="no object sofa-9; ids are table-1"):
        novel_view(scene, [2.0, 2.0, 1.5], yaw_deg=0.0, mark=["sofa-9"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"position_m": [1, 1, 1]}, "either looking_at_m"),
        ({"position_m": [1, 1, 1], "yaw_deg": 3.0, "looking_at_m": [0, 0, 0]}, "either looking_at_m"),
        ({"position_m": [1, 1], "yaw_deg": 3.0}, "expected position_m as x, y, z"),
        ({"position_m": [1, 1, 1], "looking_at_m": [1, 1, 1]}, "stands where it should look"),
        ({"position_m": [1, 1, 1], "yaw_deg": 0.0, "fov_deg": 190.0}, "field of view"),
        ({"position_m": [1, 1, 1], "yaw_deg": 0.0, "fov_deg": 5e-324}, "field of view of 1 to 170"),
        ({"position_m": [1, 1, 1], "yaw_deg": 0.0, "fov_deg": float("nan")}, "field of view of 1 to 170"),
        ({"position_m": [1, 1, 1], "yaw_deg": 0.0, "width_px": 5}, "16 to 1920 pixels"),
    ],
)
def test_impossible_views_are_named(scene: SceneMap, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ToolArgumentError, match=words):
        novel_view(scene, **arguments)  # type: ignore[arg-type]


def test_a_camera_that_sees_nothing_is_refused_with_where_the_scene_is(scene: SceneMap) -> None:
    with pytest.raises(ToolFailedError, match="sees nothing of the scene"):
        novel_view(scene, [50.0, 50.0, 1.0], yaw_deg=45.0, width_px=60, height_px=40)
    with pytest.raises(ToolFailedError, match="no surface points"):
        novel_view(dataclasses.replace(scene, cloud=None), [1.0, 1.0, 1.0], yaw_deg=0.0)
