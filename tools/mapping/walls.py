"""Wall lines of a floor plan: where upright surfaces stand, and along which stretches they were seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

CELL_M = 0.04
#: Heights between which upright structure is counted, and the height of one bin, metres.
LOW_M, HIGH_M, BIN_M = 0.15, 2.55, 0.1
#: A cell belongs to something upright from this many occupied height bins on.
UPRIGHT_BINS = 4
#: Seen over this many bins, a stretch counts in full; reaching this high, it hides what is behind.
FULL_BINS, TALL_M = 8, 1.4
#: Half-width of a line while it is fitted, metres, and the least length that makes one.
REACH_M, LEAST_M = 0.06, 0.5
#: Stretches along a line, and the widest gap that is taken for a door, metres.
STRETCH_M, DOOR_M = 0.1, 1.05
MOST_LINES = 28


@dataclass(frozen=True, eq=False)
class Upright:
    """Cells of the plan that hold upright structure.

    Attributes:
        xy_m: Mean position of the points in each cell, shape (N, 2).
        bins: Occupied height bins, shape (N,).
        top_m: Highest point, shape (N,).
    """

    xy_m: Array
    bins: Array
    top_m: Array


@dataclass(frozen=True, eq=False)
class WallLine:
    """A line of the plan: ``normal @ xy = offset_m``.

    Attributes:
        normal: Unit vector, shape (2,).
        offset_m: Distance from the origin along the normal.
        start_m: Where the first stretch begins, along `along`.
        seen: How well each stretch was seen, 0 to 1, shape (S,).
        tall: Which stretches reach above eye level, or are doors between such, shape (S,).
        error_m: Standard deviation of the offset.
    """

    normal: Array
    offset_m: float
    start_m: float
    seen: Array
    tall: Flags
    error_m: float

    @property
    def along(self) -> Array:
        """Unit direction of the line, shape (2,)."""
        return np.array([-self.normal[1], self.normal[0]])

    def stretch_points_m(self) -> Array:
        """Return the middle of every stretch, shape (S, 2)."""
        t = self.start_m + (np.arange(len(self.seen)) + 0.5) * STRETCH_M
        points: Array = self.normal * self.offset_m + t[:, None] * self.along
        return points

    def support(self, from_m: Array, to_m: Array) -> float:
        """Return the share, 0 to 1, of a segment on the line that was seen or is a door."""
        ends = np.sort([from_m @ self.along, to_m @ self.along])
        count = max(int(np.ceil((ends[1] - ends[0]) / (STRETCH_M / 2))), 1)
        t = ends[0] + (np.arange(count) + 0.5) * (ends[1] - ends[0]) / count
        at = np.floor((t - self.start_m) / STRETCH_M).astype(int)
        inside = (at >= 0) & (at < len(self.seen))
        return float(np.where(inside, self.seen[np.clip(at, 0, len(self.seen) - 1)], 0.0).mean())


def upright_cells(xyz_m: Array) -> Upright:
    """Return the cells of the plan in which points stand above one another."""
    points = xyz_m[(xyz_m[:, 2] > LOW_M) & (xyz_m[:, 2] < HIGH_M)]
    if not len(points):
        return Upright(np.empty((0, 2)), np.empty(0), np.empty(0))
    cells, cell = np.unique(np.floor(points[:, :2] / CELL_M).astype(int), axis=0, return_inverse=True)
    height = ((points[:, 2] - LOW_M) / BIN_M).astype(int)
    filled = np.zeros((len(cells), int((HIGH_M - LOW_M) / BIN_M) + 1), bool)
    filled[cell, height] = True
    bins = filled.sum(axis=1)
    count = np.bincount(cell)
    xy_m = np.stack([np.bincount(cell, points[:, axis]) / count for axis in (0, 1)], axis=1)
    top_m = LOW_M + BIN_M * (filled.shape[1] - filled[:, ::-1].argmax(axis=1))
    keep = bins >= UPRIGHT_BINS
    return Upright(xy_m[keep], bins[keep].astype(float), top_m[keep])


def find_wall_lines(upright: Upright) -> list[WallLine]:
    """Return the lines along which upright structure gathers, strongest first."""
    free = np.ones(len(upright.xy_m), bool)
    lines: list[WallLine] = []
    while len(lines) < MOST_LINES and free.sum() >= 8:
        guess = _strongest_line(upright.xy_m[free], upright.bins[free])
        line = _fit(upright, free, *guess)
        near = np.abs(upright.xy_m @ line.normal - line.offset_m) < REACH_M
        if (line.seen > 0.3).sum() * STRETCH_M >= LEAST_M:
            lines.append(line)
        elif not (near & free).any() or _weight(upright, near & free) < LEAST_M / CELL_M * UPRIGHT_BINS:
            break
        free &= ~near
    return [_close_doors(line, lines) for line in lines]


def _weight(upright: Upright, chosen: Flags) -> float:
    return float(upright.bins[chosen].sum())


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
    near = np.abs(xy_m @ normal - offset_m) < REACH_M
    return _with_stretches(upright, near, normal, offset_m)


def _with_stretches(upright: Upright, near: Flags, normal: Array, offset_m: float) -> WallLine:
    along = np.array([-normal[1], normal[0]])
    t = upright.xy_m[near] @ along
    start_m = float(np.floor(t.min() / STRETCH_M)) * STRETCH_M if len(t) else 0.0
    stretch = np.floor((t - start_m) / STRETCH_M).astype(int)
    size = int(stretch.max()) + 1 if len(t) else 1
    bins, top_m = np.zeros(size), np.zeros(size)
    np.maximum.at(bins, stretch, upright.bins[near])
    np.maximum.at(top_m, stretch, upright.top_m[near])
    seen = np.clip(bins / FULL_BINS, 0, 1)
    scatter_m = float(np.std(upright.xy_m[near] @ normal - offset_m)) if len(t) else REACH_M
    error_m = float(np.hypot(scatter_m / np.sqrt(max((bins > 0).sum() / 5, 1)), 0.003))
    return WallLine(normal, offset_m, start_m, seen, (seen > 0.6) & (top_m > TALL_M), error_m)


def _close_doors(line: WallLine, others: list[WallLine]) -> WallLine:
    """Count gaps as wide as a door, between tall stretches or a tall stretch and a corner, as wall."""
    corners = _corner_stretches(line, others)
    pad = int(np.ceil(DOOR_M / STRETCH_M))
    tall = np.concatenate([np.zeros(pad, bool), line.tall, np.zeros(pad, bool)])
    seen = np.concatenate([np.zeros(pad), line.seen, np.zeros(pad)])
    anchors = np.flatnonzero(tall)
    ends = [at + pad for at in corners if -pad <= at < len(line.tall) + pad]
    for left in anchors:
        for right in [*anchors[anchors > left][:1], *(end for end in ends if end > left)]:
            _fill(tall, seen, left, right)
        for end in ends:
            if end < left:
                _fill(tall, seen, end, left)
    start_m = line.start_m - pad * STRETCH_M
    return WallLine(line.normal, line.offset_m, start_m, seen, tall, line.error_m)


def _fill(tall: Flags, seen: Array, left: int, right: int) -> None:
    if 1 < right - left <= DOOR_M / STRETCH_M + 1:
        tall[left : right + 1] = True
        seen[left : right + 1] = np.maximum(seen[left : right + 1], 0.9)


def _corner_stretches(line: WallLine, others: list[WallLine]) -> list[int]:
    """Return the stretches in which other tall lines meet this one."""
    found = []
    for other in others:
        matrix = np.array([line.normal, other.normal])
        if abs(np.linalg.det(matrix)) < 0.3:
            continue
        corner_m = np.linalg.solve(matrix, [line.offset_m, other.offset_m])
        tall_m = other.stretch_points_m()[other.tall]
        if len(tall_m) and np.linalg.norm(tall_m - corner_m, axis=1).min() < 0.25:
            found.append(int(np.floor((corner_m @ line.along - line.start_m) / STRETCH_M)))
    return found
