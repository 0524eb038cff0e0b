"""Cameras made of numbers look where the numbers say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.tools.errors import InvalidValueError, ViewpointError
from spatial_agent.tools.geometry.viewpoint import camera_facing, camera_towards, heading_deg, pinhole

COORDINATE = st.floats(-5, 5)


@given(yaw=st.floats(-180, 180), pitch=st.floats(-89, 89))
def test_a_camera_looks_along_its_angles_and_is_level(yaw: float, pitch: float) -> None:
    pose = camera_facing((1, 2, 3), yaw, pitch)
    level = np.cos(np.radians(pitch))
    ahead = (level * np.cos(np.radians(yaw)), level * np.sin(np.radians(yaw)), np.sin(np.radians(pitch)))

    np.testing.assert_allclose(pose.forward, ahead, atol=1e-12)
    assert pose.rotation[2, 0] == pytest.approx(0, abs=1e-12)
    # Its down is below the horizon.
    assert pose.rotation[2, 1] < 0


@given(target=st.tuples(COORDINATE, COORDINATE, COORDINATE))
def test_a_camera_has_its_target_in_the_middle(target: tuple[float, float, float]) -> None:
    position = np.array([0.3, -0.2, 6.0])
    seen = camera_towards(position, target).camera_from_world @ (*target, 1.0)

    np.testing.assert_allclose(seen[:2], 0, atol=1e-9)
    assert seen[2] == pytest.approx(np.linalg.norm(position - target))


def test_straight_down_has_the_right_of_looking_along_x() -> None:
    pose = camera_towards((0, 0, 2), (0, 0, 0))

    np.testing.assert_allclose(pose.forward, (0, 0, -1), atol=1e-12)
    np.testing.assert_allclose(pose.rotation[:, 0], (0, -1, 0), atol=1e-12)
    assert heading_deg(pose) is None
    assert heading_deg(camera_facing((0, 0, 0), 135.0, 40.0)) == pytest.approx(135.0)


def test_impossible_cameras_are_refused() -> None:
    with pytest.raises(ViewpointError, match="stands where"):
        camera_towards((1, 1, 1), (1, 1, 1))
    with pytest.raises(ViewpointError, match="pitch"):
        camera_facing((0, 0, 0), 0, 91)
    with pytest.raises(InvalidValueError, match="field of view"):
        pinhole(100, 60, 180)


def test_the_field_of_view_is_from_edge_to_edge() -> None:
    lens = pinhole(100, 60, 90.0)

    assert lens.fx == lens.fy == pytest.approx(50.0)
    assert (lens.cx, lens.cy) == (49.5, 29.5)
