"""Room outlines against floor plans that are given, with parts of them hidden."""

import numpy as np
import pytest
from numpy.typing import NDArray
from shapely import Polygon, contains_xy

from spatial_agent.tools.mapping.cameras import scene_cameras
from spatial_agent.tools.mapping.fusion import fuse_cloud
from spatial_agent.tools.mapping.room import RoomEstimate, estimate_room
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, PointCloud, Room, SceneCamera
from spatial_agent.tools.synthetic.noise import SensorNoise
from spatial_agent.tools.synthetic.room import SyntheticRoom

Array = NDArray[np.float64]
PINHOLE = CameraIntrinsics(450.0, 450.0, 319.5, 239.5, 640, 480)
RECTANGLE = np.array([[0, 0], [5, 0], [5, 4], [0, 4.0]])
L_SHAPE = np.array([[0, 0], [6, 0], [6, 2.5], [3, 2.5], [3, 5], [0, 5.0]])
ELL = [(1.5, 1.5), (4.5, 1.2), (1.5, 3.5)]
MIDDLE = [(1.5, 2.0), (3.5, 2.0)]


def upright(outline_m: Array, top_m: float = 2.5, step_m: float = 0.03) -> Array:
    """Points on the walls over an outline."""
    parts = []
    for start, end in zip(outline_m, np.roll(outline_m, -1, axis=0), strict=True):
        t = np.arange(step_m / 2, np.linalg.norm(end - start), step_m) / np.linalg.norm(end - start)
        along, height = np.meshgrid(t, np.arange(step_m / 2, top_m, step_m))
        parts.append(np.column_stack([start + along.reshape(-1, 1) * (end - start), height.ravel()]))
    return np.concatenate(parts)


def level(outline_m: Array, z_m: float, step_m: float = 0.03) -> Array:
    """Points on a floor or ceiling inside an outline."""
    low, high = outline_m.min(axis=0), outline_m.max(axis=0)
    x, y = np.meshgrid(np.arange(low[0], high[0], step_m), np.arange(low[1], high[1], step_m))
    inside = contains_xy(Polygon(outline_m), x.ravel(), y.ravel())
    return np.stack([x.ravel(), y.ravel(), np.full(x.size, z_m)], axis=1)[inside]


def room_points(outline_m: Array, top_m: float = 2.5) -> Array:
    return np.concatenate([upright(outline_m, top_m), level(outline_m, 0.0)])


def cameras(stands: list[tuple[float, float]]) -> list[SceneCamera]:
    """Eight cameras at each stand that look round, somewhat down."""
    found: list[SceneCamera] = []
    for x, y in stands:
        for yaw in np.arange(8) * np.pi / 4:
            forward = np.array([np.cos(yaw), np.sin(yaw), -0.25]) / np.hypot(1, 0.25)
            right = np.array([np.sin(yaw), -np.cos(yaw), 0.0])
            matrix = np.eye(4)
            matrix[:3, :3] = np.column_stack([right, np.cross(forward, right), forward])
            matrix[:3, 3] = x, y, 1.5
            found.append(SceneCamera(len(found), PINHOLE, CameraPose(matrix)))
    return found


def estimate(points_m: Array, stands: list[tuple[float, float]], noise_m: float = 0.006) -> RoomEstimate:
    noisy = points_m + np.random.default_rng(0).normal(0, noise_m, points_m.shape)
    return estimate_room(PointCloud(noisy), cameras(stands))


def closed_room(points_m: Array, stands: list[tuple[float, float]], noise_m: float = 0.006) -> Room:
    found = estimate(points_m, stands, noise_m)
    assert found.room is not None, found.note
    assert found.room.area_high_m2 is not None, found.note
    return found.room


def spin(points: Array, angle_rad: float) -> Array:
    cos, sin = np.cos(angle_rad), np.sin(angle_rad)
    turned = points.copy()
    turned[:, :2] = points[:, :2] @ np.array([[cos, sin], [-sin, cos]])
    return turned


@pytest.mark.parametrize("angle_rad", [0.0, 0.4, 1.2])
@pytest.mark.parametrize(
    ("outline_m", "stands", "area_m2"),
    [(RECTANGLE, MIDDLE, 20.0), (L_SHAPE, ELL, 22.5)],
    ids=["rectangle", "ell"],
)
def test_area_of_a_room_turned_any_way(
    outline_m: Array, stands: list[tuple[float, float]], area_m2: float, angle_rad: float
) -> None:
    turned = [(float(x), float(y)) for x, y in spin(np.array(stands), angle_rad)]
    room = closed_room(spin(room_points(outline_m), angle_rad), turned)
    assert room.area_m2 == pytest.approx(area_m2, rel=0.02)
    assert room.area_low_m2 is not None
    assert room.area_high_m2 is not None
    assert room.area_low_m2 < area_m2 < room.area_high_m2
    assert room.area_high_m2 - room.area_low_m2 < 0.1 * area_m2


def test_the_area_is_that_of_the_polygon_which_follows_the_walls() -> None:
    room = closed_room(room_points(L_SHAPE), ELL)
    assert room.polygon_m is not None
    found = Polygon(room.polygon_m)
    assert room.area_m2 == pytest.approx(found.area)
    assert found.exterior.is_ccw
    assert found.symmetric_difference(Polygon(L_SHAPE)).area < 0.5
    assert not room.exact


def test_a_room_that_is_no_rectangle_of_right_angles() -> None:
    angles = np.arange(6) * np.pi / 3
    hexagon = 2.5 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert closed_room(room_points(hexagon), [(0, 0)]).area_m2 == pytest.approx(16.238, rel=0.02)


