import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.geometry.transforms import (
    invert_rigid,
    mirror,
    move_scene,
    quaternion_to_rotation,
    rigid,
    rotation_to_align,
    scale_scene,
    transform_points,
    yaw_rotation,
)
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    PointCloud,
    Provenance,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)


def random_rotation(seed: int) -> NDArray[np.float64]:
    return Rotation.random(rng=np.random.default_rng(seed)).as_matrix()


def a_scene() -> SceneMap:
    box = OrientedBox.upright(np.array([1.0, 2.0, 0.5]), np.array([2.0, 0.6, 1.0]), 0.3)
    surface = PointCloud(box.corners_m)
    provenance = Provenance((0,), 100, 8, 0.01, (0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    sofa = SceneObject(
        "sofa-1", "sofa", box, surface, facing=np.array([1.0, 0.0, 0.0]), provenance=provenance
    )
    room = Room(12.0, np.array([[0.0, 0], [4, 0], [4, 3], [0, 3]]), 11.0, None, exact=False)
    lens = CameraIntrinsics(500.0, 510.0, 300.0, 240.0, 640, 480)
    camera = SceneCamera(0, lens, CameraPose(rigid(random_rotation(5), (1.0, 1.0, 1.5))))
    return SceneMap(
        (sofa,),
        room=room,
        cameras=(camera,),
        cloud=surface,
        scan_from_scene=rigid(random_rotation(6), (3.0, 0.0, 1.0)),
        quality=SceneQuality(0.01, 0.02, 0.03, 0.04),
    )


def test_inverting_a_rigid_transform_agrees_with_the_general_inverse() -> None:
    target_from_source = rigid(random_rotation(1), (1.0, -2.0, 3.0))
    assert_allclose(invert_rigid(target_from_source), np.linalg.inv(target_from_source), atol=1e-14)


def test_points_are_rotated_then_moved() -> None:
    target_from_source = rigid(yaw_rotation(np.pi / 2), (10.0, 0.0, 0.0))
    assert_allclose(transform_points(target_from_source, np.array([[1.0, 0, 2]])), [[10.0, 1, 2]], atol=1e-12)


def test_yaw_turns_x_towards_y() -> None:
    assert_allclose(yaw_rotation(np.pi / 2) @ [1.0, 0, 0], [0.0, 1, 0], atol=1e-15)


@pytest.mark.parametrize("seed", range(5))
def test_quaternions_agree_with_scipy_whatever_their_length(seed: int) -> None:
    quaternion = np.random.default_rng(seed).normal(size=4)
    expected = Rotation.from_quat(quaternion).as_matrix()
    assert_allclose(quaternion_to_rotation(*(3.0 * quaternion)), expected, atol=1e-14)


@pytest.mark.parametrize("quaternion", [(0.0, 0.0, 0.0, 0.0), (np.nan, 0.0, 0.0, 1.0)])
def test_a_quaternion_that_is_no_rotation_is_refused(quaternion: tuple[float, ...]) -> None:
    with pytest.raises(InvalidValueError, match="quaternion"):
        quaternion_to_rotation(*quaternion)


@pytest.mark.parametrize("seed", range(8))
def test_aligning_is_the_smallest_rotation_between_two_directions(seed: int) -> None:
    source, target = np.random.default_rng(seed).normal(size=(2, 3))
    rotation = rotation_to_align(source, target)
    cosine = source @ target / np.linalg.norm(source) / np.linalg.norm(target)
    assert_allclose(rotation @ source / np.linalg.norm(source), target / np.linalg.norm(target), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    assert np.arccos((np.trace(rotation) - 1) / 2) == pytest.approx(np.arccos(cosine))


def test_opposite_directions_are_aligned_by_half_a_turn() -> None:
    rotation = rotation_to_align([0.0, 0, 2], [0.0, 0, -1])
    assert_allclose(rotation @ [0.0, 0, 1], [0.0, 0, -1], atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)


def test_a_direction_without_length_is_refused() -> None:
    with pytest.raises(ShapeError, match="target"):
        rotation_to_align([0.0, 0, 1], [0.0, 0, 0])


def test_a_moved_scene_still_knows_the_way_back_to_the_scan() -> None:
    scene = a_scene()
    moved = move_scene(scene, rigid(yaw_rotation(0.7), (1.0, 2.0, 3.0)))
    assert scene.scan_from_scene is not None
    assert moved.scan_from_scene is not None
    before = transform_points(scene.scan_from_scene, scene.objects[0].box.corners_m)
    after = transform_points(moved.scan_from_scene, moved.objects[0].box.corners_m)
    assert_allclose(after, before, atol=1e-12)


def test_a_moved_camera_sees_what_it_saw() -> None:
    scene = a_scene()
    moved = move_scene(scene, rigid(yaw_rotation(-2.0), (4.0, 0.0, 1.0)))
    assert scene.cloud is not None
    assert moved.cloud is not None
    before = transform_points(scene.cameras[0].pose.camera_from_world, scene.cloud.xyz_m)
    after = transform_points(moved.cameras[0].pose.camera_from_world, moved.cloud.xyz_m)
    assert_allclose(after, before, atol=1e-12)


def test_a_scene_that_knows_its_up_cannot_be_tipped_over() -> None:
    with pytest.raises(InvalidValueError, match="about"):
        move_scene(a_scene(), rigid(random_rotation(1)))


def test_scaling_doubles_lengths_and_quadruples_areas() -> None:
    scene = scale_scene(a_scene(), 2.0)
    sofa, room = scene.objects[0], scene.room
    assert room is not None
    assert scene.quality is not None
    assert sofa.provenance is not None
    assert_allclose(sofa.box.extent_m, [4.0, 1.2, 2.0])
    assert_allclose(sofa.box.centre_m, [2.0, 4.0, 1.0])
    assert (room.area_m2, room.area_low_m2, room.area_high_m2) == (48.0, 44.0, None)
    assert (scene.quality.depth_noise_m, scene.quality.scale_error) == (0.02, 0.04)
    assert sofa.provenance.spread_m == 0.02
    assert_allclose(scene.cameras[0].pose.position_m, [2.0, 2.0, 3.0])


@pytest.mark.parametrize("factor", [0.0, -1.0, np.nan])
def test_a_factor_that_is_no_scale_is_refused(factor: float) -> None:
    with pytest.raises(InvalidValueError, match="factor"):
        scale_scene(a_scene(), factor)


def test_a_mirrored_box_has_the_mirrored_corners_and_observed_faces() -> None:
    scene = a_scene()
    sofa, mirrored = scene.objects[0], mirror(scene).objects[0]
    expected = {tuple(corner) for corner in (sofa.box.corners_m * (-1, 1, 1)).round(9)}
    assert {tuple(corner) for corner in mirrored.box.corners_m.round(9)} == expected
    assert mirrored.provenance is not None
    assert mirrored.provenance.face_coverage == (0.2, 0.1, 0.3, 0.4, 0.5, 0.6)
    # The face best seen along the first axis was at +x of the box; mirrored, it is at its -x.
    seen = sofa.box.centre_m + sofa.box.world_from_box[:, 0] * sofa.box.extent_m[0] / 2
    assert_allclose(mirrored.box.local((seen * (-1, 1, 1))[None])[0], [-1.0, 0, 0], atol=1e-12)


def test_a_mirrored_camera_takes_the_flipped_picture() -> None:
    scene = a_scene()
    flipped = mirror(scene)
    before, after = scene.cameras[0], flipped.cameras[0]
    point = np.array([1.5, 2.5, 0.7])
    u, v = pixel(before, point)
    assert_allclose(pixel(after, point * (-1, 1, 1)), [before.intrinsics.width - 1 - u, v], atol=1e-9)


def pixel(camera: SceneCamera, point_m: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z = camera.intrinsics.matrix @ (camera.pose.camera_from_world @ [*point_m, 1.0])[:3]
    return np.array([x / z, y / z])


def test_a_mirrored_room_is_still_outlined_counter_clockwise() -> None:
    room = mirror(a_scene()).room
    assert room is not None
    assert room.polygon_m is not None
    x, y = room.polygon_m.T
    assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2 == pytest.approx(12.0)


def test_mirroring_twice_gives_the_scene_back() -> None:
    scene = a_scene()
    twice = mirror(mirror(scene))
    assert_allclose(twice.objects[0].box.corners_m, scene.objects[0].box.corners_m, atol=1e-12)
    assert twice.objects[0].provenance == scene.objects[0].provenance
    assert twice.cameras[0].intrinsics == scene.cameras[0].intrinsics
    assert twice.scan_from_scene is None
