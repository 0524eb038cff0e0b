"""Instance masks from a YOLO segmentation model; ultralytics is AGPL-3.0 and only used when asked for."""

import os
import sys
import tempfile
from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.errors import ConfigurationError, SourceError, ToolUnavailableError
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.scene import Frame, FrameSet, InstanceMask

Masks = NDArray[np.bool_]
#: Two masks of one label that share this much of the smaller one are one object seen twice.
DUPLICATE_SHARE = 0.6


class YoloInstances:
    """Any ultralytics segmentation weights, `.tflite` included; loaded on first use, never downloaded.

    Args:
        weights: A weights file; `.pt` files are pickles, so take them only from people you trust.
        confidence: Masks below this score are dropped.
        device: Where torch weights run, such as ``"cpu"`` or ``"cuda:0"``.

    Raises:
        ConfigurationError: If the file does not exist (a missing file would otherwise be downloaded).
    """

    name = "yolo"
    licences: Sequence[str] = (
        "Ultralytics and its YOLO weights are licensed AGPL-3.0: offering them over a network obliges you "
        "to publish your source, unless you hold another licence.",
    )

    def __init__(self, weights: Path, *, confidence: float = 0.3, device: str = "cpu") -> None:
        """Check the weights without loading anything."""
        if not weights.is_file():
            raise ConfigurationError(
                f"no YOLO weights at {weights}; give the path of a segmentation weights file"
            )
        self.weights = weights
        self.confidence = confidence
        self.device = device
        self._model: Any = None

    @cached_property
    def version(self) -> str:
        """Content of the weights and the confidence asked for."""
        return f"{sha256(self.weights.read_bytes()).hexdigest()[:12]}-{self.confidence:g}"

    def load(self) -> None:
        """Import ultralytics and read the weights.

        Raises:
            ToolUnavailableError: If ultralytics, or what these weights run with, is not installed.
            ConfigurationError: If the file is not a segmentation model.
        """
        if self._model is not None:
            return
        install()
        _keep_offline()
        self._model = _yolo_class()(self.weights, task="segment", verbose=False)

    def segment(self, frame: Frame, frames: FrameSet) -> tuple[InstanceMask, ...]:
        """Return the masks of one frame, each pixel in at most one of them.

        Raises:
            SourceError: If the frame has no picture.
            ToolUnavailableError: If the model cannot be loaded here.
        """
        if frame.rgb is None:
            raise SourceError(f"{frames.name}: frame {frame.header.name} has no colour image to look at")
        self.load()
        bgr = np.ascontiguousarray(frame.rgb[..., ::-1])
        result = self._model.predict(
            bgr, conf=self.confidence, retina_masks=True, device=self.device, verbose=False
        )[0]
        if result.masks is None:
            return ()
        masks = result.masks.data.cpu().numpy().astype(bool)
        scores = result.boxes.conf.cpu().numpy().astype(float)
        labels = [str(result.names[int(number)]).lower() for number in result.boxes.cls]
        return separated(masks, scores, labels)


def separated(masks: Masks, scores: NDArray[np.float64], labels: Sequence[str]) -> tuple[InstanceMask, ...]:
    """Drop what a detector found twice, and give every contested pixel to the smaller mask.

    The smaller one is in front or on top far more often than not: a cup on a table, a chair before it.

    Args:
        masks: Shape (N, H, W).
        scores: Shape (N,), 0 to 1.
        labels: N class names.
    """
    areas = masks.sum(axis=(1, 2))
    kept: list[int] = []
    for index in sorted(range(len(labels)), key=lambda k: (-scores[k], -areas[k], k)):
        if areas[index] and not any(_repeats(masks, areas, labels, index, other) for other in kept):
            kept.append(index)
    owner = np.full(masks.shape[1:], -1)
    for index in sorted(kept, key=lambda k: -areas[k]):
        owner[masks[index]] = index
    return tuple(
        InstanceMask(pixels, labels[index], float(scores[index]))
        for index in kept
        if (pixels := owner == index).any()
    )


def _repeats(masks: Masks, areas: NDArray[np.int_], labels: Sequence[str], index: int, other: int) -> bool:
    if labels[index] != labels[other]:
        return False
    shared = np.count_nonzero(masks[index] & masks[other])
    return bool(shared >= DUPLICATE_SHARE * min(areas[index], areas[other]))


def _yolo_class() -> Any:  # noqa: ANN401 - ultralytics is an optional extra
    """Import ultralytics without what it does to everybody else's `PIL.Image.open`.

    Its replacement tries to install packages where a file is no image, instead of saying so.
    """
    open_image = Image.open
    try:
        from ultralytics import YOLO
        from ultralytics.utils import patches  # noqa: F401 - replaces it when imported, so import it now
    except ImportError as error:
        raise ToolUnavailableError(
            f"YOLO needs ultralytics ({error}); install spatial-reasoning-agent[yolo]"
        ) from error
    finally:
        Image.open = open_image
    return YOLO


def _keep_offline() -> None:
    """Tell ultralytics, which listens only to the environment, to install, fetch and report nothing."""
    if "ultralytics" in sys.modules:
        return
    settings = tempfile.TemporaryDirectory(prefix="spatial-agent-yolo-")
    _private_folders.append(settings)
    wanted = {"YOLO_OFFLINE": "True", "YOLO_AUTOINSTALL": "False", "YOLO_CONFIG_DIR": settings.name}
    os.environ.update(wanted, YOLO_VERBOSE="False")  # noqa: TID251 - it reads these once, at its import


#: Kept until the process ends, when they delete themselves.
_private_folders: list[tempfile.TemporaryDirectory[str]] = []
