import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy.optimize import lsq_linear
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.geometry.distance import (
    box_distance,
    centre_distance,
    distances_to_box,
    nearest_of_boxes,
    nearest_points,
    nearest_points_of_boxes,
    quantile_surface_distance,
)
from spatial_agent.tools.scene import OrientedBox

Array = NDArray[np.float64]
lengths = st.floats(0.02, 3.0)
places = st.floats(-3.0, 3.0)
turns = st.floats(-3.0, 3.0)


def box(
    centre: tuple[float, ...], extent: tuple[float, ...], turn: tuple[float, ...] = (0, 0, 0)
) -> OrientedBox:
    axes = Rotation.from_rotvec(np.array(turn, dtype=float)).as_matrix()
    return OrientedBox(np.array(centre, dtype=float), np.array(extent, dtype=float), axes)


boxes = st.builds(
    box,
    st.tuples(places, places, places),
    st.tuples(lengths, lengths, lengths),
    st.tuples(turns, turns, turns),
)


def least_distance(a: OrientedBox, b: OrientedBox) -> float:
    """Solve the same question as bounded least squares over both boxes' own coordinates."""
    half = np.concatenate([a.extent_m, b.extent_m]) / 2
    solution = lsq_linear(
        np.hstack([a.world_from_box, -b.world_from_box]),
        b.centre_m - a.centre_m,
        bounds=(-half, half),
        method="bvls",
        tol=1e-14,
    )
    return float(np.sqrt(2 * solution.cost))


@given(boxes, boxes)
def test_box_distance_agrees_with_bounded_least_squares(a: OrientedBox, b: OrientedBox) -> None:
    assert box_distance(a, b) == pytest.approx(least_distance(a, b), abs=1e-7)


@given(boxes, boxes)
def test_the_nearest_points_lie_in_their_boxes_at_the_distance_said(a: OrientedBox, b: OrientedBox) -> None:
    point_a, point_b = nearest_points_of_boxes(a, b)
    assert a.contains(point_a[None], 1e-9).all()
    assert b.contains(point_b[None], 1e-9).all()
    assert np.linalg.norm(point_a - point_b) == pytest.approx(box_distance(a, b), abs=1e-12)
    assert box_distance(b, a) == pytest.approx(box_distance(a, b), abs=1e-9)


@given(boxes, boxes)
def test_no_sampled_pair_is_nearer(a: OrientedBox, b: OrientedBox) -> None:
    grid = np.stack(np.meshgrid(*[np.linspace(-0.5, 0.5, 5)] * 3), -1).reshape(-1, 3)
    in_a, in_b = ((grid * one.extent_m) @ one.world_from_box.T + one.centre_m for one in (a, b))
    assert cdist(in_a, in_b).min() >= box_distance(a, b) - 1e-9


@pytest.mark.parametrize(
    ("centre", "expected"),
    [
        ((3.0, 0.0, 0.0), 2.0),
        ((3.0, 4.0, 0.0), np.hypot(2, 3)),
        ((3.0, 4.0, 2.0), np.sqrt(4 + 9 + 1)),
        ((1.0, 0.0, 0.0), 0.0),
        ((0.2, 0.1, 0.0), 0.0),
    ],
)
def test_unit_cubes_face_edge_corner_touching_and_overlapping(
    centre: tuple[float, ...], expected: float
) -> None:
    assert box_distance(box((0, 0, 0), (1, 1, 1)), box(centre, (1, 1, 1))) == pytest.approx(expected)


def test_a_turned_cube_comes_nearer_with_its_edge() -> None:
    turned = box((3, 0, 0), (1, 1, 1), (0, 0, np.pi / 4))
    assert box_distance(box((0, 0, 0), (1, 1, 1)), turned) == pytest.approx(3 - 0.5 - np.sqrt(0.5))


def test_crossing_rods_are_nearest_between_the_insides_of_two_edges() -> None:
    rod_x = box((0.3, 0, 0), (4, 0.2, 0.2), (np.pi / 4, 0, 0))
    rod_y = box((0, 0.4, 1), (0.2, 4, 0.2), (0, np.pi / 4, 0))
    nearest = nearest_of_boxes(rod_x, rod_y)
    assert nearest.distance_m == pytest.approx(1 - 0.2 * np.sqrt(2))
    assert_allclose(nearest.point_a_m, [0, 0, 0.1 * np.sqrt(2)], atol=1e-12)
    assert_allclose(nearest.point_b_m, [0, 0, 1 - 0.1 * np.sqrt(2)], atol=1e-12)


