"""Wall lines of a floor plan: where upright surfaces stand, and along which stretches they were seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELL_M = 0.04
#: Heights between which upright structure is counted, and the height of one bin, metres.
LOW_M, HIGH_M, BIN_M = 0.15, 2.55, 0.1
#: A cell belongs to something upright from this many occupied height bins on.
UPRIGHT_BINS = 4
#: Seen over this many bins, a stretch counts in full.
FULL_BINS = 8
#: Walls fill bins above furniture: at least so many, and this share of what is usual in the scene. Three
#: are more than the thickness that noise gives a ceiling.
ABOVE_M, LEAST_ABOVE, SHARE_ABOVE = 1.0, 3, 0.75
#: Half-width of a line while it is fitted, metres, and the least length that makes one.
REACH_M, LEAST_M = 0.06, 0.5
#: Stretches along a line, and the widest gap that is taken for a door, metres.
STRETCH_M, DOOR_M = 0.1, 1.05
MOST_LINES = 28
#: A segment lies on a line when both ends are this close, metres.
ON_IT_M = 0.08
#: Doors are looked for in walls of at least this length, metres.
LEAST_WALL_M = 1.2


@dataclass(frozen=True, eq=False)
class Upright:
    """Cells of the plan that hold upright structure.

    Attributes:
        xy_m: Mean position of the points in each cell, shape (N, 2).
        bins: Occupied height bins, shape (N,).
        tall: Whether they reach as high as walls do, shape (N,).
    """

    xy_m: Array
    bins: Array
    tall: Flags


@dataclass(frozen=True, eq=False)
class WallLine:
    """A line of the plan: ``normal @ xy = offset_m``.

    Attributes:
        normal: Unit vector, shape (2,).
        offset_m: Distance from the origin along the normal.
        start_m: Where the first stretch begins, along `along`.
        seen: How well each stretch was seen, 0 to 1, shape (S,).
        high: Which stretches were seen as high as walls reach, shape (S,).
        closed: Which stretches nobody looks through: seen well, or a door, shape (S,).
        error_m: Standard deviation of the offset.
    """

    normal: Array
    offset_m: float
    start_m: float
    seen: Array
    high: Flags
    closed: Flags
    error_m: float

    @property
    def along(self) -> Array:
        """Unit direction of the line, shape (2,)."""
        return np.array([-self.normal[1], self.normal[0]])

    @property
    def high_m(self) -> float:
        """Length over which it was seen as high as walls reach, metres."""
        return float(self.high.sum()) * STRETCH_M

    def stretch_points_m(self) -> Array:
        """Return the middle of every stretch, shape (S, 2)."""
        t = self.start_m + (np.arange(len(self.seen)) + 0.5) * STRETCH_M
        points: Array = self.normal * self.offset_m + t[:, None] * self.along
        return points

    def seen_at(self, points_m: Array) -> Array:
        """Return how well the stretches at points on the line were seen, 0 to 1; points (N, 2)."""
        at = np.floor((points_m @ self.along - self.start_m) / STRETCH_M).astype(int)
        inside = (at >= 0) & (at < len(self.seen))
        return np.where(inside, self.seen[np.clip(at, 0, len(self.seen) - 1)], 0.0)


def support(lines: Sequence[WallLine], from_m: Array, to_m: Array) -> float:
    """Return the share, 0 to 1, of a segment along which some line on it was seen or is a door."""
    count = max(int(np.ceil(np.linalg.norm(to_m - from_m) / (STRETCH_M / 2))), 1)
    steps = ((np.arange(count) + 0.5) / count)[:, None]
    points_m = from_m + steps * (to_m - from_m)
    best = np.zeros(count)
    for line in lines:
        if max(abs(from_m @ line.normal - line.offset_m), abs(to_m @ line.normal - line.offset_m)) < ON_IT_M:
            np.maximum(best, line.seen_at(points_m), out=best)
    return float(best.mean())


def upright_cells(xyz_m: Array) -> Upright:
    """Return the cells of the plan in which points stand above one another."""
    points = xyz_m[(xyz_m[:, 2] > LOW_M) & (xyz_m[:, 2] < HIGH_M)]
    if not len(points):
        return Upright(np.empty((0, 2)), np.empty(0), np.empty(0, bool))
    column, row = np.floor(points[:, :2].T / CELL_M).astype(np.int64)
    cells, cell = np.unique((column << 32) + row, return_inverse=True)
    height = ((points[:, 2] - LOW_M) / BIN_M).astype(int)
    filled = np.zeros((len(cells), int((HIGH_M - LOW_M) / BIN_M) + 1), bool)
    filled[cell, height] = True
    bins = filled.sum(axis=1)
    count = np.bincount(cell)
    xy_m = np.stack([np.bincount(cell, points[:, axis]) / count for axis in (0, 1)], axis=1)
    above = filled[:, int((ABOVE_M - LOW_M) / BIN_M) + 1 :].sum(axis=1)
    keep = bins >= UPRIGHT_BINS
    usual = float(np.percentile(above[keep], 85)) if keep.any() else 0.0
    tall = above[keep] >= max(LEAST_ABOVE, SHARE_ABOVE * usual)
    return Upright(xy_m[keep], bins[keep].astype(float), tall)


def find_wall_lines(upright: Upright) -> list[WallLine]:
    """Return the lines along which structure as high as walls gathers, strongest first."""
    free = upright.tall.copy()
    lines: list[WallLine] = []
    while len(lines) < MOST_LINES and free.sum() >= 8:
        guess = _strongest_line(upright.xy_m[free], upright.bins[free])
        line = _fit(upright, free, *guess)
        near = free & (np.abs(upright.xy_m @ line.normal - line.offset_m) < REACH_M)
        if line.high_m >= LEAST_M:
            lines.append(line)
        elif upright.bins[near].sum() < LEAST_M / CELL_M * UPRIGHT_BINS:
            break
        free &= ~near
    return [_close_doors(line, lines) for line in lines]


def _strongest_line(xy_m: Array, weight: Array) -> tuple[Array, float]:
    """Return (normal, offset) of the best cell of a Hough transform."""
    angles = np.radians(np.arange(180))
    normals = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    offsets = np.floor(xy_m @ normals.T / CELL_M).astype(int)
    low = int(offsets.min())
    width = int(offsets.max()) - low + 2
    slots = (offsets - low) + np.arange(180) * width
    votes = np.bincount(slots.ravel(), np.repeat(weight, 180), minlength=180 * width)
    pairs = votes[:-1] + votes[1:]
    best = int(pairs.argmax())
    return normals[best // width], (best % width + low + 1) * CELL_M


def _fit(upright: Upright, free: Flags, normal: Array, offset_m: float) -> WallLine:
    """Refine a line on the free cells near it, and see along which stretches it is supported."""
    xy_m = upright.xy_m
    for reach_m in (REACH_M * 1.5, REACH_M, REACH_M * 0.7):
        near = free & (np.abs(xy_m @ normal - offset_m) < reach_m)
        if near.sum() < 4:
            break
        weight = upright.bins[near]
        middle = np.average(xy_m[near], axis=0, weights=weight)
        spread = (xy_m[near] - middle).T * weight @ (xy_m[near] - middle)
        axes = np.linalg.eigh(spread)[1]
        normal, offset_m = axes[:, 0], float(axes[:, 0] @ middle)
    return _with_stretches(upright, normal, offset_m)


def _with_stretches(upright: Upright, normal: Array, offset_m: float) -> WallLine:
    """Look along the line: where it is high it is wall, and what stands lower on it is wall too."""
    near = np.abs(upright.xy_m @ normal - offset_m) < REACH_M
    t = upright.xy_m[near] @ np.array([-normal[1], normal[0]])
    start_m = float(np.floor(t.min() / STRETCH_M)) * STRETCH_M
    stretch = np.floor((t - start_m) / STRETCH_M).astype(int)
    bins = np.zeros(int(stretch.max()) + 1)
    np.maximum.at(bins, stretch, upright.bins[near])
    high = np.bincount(stretch, upright.tall[near], minlength=len(bins)) > 0
    seen = np.clip(bins / FULL_BINS, 0, 1)
    scatter_m = float(np.std(upright.xy_m[near] @ normal - offset_m))
    error_m = float(np.hypot(scatter_m / np.sqrt(max(len(bins) / 5, 1)), 0.003))
    return WallLine(normal, offset_m, start_m, seen, high, seen > 0.6, error_m)


def _close_doors(line: WallLine, others: list[WallLine]) -> WallLine:
    """Count gaps as wide as a door, between high stretches or such a stretch and a corner, as wall."""
    if line.high_m < LEAST_WALL_M:
        return line
    pad = int(np.ceil(DOOR_M / STRETCH_M))
    high, closed = np.pad(line.high, pad), np.pad(line.closed, pad)
    seen = np.pad(line.seen, pad)
    anchors = np.flatnonzero(high)
    corners = np.array(_corner_stretches(line, others), int) + pad
    corners = corners[(corners >= 0) & (corners < len(high))]
    pairs = [*zip(anchors[:-1], anchors[1:], strict=True), *product(anchors, corners)]
    for one, other in pairs:
        left, right = min(one, other), max(one, other)
        if 1 < right - left <= DOOR_M / STRETCH_M + 1:
            closed[left : right + 1] = True
            seen[left : right + 1] = np.maximum(seen[left : right + 1], 0.9)
    start_m = line.start_m - pad * STRETCH_M
    return WallLine(line.normal, line.offset_m, start_m, seen, high, closed, line.error_m)


def _corner_stretches(line: WallLine, others: list[WallLine]) -> list[int]:
    """Return the stretches in which other tall lines meet this one."""
    found = []
    for other in others:
        matrix = np.array([line.normal, other.normal])
        if abs(np.linalg.det(matrix)) < 0.3 or other.high_m < LEAST_WALL_M:
            continue
        corner_m = np.linalg.solve(matrix, [line.offset_m, other.offset_m])
        high_m = other.stretch_points_m()[other.high]
        if np.linalg.norm(high_m - corner_m, axis=1).min() < 0.25:
            found.append(int(np.floor((corner_m @ line.along - line.start_m) / STRETCH_M)))
    return found
