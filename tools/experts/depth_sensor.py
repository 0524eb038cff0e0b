"""The depth a recording brings along."""

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap, Frame


@expert("depth.sensor", resources=Resources(in_caller=True))
def sensor_depth(frame: Frame) -> DepthMap:
    """Return the depth that was recorded with a frame.

    Args:
        frame: A frame of a recording with depth.

    Raises:
        ToolFailedError: If the recording has no depth for this frame.
    """
    if frame.depth is None:
        raise ToolFailedError(
            f"frame {frame.header.name} was recorded without depth; estimate it from the picture instead, "
            "for example with depth.depth_anything"
        )
    return frame.depth
