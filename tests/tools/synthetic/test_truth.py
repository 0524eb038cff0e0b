"""The closed form against a general solver, and against distances known by construction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import lsq_linear

from spatial_agent.tools.scene import OrientedBox
from spatial_agent.tools.synthetic.truth import upright_distance_m

boxes = st.builds(
    lambda centre, extent, yaw: OrientedBox.upright(np.array(centre), np.array(extent), yaw),
    st.tuples(*[st.floats(-2, 2)] * 3),
    st.tuples(*[st.floats(0.1, 1.5)] * 3),
    st.floats(-3.2, 3.2),
)


def solved_distance_m(first: OrientedBox, second: OrientedBox) -> float:
    """Minimise |p - q|^2 over points p, q of the two boxes: bounded linear least squares."""
    half = np.concatenate([first.extent_m, second.extent_m]) / 2
    axes = np.hstack([first.world_from_box, -second.world_from_box])
    found = lsq_linear(axes, second.centre_m - first.centre_m, (-half, half), tol=1e-14)
    return float(np.sqrt(2 * found.cost))


@settings(max_examples=60, deadline=None)
@given(boxes, boxes)
def test_the_closed_form_agrees_with_a_quadratic_programme(first: OrientedBox, second: OrientedBox) -> None:
    assert upright_distance_m(first, second) == pytest.approx(solved_distance_m(first, second), abs=1e-5)


def test_a_corner_can_be_nearest_to_a_face() -> None:
    wall = OrientedBox.upright(np.zeros(3), np.array([0.2, 4.0, 2.0]))
    turned = OrientedBox.upright(np.array([2.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0]), np.pi / 4)
    assert upright_distance_m(wall, turned) == pytest.approx(2.0 - 0.1 - np.sqrt(0.5))


def test_stacked_boxes_are_apart_by_the_gap_of_their_heights() -> None:
    low = OrientedBox.upright(np.zeros(3), np.ones(3))
    high = OrientedBox.upright(np.array([0.1, 0.0, 1.3]), np.ones(3), 0.3)
    assert upright_distance_m(low, high) == pytest.approx(0.3)
    assert upright_distance_m(low, low) == 0.0
