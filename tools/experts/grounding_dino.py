"""Boxes of things named in words, by Grounding DINO.

Source: Liu et al., Grounding DINO: Marrying DINO with Grounded Pre-Training for Open-Set Object Detection,
2023.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.batching import each, only, together
from spatial_agent.tools.experts.open_vocabulary import TextQuery, found
from spatial_agent.tools.experts.pretrained import (
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

Array = NDArray[np.float64]

#: Pictures in one pass of an accelerator; a processor gains nothing from more than one.
AT_ONCE = 4


@expert(
    "detect.grounding_dino",
    weights=(
        hub_weights("IDEA-Research/grounding-dino-tiny", "Apache-2.0", 172_250_626),
        hub_weights("IDEA-Research/grounding-dino-base", "Apache-2.0", 232_315_264),
    ),
    resources=Resources(threads=2, deadline_s=180.0, most_batched=AT_ONCE),
)
class GroundingDino:
    """Grounding DINO with any phrases.

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
        self._processor = read_processor("GroundingDinoProcessor", self._weights)
        self._model = read_network("GroundingDinoForObjectDetection", self._weights, device)

    def __call__(self, frame: Frame, prompts: list[str], confidence: float = 0.35) -> Detections:
        """Find things by name in a picture.

        Args:
            frame: A frame with its picture.
            prompts: Short phrases, such as "office chair"; each box answers exactly one of them.
            confidence: Boxes below this score are dropped.

        Returns:
            Boxes, best first; one thing may be found twice.

        Raises:
            ToolArgumentError: If nothing, or too much at once, is looked for.
            ToolFailedError: If the frame has no picture.
        """
        return only(self.batch([{"frame": frame, "prompts": prompts, "confidence": confidence}]))

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[Detections | Exception]:
        """Take several calls; pictures of one size with the same prompts go through the network together."""
        return together(
            each(calls, self._query), lambda query: (query.rgb.shape, query.phrases), self._detect
        )

    def _query(self, frame: Frame, prompts: Sequence[str], confidence: float = 0.35) -> TextQuery:
        query = TextQuery.of(frame, prompts, confidence)
        most, used = self._model.config.max_text_len, len(self._tokens(query.phrases).input_ids)
        if used > most:
            raise ToolArgumentError(
                f"prompts: they take {used} tokens, at most {most} fit at once; ask in several calls"
            )
        return query

    def _tokens(self, phrases: Sequence[str]) -> Any:  # noqa: ANN401 - an encoding
        return self._processor.tokenizer(caption(phrases), return_offsets_mapping=True)

    def _detect(self, queries: Sequence[TextQuery]) -> list[Detections]:
        at_once = AT_ONCE if on_gpu(self._device) else 1
        return [result for part in parts(queries, at_once) for result in self._detect_at_once(part)]

    def _detect_at_once(self, queries: Sequence[TextQuery]) -> list[Detections]:
        import torch

        phrases = queries[0].phrases
        tokens = self._tokens(phrases)
        ids, types = (
            torch.tensor([numbers] * len(queries), device=self._device)
            for numbers in (tokens.input_ids, tokens.token_type_ids)
        )
        pixels = prepared(self._processor.image_processor, [query.rgb for query in queries], self._device)
        with torch.inference_mode(), half_where_faster(self._device):
            outputs = self._model(
                pixel_values=pixels.pixel_values,
                pixel_mask=pixels.pixel_mask,
                input_ids=ids,
                token_type_ids=types,
                attention_mask=torch.ones_like(ids),
            )
        probabilities = outputs.logits.float().sigmoid()[..., : ids.shape[1]].cpu().numpy()
        boxes = outputs.pred_boxes.float().cpu().numpy()
        owners = phrase_tokens(phrases, tokens.offset_mapping)
        return [
            _answered(query, cxcywh, probability, owners)
            for query, cxcywh, probability in zip(queries, boxes, probabilities, strict=True)
        ]


def caption(phrases: Sequence[str]) -> str:
    """Return phrases as the text the network reads.

    >>> caption(["office chair", "sofa"])
    'office chair. sofa.'
    """
    return " ".join(f"{phrase}." for phrase in phrases)


def phrase_tokens(phrases: Sequence[str], offsets: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    """Return which tokens of the caption belong to which phrase, shape (phrases, tokens).

    Args:
        phrases: In the order of the caption.
        offsets: First and last-but-one letter of each token; equal for tokens that stand for no letter.
    """
    letters = np.array(offsets).reshape(-1, 2)
    ends = np.cumsum([len(phrase) + 2 for phrase in phrases]) - 2
    starts = ends - [len(phrase) for phrase in phrases]
    inside: NDArray[np.bool_] = (
        (letters[:, 0] >= starts[:, None])
        & (letters[:, 1] <= ends[:, None])
        & (letters[:, 1] > letters[:, 0])
    )
    return inside


def _answered(query: TextQuery, cxcywh: Array, probabilities: Array, owners: NDArray[np.bool_]) -> Detections:
    """Give each box the prompt it answers: of those with a token sure enough, the surest as a whole.

    Args:
        query: What was looked for.
        cxcywh: Shape (N, 4).
        probabilities: Of each token, shape (N, tokens).
        owners: What `phrase_tokens` returned.
    """
    best = np.where(owners, probabilities[:, None], 0.0).max(axis=-1)
    mean = probabilities @ owners.T / owners.sum(axis=1)
    answers = np.where(best >= query.confidence, mean, -1.0).argmax(axis=1)
    scores = best[np.arange(len(best)), answers]
    height, width = query.rgb.shape[:2]
    return found(query, cxcywh, (width, height), scores, answers)
