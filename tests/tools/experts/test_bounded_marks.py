"""What a program or a model asks to draw or mark is bounded."""

import pytest

from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.drawing import MOST_MARKS, draw
from spatial_agent.tools.experts.region import MOST_CORNERS, region
from spatial_agent.tools.synthetic import SyntheticRoom

ROOM = SyntheticRoom.example().resized(64, 48)


def test_more_marks_than_anybody_can_tell_apart_are_refused() -> None:
    marks = [{"kind": "label", "at_px": [5.0, 5.0], "label": "x"}] * (MOST_MARKS + 1)
    with pytest.raises(ToolArgumentError, match=f"at most {MOST_MARKS}"):
        draw(ROOM.frames().load(0), marks)


def test_an_outline_of_too_many_corners_is_refused() -> None:
    outline = [[float(k % 7), float(k % 5)] for k in range(MOST_CORNERS + 1)]
    with pytest.raises(ToolArgumentError, match=f"at most {MOST_CORNERS} corners"):
        region(ROOM.scene_map(), ROOM.frames().load(0), outline_px=outline)
