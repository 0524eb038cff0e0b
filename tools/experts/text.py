"""Reads the text in a picture with RapidOCR, whose PP-OCRv4 models (Apache-2.0) come in its package.

Detection by DB (Liao et al., 2019), recognition of Latin and Chinese script line by line. No torch.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ToolUnavailableError
from spatial_agent.tools.experts.batching import each
from spatial_agent.tools.experts.pretrained import picture_of
from spatial_agent.tools.experts.vocabulary import checked_confidence
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame

Array = NDArray[np.float64]
THREADS = 2


@expert("text.rapidocr", resources=Resources(threads=THREADS))
class RapidOcr:
    """Text lines with what they say."""

    def __init__(self) -> None:
        """Load nothing yet."""
        self._engine: Any = None

    def load(self, device: str = "cpu") -> None:
        """Read the models that come with the package; they run on the CPU whatever the device.

        Raises:
            ToolUnavailableError: If RapidOCR is not installed.
        """
        try:
            rapidocr: Any = import_module("rapidocr_onnxruntime")
        except ImportError as error:
            raise ToolUnavailableError(
                f"reading text needs rapidocr-onnxruntime ({error}); install spatial-reasoning-agent[light]"
            ) from error
        threads = {f"{stage}_intra_op_num_threads": THREADS for stage in ("det", "cls", "rec")}
        # What is sure enough is decided by each call.
        self._engine = rapidocr.RapidOCR(text_score=0.0, **threads)

    def __call__(self, frame: Frame, confidence: float = 0.5) -> Detections:
        """Read the text in a picture: signs, labels, screens, spines of books.

        Each line of text is one detection; its label is what it says, its mask the slanted box around it.

        Args:
            frame: A frame with a colour image.
            confidence: Lines read with less than this score are dropped.

        Raises:
            ToolFailedError: If the frame has no picture.
            ToolArgumentError: If the confidence is not from 0 to 1.
        """
        rgb, least = picture_of(frame), checked_confidence(confidence)
        lines, _ = self._engine(np.ascontiguousarray(rgb[..., ::-1]))
        # It counts from the corner of the first pixel, we from its centre.
        read = [(np.array(corners, float) - 0.5, text, float(score)) for corners, text, score in lines or ()]
        return text_lines([line for line in read if line[2] >= least and line[1].strip()], rgb.shape[:2])

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Detections | Exception]:
        """Take several calls; one picture is read after the other."""
        return each(calls, self)


def text_lines(lines: Sequence[tuple[Array, str, float]], size: tuple[int, ...]) -> Detections:
    """Return lines of text as detections, in the order given.

    Args:
        lines: Corners, shape (4, 2), x and y in pixels; text; score from 0 to 1.
        size: Height and width of the picture.
    """
    last = np.array([size[1], size[0]]) - 0.5
    corners = np.array([line[0] for line in lines], float).reshape(-1, 4, 2)
    return Detections(
        np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).clip(-0.5, np.tile(last, 2)),
        np.array([min(max(line[2], 0.0), 1.0) for line in lines], float),
        tuple(line[1].strip() for line in lines),
        np.array([_filled(quad, size) for quad in corners], bool).reshape(-1, *size),
    )


def _filled(quad: Array, size: tuple[int, ...]) -> NDArray[np.bool_]:
    image = Image.new("1", (size[1], size[0]))
    ImageDraw.Draw(image).polygon([tuple(corner) for corner in quad.tolist()], fill=1)
    return np.asarray(image, bool)
