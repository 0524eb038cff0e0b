"""What networks that estimate depth from one picture share: loading, batching, half precision, errors."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ToolFailedError, ToolUnavailableError
from spatial_agent.tools.experts.batching import only
from spatial_agent.tools.experts.depth_pixels import Preparation
from spatial_agent.tools.experts.pretrained import half_where_faster, on_gpu, parts, read_network
from spatial_agent.tools.scene import DepthMap, Frame

if TYPE_CHECKING:
    from torch import Tensor

#: Pictures in one pass of an accelerator; a processor gains nothing from more than one.
TOGETHER = 8
#: Depth beyond this is no surface of a scene but sky, metres.
FARTHEST_M = 1000.0


class DepthNetwork:
    """A network of the ``transformers`` library in a folder of the hub's layout.

    Attributes:
        model_type: What its ``config.json`` must say.
        bordered: Whether pictures get a reflected border first.
        half: Whether it computes in half precision on an accelerator; else only its matrix products do.
        scale_error: Relative standard deviation of one factor common to all depths of a picture.
        shape_error: Relative standard deviation of single depths after the best factor.
    """

    model_type: ClassVar[str]
    bordered: ClassVar[bool] = False
    half: ClassVar[bool] = True
    scale_error: ClassVar[float]
    shape_error: ClassVar[float]

    def __init__(self, weights: Path) -> None:
        """Remember where the weights are; nothing is read before `load`."""
        self.weights = weights
        self._device = "cpu"
        self._model: Any = None
        self._preparation: Preparation | None = None

    def load(self, device: str) -> None:
        """Read the weights and put them on a device; on another device, move them there.

        Args:
            device: Such as ``"cpu"`` or ``"cuda:0"``.

        Raises:
            ToolUnavailableError: If torch or transformers is missing, or the weights are not whole or of
                another network.
        """
        if self._model is None:
            self._preparation = Preparation.read(self.weights, bordered=self.bordered)
            self._check_settings()
            self._model = read_network("AutoModelForDepthEstimation", self.weights, "cpu")
        import torch

        halved = self.half and on_gpu(device)
        self._model = self._model.to(device, torch.float16 if halved else torch.float32).eval()
        self._device = device

    def compile(self) -> None:
        """Turn the network into compiled graphs: slow at the first picture of a size, faster afterwards.

        Does nothing off an accelerator, where it does not pay.
        """
        if self._model is not None and on_gpu(self._device):
            self._model.compile()

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[DepthMap | Exception]:
        """Estimate several frames; those of one size go through the network together."""
        return self._estimated([call["frame"] for call in calls])

    def estimate(self, frame: Frame) -> DepthMap:
        """Estimate one frame.

        Raises:
            ToolFailedError: If the frame has no picture, or no depth came out.
            ToolUnavailableError: If nothing is loaded.
        """
        return only(self._estimated([frame]))

    def _estimated(self, frames: Sequence[Frame]) -> list[DepthMap | Exception]:
        """Return depth, or why there is none, for each frame."""
        if self._model is None:
            raise ToolUnavailableError(f"{type(self).__name__} is not loaded; call load(device) first")
        results: dict[int, DepthMap | Exception] = {}
        together: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            if frame.rgb is None:
                results[index] = ToolFailedError(
                    f"frame {frame.header.name} has no picture to estimate depth from; use depth.sensor"
                )
            elif refusal := self._refusal(frame):
                results[index] = ToolFailedError(refusal)
            else:
                together[frame.rgb.shape].append(index)
        at_once = TOGETHER if on_gpu(self._device) else 1
        for indices in (part for alike in together.values() for part in parts(alike, at_once)):
            results |= zip(indices, self._of_one_size([frames[index] for index in indices]), strict=True)
        return [results[index] for index in range(len(frames))]

    def _of_one_size(self, frames: Sequence[Frame]) -> list[DepthMap | Exception]:
        try:
            z_m = self._z_m(frames)
        except Exception as error:  # such as too little memory for all of them, or a picture too thin
            if len(frames) > 1:
                return [result for frame in frames for result in self._of_one_size([frame])]
            return [ToolFailedError(f"frame {frames[0].header.name}: the network broke down ({error})")]
        return list(map(self._depth_map, frames, z_m))

    def _z_m(self, frames: Sequence[Frame]) -> NDArray[np.float32]:
        """Run frames of one size through the network, shape (N, H, W), metres."""
        import torch

        model, preparation = self._model, self._preparation
        assert preparation is not None
        pictures = torch.from_numpy(np.stack([frame.rgb for frame in frames if frame.rgb is not None]))
        height, width = pictures.shape[1:3]
        with torch.inference_mode(), half_where_faster("cpu" if self.half else self._device):
            pixels = preparation.to_network(pictures.to(self._device))
            outputs = model(pixel_values=pixels.to(model.dtype))
            values = preparation.to_picture(outputs.predicted_depth, height, width)
            z_m: NDArray[np.float32] = self._metres(values, outputs, frames).cpu().numpy()
        return z_m

    def _depth_map(self, frame: Frame, z_m: NDArray[np.float32]) -> DepthMap | Exception:
        usable = np.isfinite(z_m) & (z_m > 0) & (z_m < FARTHEST_M)
        if not usable.any():
            return ToolFailedError(
                f"frame {frame.header.name}: the network gave no usable depth; try another backend"
            )
        clean = np.where(usable, z_m, np.float32(0))
        return DepthMap(clean, scale_error=self.scale_error, shape_error=self.shape_error)

    def _metres(self, values: "Tensor", outputs: Any, frames: Sequence[Frame]) -> "Tensor":  # noqa: ANN401
        """Turn what the network gave, at the pixels of the pictures (N, H, W), into z-depth in metres."""
        return values

    def _refusal(self, frame: Frame) -> str | None:
        """Return why depth cannot be estimated for a frame, or None."""
        return None

    def _check(self, settings: Mapping[str, Any]) -> str | None:
        """Return what is wrong with these weights besides their architecture, or None."""
        return None

    def _check_settings(self) -> None:
        path = self.weights / "config.json"
        try:
            settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ToolUnavailableError(f"{path}: cannot be read ({error}); pull the weights again") from error
        got = settings.get("model_type")
        wrong = f"model_type is {got!r}" if got != self.model_type else self._check(settings)
        if wrong:
            raise ToolUnavailableError(
                f"{path}: expected the weights of a {self.model_type} network for metric depth, but {wrong}"
            )
