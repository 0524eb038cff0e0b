"""A length on a picture by a length that is known: how many times as long one marked segment is as another.

Where both lie in one plane that faces the camera, lengths are as pixels are. Where the frame has depth,
that is looked at rather than assumed, and what lies at another depth is put right by it, with a wider
margin. The result is weak evidence in any case: nobody measured the reference here.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Finding, Json, Resources
from spatial_agent.tools.errors import NoSuchObjectError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.sizes import Dimension, size_table, typical_size
from spatial_agent.tools.geometry.projection import unproject_pixels
from spatial_agent.tools.labels import suggest
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import CameraIntrinsics, Frame, Measurement
from spatial_agent.tools.skills.wording import quantity

Array = NDArray[np.float64]
Unit = Literal["m", "cm", "mm", "in", "ft"]

#: Half-width of a 90 % interval in standard deviations.
Z90 = 1.645
#: Ends that somebody marked on a picture are off by this, standard deviation, pixels.
END_PX = 1.5
#: Segments shorter than this say nothing, pixels.
SHORTEST_PX = 6.0
#: Half-width of the 90 % interval of a known length whose margin nobody gave, as a share.
KNOWN_SHARE = 0.05
#: Lengths that can be references, metres.
LEAST_M, MOST_M = 1e-3, 1e3
#: Ends whose depths differ by less than this share lie in one plane that faces the camera.
SAME_PLANE = 0.03
#: Standard deviation, as a share, of a length whose plane had to be assumed.
ASSUMED_PLANE = 0.15
#: What is put right by depth may be wrong by this share of the correction, standard deviation.
CORRECTION_SHARE = 0.15
#: Depth of single pixels is no better known than this, as a share.
DEPTH_SHARE = 0.01
#: How far, and in how many directions, depth is looked at round the ends, pixels of the depth map.
AROUND_PX: Array = np.arange(1.0, 5.0)
DIRECTIONS = 8
SQUARE_ON = "both lie equally far from the camera and neither points towards it"


@dataclass(frozen=True)
class Known:
    """The length of the reference.

    Attributes:
        value_m: Best estimate, metres.
        std: Standard deviation of its logarithm: about its relative error.
        words: What it is.
    """

    value_m: float
    std: float
    words: str


@dataclass(frozen=True, eq=False)
class Ratio:
    """How many times as long the segment is as the reference.

    Attributes:
        value: The ratio.
        std: Standard deviation of its logarithm.
        basis: What it rests on, the end of a sentence.
        depth_ratio: How many times as far from the camera the segment is; None where nobody knows.
    """

    value: float
    std: float
    basis: str
    depth_ratio: float | None


@dataclass(frozen=True, eq=False)
class Depths:
    """How far the ends of both segments are.

    Attributes:
        z: Depth of the start and end of the segment, then of the reference, shape (2, 2).
        unit: Their unit in words.
        std: Relative standard deviation of each.
    """

    z: Array
    unit: str
    std: float

    def said(self, segment: int) -> str:
        """Return the depths of the ends of one segment in words."""
        low, high = float(self.z[segment].min()), float(self.z[segment].max())
        return f"{low:.2f}{'' if high - low < 0.01 * high else f' to {high:.2f}'} {self.unit}"


@expert("measure_by_reference", resources=Resources(in_caller=True))
def measure_by_reference(
    frame: Frame,
    segment_px: list[list[float]],
    reference_px: list[list[float]],
    reference_m: float | None = None,
    reference_margin_m: float | None = None,
    reference_of: str | None = None,
    dimension: Dimension = "height",
    unit: Unit = "m",
) -> Finding:
    """Measure a segment marked on a frame by another one whose length is known, such as the height of a door.

    Give the length of the reference as `reference_m`, or say what it is with `reference_of` and `dimension`,
    and its usual size is taken. Both should be equally far from the camera and not point towards it.

    Args:
        frame: The frame, with its picture or depth.
        segment_px: Start and end of what is to be measured, each x, y in pixels; integers are pixel centres.
        reference_px: Start and end of the reference, likewise.
        reference_m: Length of the reference.
        reference_margin_m: Half-width of the 90 % interval of that length; 5 % of it where left out.
        reference_of: Or the kind of thing that the reference is, such as "door".
        dimension: Which edge of that thing was marked.
        unit: Unit of the answer.

    Raises:
        ToolArgumentError: If a segment is outside the picture or too short, or not exactly one length given.
        NoSuchObjectError: If no usual size of that kind is known.
        ToolFailedError: If depth says that the two are not equally far, and the lens is not known, so that
            it cannot be put right.
    """
    size = _size(frame)
    ends = np.array([_ends("segment_px", segment_px, size), _ends("reference_px", reference_px, size)])
    known = _known(reference_m, reference_margin_m, reference_of, dimension)
    lens = frame.header.intrinsics.resized(*size) if frame.header.intrinsics else None
    depths = _depths(frame, ends, size)
    ratio = _ratio(ends, lens, depths)
    value_m, std = known.value_m * ratio.value, float(np.hypot(known.std, ratio.std))
    low_m, high_m = value_m * np.exp(-Z90 * std), value_m * np.exp(Z90 * std)
    measured = Measurement(value_m, "m", float(low_m), float(high_m), f"by {known.words}").to(unit)
    by_depth = _by_depth_m(ends[0], lens, depths)
    beside = "" if by_depth is None else f" The depth of the frame itself says {by_depth:.2f} m."
    details: dict[str, Json] = {
        "ratio": ratio.value,
        "reference_m": known.value_m,
        "depth_ratio": ratio.depth_ratio,
        "by_depth_m": by_depth,
        "frame": frame.header.index,
        "segment_px": ends[0].tolist(),
        "reference_px": ends[1].tolist(),
    }
    return Finding(
        claim=f"The marked segment is {quantity(measured)} long, {ratio.value:.2f} times {known.words}, "
        f"{ratio.basis}.{beside}",
        value=measured.value,
        unit=unit,
        low=measured.low,
        high=measured.high,
        definition="length.by_reference",
        quality="weak",
        why_weak=f"it rests on {known.words} and on ends marked by eye, {ratio.basis}",
        details=details,
    )


def _size(frame: Frame) -> tuple[int, int]:
    """Return width and height of the picture that pixels are meant in."""
    if frame.rgb is not None:
        return frame.rgb.shape[1], frame.rgb.shape[0]
    if frame.depth is not None:
        return frame.depth.z_m.shape[1], frame.depth.z_m.shape[0]
    raise ToolFailedError(f"frame {frame.header.name} has neither picture nor depth to measure on")


def _ends(name: str, given: list[list[float]], size: tuple[int, int]) -> Array:
    """Return the ends of a segment, shape (2, 2), pixels."""
    if len(given) != 2 or any(len(point) != 2 for point in given) or not np.isfinite(given).all():
        raise ToolArgumentError(f"{name}: expected start and end, each x, y in pixels, got {given}")
    ends = np.array(given, np.float64)
    if (ends < -0.5).any() or (ends > np.array(size) - 0.5).any():
        raise ToolArgumentError(f"{name}: {given} is not inside the {size[0]}x{size[1]} picture")
    if np.hypot(*(ends[1] - ends[0])) < SHORTEST_PX:
        raise ToolArgumentError(
            f"{name}: expected at least {SHORTEST_PX:g} pixels from start to end; mark a longer segment"
        )
    return ends


def _known(
    reference_m: float | None, margin_m: float | None, reference_of: str | None, dimension: Dimension
) -> Known:
    if (reference_m is None) == (reference_of is None):
        raise ToolArgumentError("give the length of the reference as either reference_m or reference_of")
    if reference_of is not None:
        return _usual(reference_of, dimension)
    length_m = reference_m or 0.0
    half_m = KNOWN_SHARE * length_m if margin_m is None else margin_m
    # Asked this way round, what is not a number is refused, too.
    if not (LEAST_M <= length_m <= MOST_M and 0.0 <= half_m < length_m):
        raise ToolArgumentError(
            f"reference_m: expected {LEAST_M:g} to {MOST_M:g} m and a margin below it, got {length_m:g} m "
            f"± {half_m:g} m"
        )
    words = f"the reference of {length_m:.3g} m (± {half_m:.2g} m)"
    return Known(length_m, half_m / length_m / Z90, words)


def _usual(kind: str, dimension: Dimension) -> Known:
    typical = typical_size(kind)
    if typical is None:
        raise NoSuchObjectError(f"no usual size is known of {kind!r}", suggest(kind, size_table()))
    ends = typical.range_of(dimension)
    if ends is None or dimension == "area":
        raise ToolArgumentError(f"dimension: {dimension} is no length of a {typical.name}")
    low_m, high_m = ends
    words = f"the usual {dimension} of a {typical.name} ({low_m:g} to {high_m:g} m, {typical.source})"
    return Known(float(np.sqrt(low_m * high_m)), float(np.log(high_m / low_m) / 2 / Z90), words)


def _ratio(ends: Array, lens: CameraIntrinsics | None, depths: Depths | None) -> Ratio:
    """Return how many times as long the first of two segments, shape (2, 2, 2), is as the second."""
    ways_px = ends[:, 1] - ends[:, 0]
    # Pixels need not be square; where the lens is known, angles count.
    across = np.linalg.norm(ways_px / ([lens.fx, lens.fy] if lens else [1.0, 1.0]), axis=1)
    marked = float(np.linalg.norm(np.sqrt(2.0) * END_PX / np.linalg.norm(ways_px, axis=1)))
    value = float(across[0] / across[1])
    if depths is None:
        return Ratio(value, float(np.hypot(marked, ASSUMED_PLANE)), f"assuming that {SQUARE_ON}", None)
    far = float(depths.z[0].mean() / depths.z[1].mean())
    apart = float(depths.z.max() / depths.z.min() - 1.0)
    if apart <= max(SAME_PLANE, Z90 * depths.std):
        std = float(np.linalg.norm([marked, apart, depths.std]))
        return Ratio(value, std, f"and by depth {SQUARE_ON}", far)
    if lens is None:
        raise ToolFailedError(
            f"the segment is {depths.said(0)} from the camera and the reference {depths.said(1)}; without "
            "the lens of the camera that cannot be put right; take a reference at the same depth"
        )
    lengths = [_length(pair, lens, z) for pair, z in zip(ends, depths.z, strict=True)]
    slants = [_slant_std(pair, lens, z, depths.std) for pair, z in zip(ends, depths.z, strict=True)]
    std = float(np.linalg.norm([marked, CORRECTION_SHARE * min(apart, 1.0), *slants]))
    distances = f"the segment is {depths.said(0)} from the camera, the reference {depths.said(1)}"
    return Ratio(lengths[0] / lengths[1], std, f"put right by depth: {distances}", far)


def _length(ends_px: Array, lens: CameraIntrinsics, z: Array) -> float:
    start, end = unproject_pixels(lens, ends_px, z)
    return float(np.linalg.norm(end - start))


def _slant_std(ends_px: Array, lens: CameraIntrinsics, z: Array, depth_std: float) -> float:
    """Return the relative error of a length that comes from the errors of the depths of its two ends."""
    start, end = unproject_pixels(lens, ends_px, z)
    way = end - start
    length = float(np.linalg.norm(way))
    # Each end moves along its own ray by the error of its depth.
    moved = [float(abs(way @ point)) * depth_std / length for point in (start, end)]
    return float(np.linalg.norm(moved)) / length


def _depths(frame: Frame, ends: Array, size: tuple[int, int]) -> Depths | None:
    """Return the depths of the ends of both segments; None unless all are known."""
    if frame.depth is None:
        return None
    shape = np.array(frame.depth.z_m.shape[::-1])
    at = (ends + 0.5) * shape / size - 0.5
    z = np.array([[_end_depth(frame.depth.z_m, end_px) for end_px in pair] for pair in at])
    unit = "m" if frame.depth.scale == "metric" else "units"
    std = float(np.hypot(DEPTH_SHARE, frame.depth.shape_error))
    return Depths(z, unit, std) if (z > 0).all() else None


def _end_depth(z_m: NDArray[np.float32], end_px: Array) -> float:
    """Return the depth of an end of a segment; 0 where none is known.

    Ends are marked at corners and borders of things, where some directions show the thing and others what
    is behind it, so that the nearest is what ends there.
    """
    angles = 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[:, None] * AROUND_PX[:, None]
    columns, rows = np.moveaxis(np.rint(end_px + rays).astype(int), -1, 0)
    high, wide = z_m.shape
    inside = (columns >= 0) & (rows >= 0) & (columns < wide) & (rows < high)
    seen = np.where(inside, z_m[rows.clip(0, high - 1), columns.clip(0, wide - 1)], 0.0)
    sides = [float(np.median(side[side > 0])) for side in seen if (side > 0).any()]
    return min(sides, default=0.0)


def _by_depth_m(ends_px: Array, lens: CameraIntrinsics | None, depths: Depths | None) -> float | None:
    """Return the length of the segment as depth alone has it, metres; None where there is no such depth."""
    if depths is None or lens is None or depths.unit != "m":
        return None
    return _length(ends_px, lens, depths.z[0])
