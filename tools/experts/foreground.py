"""Masks inside boxes from depth alone: what stands out from floor, wall and table, and fills its box.

No network and nothing learned. A plane is linear in inverse depth over the pixels of a pinhole, whatever
its focal length, so that planes are found and taken away without knowing the camera. What is left falls
apart at depth edges into surfaces; the object is the one whose outline is most like the box.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import ToolFailedError
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame

Array = NDArray[np.float64]
Pixels = NDArray[np.bool_]
#: Rows and columns of an upright rectangle.
Rectangle = tuple[slice, ...]

#: How far round a box is looked at: share of its sides, and pixels at least.
AROUND_SHARE, AROUND_PX = 0.3, 10
#: A background plane makes up this share of what lies round the box; that many are looked for.
LEAST_PLANE_SHARE, MOST_PLANES = 0.1, 4
#: Pixels and random triples from which planes are found.
SAMPLED, TRIPLES = 500, 96
#: A pixel lies on a plane within three deviations of those that do, and within these shares of its depth.
LEAST_OFF, MOST_OFF = 0.012, 0.04
#: Floors and walls have less than this share of what is seen behind them.
MOST_BEHIND = 0.03
#: A step of inverse depth by more than this share of itself is an edge, unless the slope goes on.
STEP_SHARE = 0.025
#: Surfaces beside the main one belong to it if this share of them is in the box, and this share of the
#: main one's depth is between them at most.
INSIDE_SHARE, SAME_DEPTH_SHARE = 0.9, 0.06
#: Smaller pieces, as a share of the box, are left out.
LEAST_PIECE = 0.003
#: Where less than this share of the box stands out, the thing is flat: the surface it is part of is taken.
LEAST_STANDING_OUT = 0.1


@dataclass(frozen=True, eq=False)
class _Window:
    """The surroundings of a box.

    Attributes:
        inverse: Inverse depth, shape (h, w), 0 where unknown.
        inside: Which pixels are in the box.
        at: Where it lies in the depth map.
    """

    inverse: Array
    inside: Pixels
    at: tuple[slice, slice]


@expert("segment.foreground", resources=Resources(deadline_s=20.0))
def foreground(frame: Frame, boxes: Detections) -> Detections:
    """Turn boxes into masks by depth: what stands out from its background within each box.

    Fits free-standing furniture and things on tables or floors. Of something flat against a wall the whole
    part of the wall within the box is taken; of several things in one box, the one that fills it best.

    Args:
        frame: A frame with depth.
        boxes: Boxes in its picture; labels and scores are kept.

    Raises:
        ToolFailedError: If the frame has no depth.
    """
    if frame.depth is None:
        raise ToolFailedError(
            f"frame {frame.header.name} has no depth to find masks by; measure its depth first, "
            "or choose a segmenter that looks at the picture"
        )
    inverse = _inverse(frame.depth.z_m)
    size = inverse.shape if frame.rgb is None else frame.rgb.shape[:2]
    scale = np.tile([inverse.shape[1] / size[1], inverse.shape[0] / size[0]], 2)
    masks = np.zeros((len(boxes), *size), bool)
    for mask, box in zip(masks, boxes.xyxy_px, strict=True):
        mask[:] = _resampled(mask_in_box(inverse, (box + 0.5) * scale), size)
    return Detections(boxes.xyxy_px, boxes.scores, boxes.labels, masks)


def mask_in_box(inverse: Array, edges_px: Array) -> Pixels:
    """Return the pixels of the thing a box was drawn round; none where the box has no depth.

    Args:
        inverse: Inverse depth, shape (H, W), 0 where unknown.
        edges_px: Left, top, right, bottom, pixels from the corner of the first one.
    """
    mask = np.zeros(inverse.shape, bool)
    window = _window(inverse, edges_px)
    known = window.inverse > 0
    if not (known & window.inside).any():
        return mask
    standing_out = known & ~_background(window)
    if (standing_out & window.inside).sum() < LEAST_STANDING_OUT * (known & window.inside).sum():
        standing_out = known
    mask[window.at] = _without_holes(_main_surface(window, standing_out), known) & window.inside
    return mask


def _window(inverse: Array, edges_px: Array) -> _Window:
    height, width = inverse.shape
    low, high = edges_px[:2], edges_px[2:]
    around = np.maximum(AROUND_SHARE * (high - low), AROUND_PX)
    left, top = np.clip(np.floor(low - around).astype(int), 0, (width - 1, height - 1))
    right, bottom = np.clip(np.ceil(high + around).astype(int), (left + 1, top + 1), (width, height))
    columns, rows = np.arange(left, right) + 0.5, np.arange(top, bottom) + 0.5
    inside = ((rows > low[1]) & (rows < high[1]))[:, None] & ((columns > low[0]) & (columns < high[0]))
    at = slice(top, bottom), slice(left, right)
    return _Window(inverse[at], inside, at)


def _background(window: _Window) -> Pixels:
    """Return the pixels on planes that are seen round the box.

    Of planes with something behind them, such as the top of a table, only what comes into the box from
    round it counts; what lies on floor or wall does wherever it is.
    """
    from scipy.ndimage import label

    rows, columns = np.nonzero((window.inverse > 0) & ~window.inside)
    step = max(1, len(rows) // SAMPLED)
    around = np.column_stack([columns, rows, np.ones(len(rows))])[::step].astype(float)
    said = window.inverse[rows, columns][::step]
    background = np.zeros(window.inverse.shape, bool)
    left = np.ones(len(said), bool)
    rng = np.random.default_rng(0)
    for _ in range(MOST_PLANES):
        found = _plane(around[left], said[left], rng)
        if found is None:
            break
        plane, off = found
        near = np.abs(around @ plane - said) < off * said
        if (near & left).sum() < max(LEAST_PLANE_SHARE * len(said), 3):
            break
        left &= ~near
        on, behind = _on_and_behind(window.inverse, plane, off)
        if behind.sum() > MOST_BEHIND * (window.inverse > 0).sum():
            patches = label(on, np.ones((3, 3)))[0]
            on = np.isin(patches, np.unique(patches[on & ~window.inside]))
        background |= on
    return background


def _plane(around: Array, said: Array, rng: np.random.Generator) -> tuple[Array, float] | None:
    """Return the plane most of the pixels lie on, and how far off they lie, as a share of inverse depth.

    Args:
        around: Column, row and 1 of each pixel, shape (N, 3).
        said: Inverse depth of each, shape (N,).
        rng: Draws the triples that planes are tried with.
    """
    if len(said) < 12:
        return None
    corners = _triples(around, rng)
    usable = np.abs(np.linalg.det(around[corners])) > 1.0
    if not usable.any():
        return None
    planes = np.linalg.solve(around[corners[usable]], said[corners[usable]][..., None])[..., 0]
    off = np.abs(planes @ around.T - said) / said
    plane = planes[(off < LEAST_OFF * 1.5).sum(axis=1).argmax()]
    limit = LEAST_OFF * 1.5
    for _ in range(3):
        near = np.abs(around @ plane - said) < limit * said
        if near.sum() < 3:
            return None
        plane = np.linalg.lstsq(around[near] / said[near, None], np.ones(near.sum()), rcond=None)[0]
        deviation = 1.4826 * float(np.median(np.abs(around[near] @ plane / said[near] - 1.0)))
        limit = min(MOST_OFF, max(LEAST_OFF, 3.0 * deviation))
    return plane, limit


def _triples(around: Array, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the numbers of three pixels each that are rather near each other, shape (TRIPLES, 3)."""
    drawn = rng.integers(0, len(around), (TRIPLES, 12))
    away = np.linalg.norm(around[drawn, :2] - around[drawn[:, :1], :2], axis=2)
    order = np.argsort(away, axis=1)[:, [0, 2, 4]]
    return np.take_along_axis(drawn, order, axis=1)


