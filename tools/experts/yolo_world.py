"""Boxes of things named in words, by YOLO-World; ultralytics is AGPL-3.0 and only used when asked for.

Source: Cheng et al., YOLO-World: Real-Time Open-Vocabulary Object Detection, 2024. The words reach the
network as vectors of CLIP ViT-B/32, through ``transformers`` or from a file, never by what ultralytics
would install to compute them.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.experts.batching import each, only, together
from spatial_agent.tools.experts.open_vocabulary import TextQuery
from spatial_agent.tools.experts.text_vectors import CLIP_FOLDER, TextVectors, clip_encoder, stored_vectors
from spatial_agent.tools.experts.ultralytics_models import (
    asked_for,
    checked_weights,
    open_model,
    predict_words,
    yolo_weights,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame


@expert(
    "detect.yolo_world",
    weights=(
        yolo_weights("yolov8s-worldv2.pt", 12_759_880),
        yolo_weights("yolov8m-worldv2.pt", 28_376_158),
        yolo_weights("yolov8l-worldv2.pt", 46_832_050),
        yolo_weights("yolov8x-worldv2.pt", 72_886_377),
    ),
    resources=Resources(threads=2, most_batched=8),
)
class YoloWorld:
    """YOLO-World with any phrases.

    Args:
        weights: A `.pt` file. Beside it lies the folder ``clip-vit-base-patch32`` with CLIP, or a file of
            stored vectors (`text_vectors.stored_vectors`), or both.

    Raises:
        ConfigurationError: If the file does not exist (a missing file would otherwise be downloaded).
    """

    def __init__(self, weights: Path) -> None:
        """Check the weights without loading anything."""
        self.weights = checked_weights(weights)
        self._device = "cpu"
        self._model: Any = None
        self._vocabulary: tuple[str, ...] = ()

    def load(self, device: str) -> None:
        """Import ultralytics and read the weights, and the text encoder where there is one.

        Raises:
            ToolUnavailableError: If ultralytics is not installed, or the text encoder cannot be read.
            ConfigurationError: If the file is not a YOLO-World model.
        """
        self._device = device
        self._model = open_model(self.weights, "detect")
        if not hasattr(self._model.model, "txt_feats"):
            raise ConfigurationError(f"{self.weights} is not a YOLO-World model")
        folder = self.weights.with_name(CLIP_FOLDER)
        self._vectors = TextVectors(
            stored_vectors(self.weights),
            clip_encoder(folder),
            f"put CLIP (openai/clip-vit-base-patch32 of the hub, MIT) into {folder}",
        )

    def __call__(self, frame: Frame, prompts: list[str], confidence: float = 0.25) -> Detections:
        """Find things by name in a picture.

        Args:
            frame: A frame with its picture.
            prompts: Short phrases, such as "office chair"; each box answers exactly one of them.
            confidence: Boxes below this score are dropped.

        Raises:
            ToolArgumentError: If nothing is looked for.
            ToolFailedError: If the frame has no picture.
            MissingWeightsError: If a phrase has no stored vector and there is no text encoder.
        """
        return only(self.batch([{"frame": frame, "prompts": prompts, "confidence": confidence}]))

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Detections | Exception]:
        """Take several calls; pictures of one size with the same prompts go through the network together."""
        return together(each(calls, self._query), asked_for, self._detect)

    def _query(self, frame: Frame, prompts: list[str], confidence: float = 0.25) -> TextQuery:
        return TextQuery.of(frame, prompts, confidence)

    def _detect(self, queries: list[TextQuery]) -> list[Detections]:
        self._look_for(queries[0].phrases)
        return predict_words(self._model, queries, self._device)

    def _look_for(self, phrases: tuple[str, ...]) -> None:
        """Set what the network looks for, as its own `set_classes` does with vectors from elsewhere."""
        if phrases == self._vocabulary:
            return
        import torch

        model = self._model.model
        model.txt_feats = torch.from_numpy(self._vectors.of(phrases))[None]
        model.model[-1].nc = len(phrases)
        model.names = list(phrases)
        self._model.predictor = None  # it holds a copy made ready for the words before
        self._vocabulary = phrases
