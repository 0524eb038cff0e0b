"""Depth Pro: metric depth with sharp edges, and the field of view where the camera is not known.

Source: Bochkovskii et al., Depth Pro: Sharp Monocular Metric Depth in Less Than a Second, 2024.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.experts.depth_network import FARTHEST_M, DepthNetwork
from spatial_agent.tools.experts.pretrained import hub_weights
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap, Frame

if TYPE_CHECKING:
    from torch import Tensor

#: A focal length known worse than this is left to the network.
TRUSTED_FOCAL_ERROR = 0.1
WEIGHTS = (hub_weights("apple/DepthPro-hf", "apple-amlr"),)


@expert("depth.depth_pro", weights=WEIGHTS, resources=Resources(threads=2, deadline_s=300.0, most_batched=2))
class DepthPro(DepthNetwork):
    """Depth Pro; its depth is in units of the focal length, which comes from the frame or from itself."""

    model_type = "depth_pro"
    # Judged, as for Depth Anything: tables of zero-shot errors were not read. It is told the camera where
    # that is known, so its scale is trusted a little more.
    scale_error = 0.10
    shape_error = 0.05

    def __call__(self, frame: Frame) -> DepthMap:
        """Estimate metric depth from one picture with Depth Pro.

        Args:
            frame: A frame with a picture; its intrinsics are used where they are well known.

        Raises:
            ToolFailedError: If the frame has no picture, or the camera is neither known nor estimated.
        """
        return self.estimate(frame)

    def _metres(self, values: "Tensor", outputs: Any, frames: Sequence[Frame]) -> "Tensor":  # noqa: ANN401
        import torch

        own = [None] * len(frames)
        if outputs.field_of_view is not None:
            half_rad = torch.deg2rad(outputs.field_of_view.float().reshape(-1)) / 2.0
            own = (2.0 * torch.tan(half_rad)).tolist()
        widths = [_width_per_focal(frame) or width for frame, width in zip(frames, own, strict=True)]
        per_focal = torch.tensor(widths, device=values.device, dtype=values.dtype).view(-1, 1, 1)
        return 1.0 / torch.clamp(values * per_focal, min=0.5 / FARTHEST_M)

    def _refusal(self, frame: Frame) -> str | None:
        if _width_per_focal(frame) is None and not self._model.config.use_fov_model:
            return (
                f"frame {frame.header.name}: the camera is not known, and these weights do not estimate its "
                "field of view; give intrinsics"
            )
        return None


def _width_per_focal(frame: Frame) -> float | None:
    """Return the width of the image over its focal length, or None where that is not well known."""
    camera = frame.header.intrinsics
    if camera is None or frame.header.focal_error > TRUSTED_FOCAL_ERROR:
        return None
    return camera.width / camera.fx
