"""Masks of things named in words, by YOLOE; ultralytics is AGPL-3.0 and only used when asked for.

Source: Wang et al., YOLOE: Real-Time Seeing Anything, 2025. The words reach the network as vectors of
MobileCLIP-B (LT), from its TorchScript or from a file, never by what ultralytics would install.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.experts.batching import each, only, together
from spatial_agent.tools.experts.masks import separated_detections
from spatial_agent.tools.experts.open_vocabulary import TextQuery
from spatial_agent.tools.experts.text_vectors import (
    CLIP_FOLDER,
    Encode,
    TextVectors,
    Vectors,
    script_encoder,
    stored_vectors,
)
from spatial_agent.tools.experts.ultralytics_models import (
    asked_for,
    checked_weights,
    open_model,
    predict_words,
    yolo_weights,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame

#: MobileCLIP's text encoder as ultralytics publishes it for YOLOE; under Apple's own licence.
ENCODER_FILE = "mobileclip_blt.ts"


@expert(
    "instances.yoloe",
    weights=(
        yolo_weights("yoloe-11s-seg.pt", 13_710_038),
        yolo_weights("yoloe-11m-seg.pt", 29_894_806),
        yolo_weights("yoloe-11l-seg.pt", 35_152_278),
    ),
    resources=Resources(threads=2, most_batched=8),
)
class Yoloe:
    """YOLOE with any phrases.

    Args:
        weights: A `.pt` file. Beside it lie ``mobileclip_blt.ts`` and the folder ``clip-vit-base-patch32``
            with CLIP's tokenizer, or a file of stored vectors (`text_vectors.stored_vectors`, such as
            ultralytics' ``save_prompt_embeddings`` writes), or both.

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
            ToolUnavailableError: If ultralytics is not installed, or the tokenizer cannot be read.
            ConfigurationError: If the file is not a YOLOE model for masks.
        """
        self._device = device
        self._model = open_model(self.weights, "segment")
        if self._model.task != "segment" or not hasattr(self._model.model, "get_cls_pe"):
            raise ConfigurationError(f"{self.weights} is not a YOLOE model for masks (yoloe-...-seg.pt)")
        file, folder = self.weights.with_name(ENCODER_FILE), self.weights.with_name(CLIP_FOLDER)
        encode = script_encoder(file, folder)
        self._vectors = TextVectors(
            stored_vectors(self.weights),
            None if encode is None else self._prompts_of(encode),
            f"put its text encoder (Apple's licence) at {file}, and CLIP's tokenizer into {folder}",
        )

    def __call__(self, frame: Frame, prompts: list[str], confidence: float = 0.25) -> Detections:
        """Find things by name in a picture, with their masks.

        Each pixel is in at most one mask, and what was found twice is there once.

        Args:
            frame: A frame with its picture.
            prompts: Short phrases, such as "office chair"; each mask answers exactly one of them.
            confidence: Masks below this score are dropped.

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
        return [separated_detections(found) for found in predict_words(self._model, queries, self._device)]

    def _look_for(self, phrases: tuple[str, ...]) -> None:
        if phrases == self._vocabulary:
            return
        import torch

        self._model.model.set_classes(list(phrases), torch.from_numpy(self._vectors.of(phrases))[None])
        self._model.predictor = None  # it holds a copy made ready for the words before
        self._vocabulary = phrases

    def _prompts_of(self, encode: Encode) -> Encode:
        """Return an encoder whose vectors went through the network's own layers for words."""

        def prompts(phrases: Sequence[str]) -> Vectors:
            import torch

            with torch.inference_mode():
                vectors = self._model.model.model[-1].get_tpe(torch.from_numpy(encode(phrases))[None])
            found: Vectors = vectors[0].float().numpy()
            return found

        return prompts
