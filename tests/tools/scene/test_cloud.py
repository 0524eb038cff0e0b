import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene import PointCloud


def test_the_length_is_the_number_of_points() -> None:
    assert len(PointCloud(np.zeros((7, 3)))) == 7
    assert len(PointCloud(np.zeros((0, 3)))) == 0


@pytest.mark.parametrize(
    ("colours", "weights", "message"),
    [
        (np.zeros((4, 3), np.uint8), None, r"rgb: expected shape \(5, 3\), got \(4, 3\)"),
        (np.zeros((5, 3)), None, "rgb: expected unsigned integer numbers"),
        (None, np.ones(6), r"weight: expected shape \(5\), got \(6,\)"),
    ],
)
def test_parts_that_speak_of_other_points_are_refused(
    colours: np.ndarray | None, weights: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ShapeError, match=message):
        PointCloud(np.zeros((5, 3)), colours, weights)


@given(st.integers(0, 2**32 - 1))
def test_moving_a_cloud_keeps_every_distance_and_colour(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cloud = PointCloud(rng.normal(size=(6, 3)), rng.integers(0, 255, (6, 3), np.uint8), np.ones(6))
    target_from_world = np.eye(4)
    target_from_world[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    target_from_world[:3, 3] = (1.0, 2.0, 3.0)
    moved = cloud.moved(target_from_world)
    expected = [target_from_world @ (*point, 1.0) for point in cloud.xyz_m]
    np.testing.assert_allclose(moved.xyz_m, np.array(expected)[:, :3], atol=1e-12)
    assert moved.rgb is cloud.rgb
    assert moved.weight is cloud.weight
