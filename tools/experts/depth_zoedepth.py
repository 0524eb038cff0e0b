"""ZoeDepth: relative depth turned metric by adaptive bins.

Source: Bhat et al., ZoeDepth: Zero-shot Transfer by Combining Relative and Metric Depth, 2023.
"""

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.experts.depth_network import DepthNetwork
from spatial_agent.tools.experts.pretrained import hub_weights
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap, Frame

WEIGHTS = (hub_weights("Intel/zoedepth-nyu", "MIT"), hub_weights("Intel/zoedepth-nyu-kitti", "MIT"))


@expert("depth.zoedepth", weights=WEIGHTS, resources=Resources(threads=2, deadline_s=180.0, most_batched=4))
class ZoeDepth(DepthNetwork):
    """ZoeDepth; pictures get a reflected border, as in training."""

    model_type = "zoedepth"
    bordered = True
    # The logarithms of its bins need the range of single precision.
    half = False
    # Judged: 7.7 % of the depth is reported on NYUv2, which it was tuned on (as quoted in the README of
    # Depth Anything's metric models); other cameras and rooms cost about as much again.
    scale_error = 0.15
    shape_error = 0.08

    def __call__(self, frame: Frame) -> DepthMap:
        """Estimate metric depth from one picture with ZoeDepth.

        Args:
            frame: A frame with a picture; its own depth, where it has any, is not looked at.

        Raises:
            ToolFailedError: If the frame has no picture, or no depth came out.
        """
        return self.estimate(frame)
