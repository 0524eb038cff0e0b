"""Instance masks from a YOLO segmentation model; ultralytics is AGPL-3.0 and only used when asked for."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.experts.batching import each, only, together
from spatial_agent.tools.experts.masks import separated_detections
from spatial_agent.tools.experts.pretrained import picture_of
from spatial_agent.tools.experts.ultralytics_models import (
    Request,
    checked_weights,
    open_model,
    predict,
    yolo_weights,
)
from spatial_agent.tools.experts.vocabulary import checked_confidence, wanted_classes
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame


@expert(
    "instances.yolo",
    weights=(
        yolo_weights("yolov8n-seg_int8.tflite"),
        yolo_weights("yolo11n-seg.pt", 2_876_848),
        yolo_weights("yolo11x-seg.pt", 62_142_656),
    ),
    resources=Resources(threads=2, most_batched=8),
)
class YoloInstances:
    """Any ultralytics segmentation weights, `.tflite` included; never downloaded.

    Args:
        weights: A weights file.

    Raises:
        ConfigurationError: If the file does not exist (a missing file would otherwise be downloaded).
    """

    def __init__(self, weights: Path) -> None:
        """Check the weights without loading anything."""
        self.weights = checked_weights(weights)
        self._device = "cpu"
        self._model: Any = None

    def load(self, device: str) -> None:
        """Import ultralytics and read the weights.

        Raises:
            ToolUnavailableError: If ultralytics, or what these weights run with, is not installed.
        """
        self._device = device
        self._model = open_model(self.weights, "segment")

    def __call__(self, frame: Frame, prompts: list[str] | None = None, confidence: float = 0.3) -> Detections:
        """Find the things of COCO's 80 classes in a picture, with their masks.

        Each pixel is in at most one mask, and what was found twice is there once.

        Args:
            frame: A frame with a colour image.
            prompts: Only these, such as chair, couch, dining table; everything it knows where left out.
            confidence: Masks below this score are dropped.

        Raises:
            ToolFailedError: If the frame has no picture.
            ToolArgumentError: If it does not know what is looked for, or the confidence is none.
        """
        return only(self.batch([{"frame": frame, "prompts": prompts, "confidence": confidence}]))

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Detections | Exception]:
        """Take several calls at once; pictures of one size go through the network together."""
        return together(each(calls, self._request), lambda request: request.batch_key, self._run)

    def _request(self, frame: Frame, prompts: list[str] | None = None, confidence: float = 0.3) -> Request:
        names = self._model.names
        classes = wanted_classes(prompts, [names[number] for number in sorted(names)])
        return Request(picture_of(frame), classes, checked_confidence(confidence))

    def _run(self, requests: list[Request]) -> list[Detections]:
        return [separated_detections(found) for found in predict(self._model, requests, self._device)]
