import numpy as np
import pytest

from spatial_agent.tools.errors import InvalidValueError, ViewpointError
from spatial_agent.tools.geometry.size import Dimension, size_of
from spatial_agent.tools.scene import OrientedBox

LYING = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
TILTED = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]])


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [("longest", 1.8), ("height", 0.7), ("width", 1.8), ("length", 1.8), ("depth", 0.4)],
)
def test_an_upright_box_has_every_dimension(dimension: Dimension, expected: float) -> None:
    box = OrientedBox.upright(np.zeros(3), np.array([0.4, 1.8, 0.7]), 0.3)
    assert size_of(box, dimension) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dimension", "expected"), [("height", 1.8), ("width", 0.7), ("depth", 0.4), ("longest", 1.8)]
)
def test_height_is_the_vertical_edge_whichever_axis_that_is(dimension: Dimension, expected: float) -> None:
    box = OrientedBox(np.zeros(3), np.array([0.7, 1.8, 0.4]), LYING)
    assert size_of(box, dimension) == pytest.approx(expected)


def test_only_the_longest_edge_of_a_tilted_box_is_defined() -> None:
    tilted = OrientedBox(np.zeros(3), np.array([0.7, 1.8, 0.4]), TILTED)
    assert size_of(tilted, "longest") == 1.8
    for dimension in ("height", "width", "depth"):
        with pytest.raises(ViewpointError, match="36.9 degrees"):
            size_of(tilted, dimension)


def test_an_unknown_dimension_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="girth"):
        size_of(OrientedBox.upright(np.zeros(3), np.ones(3)), "girth")  # type: ignore[arg-type]
