"""On and over, worked by hand on boxes."""

import numpy as np
import pytest

from spatial_agent.tools.geometry.vertical import is_over, rests_on
from spatial_agent.tools.scene import OrientedBox

TABLE = OrientedBox.upright(np.array([0.0, 0.0, 0.375]), np.array([1.6, 0.8, 0.75]))


def cup(x: float, y: float, bottom_m: float) -> OrientedBox:
    return OrientedBox.upright(np.array([x, y, bottom_m + 0.05]), np.array([0.08, 0.08, 0.1]))


@pytest.mark.parametrize(
    ("box", "over", "rests"),
    [
        (cup(0.5, 0.2, 0.75), True, True),
        (cup(0.5, 0.2, 0.80), True, True),
        (cup(0.5, 0.2, 1.20), True, False),
        (cup(0.5, 0.2, 0.30), False, False),
        (cup(1.5, 0.2, 0.75), False, False),
    ],
)
def test_a_cup_and_a_table(box: OrientedBox, over: bool, rests: bool) -> None:
    assert is_over(box, TABLE) is over
    assert rests_on(box, TABLE) is rests


def test_a_table_is_not_on_its_cup() -> None:
    assert not is_over(TABLE, cup(0.0, 0.0, 0.75))
