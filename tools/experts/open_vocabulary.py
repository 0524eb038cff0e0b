"""What is looked for in words: phrases as networks take them, and boxes with the words they answer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.pretrained import Picture, picture_of
from spatial_agent.tools.scene import Detections, Frame

Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class TextQuery:
    """One checked call.

    Attributes:
        rgb: The picture, shape (H, W, 3).
        prompts: What is looked for, as it was asked, each thing once.
        phrases: The same in lower case, without the marks that end a phrase.
        confidence: Detections below this score are dropped.
    """

    rgb: Picture
    prompts: tuple[str, ...]
    phrases: tuple[str, ...]
    confidence: float

    @classmethod
    def of(cls, frame: Frame, prompts: Sequence[str], confidence: float) -> "TextQuery":
        """Check the arguments of a call.

        Raises:
            ToolArgumentError: If nothing is looked for, or the confidence is none.
            ToolFailedError: If the frame has no picture.
        """
        asked: dict[str, str] = {}
        for prompt in prompts:
            asked.setdefault(phrase(prompt), prompt)
        if not asked or "" in asked:
            raise ToolArgumentError(
                f"prompts: expected things to look for, such as 'chair', got {list(prompts)!r}"
            )
        if not 0 <= confidence <= 1:
            raise ToolArgumentError(f"confidence: expected a number from 0 to 1, got {confidence!r}")
        return cls(picture_of(frame), tuple(asked.values()), tuple(asked), confidence)


def phrase(prompt: str) -> str:
    """Return a prompt in lower case, without the dots and question marks that separate phrases.

    >>> phrase("  Dining  table. ")
    'dining table'
    """
    return " ".join(prompt.lower().replace(".", "").replace("?", "").split())


def found(
    query: TextQuery,
    cxcywh: Array,
    size_px: tuple[int, int],
    scores: Array,
    answers: Array,
    masks: NDArray[np.bool_] | None = None,
) -> Detections:
    """Return what a network found, best first.

    Args:
        query: What was looked for.
        cxcywh: Centres and extents as shares of the network's view, counted from its top left corner, (N, 4).
        size_px: Width and height of that view in pixels of the picture; it begins where the picture does,
            and what was added beyond the picture's edges holds nothing.
        scores: Shape (N,), 0 to 1.
        answers: Which prompt each answers, shape (N,).
        masks: Shape (N, H, W), or None.
    """
    height, width = query.rgb.shape[:2]
    centre, half = cxcywh[:, :2], cxcywh[:, 2:] / 2
    # Networks count from the corner of the first pixel, we from its centre.
    edges_px = np.concatenate([centre - half, centre + half], axis=1) * (*size_px, *size_px) - 0.5
    xyxy_px = edges_px.clip(-0.5, (width - 0.5, height - 0.5, width - 0.5, height - 0.5)).astype(np.float64)
    within = (xyxy_px[:, 2:] > xyxy_px[:, :2]).all(axis=1) & (scores >= query.confidence)
    order = np.flatnonzero(within)[np.argsort(-scores[within], kind="stable")]
    labels = tuple(query.prompts[int(answer)] for answer in answers[order])
    chosen = None if masks is None else masks[order]
    return Detections(xyxy_px[order], scores[order].astype(np.float64), labels, chosen)
