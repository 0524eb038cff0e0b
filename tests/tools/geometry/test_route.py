import numpy as np
import pytest

from spatial_agent.tools.errors import InvalidValueError, ViewpointError
from spatial_agent.tools.geometry.route import route_turns


def test_turns_are_named_by_the_change_of_heading() -> None:
    # North two, west three, south two, east one and straight back west.
    turns = route_turns([(0, 0), (0, 2), (-3, 2), (-3, 0), (-2, 0), (-5, 0)])
    assert [turn.name for turn in turns] == ["left", "left", "left", "back"]
    assert [turn.degrees for turn in turns] == pytest.approx([90.0, 90.0, 90.0, 180.0])


@pytest.mark.parametrize(
    ("angle_deg", "name", "to_boundary_deg"),
    [
        (134.0, "left", 1.0),
        (136.0, "back", 1.0),
        (-134.0, "right", 1.0),
        (-136.0, "back", 1.0),
        (5.0, "left", 5.0),
    ],
)
def test_turning_135_degrees_or_more_is_turning_back(
    angle_deg: float, name: str, to_boundary_deg: float
) -> None:
    angle = np.radians(angle_deg)
    corner = np.array([3.0, 1.0])
    (turn,) = route_turns(
        [corner - (2.0, 0.0), corner, corner + 0.5 * np.array([np.cos(angle), np.sin(angle)])]
    )
    assert turn.name == name
    assert turn.to_boundary_deg == pytest.approx(to_boundary_deg)


def test_a_route_without_a_corner_has_no_turn() -> None:
    with pytest.raises(InvalidValueError, match="three points"):
        route_turns([(0, 0), (1, 0)])


def test_standing_still_has_no_heading() -> None:
    with pytest.raises(ViewpointError, match="1 cm"):
        route_turns([(0, 0), (1, 0), (1, 0.005)])
