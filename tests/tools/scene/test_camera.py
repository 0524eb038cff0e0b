import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose

VGA = CameraIntrinsics(fx=500.0, fy=510.0, cx=319.5, cy=239.5, width=640, height=480)


def rigid(seed: int) -> np.ndarray:
    transform = np.eye(4)
    transform[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    transform[:3, 3] = np.random.default_rng(seed).uniform(-5, 5, 3)
    return transform


def test_the_matrix_projects_a_point_by_similar_triangles() -> None:
    u, v, w = VGA.matrix @ (0.2, -0.1, 2.0)
    assert u / w == pytest.approx(319.5 + 500 * 0.2 / 2.0)
    assert v / w == pytest.approx(239.5 - 510 * 0.1 / 2.0)


@given(st.integers(1, 2000), st.integers(1, 2000))
def test_resizing_keeps_the_view(width: int, height: int) -> None:
    resized = VGA.resized(width, height)
    assert (resized.width, resized.height) == (width, height)
    for of, focal, centre, size in (("x", "fx", "cx", "width"), ("y", "fy", "cy", "height")):
        for edge in (0, 1):
            before, after = (
                (edge * getattr(camera, size) - 0.5 - getattr(camera, centre)) / getattr(camera, focal)
                for camera in (VGA, resized)
            )
            assert after == pytest.approx(before), f"the image border along {of} looks another way"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fx": 0.0}, "expected positive fx and fy in pixels"),
        ({"fy": -500.0}, "expected positive fx and fy in pixels"),
        ({"fx": float("nan")}, "expected positive fx and fy in pixels"),
        ({"cx": float("inf")}, "expected positive fx and fy in pixels"),
        ({"width": 0}, "expected a positive size, got 0x480"),
        ({"cx": 5000.0}, r"principal point \(5000.0, 239.5\) is far outside the 640x480 image"),
    ],
)
def test_numbers_of_no_camera_are_refused(change: dict[str, float], message: str) -> None:
    numbers = {"fx": 500.0, "fy": 510.0, "cx": 319.5, "cy": 239.5, "width": 640, "height": 480, **change}
    with pytest.raises(InvalidValueError, match=message):
        CameraIntrinsics(**numbers)  # type: ignore[arg-type]


@given(st.integers(0, 2**32 - 1))
def test_the_inverse_takes_the_camera_back_to_the_origin(seed: int) -> None:
    pose = CameraPose(rigid(seed))
    np.testing.assert_allclose(pose.camera_from_world @ pose.world_from_camera, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(pose.camera_from_world, np.linalg.inv(pose.world_from_camera), atol=1e-12)


def test_a_camera_that_looks_along_world_y() -> None:
    # Right is +X, down is -Z, forward is +Y: a level camera looking north.
    world_from_camera = np.array([[1, 0, 0, 1], [0, 0, 1, 2], [0, -1, 0, 3], [0, 0, 0, 1]], float)
    pose = CameraPose(world_from_camera)
    np.testing.assert_array_equal(pose.forward, [0, 1, 0])
    np.testing.assert_array_equal(pose.position_m, [1, 2, 3])
    np.testing.assert_array_equal(pose.rotation @ (0, 1, 0), [0, 0, -1])


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_moving_the_world_moves_what_the_camera_sees(seed: int, other: int) -> None:
    pose, target_from_world = CameraPose(rigid(seed)), rigid(other)
    seen = np.array([0.1, 0.2, 3.0, 1.0])
    in_world = pose.world_from_camera @ seen
    np.testing.assert_allclose(
        pose.moved(target_from_world).world_from_camera @ seen, target_from_world @ in_world, atol=1e-9
    )


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.eye(3), r"world_from_camera: expected shape \(4, 4\), got \(3, 3\)"),
        (np.diag([2.0, 2.0, 2.0, 1.0]), "world_from_camera: not rigid"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "world_from_camera: the rotation mirrors"),
        (np.full((4, 4), np.nan), "world_from_camera: expected finite numbers"),
        (np.diag([1.0, 1.0, 1.0, 0.0]), "world_from_camera: last row must be 0 0 0 1"),
    ],
)
def test_a_pose_that_is_not_rigid_is_refused(matrix: np.ndarray, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        CameraPose(matrix)
