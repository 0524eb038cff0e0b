"""Boxes of things named in words, by OWLv2.

Source: Minderer et al., Scaling Open-Vocabulary Object Detection, 2023.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.batching import each, only, together
from spatial_agent.tools.experts.open_vocabulary import TextQuery, found
from spatial_agent.tools.experts.pretrained import (
    Picture,
    half_where_faster,
    hub_weights,
    on_gpu,
    parts,
    prepared,
    read_network,
    read_processor,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame

#: Pictures in one pass of an accelerator; a processor gains nothing from more than one.
AT_ONCE = 8
#: Pictures larger than this many times the network's input are shrunk to it first: what they are made into is
#: a square of their longer side, filtered in a time that grows with the fourth power of it.
LARGEST = 4
#: The sentence its text encoder was trained on.
SENTENCE = "a photo of a {}"


@expert(
    "detect.owlv2",
    weights=(hub_weights("google/owlv2-base-patch16-ensemble", "Apache-2.0", 154_966_792),),
    resources=Resources(threads=2, deadline_s=180.0, most_batched=AT_ONCE),
)
class Owlv2:
    """OWLv2 with any phrases.

    Args:
        weights: Folder of the network.
    """

    def __init__(self, weights: Path) -> None:
        """Load nothing yet."""
        self._weights = weights
        self._device = "cpu"
        self._model: Any = None
        self._processor: Any = None

    def load(self, device: str) -> None:
        """Read the network and put it on a device."""
        self._device = device
        self._processor = read_processor("Owlv2Processor", self._weights)
        self._model = read_network("Owlv2ForObjectDetection", self._weights, device)

    def __call__(self, frame: Frame, prompts: list[str], confidence: float = 0.2) -> Detections:
        """Find things by name in a picture, also rare ones.

        Args:
            frame: A frame with its picture.
            prompts: Short phrases, such as "office chair"; each box answers exactly one of them.
            confidence: Boxes below this score are dropped.

        Returns:
            Boxes, best first; one thing may be found twice.

        Raises:
            ToolArgumentError: If nothing is looked for, or a phrase is too long.
            ToolFailedError: If the frame has no picture.
        """
        return only(self.batch([{"frame": frame, "prompts": prompts, "confidence": confidence}]))

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Detections | Exception]:
        """Take several calls; pictures of any size with the same prompts go through the network together."""
        return together(each(calls, self._query), lambda query: query.phrases, self._detect)

    def _query(self, frame: Frame, prompts: Sequence[str], confidence: float = 0.2) -> TextQuery:
        query = TextQuery.of(frame, prompts, confidence)
        most = self._model.config.text_config.max_position_embeddings
        for words in query.phrases:
            used = len(self._processor.tokenizer(SENTENCE.format(words)).input_ids)
            if used > most:
                raise ToolArgumentError(
                    f"prompts: {words!r} takes {used} tokens, at most {most} fit; use fewer words"
                )
        return query

    def _detect(self, queries: Sequence[TextQuery]) -> list[Detections]:
        at_once = AT_ONCE if on_gpu(self._device) else 1
        return [result for part in parts(queries, at_once) for result in self._detect_at_once(part)]

    def _detect_at_once(self, queries: Sequence[TextQuery]) -> list[Detections]:
        import torch

        most = LARGEST * self._model.config.vision_config.image_size
        pictures = [shrunk(query.rgb, most) for query in queries]
        pixels = prepared(self._processor.image_processor, pictures, self._device)
        sentences = [SENTENCE.format(words) for words in queries[0].phrases]
        words = self._processor.tokenizer(
            sentences,
            padding="max_length",
            max_length=self._model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(self._device)
        with torch.inference_mode(), half_where_faster(self._device):
            outputs = self._model(
                pixel_values=pixels.pixel_values,
                input_ids=words.input_ids.repeat(len(queries), 1),
                attention_mask=words.attention_mask.repeat(len(queries), 1),
            )
            logits, answers = outputs.logits.float().max(dim=-1)
        scores, boxes = logits.sigmoid().cpu().numpy(), outputs.pred_boxes.float().cpu().numpy()
        # The network sees the picture at the top left of a grey square.
        return [
            found(query, cxcywh, (max(query.rgb.shape[:2]),) * 2, score, answer)
            for query, cxcywh, score, answer in zip(
                queries, boxes, scores, answers.cpu().numpy(), strict=True
            )
        ]


def shrunk(picture: Picture, most_px: int) -> Picture:
    """Return a picture whose longer side is at most so long, showing the same.

    >>> shrunk(np.zeros((300, 4000, 3), np.uint8), 1000).shape
    (75, 1000, 3)
    """
    longer = max(picture.shape[:2])
    if longer <= most_px:
        return picture
    height, width = (max(1, round(side * most_px / longer)) for side in picture.shape[:2])
    return np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX))
