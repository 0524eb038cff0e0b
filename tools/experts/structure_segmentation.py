"""Floor, walls, doors, windows and furniture by UPerNet on ConvNeXt, with all 150 classes of ADE20K.

Source: Xiao et al., Unified Perceptual Parsing for Scene Understanding, 2018; Liu et al., A ConvNet for the
2020s, 2022; Zhou et al., Scene Parsing through ADE20K, 2017.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.experts.batching import each, only, together
from spatial_agent.tools.experts.pretrained import (
    Picture,
    half_where_faster,
    hub_weights,
    on_gpu,
    parts,
    picture_of,
    read_network,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Frame, SemanticMap

#: The shorter side of what the network sees, and what both are multiples of, pixels.
SHORTER_PX, MULTIPLE_PX = 512, 32
#: The longer side at most, as a multiple of the shorter one.
LONGEST = 4.0
#: ImageNet's mean and standard deviation of colour, as shares of full brightness.
MEAN_RGB, DEVIATION_RGB = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
#: What ADE20K calls otherwise than people and the other backends do.
PLAIN_NAMES = {"windowpane": "window"}
#: Pictures in one pass of an accelerator; a processor gains nothing from more than one.
AT_ONCE = 4


@expert(
    "structure.upernet",
    weights=(
        hub_weights("openmmlab/upernet-convnext-tiny", "MIT", 60_242_636),
        hub_weights("openmmlab/upernet-convnext-base", "MIT", 122_102_956),
    ),
    resources=Resources(threads=2, deadline_s=120.0, most_batched=AT_ONCE),
)
class UpernetStructure:
    """UPerNet with the classes its weights were trained on.

    Args:
        weights: Folder of the network.
    """

    def __init__(self, weights: Path) -> None:
        """Load nothing yet."""
        self._weights = weights
        self._device = "cpu"
        self._model: Any = None
        self._names: tuple[str, ...] = ()

    def load(self, device: str) -> None:
        """Read the network and put it on a device.

        Raises:
            ToolUnavailableError: If torch or transformers is missing, or the weights are not whole.
        """
        self._device = device
        self._model = read_network("UperNetForSemanticSegmentation", self._weights, device)
        numbered = self._model.config.id2label
        self._names = tuple(_plain(numbered[number]) for number in range(len(numbered)))

    def __call__(self, frame: Frame) -> SemanticMap:
        """Tell for every pixel of a picture whether it is floor, wall, door, window, cabinet, sofa, ….

        Args:
            frame: A frame with its picture.

        Raises:
            ToolFailedError: If the frame has no picture.
        """
        return only(self.batch([{"frame": frame}]))

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[SemanticMap | Exception]:
        """Take several calls; pictures of one size go through the network together."""
        return together(each(calls, picture_of), lambda rgb: rgb.shape, self._segment)

    def _segment(self, pictures: list[Picture]) -> list[SemanticMap]:
        at_once = AT_ONCE if on_gpu(self._device) else 1
        return [found for part in parts(pictures, at_once) for found in self._segment_at_once(part)]

    def _segment_at_once(self, pictures: Sequence[Picture]) -> list[SemanticMap]:
        import torch

        size = (pictures[0].shape[0], pictures[0].shape[1])
        with torch.inference_mode():
            stacked = torch.from_numpy(np.stack(pictures)).to(self._device)
            colours = stacked.permute(0, 3, 1, 2).float() / 255
            seen = torch.nn.functional.interpolate(
                colours, input_size(*size), mode="bilinear", antialias=True
            ).clamp(0.0, 1.0)
            mean, deviation = (
                torch.tensor(values, device=self._device).view(1, 3, 1, 1)
                for values in (MEAN_RGB, DEVIATION_RGB)
            )
            with half_where_faster(self._device):
                logits = self._model(pixel_values=(seen - mean) / deviation).logits
            scores, classes = logits.float().softmax(dim=1).max(dim=1)
        return [
            SemanticMap(labels.astype(np.uint16), self._names, score.clip(0.0, 1.0)).resized(*size)
            for labels, score in zip(classes.cpu().numpy(), scores.cpu().numpy(), strict=True)
        ]


def input_size(height: int, width: int) -> tuple[int, int]:
    """Return the height and width at which the network sees a picture, in nearly its own proportions.

    >>> input_size(480, 640), input_size(1000, 100)
    ((512, 672), (2048, 512))
    """
    scale = SHORTER_PX / min(height, width)
    return (_rounded(height * scale), _rounded(width * scale))


def _rounded(side: float) -> int:
    return min(round(side / MULTIPLE_PX) * MULTIPLE_PX, round(LONGEST * SHORTER_PX))


def _plain(name: str) -> str:
    name = name.strip().lower()
    return PLAIN_NAMES.get(name, name)
