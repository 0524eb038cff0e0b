"""Regions that a question speaks of: marked on a frame, added to the scene, called by the ids of objects."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Json, ToolCall, ToolRunner
from spatial_agent.tools.errors import (
    InvalidValueError,
    QuestionError,
    ToolArgumentError,
    ToolError,
    ToolFailedError,
)
from spatial_agent.tools.scene import Detections, Frame, SceneMap

#: The expert that makes an object of a region.
EXPERT = "region"
#: What runners keep masks of regions as.
MASK_NAME = "region_mask"
#: How a question speaks of a region: "<region 1>", "<region1>", "<Region-1>", and "<region>" of the only one.
MENTION = re.compile(r"<\s*region[\s_-]*(\d*)\s*>", re.IGNORECASE)


@dataclass(frozen=True)
class MaskRuns:
    """A mask as plain numbers: the run lengths that COCO calls uncompressed RLE.

    Attributes:
        size: Height and width, pixels.
        counts: Pixels of each run, column by column, the first outside the mask, the next inside, and so on.

    Raises:
        InvalidValueError: If the runs do not fill the picture exactly.
    """

    size: tuple[int, int]
    counts: tuple[int, ...]

    def __post_init__(self) -> None:
        """Check that the runs fill the picture."""
        height, width = self.size
        if min(height, width, *self.counts, 0) < 0 or sum(self.counts) != height * width:
            raise InvalidValueError(
                f"mask: expected runs that fill {height}x{width} pixels (height x width), got "
                f"{sum(self.counts)} pixels in {len(self.counts)} runs"
            )

    @classmethod
    def of(cls, pixels: NDArray[np.bool_]) -> "MaskRuns":
        """Return the runs of a mask, shape (H, W) bool."""
        flat = np.concatenate([[False], np.asarray(pixels, bool).ravel(order="F")])
        starts = np.flatnonzero(flat[1:] != flat[:-1])
        ends = np.append(starts, flat.size - 1)
        counts = np.diff(np.concatenate([[0], ends]))
        return cls((pixels.shape[0], pixels.shape[1]), tuple(counts.tolist()))

    @property
    def pixels(self) -> NDArray[np.bool_]:
        """The mask, shape (H, W)."""
        inside = np.arange(len(self.counts)) % 2 == 1
        mask: NDArray[np.bool_] = np.repeat(inside, self.counts).reshape(self.size, order="F")
        return mask


@dataclass(frozen=True)
class Region:
    """What was marked on a frame, in exactly one of four ways; integers are pixel centres.

    Attributes:
        frame: Index of the frame.
        xyxy_px: Left, top, right and bottom edge of a box, pixels.
        point_px: A point x, y, pixels.
        outline_px: Corners x, y of an outline, three or more, pixels.
        mask: A mask of the frame's picture.
        label: What it is, which also names it; "region" where nobody said.

    Raises:
        InvalidValueError: If it is not marked in exactly one way, or the frame number is negative.
    """

    frame: int
    xyxy_px: tuple[float, float, float, float] | None = None
    point_px: tuple[float, float] | None = None
    outline_px: tuple[tuple[float, float], ...] | None = None
    mask: MaskRuns | None = None
    label: str = "region"

    def __post_init__(self) -> None:
        """Check that it is marked once."""
        ways = (self.xyxy_px, self.point_px, self.outline_px, self.mask)
        if sum(way is not None for way in ways) != 1 or self.frame < 0:
            raise InvalidValueError(
                "region: expected a frame number from 0 and exactly one of xyxy_px, point_px, outline_px and "
                f"mask, got frame {self.frame} and {sum(way is not None for way in ways)} of them"
            )


async def add_regions(
    runner: ToolRunner, scene_reference: str, regions: Sequence[Region]
) -> tuple[str, tuple[str, ...]]:
    """Add regions to a scene as objects, one after the other.

    Args:
        runner: Where the scene is kept, and the frames as ``"$frame/0"`` and so on.
        scene_reference: The scene, such as ``"$scene"``; it stays as it is.
        regions: What was marked.

    Returns:
        The reference of the scene with the regions, and their ids in the order given.

    Raises:
        ToolError: If one cannot be measured; the message says which.
    """
    names: list[str] = []
    reference = scene_reference
    for number, region in enumerate(regions, start=1):
        added = await _added(runner, reference, region, number)
        if reference != scene_reference:
            runner.drop(reference)
        scene = runner.value(added)
        if not isinstance(scene, SceneMap):
            raise TypeError(f"expected a scene map from {EXPERT}, got {type(scene).__name__}")
        names.append(scene.objects[-1].id)
        reference = added
    return reference, tuple(names)


def with_names(question: str, ids: Sequence[str]) -> str:
    """Return a question in which the ids of their objects stand for its regions.

    Args:
        question: The question; ``<region 1>`` is the first region.
        ids: Ids of the objects, in the order of the regions.

    Raises:
        QuestionError: If it speaks of a region that was not given.

    >>> with_names("Is <region 1> wider than <region2>?", ["region-1", "mug-1"])
    'Is region-1 wider than mug-1?'
    """

    def name(mention: re.Match[str]) -> str:
        given = mention.group(1)
        if not given and len(ids) == 1:
            return ids[0]
        if given and 1 <= int(given[:9]) <= len(ids):
            return ids[int(given[:9]) - 1]
        known = ", ".join(f"<region {number}>" for number in range(1, len(ids) + 1))
        raise QuestionError(
            f"the question speaks of {mention.group(0)}, but {known or 'no region'} was marked; mark it on a "
            "frame with a box, an outline, a mask or a point"
        )

    return MENTION.sub(name, question)


async def _added(runner: ToolRunner, scene_reference: str, region: Region, number: int) -> str:
    frame = f"$frame/{region.frame}"
    arguments: dict[str, Json] = {"scene": scene_reference, "frame": frame, "label": region.label}
    kept = None
    try:
        if region.mask is not None:
            kept = runner.keep(f"{MASK_NAME}/{number}", _detections(runner.value(frame), region))
        arguments |= _marked(region, kept)
        result = await runner.call(ToolCall(f"r{number}", EXPERT, arguments))
        if result.error is not None:
            raise result.error
    except ToolError as error:
        kind = ToolArgumentError if isinstance(error, ToolArgumentError) else ToolFailedError
        raise kind(f"<region {number}> on frame {region.frame}: {error}") from error
    finally:
        if kept is not None:
            runner.drop(kept)
    if result.handle is None:
        raise TypeError(f"expected {EXPERT} to give a scene map, got none")
    return result.handle


def _marked(region: Region, masks: str | None) -> dict[str, Json]:
    """Return where the region is, as arguments of the expert."""
    if masks is not None:
        return {"masks": masks}
    if region.outline_px is not None:
        return {"outline_px": [[float(x), float(y)] for x, y in region.outline_px]}
    if region.xyxy_px is not None:
        return {"xyxy_px": [float(edge) for edge in region.xyxy_px]}
    return {"point_px": [float(part) for part in region.point_px or ()]}


def _detections(frame: Any, region: Region) -> Detections:  # noqa: ANN401 - whatever is kept as a frame
    """Return a mask as segmentation would give it: with as many pixels as the depth map has."""
    if region.mask is None or not isinstance(frame, Frame) or frame.depth is None:
        raise ToolFailedError("a region needs a frame with depth")
    pixels = region.mask.pixels
    if not pixels.any():
        raise ToolArgumentError("the mask is empty; mark at least a few pixels")
    rows, columns = (
        ((np.arange(wanted) + 0.5) * given / wanted).astype(int)
        for wanted, given in zip(frame.depth.z_m.shape, pixels.shape, strict=True)
    )
    mask = pixels[rows[:, None], columns]
    height, width = pixels.shape
    whole_px = np.array([[-0.5, -0.5, width - 0.5, height - 0.5]])
    return Detections(whole_px, np.ones(1), (region.label.strip().lower() or EXPERT,), mask[None])
