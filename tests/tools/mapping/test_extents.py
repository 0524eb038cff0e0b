"""Ends of surfaces and yaws of boxes, on points drawn from known shapes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.mapping.extents import end_m, fitted_box, upright_axes

Array = NDArray[np.float64]


def sides(length_m: float, width_m: float, rng: np.random.Generator, shown: str = "-x -y +x +y") -> Array:
    """Points on the named sides of an upright box 0.8 m high round the origin."""
    faces = []
    for name in shown.split():
        across, along = (width_m, length_m) if name[1] == "x" else (length_m, width_m)
        free = rng.uniform(-0.5, 0.5, 4000) * across
        fixed = np.full(4000, (0.5 if name[0] == "+" else -0.5) * along)
        xy = (fixed, free) if name[1] == "x" else (free, fixed)
        faces.append(np.column_stack([*xy, rng.uniform(0, 0.8, 4000)]))
    return np.concatenate(faces)


def turned(xyz_m: Array, yaw_deg: float) -> Array:
    cos, sin = np.cos(np.radians(yaw_deg)), np.sin(np.radians(yaw_deg))
    return np.asarray(xyz_m @ np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]]).T)


@pytest.mark.parametrize("noise_m", [0.0, 0.004, 0.01, 0.02])
def test_a_face_ends_where_it_is_whatever_the_noise(noise_m: float) -> None:
    rng = np.random.default_rng(3)
    face = 0.3 + rng.normal(0, noise_m, 5000) if noise_m else np.full(5000, 0.3)
    behind = rng.uniform(0.3, 0.9, 5000)
    along_m = np.concatenate([face, behind])
    assert end_m(along_m, np.ones(len(along_m)), noise_m) == pytest.approx(0.3, abs=0.002 + 0.35 * noise_m)


@pytest.mark.parametrize("noise_m", [0.0, 0.004, 0.01, 0.02])
def test_a_rim_ends_where_it_is_whatever_the_noise(noise_m: float) -> None:
    rng = np.random.default_rng(4)
    along_m = rng.uniform(-0.7, 0.7, 20_000) + rng.normal(0, max(noise_m, 1e-9), 20_000)
    assert end_m(along_m, np.ones(len(along_m)), noise_m) == pytest.approx(-0.7, abs=0.004 + 0.6 * noise_m)


def test_a_few_stray_points_do_not_move_an_end_of_a_noisy_surface() -> None:
    rng = np.random.default_rng(5)
    along_m = np.concatenate([rng.normal(0.3, 0.01, 5000), rng.uniform(0.3, 1.0, 5000), [-0.4, -0.2, 0.0]])
    assert end_m(along_m, np.ones(len(along_m)), 0.01) == pytest.approx(0.3, abs=0.006)


@pytest.mark.parametrize("yaw_deg", [0.0, 17.0, 44.0, 81.0])
@pytest.mark.parametrize("shown", ["-x -y +x +y", "-x -y", "-y +x"])
def test_two_sides_are_enough_to_know_how_a_cabinet_stands(yaw_deg: float, shown: str) -> None:
    points = turned(sides(0.6, 0.5, np.random.default_rng(6), shown), yaw_deg)
    long_axis = upright_axes(points, 0.001)[:2, 0]
    off_deg = np.degrees(np.arctan2(long_axis[1], long_axis[0])) - yaw_deg
    assert abs((off_deg + 90) % 180 - 90) < 0.6


@pytest.mark.parametrize("yaw_deg", [0.0, 28.0, 63.0])
def test_the_box_of_a_clean_cabinet_is_exact(yaw_deg: float) -> None:
    points = turned(sides(1.2, 0.4, np.random.default_rng(7)), yaw_deg) + (3.0, -2.0, 0.0)
    box = fitted_box(points, np.ones(len(points)), 0.0)
    np.testing.assert_allclose(box.extent_m, (1.2, 0.4, 0.8), atol=0.005)
    np.testing.assert_allclose(box.centre_m, (3.0, -2.0, 0.4), atol=0.004)


def test_without_up_the_box_follows_the_thing_itself() -> None:
    points = turned(sides(1.2, 0.4, np.random.default_rng(8)), 30)
    tilt = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    box = fitted_box(points @ tilt.T, np.ones(len(points)), 0.0, upright=False)
    np.testing.assert_allclose(box.extent_m, (1.2, 0.8, 0.4), atol=0.02)
