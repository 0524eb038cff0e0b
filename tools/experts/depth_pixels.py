"""Between the pixels of a picture and those of a depth network: resizing that keeps pixels in their place.

Integer coordinates are pixel centres on both sides: pixel u of W becomes ``(u + 0.5) * w / W - 0.5`` of w.
Sizes follow the processor settings that come with the weights, the mapping back is its exact inverse.
"""

import json
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spatial_agent.tools.errors import ToolUnavailableError

if TYPE_CHECKING:
    from torch import Tensor

#: What `preprocessor_config.json` calls the two filters that depth networks use.
FILTERS = {2: "bilinear", 3: "bicubic"}
#: A reflected border is this many times the root of half the side wide.
#: Source: ZoeDepth's reference implementation, ``zoedepth/models/depth_model.py``.
BORDER = 3.0


@dataclass(frozen=True)
class Preparation:
    """How a network wants its pictures.

    Attributes:
        height: Wanted height of the network's input, pixels.
        width: Wanted width, pixels.
        keep_aspect: Whether only one of the two is met, so that the picture keeps its shape.
        multiple_of: Both sides are made a multiple of this.
        filter: ``"bilinear"`` or ``"bicubic"``.
        mean: Taken off each channel, of colours from 0 to 1.
        std: Each channel is divided by this.
        bordered: Whether a reflected border is put round the picture first.
    """

    height: int
    width: int
    keep_aspect: bool
    multiple_of: int
    filter: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    bordered: bool = False

    @classmethod
    def read(cls, folder: Path, *, bordered: bool = False) -> "Preparation":
        """Read the settings that come with weights.

        Args:
            folder: With a ``preprocessor_config.json``.
            bordered: Whether this architecture wants a border where the settings do not say.

        Raises:
            ToolUnavailableError: If they are missing or not those of a depth network.
        """
        path = folder / "preprocessor_config.json"
        try:
            settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            size = settings["size"]
            return cls(
                int(size["height"]),
                int(size["width"]),
                bool(settings.get("keep_aspect_ratio", False)),
                int(settings.get("ensure_multiple_of") or 1),
                FILTERS[int(settings.get("resample", 2))],
                tuple(float(value) for value in settings["image_mean"]),
                tuple(float(value) for value in settings["image_std"]),
                bordered and bool(settings.get("do_pad", True)),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ToolUnavailableError(
                f"{path}: expected the processor settings of a depth network (size, image_mean, image_std, "
                f"resample 2 or 3), got {type(error).__name__}: {error}; pull the weights again"
            ) from error

    def border_px(self, height: int, width: int) -> tuple[int, int]:
        """Return how many rows and columns are put round a picture on each side."""
        if not self.bordered:
            return 0, 0
        # A picture can be reflected by less than its own side.
        rows, columns = (min(int(sqrt(side / 2) * BORDER), side - 1) for side in (height, width))
        return rows, columns

    def input_size(self, height: int, width: int) -> tuple[int, int]:
        """Return height and width of the network's input for a picture, border included."""
        rows, columns = self.border_px(height, width)
        high, wide = height + 2 * rows, width + 2 * columns
        down, across = self.height / high, self.width / wide
        if self.keep_aspect:
            # The side that has to change less is met.
            down = across = min(down, across, key=lambda factor: abs(1 - factor))
        return self._whole(down * high), self._whole(across * wide)

    def to_network(self, pictures: "Tensor") -> "Tensor":
        """Return what goes into the network, shape (N, 3, h, w), float32.

        Args:
            pictures: Shape (N, H, W, 3) uint8.
        """
        from torch import tensor
        from torch.nn.functional import interpolate, pad

        height, width = pictures.shape[1:3]
        rows, columns = self.border_px(height, width)
        colours = pictures.permute(0, 3, 1, 2).contiguous().float() / 255.0
        if rows or columns:
            colours = pad(colours, (columns, columns, rows, rows), mode="reflect")
        size = self.input_size(height, width)
        if size != tuple(colours.shape[2:]):
            # Cubic filters overshoot at edges; no colour is darker than black.
            colours = interpolate(colours, size, mode=self.filter, antialias=True).clamp(0.0, 1.0)
        mean, std = (
            tensor(values, device=colours.device).view(1, -1, 1, 1) for values in (self.mean, self.std)
        )
        return (colours - mean) / std

    def to_picture(self, values: "Tensor", height: int, width: int) -> "Tensor":
        """Return what a network gave for each pixel of its input at the pixels of the picture.

        Args:
            values: Shape (N, h, w), of the network's input size or of another size with the same view.
            height: Of the picture, pixels.
            width: Of the picture, pixels.

        Returns:
            Shape (N, height, width), float32.
        """
        from torch.nn.functional import interpolate

        rows, columns = self.border_px(height, width)
        size = (height + 2 * rows, width + 2 * columns)
        whole = values.float()
        if size != tuple(whole.shape[1:]):
            whole = interpolate(whole[:, None], size, mode="bilinear", align_corners=False)[:, 0]
        return whole[:, rows : rows + height, columns : columns + width]

    def _whole(self, length: float) -> int:
        return max(round(length / self.multiple_of), 1) * self.multiple_of
