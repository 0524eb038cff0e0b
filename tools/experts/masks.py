"""Masks of one image: each pixel to one object, nothing twice, and the boxes that go with them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene import Detections, InstanceMask

Masks = NDArray[np.bool_]
#: Two masks of one label that share this much of the smaller one are one object seen twice.
DUPLICATE_SHARE = 0.6


def separated(masks: Masks, scores: NDArray[np.float64], labels: Sequence[str]) -> tuple[InstanceMask, ...]:
    """Drop what a detector found twice, and give every contested pixel to the smaller mask.

    The smaller one is in front or on top far more often than not: a cup on a table, a chair before it.

    Args:
        masks: Shape (N, H, W).
        scores: Shape (N,), 0 to 1.
        labels: N class names.
    """
    return tuple(
        InstanceMask(pixels, labels[index], float(scores[index]))
        for index, pixels in _owned(masks, scores, labels)
    )


def separated_detections(detections: Detections) -> Detections:
    """Do to the masks of detections what `separated` does; boxes stay those of the detector.

    Raises:
        ShapeError: If the detections have boxes and no masks.
    """
    if detections.masks is None:
        raise ShapeError("detections: expected masks to separate, got boxes alone; segment them first")
    owned = _owned(detections.masks, detections.scores, detections.labels)
    kept = [index for index, _ in owned]
    masks = np.array([pixels for _, pixels in owned], bool).reshape(-1, *detections.masks.shape[1:])
    return Detections(
        detections.xyxy_px[kept],
        detections.scores[kept],
        tuple(detections.labels[index] for index in kept),
        masks,
    )


def mask_boxes(masks: Masks) -> NDArray[np.float64]:
    """Return the tight box of each mask.

    Args:
        masks: Shape (N, H, W).

    Returns:
        Shape (N, 4): left, top, right, bottom edges; half a pixel outside the outermost pixel centres.

    Raises:
        ShapeError: If a mask is empty and so has no box.

    >>> mask_boxes(np.array([[[False, True, True], [False, False, False]]])).tolist()
    [[0.5, -0.5, 2.5, 0.5]]
    """
    boxes = np.empty((len(masks), 4))
    for box, mask in zip(boxes, masks, strict=True):
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        if not rows.size:
            raise ShapeError("masks: expected at least one pixel in each, got an empty one")
        box[:] = columns[0] - 0.5, rows[0] - 0.5, columns[-1] + 0.5, rows[-1] + 0.5
    return boxes


def _owned(
    masks: Masks, scores: NDArray[np.float64], labels: Sequence[str]
) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return position and remaining pixels of what stays, best first."""
    areas = masks.sum(axis=(1, 2))
    kept: list[int] = []
    for index in sorted(range(len(labels)), key=lambda k: (-scores[k], -areas[k], k)):
        if areas[index] and not any(_repeats(masks, areas, labels, index, other) for other in kept):
            kept.append(index)
    owner = np.full(masks.shape[1:], -1)
    for index in sorted(kept, key=lambda k: -areas[k]):
        owner[masks[index]] = index
    return [(index, pixels) for index in kept if (pixels := owner == index).any()]


def _repeats(masks: Masks, areas: NDArray[np.int_], labels: Sequence[str], index: int, other: int) -> bool:
    if labels[index] != labels[other]:
        return False
    shared = np.count_nonzero(masks[index] & masks[other])
    return bool(shared >= DUPLICATE_SHARE * min(areas[index], areas[other]))
