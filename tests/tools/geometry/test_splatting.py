"""Splats against ray casting and against planes whose depth is known by formula."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.tools.geometry.splatting import SplatView, point_spacing_m, splat
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose

LENS = CameraIntrinsics(80.0, 80.0, 49.5, 29.5, 100, 60)
HERE = CameraPose(np.eye(4))


def wall(z_m: float, slope: float = 0.0, width_m: float = 3.0, spacing_m: float = 0.02) -> np.ndarray:
    """Return points of the plane z = z_m + slope * x, up to `width_m` to either side."""
    steps = np.arange(-width_m, width_m, spacing_m)
    x, y = (axis.ravel() for axis in np.meshgrid(steps, steps))
    return np.column_stack([x, y, z_m + slope * x])


@settings(max_examples=25)
@given(z_m=st.floats(1.0, 4.0), slope=st.floats(-0.8, 0.8))
def test_a_plane_is_seen_without_holes_at_its_depth(z_m: float, slope: float) -> None:
    view = splat(LENS, HERE, wall(z_m, slope), 0.02)
    across = (np.arange(100) - 49.5) / 80.0
    truth_m = z_m / (1.0 - slope * across)
    reached = np.abs(across * truth_m) < 2.9

    assert view.known[:, reached].all()
    error_m = np.abs(view.z_m - truth_m)[:, reached]
    assert np.median(error_m) < 0.005
    assert error_m.max() < 0.05 * (1 + abs(slope)) * truth_m.max()


def test_the_nearer_surface_hides_the_farther_one_at_the_right_pixels() -> None:
    far, near = wall(3.0), wall(1.5, width_m=0.15)
    # Move the small one so that it covers columns 49.5 + 80 * (0.35 to 0.65) / 1.5.
    near = near + (0.5, 0.1, 0.0)
    view = splat(LENS, HERE, np.concatenate([far, near]), 0.02)
    rows, columns = np.nonzero(view.nearest >= len(far))

    assert columns.min() == pytest.approx(49.5 + 80 * 0.35 / 1.5, abs=1.5)
    assert columns.max() == pytest.approx(49.5 + 80 * 0.65 / 1.5, abs=1.5)
    assert rows.min() == pytest.approx(29.5 - 80 * 0.05 / 1.5, abs=1.5)
    assert rows.max() == pytest.approx(29.5 + 80 * 0.25 / 1.5, abs=1.5)
    assert view.z_m[33, 76] == pytest.approx(1.5, abs=0.01)
    assert view.z_m[33, 20] == pytest.approx(3.0, abs=0.01)


def test_what_no_point_covers_stays_unknown() -> None:
    half = wall(2.0)[wall(2.0)[:, 0] < 0]
    view = splat(LENS, HERE, half, 0.02)

    assert view.unknown_share == pytest.approx(0.5, abs=0.02)
    assert not view.known[:, 52:].any()
    assert (view.z_m[:, 52:] == 0).all()


def test_what_is_behind_the_camera_or_beside_its_picture_is_not_drawn() -> None:
    assert splat(LENS, HERE, wall(2.0) * (1, 1, -1), 0.02).unknown_share == 1.0
    assert splat(LENS, HERE, wall(2.0) + (50, 0, 0), 0.02).unknown_share == 1.0
    assert splat(LENS, HERE, np.empty((0, 3)), 0.02).unknown_share == 1.0


def test_a_lone_point_decides_its_own_pixel() -> None:
    view: SplatView = splat(LENS, HERE, np.array([[0.25, -0.1, 2.0]]), 0.001)

    assert np.argwhere(view.known).tolist() == [[round(29.5 - 4), round(49.5 + 10)]]
    assert view.z_m[view.known] == pytest.approx(2.0)


@settings(max_examples=25)
@given(spacing_m=st.floats(0.005, 0.1))
def test_the_spacing_of_a_grid_is_found(spacing_m: float) -> None:
    grid = wall(1.0, width_m=15 * spacing_m, spacing_m=spacing_m)
    assert point_spacing_m(grid) == pytest.approx(spacing_m, rel=0.01)


def test_too_few_points_have_no_spacing() -> None:
    assert point_spacing_m(np.zeros((3, 3))) == 0.0