def test_a_rod_through_a_plate_overlaps_it_though_no_corner_is_inside() -> None:
    plate, rod = box((0, 0, 0), (2, 2, 0.1)), box((0.3, 0.2, 0), (0.1, 0.1, 2), (0.2, 0.1, 0.3))
    nearest = nearest_of_boxes(plate, rod)
    assert nearest.distance_m == 0.0
    assert plate.contains(nearest.point_a_m[None], 1e-9).all()
    assert rod.contains(nearest.point_a_m[None], 1e-9).all()


def test_a_box_inside_another_is_at_no_distance() -> None:
    assert box_distance(box((0, 0, 0), (4, 4, 4)), box((0.5, 0, 0), (1, 1, 1), (0.3, 0.2, 0.1))) == 0.0


def test_flat_boxes_and_points_have_distances_too() -> None:
    sheet, point = box((0, 0, 0), (2, 2, 0)), box((0.5, 0.5, 3), (0, 0, 0))
    assert box_distance(sheet, point) == pytest.approx(3.0)
    assert box_distance(point, box((0.5, 0.5, 3), (0, 0, 0))) == 0.0
    assert box_distance(sheet, box((0, 0, 1), (0, 0, 2))) == pytest.approx(0.0)


def test_centres_are_farther_apart_than_surfaces() -> None:
    assert centre_distance(box((0, 0, 0), (1, 1, 1)), box((3, 4, 0), (1, 1, 1))) == pytest.approx(5.0)


def test_points_are_measured_to_the_solid_box() -> None:
    turned = box((1, 0, 0), (2, 2, 2), (0, 0, np.pi / 4))
    points = np.array([[1.0, 0, 0], [1 + np.sqrt(2) + 1, 0, 0], [1.0, 0, 4]])
    assert_allclose(distances_to_box(turned, points), [0.0, 1.0, 3.0], atol=1e-12)


def clouds(seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0, 1, (300, 3)), rng.uniform(0, 1, (200, 3)) + (1.5, 0, 0)


def test_the_nearest_points_of_clouds_agree_with_trying_all_pairs() -> None:
    a, b = clouds(0)
    table = cdist(a, b)
    i, j = np.unravel_index(table.argmin(), table.shape)
    point_a, point_b = nearest_points(a, b)
    assert_allclose([point_a, point_b], [a[i], b[j]])


@pytest.mark.parametrize("quantile", [0.0, 0.01, 0.2, 0.99])
def test_the_quantile_distance_agrees_with_trying_all_pairs(quantile: float) -> None:
    a, b = clouds(1)
    table, k = cdist(a, b), int(quantile * 200)
    expected = max(np.sort(table.min(axis=1))[k], np.sort(table.min(axis=0))[k])
    forth, back = quantile_surface_distance(a, b, quantile), quantile_surface_distance(b, a, quantile)
    assert forth.distance_m == pytest.approx(expected)
    assert back.distance_m == pytest.approx(expected)
    assert np.linalg.norm(forth.point_a_m - forth.point_b_m) == pytest.approx(expected)
    assert forth.point_a_m in a
    assert forth.point_b_m in b


def test_a_few_stray_points_do_not_shorten_a_quantile_distance() -> None:
    a, b = clouds(2)
    stray = np.vstack([a, b[:3] + 0.01])
    assert quantile_surface_distance(stray, b, 0.0).distance_m < 0.02
    assert quantile_surface_distance(stray, b, 0.02).distance_m > 0.4


@pytest.mark.parametrize(("cloud", "reason"), [(np.empty((0, 3)), "1 and 0"), (np.zeros((3, 2)), "b_xyz_m")])
def test_clouds_without_points_in_space_are_refused(cloud: Array, reason: str) -> None:
    with pytest.raises(ShapeError, match=reason):
        quantile_surface_distance(np.zeros((1, 3)), cloud, 0.1)


def test_a_quantile_that_passes_over_everything_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="quantile"):
        quantile_surface_distance(np.zeros((1, 3)), np.zeros((1, 3)), 1.0)
