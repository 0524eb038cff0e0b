import numpy as np
import pytest
from numpy.testing import assert_array_equal
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.geometry.room import (
    alpha_shape,
    polygon_area,
    room_area,
    room_outline,
    sample_points,
)


def floor(width_m: float, depth_m: float, step_m: float = 0.1) -> NDArray[np.float64]:
    x, y = np.meshgrid(np.arange(0, width_m + 1e-9, step_m), np.arange(0, depth_m + 1e-9, step_m))
    return np.column_stack([x.ravel(), y.ravel()])


def test_a_rectangle_of_points_has_its_area() -> None:
    assert alpha_shape(floor(4.0, 3.0)).area == pytest.approx(12.0)
    assert room_area(floor(4.0, 3.0) + (7.0, -2.0)) == pytest.approx(12.0)


def test_a_corner_cut_out_of_the_floor_is_not_counted() -> None:
    points = floor(4.0, 3.0)
    ell = points[~((points > (2.45, 1.45)).all(axis=1))]
    # Three quarters of a square metre short of all of it, but for slivers in the inner corner.
    assert room_area(ell) == pytest.approx(12.0 - 1.6 * 1.6, abs=0.05)


def test_what_furniture_hides_inside_the_floor_is_counted() -> None:
    points = floor(4.0, 3.0)
    ring = points[~(np.abs(points - (2.0, 1.5)) < 0.95).all(axis=1)]
    assert alpha_shape(ring).area == pytest.approx(12.0)


@pytest.mark.parametrize(("share", "kept"), [(0.99, True), (1.01, False)])
def test_triangles_are_kept_whose_circle_is_smaller_than_one_over_alpha(share: float, kept: bool) -> None:
    side_m = share * np.sqrt(3) / 5.0
    triangle = side_m * np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
    expected = np.sqrt(3) / 4 * side_m**2 if kept else 0.0
    assert alpha_shape(triangle, 5.0).area == pytest.approx(expected)


def test_alpha_zero_is_the_convex_hull() -> None:
    assert alpha_shape([[0, 0], [9, 0], [9, 4], [0, 4], [4, 1]], 0.0).area == pytest.approx(36.0)


def test_the_outline_is_of_the_largest_piece_only() -> None:
    both = np.vstack([floor(4.0, 3.0), floor(1.0, 1.0) + (6.0, 0.0)])
    assert alpha_shape(both).area == pytest.approx(13.0)
    assert room_area(both) == pytest.approx(12.0)
    assert room_outline(both)[:, 0].max() == pytest.approx(4.0)


def test_the_outline_runs_counter_clockwise_and_is_not_closed() -> None:
    x, y = room_outline(floor(2.0, 1.0)).T
    assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2 == pytest.approx(2.0)
    assert (x[0], y[0]) != (x[-1], y[-1])


def test_many_points_are_thinned_the_same_way_for_the_same_seed() -> None:
    points = np.random.default_rng(0).uniform(0, (5, 4), (30_000, 2))
    assert_array_equal(room_outline(points, seed=1), room_outline(points, seed=1))
    assert room_area(points, seed=1) != room_area(points, seed=2)
    assert room_area(points) == pytest.approx(20.0, rel=0.02)


def test_a_draw_with_replacement_may_be_larger_than_what_is_drawn_from() -> None:
    assert sample_points(np.array([[1.0, 2.0]]), 3, 0).tolist() == [[1.0, 2.0]] * 3
    with pytest.raises(ShapeError, match="at least one"):
        sample_points(np.empty((0, 2)), 3, 0)


@pytest.mark.parametrize("points", [[[0, 0], [1, 1]], [[0, 0], [1, 1], [2, 2], [3, 3]]])
def test_points_on_a_line_cover_nothing(points: list[list[float]]) -> None:
    with pytest.raises(InvalidValueError, match="not on one line"):
        alpha_shape(points)


def test_scattered_points_are_no_floor() -> None:
    with pytest.raises(InvalidValueError, match="too far apart"):
        room_outline(np.array([[0.0, 0], [3, 0], [0, 3], [3, 3]]))


def test_points_in_space_and_negative_alphas_are_refused() -> None:
    with pytest.raises(ShapeError, match="points_xy_m"):
        alpha_shape(np.zeros((4, 3)))
    with pytest.raises(InvalidValueError, match="alpha_per_m"):
        alpha_shape(floor(1.0, 1.0), -1.0)


def test_the_area_of_a_polygon_does_not_depend_on_its_direction_or_place() -> None:
    arrow = np.array([[0.0, 0], [4, 0], [4, 4], [2, 1]])
    # A right triangle of 8 square metres with one of 2 cut out of its long side.
    assert polygon_area(arrow) == pytest.approx(6.0)
    assert polygon_area(arrow[::-1] + 1000.0) == pytest.approx(6.0)
