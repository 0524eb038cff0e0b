"""Every instance of things named in words, with masks, by SAM 3.

Source: Carion et al., SAM 3: Segment Anything with Concepts, 2025.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.batching import each, only, together
from spatial_agent.tools.experts.embeddings import Embeddings
from spatial_agent.tools.experts.masks import separated_detections
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
from spatial_agent.tools.experts.sam2 import upscaled
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame

#: Pictures whose embeddings are kept; one of 1008 x 1008 takes 0.2 GB.
KEPT_PICTURES = 2
#: Phrases looked for in one pass of an accelerator; a processor gains nothing from more than one.
PHRASES_AT_ONCE = 4


@expert(
    "instances.sam3",
    weights=(hub_weights("facebook/sam3", "SAM License"),),
    resources=Resources(threads=2, deadline_s=300.0),
)
class Sam3:
    """SAM 3 with any phrases.

    Args:
        weights: Folder of the network.
    """

    def __init__(self, weights: Path) -> None:
        """Load nothing yet."""
        self._weights = weights
        self._embeddings: Embeddings[Any] = Embeddings(KEPT_PICTURES)
        self._device = "cpu"
        self._model: Any = None
        self._processor: Any = None

    def load(self, device: str) -> None:
        """Read the network and put it on a device."""
        self._device = device
        self._processor = read_processor("Sam3Processor", self._weights)
        self._model = read_network("Sam3Model", self._weights, device)
        self._embeddings.clear()

    def __call__(self, frame: Frame, prompts: list[str], confidence: float = 0.5) -> Detections:
        """Find every instance of things by name in a picture, with their masks.

        Each pixel is in at most one mask, and what was found twice is there once.

        Args:
            frame: A frame with its picture.
            prompts: Short noun phrases, such as "office chair"; each mask answers exactly one of them.
            confidence: Instances below this score are dropped.

        Raises:
            ToolArgumentError: If nothing is looked for, or a phrase is too long.
            ToolFailedError: If the frame has no picture.
        """
        return only(self.batch([{"frame": frame, "prompts": prompts, "confidence": confidence}]))

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Detections | Exception]:
        """Take several calls; a picture is embedded once for all its phrases."""
        return together(each(calls, self._query), id, self._detect)

    def _query(self, frame: Frame, prompts: Sequence[str], confidence: float = 0.5) -> TextQuery:
        query = TextQuery.of(frame, prompts, confidence)
        most = self._model.config.text_config.max_position_embeddings
        for words in query.phrases:
            used = len(self._processor.tokenizer(words).input_ids)
            if used > most:
                raise ToolArgumentError(
                    f"prompts: {words!r} takes {used} tokens, at most {most} fit; use fewer words"
                )
        return query

    def _detect(self, queries: Sequence[TextQuery]) -> list[Detections]:
        import torch

        with torch.inference_mode(), half_where_faster(self._device, "bfloat16"):
            embedded = self._embeddings.of([query.rgb for query in queries], self._embed)
            return [self._found(query, view) for query, view in zip(queries, embedded, strict=True)]

    def _embed(self, pictures: list[Picture]) -> list[Any]:
        embedded = []
        for picture in pictures:
            pixels = prepared(self._processor.image_processor, [picture], self._device)
            embedded.append(self._model.get_vision_features(pixels.pixel_values))
        return embedded

    def _found(self, query: TextQuery, view: Any) -> Detections:  # noqa: ANN401 - transformers' own
        """Return all instances of all phrases in one picture."""
        boxes, scores, answers, masks = [], [], [], []
        height, width = query.rgb.shape[:2]
        for part in parts(range(len(query.phrases)), PHRASES_AT_ONCE if on_gpu(self._device) else 1):
            outputs = self._model(
                vision_embeds=_repeated(view, len(part)), **self._words([query.phrases[k] for k in part])
            )
            sure = outputs.pred_logits.float().sigmoid() * outputs.presence_logits.float().sigmoid()
            for row, number in enumerate(part):
                kept = sure[row] >= query.confidence
                boxes.append(outputs.pred_boxes[row][kept].float().cpu().numpy())
                scores.append(sure[row][kept].cpu().numpy())
                answers.append(np.full(int(kept.sum()), number))
                masks.append(upscaled(outputs.pred_masks[row][kept], (height, width)))
        left_top, right_bottom = np.split(np.concatenate(boxes), 2, axis=1)
        cxcywh = np.concatenate([(left_top + right_bottom) / 2, right_bottom - left_top], axis=1)
        given = (np.concatenate(scores), np.concatenate(answers), np.concatenate(masks))
        return separated_detections(found(query, cxcywh, (width, height), *given))

    def _words(self, phrases: Sequence[str]) -> dict[str, Any]:
        tokens = self._processor.tokenizer(
            list(phrases),
            padding="max_length",
            max_length=self._model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        ).to(self._device)
        return {"input_ids": tokens.input_ids, "attention_mask": tokens.attention_mask}


def _repeated(view: Any, count: int) -> Any:  # noqa: ANN401
    """Return what the network made of a picture once for each of several phrases."""
    levels, places = (
        tuple(level.expand(count, *level.shape[1:]) for level in maps)
        for maps in (view.fpn_hidden_states, view.fpn_position_encoding)
    )
    return type(view)(fpn_hidden_states=levels, fpn_position_encoding=places)