def _on_and_behind(inverse: Array, plane: Array, off: float) -> tuple[Pixels, Pixels]:
    """Return which pixels lie on a plane, and which behind it."""
    rows, columns = np.ogrid[: inverse.shape[0], : inverse.shape[1]]
    beyond = plane[0] * columns + plane[1] * rows + plane[2] - inverse
    on: Pixels = (inverse > 0) & (np.abs(beyond) < off * inverse)
    behind: Pixels = (inverse > 0) & (beyond >= off * inverse)
    return on, behind


def _main_surface(window: _Window, pixels: Pixels) -> Pixels:
    """Return the surface whose outline is most like the box, and what belongs to it."""
    from scipy.ndimage import find_objects

    number = _surfaces(window.inverse, pixels)
    sizes = np.bincount(number.ravel())
    within = np.bincount(number[window.inside], minlength=len(sizes))
    within[0] = 0
    candidates = np.flatnonzero(within >= max(1.0, LEAST_PIECE * window.inside.sum()))
    if not len(candidates):
        return number == within.argmax() if within.any() else np.zeros(pixels.shape, bool)
    outlines, box = find_objects(number), _outline(window.inside)
    main = max(candidates, key=lambda k: (_likeness(outlines[k - 1], box), within[k]))
    near = _depths(window.inverse, number == main)
    beside = [
        k
        for k in candidates[within[candidates] >= INSIDE_SHARE * sizes[candidates]]
        if _beside(near, _depths(window.inverse, number == k))
    ]
    surface: Pixels = np.isin(number, [main, *beside])
    return surface


