import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.geometry.boxes import fit_upright_box, footprint, upright_box_iou
from spatial_agent.tools.scene import OrientedBox


def surface_points(yaw_rad: float, extent_m: tuple[float, float, float], n: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(3)
    unit = rng.uniform(-0.5, 0.5, (n, 3))
    unit[np.arange(n), rng.integers(0, 3, n)] = rng.choice((-0.5, 0.5), n)
    corners = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    turned = (np.vstack([unit, corners]) * extent_m) @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    points: NDArray[np.float64] = turned + (5.0, -3.0, 1.0)
    return points


@given(
    yaw_rad=st.floats(-3.0, 3.0),
    long_m=st.floats(1.0, 3.0),
    short_m=st.floats(0.2, 0.9),
    z_m=st.floats(0.1, 2),
)
def test_a_box_is_found_again_from_its_points(
    yaw_rad: float, long_m: float, short_m: float, z_m: float
) -> None:
    box = fit_upright_box(surface_points(yaw_rad, (short_m, long_m, z_m), 40))
    assert_allclose(box.extent_m, [long_m, short_m, z_m], rtol=1e-9)
    assert_allclose(box.centre_m, [5.0, -3.0, 1.0], atol=1e-9)
    assert box.upright_axis == 2
    # The long edge lies along the box's own y, a quarter turn on from its yaw.
    turn = box.world_from_box[:2, 0] @ [-np.sin(yaw_rad), np.cos(yaw_rad)]
    assert abs(turn) == pytest.approx(1.0, abs=1e-9)


def test_trimming_keeps_stray_points_from_growing_the_box() -> None:
    clean = surface_points(0.4, (2.0, 1.0, 1.0), 4000)
    stray = np.random.default_rng(1).uniform(-4, 4, (12, 3)) + (5.0, -3.0, 1.0)
    points = np.vstack([clean, stray])
    assert fit_upright_box(points).extent_m.max() > 4.0
    trimmed = fit_upright_box(points, trim=0.005)
    assert_allclose(trimmed.extent_m, [2.0, 1.0, 1.0], atol=0.06)
    assert abs(trimmed.world_from_box[:2, 0] @ [np.cos(0.4), np.sin(0.4)]) > np.cos(np.radians(1.5))


@pytest.mark.parametrize("trim", [0.0, 0.1])
def test_one_point_and_points_on_a_line_have_flat_boxes(trim: float) -> None:
    one = fit_upright_box(np.array([[1.0, 2.0, 3.0]]), trim)
    assert_allclose(one.extent_m, 0.0)
    assert_allclose(one.centre_m, [1.0, 2.0, 3.0])
    line = fit_upright_box(np.linspace((0.0, 0.0, 1.0), (3.0, 4.0, 1.0), 11))
    assert_allclose(line.extent_m, [5.0, 0.0, 0.0], atol=1e-12)


def test_the_smallest_footprint_is_taken_though_another_has_a_shorter_outline() -> None:
    # A square cut down to a strip along its diagonal: 1 by 1 along its sides, sqrt 2 by 0.9 / sqrt 2 across.
    strip = np.array([[0.1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0.1, 0]])
    assert_allclose(fit_upright_box(strip).extent_m, [np.sqrt(2), 0.9 / np.sqrt(2), 0.0], atol=1e-12)


def test_of_equally_small_boxes_the_squarer_is_taken() -> None:
    # A box along any side of an acute triangle is twice the triangle's size; this is the side from 0, 0.
    triangle = np.array([[0.0, 0, 0], [4, 0, 0], [1.5, 3, 0]])
    side = np.hypot(1.5, 3.0)
    assert_allclose(fit_upright_box(triangle).extent_m, [12 / side, side, 0.0], atol=1e-12)


@pytest.mark.parametrize("points", [np.empty((0, 3)), np.zeros((4, 2)), np.full((3, 3), np.nan)])
def test_points_no_box_can_hold_are_refused(points: NDArray[np.float64]) -> None:
    with pytest.raises(ShapeError, match="xyz_m"):
        fit_upright_box(points)


def test_trimming_everything_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="trim"):
        fit_upright_box(np.zeros((4, 3)), trim=0.5)


def test_the_footprint_of_a_tilted_cube_is_what_its_shadow_covers() -> None:
    cos = sin = np.sqrt(0.5)
    tilted = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    assert footprint(OrientedBox(np.zeros(3), np.ones(3), tilted)).area == pytest.approx(np.sqrt(2))


def test_shifted_boxes_share_what_arithmetic_says() -> None:
    a = OrientedBox.upright(np.zeros(3), np.array([2.0, 2.0, 2.0]))
    b = OrientedBox.upright(np.array([1.0, 0.0, 1.0]), np.array([2.0, 2.0, 2.0]))
    assert upright_box_iou(a, b) == pytest.approx(2 / (8 + 8 - 2))


def test_a_square_turned_by_an_eighth_shares_an_octagon() -> None:
    a = OrientedBox.upright(np.zeros(3), np.ones(3))
    b = OrientedBox.upright(np.zeros(3), np.ones(3), np.pi / 4)
    octagon = 2 * (np.sqrt(2) - 1)
    assert upright_box_iou(a, b) == pytest.approx(octagon / (2 - octagon))


@pytest.mark.parametrize("centre", [(0.0, 0.0, 2.0), (5.0, 0.0, 0.0)])
def test_boxes_apart_share_nothing(centre: tuple[float, float, float]) -> None:
    unit = OrientedBox.upright(np.zeros(3), np.ones(3))
    assert upright_box_iou(unit, OrientedBox.upright(np.array(centre), np.ones(3))) == 0.0


def test_the_overlap_of_a_tilted_box_is_refused() -> None:
    tilted = OrientedBox(np.zeros(3), np.ones(3), np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]))
    with pytest.raises(InvalidValueError, match="upright"):
        upright_box_iou(tilted, OrientedBox.upright(np.zeros(3), np.ones(3)))