def test_furniture_in_front_of_a_wall_and_over_the_floor() -> None:
    points = room_points(L_SHAPE)
    hidden = (points[:, 2] < 1.0) & (points[:, 1] < 0.6)
    hidden |= (points[:, 2] < 0.05) & (points[:, 0] < 1.2) & (points[:, 1] > 2)
    assert closed_room(points[~hidden], ELL).area_m2 == pytest.approx(22.5, rel=0.03)


@pytest.mark.parametrize("wall_seen_above", [True, False])
def test_a_wardrobe_that_hides_the_wall_is_part_of_the_room(wall_seen_above: bool) -> None:
    points = room_points(RECTANGLE)
    hidden = (points[:, 1] < 0.6) & (points[:, 0] > 1) & (points[:, 0] < 3)
    hidden &= (points[:, 2] < 2.1) | (not wall_seen_above)
    wardrobe = upright(np.array([[1, 0], [3, 0], [3, 0.6], [1, 0.6]]), 2.1)
    points = np.concatenate([points[~hidden], wardrobe[wardrobe[:, 1] > 0.03]])
    assert closed_room(points, MIDDLE).area_m2 == pytest.approx(20.0, rel=0.03)


@pytest.mark.parametrize("from_m", [0.03, 1.0], ids=["in the corner", "in the wall"])
@pytest.mark.parametrize("top_m", [2.05, 2.6], ids=["with lintel", "to the ceiling"])
def test_a_room_seen_through_a_door_is_not_part_of_this_one(from_m: float, top_m: float) -> None:
    points = room_points(RECTANGLE)
    y, z = points[:, 1], points[:, 2]
    door = (points[:, 0] > 4.95) & (y > from_m) & (y < from_m + 0.9) & (z < top_m)
    beyond = room_points(np.array([[5.1, 0], [8.5, 0], [8.5, 4], [5.1, 4.0]]))
    seen = np.zeros(len(beyond), bool)
    for x, eye_y in MIDDLE:
        crossing = eye_y + (5 - x) / (beyond[:, 0] - x) * (beyond[:, 1] - eye_y)
        seen |= (crossing > from_m) & (crossing < from_m + 0.9) & (beyond[:, 2] < top_m)
    found = closed_room(np.concatenate([points[~door], beyond[seen]]), MIDDLE)
    assert found.area_m2 == pytest.approx(20.0, rel=0.03)


def test_what_is_seen_through_a_window_is_outside() -> None:
    points = room_points(RECTANGLE)
    window = (points[:, 0] < 0.05) & (np.abs(points[:, 1] - 2) < 1) & (np.abs(points[:, 2] - 1.5) < 0.6)
    outside = np.random.default_rng(5).uniform((-4, 0, 0), (-1, 4, 3), (6000, 3))
    found = closed_room(np.concatenate([points[~window], outside]), MIDDLE)
    assert found.area_m2 == pytest.approx(20.0, rel=0.03)


def test_a_low_ceiling_and_noise_do_not_make_walls() -> None:
    points = np.concatenate([room_points(RECTANGLE, 2.3), level(RECTANGLE, 2.3)])
    assert closed_room(points, MIDDLE, noise_m=0.02).area_m2 == pytest.approx(20.0, rel=0.03)


def test_walls_seen_only_up_to_a_metre_and_a_half_suffice() -> None:
    assert closed_room(room_points(RECTANGLE, 1.5), MIDDLE).area_m2 == pytest.approx(20.0, rel=0.03)


def test_a_wall_that_was_never_seen_leaves_the_area_open_ended() -> None:
    points = room_points(RECTANGLE)
    found = estimate(points[points[:, 0] < 3.6], [(1.5, 2.0), (2.5, 2.0)])
    assert found.room is not None
    assert found.room.area_high_m2 is None
    assert found.room.area_low_m2 is not None
    assert found.room.area_low_m2 < 14.4 < 20.0
    assert found.room.area_m2 == pytest.approx(14.4, rel=0.05)
    assert "at least" in found.note


def test_one_wall_is_too_little_and_the_note_says_why() -> None:
    points = room_points(RECTANGLE)
    found = estimate(points[(points[:, 0] < 1.5) & (np.abs(points[:, 1] - 2) < 1)], [(1.0, 2.0)])
    assert found.room is None
    assert "fewer than two walls" in found.note


def test_nothing_seen_is_no_room() -> None:
    assert estimate_room(PointCloud(np.empty((0, 3))), cameras(MIDDLE)).room is None
    assert estimate_room(PointCloud(room_points(RECTANGLE)), []).room is None


def test_order_of_points_and_cameras_changes_nothing() -> None:
    points = room_points(RECTANGLE)
    rng = np.random.default_rng(2)
    one = estimate_room(PointCloud(points), cameras(MIDDLE)).room
    other = estimate_room(PointCloud(rng.permutation(points)), cameras(MIDDLE)[::-1]).room
    assert one is not None
    assert other is not None
    assert one.area_m2 == pytest.approx(other.area_m2, rel=1e-3)


@pytest.mark.parametrize("seed", [1, 4, 10])
def test_furnished_rooms_filmed_with_a_noisy_sensor(seed: int) -> None:
    """The depth scale is left right: no estimate from depth alone could correct it."""
    room = SyntheticRoom.random(seed)
    frames = room.frames(noise=SensorNoise(scale_error=0.0), seed=seed, with_instances=False)
    found = estimate_room(fuse_cloud(frames, colour=False).cloud, scene_cameras(frames)).room
    assert found is not None
    assert found.area_high_m2 is not None
    assert found.area_m2 == pytest.approx(room.width_m * room.depth_m, rel=0.03)
