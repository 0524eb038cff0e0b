import numpy as np
import pytest
from numpy.testing import assert_allclose

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.geometry.projection import in_view, project, unproject, unproject_pixels
from spatial_agent.tools.scene import CameraIntrinsics

LENS = CameraIntrinsics(fx=100.0, fy=200.0, cx=31.5, cy=23.5, width=64, height=48)


def test_a_point_right_of_and_below_the_axis_lands_right_and_below() -> None:
    uv_px, z_m = project(LENS, np.array([[0.2, 0.1, 2.0]]))
    assert_allclose(uv_px, [[31.5 + 100 * 0.1, 23.5 + 200 * 0.05]])
    assert_allclose(z_m, [2.0])


def test_points_beside_or_behind_the_camera_have_no_pixel() -> None:
    uv_px, z_m = project(LENS, np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0]]))
    assert np.isnan(uv_px).all()
    assert not in_view(LENS, uv_px, z_m).any()


def test_a_pixel_reaches_half_way_to_its_neighbours() -> None:
    uv_px = np.array([[-0.5, -0.5], [-0.51, 0.0], [63.49, 47.49], [63.5, 0.0], [0.0, 47.5], [0.0, -0.51]])
    assert in_view(LENS, uv_px, np.ones(6)).tolist() == [True, False, True, False, False, False]


def test_unprojecting_undoes_projecting() -> None:
    xyz_m = np.random.default_rng(0).uniform((-1, -1, 0.5), (1, 1, 4), (50, 3))
    assert_allclose(unproject_pixels(LENS, *project(LENS, xyz_m)), xyz_m, atol=1e-12)


def test_a_depth_map_is_z_depth_not_ray_length() -> None:
    xyz_m = unproject(LENS, np.full((48, 64), 3.0, np.float32))
    assert_allclose(xyz_m[..., 2], 3.0)
    assert_allclose(xyz_m[47, 63], [(63 - 31.5) / 100 * 3, (47 - 23.5) / 200 * 3, 3.0])


def test_depth_of_another_size_than_the_intrinsics_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(48, 64\)"):
        unproject(LENS, np.ones((64, 48)))
