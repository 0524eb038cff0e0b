"""Masks of one image: each pixel to one object, nothing twice, and the boxes that go with them."""

from collections.abc import Mapping, Sequence

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
        if not mask.any():
            raise ShapeError("masks: expected at least one pixel in each, got an empty one")
        rows, columns = _window(mask)
        box[:] = columns.start - 0.5, rows.start - 0.5, columns.stop - 0.5, rows.stop - 0.5
    return boxes


def _owned(
    masks: Masks, scores: NDArray[np.float64], labels: Sequence[str]
) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return position and remaining pixels of what stays, best first."""
    areas = masks.sum(axis=(1, 2))
    windows = {int(index): _window(masks[index]) for index in np.flatnonzero(areas)}
    kept: list[int] = []
    for index in sorted(windows, key=lambda k: (-scores[k], -areas[k], k)):
        alike = [other for other in kept if labels[other] == labels[index]]
        shares = (_shared(masks, windows, index, other) / min(areas[index], areas[other]) for other in alike)
        if not any(share >= DUPLICATE_SHARE for share in shares):
            kept.append(index)
    owner = np.full(masks.shape[1:], -1)
    for index in sorted(kept, key=lambda k: -areas[k]):
        owner[masks[index]] = index
    return [(index, pixels) for index in kept if (pixels := owner == index).any()]


def _window(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _shared(masks: Masks, windows: Mapping[int, tuple[slice, slice]], index: int, other: int) -> int:
    """Return how many pixels two masks share; only where both their windows are can there be any."""
    both = tuple(
        slice(max(a.start, b.start), max(a.start, b.start, min(a.stop, b.stop)))
        for a, b in zip(windows[index], windows[other], strict=True)
    )
    return int(np.count_nonzero(masks[index][both] & masks[other][both]))
