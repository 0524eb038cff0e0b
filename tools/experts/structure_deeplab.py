"""Floor, walls, doors, windows and large furniture by DeepLabv3+ through LiteRT, without torch.

Source: Chen et al., DeepLabv3+, 2018; Zhou et al., Scene Parsing through ADE20K, 2017; weights and
preprocessing of MLCommons' mobile benchmark: the longer side 512 px, the rest filled with mean grey, the
31 most frequent classes, 0 for what was never labelled in training.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.contract import Resources, Weights
from spatial_agent.tools.errors import ConfigurationError, ToolUnavailableError
from spatial_agent.tools.experts.batching import each
from spatial_agent.tools.experts.pretrained import picture_of
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Frame, SemanticMap

#: The 31 most frequent classes of ADE20K in its own order, after what belongs to none of them.
CLASSES: tuple[str, ...] = (
    *("other", "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "window", "grass"),
    *("cabinet", "sidewalk", "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair"),
    *("car", "water", "painting", "sofa", "shelf", "house", "sea", "mirror", "rug", "field", "armchair"),
)
#: Edge of the square the network sees, pixels, and the grey of the part no picture covers.
INPUT_PX, PADDING_GREY = 512, 128
THREADS = 2


@expert(
    "structure.deeplab",
    weights=(
        Weights(
            "deeplabv3_mnv2_ade20k_uint8.tflite",
            "file:deeplabv3_mnv2_ade20k_uint8.tflite",
            "Apache-2.0",
            files=("deeplabv3_mnv2_ade20k_uint8.tflite",),
            vram_gb=0.0,
        ),
    ),
    resources=Resources(threads=THREADS),
)
class DeeplabStructure:
    """DeepLabv3+ with 31 classes of ADE20K.

    Args:
        weights: The network's `.tflite` file.

    Raises:
        ConfigurationError: If the file is missing.
    """

    def __init__(self, weights: Path) -> None:
        """Check the weights without loading anything."""
        if not weights.is_file():
            raise ConfigurationError(f"no DeepLab weights at {weights}; expected a .tflite file")
        self._weights = weights
        self._interpreter: Any = None

    def load(self, device: str = "cpu") -> None:
        """Read the network; it runs on the CPU whatever the device.

        Raises:
            ToolUnavailableError: If LiteRT is not installed.
            ConfigurationError: If the file is not such a network.
        """
        try:
            litert: Any = import_module("ai_edge_litert.interpreter")
        except ImportError as error:
            raise ToolUnavailableError(
                f"DeepLab needs ai-edge-litert ({error}); install spatial-reasoning-agent[light]"
            ) from error
        try:
            interpreter = litert.Interpreter(str(self._weights), num_threads=THREADS)
        except ValueError as error:
            raise ConfigurationError(f"{self._weights} is not a network LiteRT can read: {error}") from error
        interpreter.allocate_tensors()
        self._ends = tuple(
            ends[0] for ends in (interpreter.get_input_details(), interpreter.get_output_details())
        )
        shapes = [tuple(map(int, end["shape"])) for end in self._ends]
        wanted = [(1, INPUT_PX, INPUT_PX, 3), (1, INPUT_PX, INPUT_PX)]
        if shapes != wanted:
            raise ConfigurationError(f"{self._weights}: expected a network of {wanted}, got {shapes}")
        self._interpreter = interpreter

    def __call__(self, frame: Frame) -> SemanticMap:
        """Tell for every pixel of a picture whether it is floor, wall, ceiling, door, window, cabinet, ….

        Args:
            frame: A frame with a colour image.

        Raises:
            ToolFailedError: If the frame has no picture.
        """
        rgb = picture_of(frame)
        height, width = rgb.shape[:2]
        scale = INPUT_PX / max(height, width)
        shown = max(1, round(height * scale)), max(1, round(width * scale))
        seen = np.full((INPUT_PX, INPUT_PX, 3), PADDING_GREY, np.uint8)
        picture = Image.fromarray(rgb)
        seen[: shown[0], : shown[1]] = np.asarray(picture.resize(shown[::-1], Image.Resampling.BILINEAR))
        found = SemanticMap(self._classes(seen)[: shown[0], : shown[1]], CLASSES)
        return found.resized(height, width)

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[SemanticMap | Exception]:
        """Take several calls; the network takes one picture at a time."""
        return each(calls, self)

    def _classes(self, seen: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """Return the class of each pixel of the network's input, shape (512, 512)."""
        given, found = self._ends
        self._interpreter.set_tensor(given["index"], seen[None])
        self._interpreter.invoke()
        classes: NDArray[np.uint16] = self._interpreter.get_tensor(found["index"])[0].astype(np.uint16)
        return classes
