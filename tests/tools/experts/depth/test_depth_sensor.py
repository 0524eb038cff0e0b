"""The depth a recording brings along."""

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.experts.depth_sensor import sensor_depth
from spatial_agent.tools.scene import DepthMap, Frame, FrameHeader


def test_recorded_depth_is_given_as_it_is() -> None:
    depth = DepthMap(np.full((3, 5), 2.0, np.float32))
    assert sensor_depth(Frame(FrameHeader(0, "a"), depth=depth)) is depth


def test_a_frame_without_depth_is_refused_with_what_to_do() -> None:
    with pytest.raises(ToolFailedError, match=r"frame 17\.png .*without depth.*depth\.depth_anything"):
        sensor_depth(Frame(FrameHeader(0, "17.png")))
