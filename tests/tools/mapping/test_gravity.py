"""Up and the floor, against rooms built from formulae and turned at will."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from spatial_agent.tools.mapping.cameras import scene_cameras
from spatial_agent.tools.mapping.fusion import fuse_cloud
from spatial_agent.tools.mapping.gravity import Floor, find_floor
from spatial_agent.tools.media import open_source
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, PointCloud, SceneCamera

Array = NDArray[np.float64]
PINHOLE = CameraIntrinsics(500.0, 500.0, 319.5, 239.5, 640, 480)
EYE_M = 1.5
DOWN = np.array([0.0, 0.0, -1.0])


def level(x_m: tuple[float, float], y_m: tuple[float, float], z_m: float, noise_m: float = 0.004) -> Array:
    """Points of a horizontal rectangle, 3 cm apart."""
    x, y = np.meshgrid(np.arange(*x_m, 0.03), np.arange(*y_m, 0.03))
    points = np.stack([x.ravel(), y.ravel(), np.full(x.size, z_m)], axis=1)
    return points + np.random.default_rng(1).normal(0, noise_m, points.shape)


def walls(low_m: float = 0.0) -> Array:
    """The four walls of a room of 4 m by 3 m, seen from a height on."""
    x = level((low_m, 2.4), (0.0, 3.0), 0.0)[:, [2, 1, 0]]
    y = level((0.0, 4.0), (low_m, 2.4), 0.0)[:, [0, 2, 1]]
    return np.concatenate([x, x + (4, 0, 0), y, y + (0, 3, 0)])


def table() -> Array:
    return level((0.5, 3.5), (0.5, 2.5), 0.75)


def cameras(pitch_deg: float = 25.0) -> list[SceneCamera]:
    """Cameras in the middle of the room that look round and somewhat down."""
    found = []
    for number, yaw in enumerate(np.radians([0, 60, 120, 200, 290])):
        pitch = np.radians(pitch_deg)
        forward = np.array([np.cos(yaw) * np.cos(pitch), np.sin(yaw) * np.cos(pitch), -np.sin(pitch)])
        right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
        matrix = np.eye(4)
        matrix[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
        matrix[:3, 3] = 2.0, 1.5, EYE_M
        found.append(SceneCamera(number, PINHOLE, CameraPose(matrix)))
    return found


def turned(seed: int) -> Array:
    scan_from_room = np.eye(4)
    scan_from_room[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    scan_from_room[:3, 3] = 1.0, -2.0, 3.0
    return scan_from_room


def find(points_m: Array, scan_from_room: Array, gravity: Array | None = None) -> Floor:
    views = [SceneCamera(c.index, c.intrinsics, c.pose.moved(scan_from_room)) for c in cameras()]
    return find_floor(PointCloud(points_m).moved(scan_from_room), views, gravity)


def tilt_deg(floor: Floor, scan_from_room: Array) -> float:
    assert floor.up is not None
    return float(np.degrees(np.arccos(np.clip(floor.up @ scan_from_room[:3, 2], -1, 1))))


def level_m(floor: Floor, scan_from_room: Array) -> float:
    """Height in the room at which the floor was found."""
    corner = floor.scene_from_scan @ scan_from_room @ (2.0, 1.5, 0.0, 1.0)
    return -float(corner[2])


@pytest.mark.parametrize("seed", range(3))
def test_a_room_turned_any_way_is_put_upright(seed: int) -> None:
    scan_from_room = turned(seed)
    floor = find(np.concatenate([level((0, 4), (0, 3), 0.0), walls(), table()]), scan_from_room)
    assert floor.seen
    assert tilt_deg(floor, scan_from_room) < 0.3
    assert abs(level_m(floor, scan_from_room)) < 0.01


def test_the_scene_is_a_rigid_turn_with_up_on_z() -> None:
    floor = find(np.concatenate([level((0, 4), (0, 3), 0.0), walls()]), turned(0))
    scene_from_scan = floor.scene_from_scan
    assert np.allclose(scene_from_scan[:3, :3] @ scene_from_scan[:3, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(scene_from_scan[:3, :3]) == pytest.approx(1.0)
    assert floor.up is not None
    assert np.allclose(scene_from_scan[:3, :3] @ floor.up, (0, 0, 1), atol=1e-12)


def test_an_upright_scan_keeps_its_yaw() -> None:
    floor = find(np.concatenate([level((0, 4), (0, 3), 0.0, 0.0), walls()]), np.eye(4))
    assert np.allclose(floor.scene_from_scan, np.eye(4), atol=1e-3)


@pytest.mark.parametrize("up", [(0.0, 0.0, -1.0), (0.0, -1.0, 0.0), (1.0, 0.0, 0.0)])
def test_any_up_gives_a_proper_turn(up: tuple[float, float, float]) -> None:
    turn = Floor(np.array(up), 0.0, 0.0, True, "").scene_from_scan[:3, :3]
    assert np.allclose(turn @ up, (0, 0, 1))
    assert np.linalg.det(turn) == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_floor_is_the_lowest_plane_even_where_a_table_shows_more_of_itself(seed: int) -> None:
    scan_from_room = turned(seed)
    strip = level((0.0, 0.4), (0, 3), 0.0)
    assert len(strip) < len(table()) / 3
    floor = find(np.concatenate([strip, walls(), table()]), scan_from_room)
    assert abs(level_m(floor, scan_from_room)) < 0.02


@pytest.mark.parametrize("wrong_deg", [0.0, 2.0, 5.0])
def test_a_gravity_that_is_off_by_degrees_is_put_right_by_the_floor(wrong_deg: float) -> None:
    scan_from_room = turned(4)
    off = Rotation.from_rotvec(np.radians(wrong_deg) * np.array([0.6, 0.8, 0.0])).apply(DOWN)
    points_m = np.concatenate([level((0, 4), (0, 3), 0.0), walls(), table()])
    floor = find(points_m, scan_from_room, scan_from_room[:3, :3] @ off)
    assert tilt_deg(floor, scan_from_room) < 0.3
    assert f"{wrong_deg:.0f}." in floor.note or wrong_deg == 0.0


def test_a_ramp_far_from_level_does_not_overrule_gravity() -> None:
    ramp = level((0, 4), (0, 3), 0.0) @ Rotation.from_euler("y", 20, degrees=True).as_matrix().T
    floor = find(ramp, np.eye(4), DOWN)
    assert not floor.seen
    assert tilt_deg(floor, np.eye(4)) == 0.0


def test_a_table_with_walls_reaching_below_it_is_no_floor() -> None:
    scan_from_room = turned(1)
    floor = find(np.concatenate([walls(), table()]), scan_from_room, scan_from_room[:3, :3] @ DOWN)
    assert not floor.seen
    assert "not seen" in floor.note
    assert tilt_deg(floor, scan_from_room) < 1e-4
    assert abs(level_m(floor, scan_from_room)) < 0.05


def test_without_floor_and_gravity_up_is_unknown_with_the_reason() -> None:
    floor = find(walls(), turned(3))
    assert floor.up is None
    assert "up is unknown" in floor.note
    assert np.array_equal(floor.scene_from_scan, np.eye(4))


def test_an_empty_cloud_is_no_floor() -> None:
    assert find(np.empty((0, 3)), np.eye(4)).up is None


def test_stray_points_below_the_floor_do_not_move_it() -> None:
    points_m = np.concatenate([level((0, 4), (0, 3), 0.0), walls()])
    stray = np.random.default_rng(0).uniform((0, 0, -2), (4, 3, -0.1), (len(points_m) // 80, 3))
    floor = find(np.concatenate([points_m, stray]), np.eye(4))
    assert abs(level_m(floor, np.eye(4))) < 0.01


def test_order_of_points_changes_nothing() -> None:
    points_m = np.concatenate([level((0, 4), (0, 3), 0.0), walls(), table()])
    shuffled = np.random.default_rng(0).permutation(points_m)
    one, other = find(points_m, np.eye(4)), find(shuffled, np.eye(4))
    assert one.up is not None
    assert other.up is not None
    assert np.allclose(one.up, other.up, atol=1e-9)
    assert one.offset_m == pytest.approx(other.offset_m, abs=1e-9)


def test_the_stated_error_of_up_is_of_the_size_of_the_error() -> None:
    points_m = np.concatenate([level((0, 4), (0, 3), 0.0, 0.02), walls(), table()])
    errors, stated = [], []
    for seed in range(4):
        floor = find(points_m, turned(seed))
        errors.append(np.radians(tilt_deg(floor, turned(seed))))
        stated.append(floor.up_error_rad)
    assert np.sqrt(np.mean(np.square(errors))) < 2 * np.mean(stated)
    assert np.mean(stated) < np.radians(1)


@pytest.mark.parametrize(
    ("name", "heights_m"),
    [("dining_room", (1.0, 1.9)), ("living_room", (0.3, 0.8))],
    ids=["dining", "living"],
)
def test_real_recordings_give_a_floor_below_their_cameras(
    test_data: Path, name: str, heights_m: tuple[float, float]
) -> None:
    """The dining room's world is tilted; the living room was filmed from beside the seat of a chair."""
    frames = open_source(test_data / name)
    floor = find_floor(fuse_cloud(frames, colour=False).cloud, scene_cameras(frames))
    assert floor.seen
    heights = floor.heights_m(np.array([c.pose.position_m for c in scene_cameras(frames)]))
    assert heights_m[0] < heights.min() <= heights.max() < heights_m[1]