def _surfaces(inverse: Array, pixels: Pixels) -> NDArray[np.int32]:
    """Number the surfaces that pixels form between depth edges, shape (h, w), 0 elsewhere."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    index = np.arange(inverse.size).reshape(inverse.shape)
    pairs = []
    for axis in (0, 1):
        index_, joined = np.moveaxis(index, axis, 0), _joined(inverse, pixels, axis)
        pairs.append(np.stack([index_[:-1][joined], index_[1:][joined]]))
    first, second = np.concatenate(pairs, axis=1)
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(inverse.size, inverse.size))
    group = connected_components(links, directed=False)[1].reshape(inverse.shape)
    number = np.zeros(inverse.shape, np.int32)
    number[pixels] = np.unique(group[pixels], return_inverse=True)[1] + 1
    return number


def _joined(inverse: Array, pixels: Pixels, axis: int) -> Pixels:
    """Return which neighbours along an axis are on one surface: no step, or the slope goes on."""
    inverse_, pixels_ = np.moveaxis(inverse, axis, 0), np.moveaxis(pixels, axis, 0)
    step = np.diff(inverse_, axis=0)
    limit = STEP_SHARE * np.minimum(inverse_[:-1], inverse_[1:])
    bend = np.full(step.shape, np.inf)
    bend[1:] = np.abs(np.diff(step, axis=0))
    bend[:-1] = np.minimum(bend[:-1], np.abs(np.diff(step, axis=0)))
    smooth = (np.abs(step) < limit) | (bend < limit / 2)
    joined: Pixels = smooth & pixels_[:-1] & pixels_[1:]
    return joined


def _outline(pixels: Pixels) -> Rectangle:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _likeness(outline: Rectangle, box: Rectangle) -> float:
    """Return how much two upright rectangles of pixels overlap: intersection over union."""
    shared = 1
    for one, other in zip(outline, box, strict=True):
        shared *= max(0, min(one.stop, other.stop) - max(one.start, other.start))
    areas = sum((rows.stop - rows.start) * (columns.stop - columns.start) for rows, columns in (outline, box))
    return float(shared / (areas - shared))


def _depths(inverse: Array, surface: Pixels) -> tuple[float, float]:
    """Return the least and greatest inverse depth of a surface, leaving out stray pixels."""
    low, high = np.quantile(inverse[surface], [0.02, 0.98])
    return float(low), float(high)


def _beside(one: tuple[float, float], other: tuple[float, float]) -> bool:
    gap = max(one[0] - other[1], other[0] - one[1])
    return gap < SAME_DEPTH_SHARE * max(one[0], other[0])


def _without_holes(surface: Pixels, known: Pixels) -> Pixels:
    """Return a surface with the pixels that it encloses and whose depth nobody knows."""
    from scipy.ndimage import binary_fill_holes

    filled: Pixels = surface | (binary_fill_holes(surface) & ~known)
    return filled


def _inverse(z_m: NDArray[np.float32]) -> Array:
    return np.divide(1.0, z_m, out=np.zeros(z_m.shape), where=z_m > 0)


def _resampled(mask: Pixels, size: tuple[int, ...]) -> Pixels:
    """Return a mask at another size of the same view, by nearest pixel."""
    if mask.shape == size:
        return mask
    rows = ((np.arange(size[0]) + 0.5) * mask.shape[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * mask.shape[1] / size[1]).astype(int)
    nearest: Pixels = mask[rows[:, None], columns]
    return nearest
