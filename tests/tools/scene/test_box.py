from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene import OrientedBox


@st.composite
def boxes(draw: st.DrawFn) -> OrientedBox:
    lengths = st.tuples(*[st.floats(0.05, 5.0)] * 3)
    places = st.tuples(*[st.floats(-10.0, 10.0)] * 3)
    turn = Rotation.random(random_state=draw(st.integers(0, 2**32 - 1)))
    return OrientedBox(np.array(draw(places)), np.array(draw(lengths)), turn.as_matrix())


def rigid(seed: int) -> np.ndarray:
    transform = np.eye(4)
    transform[:3, :3] = Rotation.random(random_state=seed).as_matrix()
    transform[:3, 3] = np.random.default_rng(seed).uniform(-5, 5, 3)
    return transform


def test_corners_of_a_box_along_the_world_axes() -> None:
    box = OrientedBox.upright(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    assert {tuple(corner) for corner in box.corners_m} == {*product((0.0, 2.0), (0.0, 4.0), (0.0, 6.0))}


def test_a_quarter_turn_counter_clockwise_takes_x_to_y() -> None:
    box = OrientedBox.upright(np.zeros(3), np.array([2.0, 1.0, 1.0]), np.pi / 2)
    np.testing.assert_allclose(box.world_from_box[:, 0], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(np.ptp(box.corners_m, axis=0), [1.0, 2.0, 1.0], atol=1e-12)


@given(boxes())
def test_the_hull_of_the_corners_has_the_volume_of_the_box(box: OrientedBox) -> None:
    assert ConvexHull(box.corners_m).volume == pytest.approx(box.volume_m3, rel=1e-6)


@given(boxes())
def test_the_longest_way_through_a_box_is_its_diagonal(box: OrientedBox) -> None:
    longest = max(float(np.linalg.norm(a - b)) for a, b in combinations(box.corners_m, 2))
    assert longest == pytest.approx(float(np.linalg.norm(box.extent_m)))


@given(boxes(), st.tuples(*[st.floats(-2.0, 2.0)] * 3))
def test_containing_agrees_with_distances_along_the_axes(
    box: OrientedBox, offset: tuple[float, float, float]
) -> None:
    point = box.centre_m + sum(
        share * edge * axis
        for share, edge, axis in zip(offset, box.extent_m, box.world_from_box.T, strict=True)
    )
    if min(abs(abs(share) - 0.5) for share in offset) < 1e-6:
        return
    assert box.contains(point[None]) == [all(abs(share) < 0.5 for share in offset)]


def test_the_margin_widens_every_face() -> None:
    box = OrientedBox.upright(np.zeros(3), np.ones(3))
    points = np.array([[0.55, 0, 0], [0, 0, -0.55], [0.65, 0, 0]])
    assert box.contains(points).tolist() == [False, False, False]
    assert box.contains(points, margin_m=0.1).tolist() == [True, True, False]


@given(boxes(), st.integers(0, 2**32 - 1))
def test_moving_a_box_moves_its_corners(box: OrientedBox, seed: int) -> None:
    target_from_world = rigid(seed)
    expected = np.c_[box.corners_m, np.ones(8)] @ target_from_world.T
    np.testing.assert_allclose(box.moved(target_from_world).corners_m, expected[:, :3], atol=1e-9)


@given(boxes())
def test_box_coordinates_of_the_corners_are_half_the_edges(box: OrientedBox) -> None:
    np.testing.assert_allclose(np.abs(box.local(box.corners_m)), np.tile(box.extent_m / 2, (8, 1)), atol=1e-9)


@pytest.mark.parametrize(("turn", "axis"), [("x", 1), ("y", 0), ("z", 2)])
def test_the_upright_axis_is_found_whichever_it_is(turn: str, axis: int) -> None:
    rotation = Rotation.from_euler(turn, 90, degrees=True).as_matrix()
    assert OrientedBox(np.zeros(3), np.ones(3), rotation).upright_axis == axis


@pytest.mark.parametrize(("tilt_deg", "axis"), [(0.4, 2), (0.6, None), (45.0, None)])
def test_a_tilted_box_has_no_upright_axis(tilt_deg: float, axis: int | None) -> None:
    rotation = Rotation.from_euler("x", tilt_deg, degrees=True).as_matrix()
    assert OrientedBox(np.zeros(3), np.ones(3), rotation).upright_axis == axis


def test_a_flat_box_is_a_box() -> None:
    assert OrientedBox.upright(np.zeros(3), np.array([1.0, 1.0, 0.0])).volume_m3 == 0.0


def test_negative_edges_are_refused() -> None:
    with pytest.raises(
        ShapeError, match=r"extent_m: expected full edges of at least 0 m, got \[1.0, -1.0, 1.0\]"
    ):
        OrientedBox.upright(np.zeros(3), np.array([1.0, -1.0, 1.0]))


def test_axes_that_mirror_are_refused() -> None:
    with pytest.raises(ShapeError, match="world_from_box: the rotation mirrors"):
        OrientedBox(np.zeros(3), np.ones(3), np.diag([1.0, 1.0, -1.0]))
