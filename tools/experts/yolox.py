"""Boxes from YOLOX-nano through ncnn: small, permissively licensed, and without torch.

Source: Ge et al., YOLOX, 2021: anchor-free boxes relative to the cell of a grid, objectness times class
probability as score. The weights expect RGB normalised by ImageNet's mean and deviation.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Resources, Weights
from spatial_agent.tools.errors import ConfigurationError, ToolFailedError, ToolUnavailableError
from spatial_agent.tools.experts.batching import each
from spatial_agent.tools.experts.pretrained import picture_of
from spatial_agent.tools.experts.vocabulary import COCO, checked_confidence, wanted_classes
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame

Array = NDArray[np.float32]
#: Edge of the square the network sees, pixels, and the grey of the part no picture covers.
INPUT_PX, PADDING_GREY = 416, 114.0
#: Pixels of the input to a cell of each of its grids.
STRIDES = (8, 16, 32)
#: ImageNet's mean and standard deviation of colour, in units of 8-bit pixels.
MEAN_RGB = tuple(255.0 * mean for mean in (0.485, 0.456, 0.406))
PER_DEVIATION_RGB = tuple(1.0 / (255.0 * deviation) for deviation in (0.229, 0.224, 0.225))
THREADS = 2
#: Of two boxes of one class that overlap by more (intersection over union) only the better one stays.
MOST_OVERLAP = 0.45


@expert(
    "detect.yolox",
    weights=(
        Weights(
            "yolox-nano.param",
            "file:yolox-nano.param",
            "Apache-2.0",
            files=("yolox-nano.param", "yolox-nano.bin"),
            vram_gb=0.0,
        ),
    ),
    resources=Resources(threads=THREADS),
)
class YoloxDetector:
    """YOLOX with COCO's 80 classes.

    Args:
        weights: The network's `.param` file; its `.bin` file lies beside it.

    Raises:
        ConfigurationError: If either file is missing.
    """

    def __init__(self, weights: Path) -> None:
        """Check the weights without loading anything."""
        self._files = (weights, weights.with_suffix(".bin"))
        for file in self._files:
            if not file.is_file():
                raise ConfigurationError(f"no YOLOX weights at {file}; expected a .param file with its .bin")
        self._net: Any = None

    def load(self, device: str = "cpu") -> None:
        """Read the network; it runs on the CPU whatever the device.

        Raises:
            ToolUnavailableError: If ncnn is not installed.
            ConfigurationError: If the files are not such a network.
        """
        try:
            ncnn: Any = import_module("ncnn")
        except ImportError as error:
            raise ToolUnavailableError(
                f"YOLOX needs ncnn ({error}); install spatial-reasoning-agent[light]"
            ) from error
        net = ncnn.Net()
        net.opt.num_threads = THREADS
        self._layers: list[Any] = []  # the network only borrows them
        net.register_custom_layer("YoloV5Focus", _focus_layer(ncnn, self._layers), self._layers.remove)
        if net.load_param(str(self._files[0])) or net.load_model(str(self._files[1])):
            raise ConfigurationError(f"{self._files[0]} and its .bin are not a network that ncnn can read")
        self._ncnn, self._net = ncnn, net

    def __call__(self, frame: Frame, prompts: list[str] | None = None, confidence: float = 0.3) -> Detections:
        """Find the things of COCO's 80 classes in a picture, as boxes.

        Args:
            frame: A frame with a colour image.
            prompts: Only these, such as chair, couch, dining table; everything it knows where left out.
            confidence: Boxes below this score are dropped.

        Raises:
            ToolFailedError: If the frame has no picture.
            ToolArgumentError: If it does not know what is looked for, or the confidence is none.
        """
        rgb = picture_of(frame)
        classes, least = wanted_classes(prompts, COCO), checked_confidence(confidence)
        pixels, shown = self._input(rgb)
        return detections_in(self._output(pixels), rgb.shape[:2], shown, classes, least)

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Detections | Exception]:
        """Take several calls; ncnn computes one picture at a time."""
        return each(calls, self)

    def _input(self, rgb: NDArray[np.uint8]) -> tuple[Any, tuple[int, int]]:
        """Return what the network sees, and the height and width of the picture within it."""
        height, width = rgb.shape[:2]
        scale = INPUT_PX / max(height, width)
        shown = max(1, int(height * scale)), max(1, int(width * scale))
        mat = self._ncnn.Mat.from_pixels_resize(
            np.ascontiguousarray(rgb), self._ncnn.Mat.PixelType.PIXEL_RGB, width, height, shown[1], shown[0]
        )
        padded = self._ncnn.Mat()
        below, right = INPUT_PX - shown[0], INPUT_PX - shown[1]
        constant = self._ncnn.BorderType.BORDER_CONSTANT
        self._ncnn.copy_make_border(mat, padded, 0, below, 0, right, constant, PADDING_GREY)
        padded.substract_mean_normalize(list(MEAN_RGB), list(PER_DEVIATION_RGB))
        return padded, shown

    def _output(self, pixels: Any) -> Array:  # noqa: ANN401 - an ncnn matrix
        """Return what the network says of each cell, shape (cells, 5 + classes)."""
        extractor = self._net.create_extractor()
        extractor.input("images", pixels)
        status, found = extractor.extract("output")
        if status:
            raise ToolFailedError(f"YOLOX failed to run (ncnn status {status}); choose another detector")
        return np.array(found, np.float32)


def detections_in(
    output: Array,
    size: tuple[int, ...],
    shown: tuple[int, int],
    classes: Sequence[int],
    confidence: float,
) -> Detections:
    """Return the boxes in what the network says.

    Args:
        output: Shape (cells, 5 + classes): centre and logarithmic size in cells, objectness, probabilities.
        size: Height and width of the picture.
        shown: Height and width of the picture within the network's input.
        classes: Numbers of the classes that are looked for.
        confidence: Boxes below this score are dropped.
    """
    number = output[:, 5:].argmax(axis=1)
    score = output[:, 4] * output[np.arange(len(output)), 5 + number]
    candidates = np.flatnonzero((score >= confidence) & np.isin(number, classes))
    corners = _corners(output, candidates) / np.tile([shown[1] / size[1], shown[0] / size[0]], 2)
    corners = np.clip(corners, 0.0, np.tile([size[1], size[0]], 2))
    best = _best(corners, score[candidates].astype(np.float64), number[candidates])
    kept = candidates[best]
    return Detections(
        corners[best] - 0.5,  # from the corner of the first pixel to its centre
        score[kept].astype(np.float64).clip(0.0, 1.0),
        tuple(COCO[k] for k in number[kept]),
    )


def _corners(output: Array, cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return left, top, right, bottom in pixels of the network's input, shape (N, 4)."""
    origin, stride = _grid()
    said = output[cells, :4].astype(np.float64)
    centre = (said[:, :2] + origin[cells]) * stride[cells, None]
    half = np.exp(said[:, 2:]) * stride[cells, None] / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def _grid() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return column and row of each cell in its own grid, and its stride in pixels."""
    origins, strides = [], []
    for stride in STRIDES:
        side = INPUT_PX // stride
        rows, columns = np.divmod(np.arange(side * side), side)
        origins.append(np.stack([columns, rows], axis=1).astype(np.float64))
        strides.append(np.full(side * side, float(stride)))
    return np.concatenate(origins), np.concatenate(strides)


def _best(
    corners: NDArray[np.float64], score: NDArray[np.float64], number: NDArray[np.intp]
) -> NDArray[np.intp]:
    """Return which boxes stay, best first: each drops the later ones of its class that overlap it."""
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    order, kept = np.argsort(-score, kind="stable"), []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        sides = np.minimum(corners[best, 2:], corners[rest, 2:]) - np.maximum(
            corners[best, :2], corners[rest, :2]
        )
        shared = sides.clip(min=0.0).prod(axis=1)
        overlaps = shared > MOST_OVERLAP * (areas[best] + areas[rest] - shared)
        order = rest[~(overlaps & (number[rest] == number[best]))]
    return np.array(kept, dtype=np.intp)


def _focus_layer(ncnn: Any, made: list[Any]) -> Any:  # noqa: ANN401 - a class of an untyped library
    """Return the maker of a layer ncnn lacks: the four pixels of a square become channels of one."""

    class Focus(ncnn.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            ncnn.Layer.__init__(self)
            self.one_blob_only = True
            made.append(self)

        def forward(self, bottom: Any, top: Any, options: Any) -> int:  # noqa: ANN401
            x = np.array(bottom)
            quarters = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
            stacked = np.ascontiguousarray(np.concatenate(quarters))  # a matrix only borrows its memory
            top.clone_from(ncnn.Mat(stacked), options.blob_allocator)
            return -100 if top.empty() else 0  # ncnn's code for lack of memory

    return Focus
