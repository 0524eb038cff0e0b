"""The outline of the room: wall lines cut the plan into cells, and a minimum cut picks those inside.

Every wall line, continued to the end of what was seen, cuts the plan; so a wall that furniture or a
door interrupts still bounds the room. A cell wants to be inside where cameras saw into it, and the
outline wants to run where walls were seen. What lies behind a door was seen too, but only in part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.geometry.intervals import NORMAL_Z90
from spatial_agent.tools.mapping.walls import (
    LEAST_WALL_M,
    STRETCH_M,
    WallLine,
    find_wall_lines,
    support,
    upright_cells,
)
from spatial_agent.tools.scene import PointCloud, Room, SceneCamera

if TYPE_CHECKING:
    from shapely import Polygon

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

GRID_M = 0.05
MOST_CAMERAS = 60
AZIMUTHS = 720
#: Cost of leaving out a square metre that was seen, of taking in one that was not, and of a metre
#: of outline without a wall.
SEEN_COST, UNSEEN_COST, OUTLINE_COST = 4.0, 1.0, 0.6
#: An outline of which less than this share is wall says nothing about the room.
LEAST_WALL_SHARE = 0.35
#: Outline without any wall from this length on leaves the area open-ended.
OPEN_M = 0.6
#: How far a wall that was not seen may stand from where it was assumed, metres.
UNSEEN_ERROR_M = 0.15
FIXED_POINT = 10_000


@dataclass(frozen=True, eq=False)
class RoomEstimate:
    """A room, or why there is none.

    Attributes:
        room: The outline with its area and 90 % interval, or None.
        note: How it was found or why not, one sentence.
    """

    room: Room | None
    note: str


@dataclass(frozen=True, eq=False)
class Plan:
    """What was seen, on a grid over the floor.

    Attributes:
        low_m: Corner of the grid, shape (2,).
        seen: Cells that some camera looked into, shape (X, Y).
    """

    low_m: Array
    seen: Flags

    def centres_m(self) -> Array:
        """Return the middle of every cell, shape (X * Y, 2)."""
        axes = [self.low_m[i] + (np.arange(self.seen.shape[i]) + 0.5) * GRID_M for i in (0, 1)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def estimate_room(
    cloud: PointCloud, cameras: Sequence[SceneCamera], *, drift_m: float = 0.01
) -> RoomEstimate:
    """Find the outline of the room the cameras stood in.

    The interval holds what walls, poses and unseen stretches leave open, not the error of the depth scale.

    Args:
        cloud: Surface points in the scene (+Z up, floor at z = 0).
        cameras: Where the frames were taken from, in the scene.
        drift_m: Standard deviation of where walls stand because of the poses, metres.
    """
    if not len(cloud) or not cameras:
        return RoomEstimate(None, "no room outline: it needs surface points and cameras")
    walls = find_wall_lines(upright_cells(cloud.xyz_m))
    if len(walls) < 2:
        return RoomEstimate(None, "no room outline: fewer than two walls were seen")
    plan = _look_around(cloud.xyz_m, _some(cameras), walls)
    if plan.seen.sum() * GRID_M**2 < 1.0:
        return RoomEstimate(None, "no room outline: less than a square metre of free space was seen")
    lines = [*walls, *_frontier(plan, walls[0])]
    outline_m = _outline(plan, lines, np.array([c.pose.position_m[:2] for c in cameras]))
    if outline_m is None:
        return RoomEstimate(None, "no room outline: the walls seen enclose no camera")
    return _judged(outline_m, lines, plan, drift_m)


def _some(cameras: Sequence[SceneCamera]) -> list[SceneCamera]:
    """Return evenly chosen cameras, so that cost does not grow with the length of a recording."""
    chosen = np.unique(np.linspace(0, len(cameras) - 1, MOST_CAMERAS).round().astype(int))
    return [cameras[index] for index in chosen]


def _look_around(xyz_m: Array, cameras: list[SceneCamera], walls: list[WallLine]) -> Plan:
    """Return which cells of the plan cameras looked into, as far as the first tall wall."""
    points_m = xyz_m[:: max(len(xyz_m) // 40_000, 1)]
    positions_m = np.array([camera.pose.position_m[:2] for camera in cameras])
    low_m = np.minimum(points_m[:, :2].min(axis=0), positions_m.min(axis=0)) - 4 * GRID_M
    high_m = np.maximum(points_m[:, :2].max(axis=0), positions_m.max(axis=0)) + 4 * GRID_M
    shape = np.ceil((high_m - low_m) / GRID_M).astype(int)
    plan = Plan(low_m, np.zeros(shape, bool))
    opaque = _opaque_cells(plan, walls)
    centres_m = plan.centres_m()
    seen = plan.seen.reshape(-1)
    for camera in cameras:
        reach_m = _clip_at_walls(_reach_by_azimuth(points_m, camera), camera, plan.low_m, opaque)
        seen |= _within_reach(centres_m - camera.pose.position_m[:2], reach_m)
    return plan


def _opaque_cells(plan: Plan, walls: list[WallLine]) -> Flags:
    opaque = np.zeros(plan.seen.shape, bool)
    for wall in walls:
        if wall.high_m < LEAST_WALL_M:
            continue
        ends = wall.stretch_points_m()[wall.closed]
        for shift in np.arange(-0.5, 0.5, 0.2) * STRETCH_M:
            cell = np.floor((ends + shift * wall.along - plan.low_m) / GRID_M).astype(int)
            inside = ((cell >= 1) & (cell < np.array(opaque.shape) - 1)).all(axis=1)
            for step in ((0, 0), (1, 0), (0, 1)):
                opaque[tuple((cell[inside] + step).T)] = True
    return opaque


def _azimuth_bins(offset_m: Array) -> NDArray[np.intp]:
    angle = np.arctan2(offset_m[:, 1], offset_m[:, 0]) + np.pi
    return np.minimum((angle * (AZIMUTHS / (2 * np.pi))).astype(np.intp), AZIMUTHS - 1)


def _reach_by_azimuth(points_m: Array, camera: SceneCamera) -> Array:
    """Return how far the camera saw in each direction of the compass, shape (AZIMUTHS,)."""
    seen_by = camera.pose.camera_from_world
    local = points_m @ seen_by[:3, :3].T + seen_by[:3, 3]
    k = camera.intrinsics
    ahead = local[:, 2] > 0.2
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = k.fx * local[:, 0] / local[:, 2] + k.cx, k.fy * local[:, 1] / local[:, 2] + k.cy
    inside = ahead & (u > 0) & (u < k.width) & (v > 0) & (v < k.height)
    offset_m = points_m[inside, :2] - camera.pose.position_m[:2]
    reach_m = np.zeros(AZIMUTHS)
    np.maximum.at(reach_m, _azimuth_bins(offset_m), np.linalg.norm(offset_m, axis=1))
    return np.maximum(reach_m, np.minimum(np.roll(reach_m, 1), np.roll(reach_m, -1)))


def _clip_at_walls(reach_m: Array, camera: SceneCamera, low_m: Array, opaque: Flags) -> Array:
    """Shorten the reach to the first tall wall in each direction."""
    steps_m = np.arange(0.2, max(float(reach_m.max()), 0.3), GRID_M)
    angles = (np.arange(AZIMUTHS) + 0.5) * (2 * np.pi / AZIMUTHS) - np.pi
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    way_m = camera.pose.position_m[:2] + steps_m[None, :, None] * rays[:, None, :]
    cell = np.floor((way_m - low_m) / GRID_M).astype(int)
    limit = np.array(opaque.shape) - 1
    hit = opaque[tuple(np.moveaxis(np.clip(cell, 0, limit), -1, 0))]
    first_m = np.where(hit.any(axis=1), steps_m[hit.argmax(axis=1)], np.inf)
    return np.minimum(reach_m, first_m)


def _within_reach(offset_m: Array, reach_m: Array) -> Flags:
    within: Flags = np.linalg.norm(offset_m, axis=1) < reach_m[_azimuth_bins(offset_m)]
    return within


def _frontier(plan: Plan, wall: WallLine) -> list[WallLine]:
    """Return the four sides of the box, square to the strongest wall, around all that was seen."""
    seen_m = plan.centres_m()[plan.seen.reshape(-1)]
    sides, nothing = [], np.zeros(1, bool)
    for normal in (wall.normal, -wall.normal, wall.along, -wall.along):
        offset_m = float((seen_m @ normal).max()) + GRID_M
        sides.append(WallLine(normal, offset_m, 0.0, np.zeros(1), nothing, nothing, 0.0))
    return sides


def _outline(plan: Plan, lines: list[WallLine], positions_m: Array) -> Array | None:
    """Return the outline of the cells inside, counter-clockwise, shape (N, 2); None without any camera."""
    from shapely import LineString, Polygon, contains_xy, get_coordinates, polygonize, unary_union

    corners_m = _box_corners(lines[-4:])
    size_m = float(np.ptp(corners_m, axis=0).sum()) + 1.0
    middle_m = corners_m.mean(axis=0)
    strings = []
    for line in lines:
        foot_m = middle_m + line.normal * (line.offset_m - line.normal @ middle_m)
        strings.append(LineString([foot_m - size_m * line.along, foot_m + size_m * line.along]))
    box = Polygon(corners_m).buffer(1e-6)
    faces = [face for face in polygonize([unary_union(strings)]).geoms if isinstance(face, Polygon)]
    cells = [face for face in faces if box.contains(face.representative_point())]
    inside = _cut(plan, lines, cells)
    union = unary_union([cells[index].buffer(1e-5) for index in np.flatnonzero(inside)])
    parts = [part for part in getattr(union, "geoms", [union]) if isinstance(part, Polygon)]
    stands = [int(contains_xy(part, *positions_m.T).sum()) for part in parts]
    if not any(stands):
        return None
    best = parts[max(range(len(parts)), key=lambda index: (stands[index], parts[index].area))]
    outline_m: Array = get_coordinates(Polygon(best.exterior).simplify(0.01))[:-1]
    return outline_m if _area_m2(outline_m) > 0 else outline_m[::-1]


def _box_corners(sides: list[WallLine]) -> Array:
    pairs = ((0, 2), (2, 1), (1, 3), (3, 0))
    return np.array(
        [
            np.linalg.solve([sides[i].normal, sides[j].normal], [sides[i].offset_m, sides[j].offset_m])
            for i, j in pairs
        ]
    )


def _sides(lines: list[WallLine], points_m: Array) -> NDArray[np.int64]:
    """Return on which side of each line points lie, as one bit a line, shape (N,)."""
    code = np.zeros(len(points_m), np.int64)
    for bit, line in enumerate(lines):
        code |= (points_m @ line.normal > line.offset_m).astype(np.int64) << bit
    return code


def _cut(plan: Plan, lines: list[WallLine], cells: "Sequence[Polygon]") -> Flags:
    """Label cells inside or outside by a minimum cut.

    Source: Boykov, Veksler, Zabih, Fast Approximate Energy Minimization via Graph Cuts, PAMI 2001.
    """
    codes = _sides(lines, np.array([cell.representative_point().coords[0] for cell in cells]))
    place = {int(code): index for index, code in enumerate(codes)}
    grid, inverse = np.unique(_sides(lines, plan.centres_m()), return_inverse=True)
    seen_share = np.bincount(inverse, plan.seen.reshape(-1)) / np.bincount(inverse)
    share = dict(zip(grid.tolist(), seen_share.tolist(), strict=True))
    seen_m2 = np.array(
        [cell.area * share.get(int(code), 0.0) for cell, code in zip(cells, codes, strict=True)]
    )
    area_m2 = np.array([cell.area for cell in cells])
    size = len(cells) + 2
    source, sink = size - 2, size - 1
    links: dict[tuple[int, int], float] = {}
    for index in range(len(cells)):
        links[source, index] = SEEN_COST * seen_m2[index]
        links[index, sink] = UNSEEN_COST * (area_m2[index] - seen_m2[index])
        for other, cost in _borders(lines, cells[index], int(codes[index]), place):
            target = sink if other is None else other
            links[index, target] = links.get((index, target), 0.0) + cost
    return _source_side(links, size, source, sink)[: len(cells)]


def _borders(
    lines: list[WallLine], cell: "Polygon", code: int, place: dict[int, int]
) -> list[tuple[int | None, float]]:
    """Return the neighbours of a cell (None: beyond the frontier) and what outline between them costs."""
    ring = np.asarray(cell.exterior.coords)
    found = []
    for start, end in zip(ring[:-1], ring[1:], strict=True):
        middle = (start + end) / 2
        bit = lines.index(_line_at(lines, middle))
        other = place.get(code ^ (1 << bit))
        missing = 1.02 - (support(lines, start, end) if other is not None else 0.0)
        found.append((other, OUTLINE_COST * float(np.linalg.norm(end - start)) * missing))
    return found


def _line_at(lines: list[WallLine], point_m: Array) -> WallLine:
    return min(lines, key=lambda line: abs(float(line.normal @ point_m) - line.offset_m))


def _source_side(links: dict[tuple[int, int], float], size: int, source: int, sink: int) -> Flags:
    """Return which nodes a minimum cut leaves with the source."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    rows, columns = np.array(list(links)).T
    capacity = np.round(np.array(list(links.values())) * FIXED_POINT).astype(np.int32)
    graph = csr_array((capacity, (rows, columns)), shape=(size, size))
    residual = graph - maximum_flow(graph, source, sink).flow
    residual.data = np.maximum(residual.data, 0)
    residual.eliminate_zeros()
    reached = breadth_first_order(residual, source, return_predecessors=False)
    side = np.zeros(size, bool)
    side[reached] = True
    return side


def _judged(outline_m: Array, lines: list[WallLine], plan: Plan, drift_m: float) -> RoomEstimate:
    """Give the outline its interval, or refuse it."""
    variance, unseen_m, open_m, total_m = 0.0, 0.0, 0.0, 0.0
    for start, end in zip(outline_m, np.roll(outline_m, -1, axis=0), strict=True):
        length_m = float(np.linalg.norm(end - start))
        line = _line_at(lines, (start + end) / 2)
        seen = support(lines, start, end)
        total_m += length_m
        unseen_m += length_m * (1 - seen)
        if seen < 0.25:
            open_m += length_m
        variance += (length_m * np.hypot(line.error_m, drift_m)) ** 2
    if 1 - unseen_m / total_m < LEAST_WALL_SHARE:
        share = round(100 * (1 - unseen_m / total_m))
        return RoomEstimate(None, f"no room outline: only {share} % of it would be wall that was seen")
    area_m2 = _area_m2(outline_m)
    half_m2 = NORMAL_Z90 * float(np.sqrt(variance)) + UNSEEN_ERROR_M * unseen_m
    if open_m < OPEN_M:
        room = Room(area_m2, outline_m, max(area_m2 - half_m2, 0.0), area_m2 + half_m2, exact=False)
        return RoomEstimate(
            room, f"room outline from {len(outline_m)} wall lines, {unseen_m:.1f} m of it not seen"
        )
    low_m2 = max(min(area_m2, float(plan.seen.sum()) * GRID_M**2) - half_m2, 0.0)
    note = f"{open_m:.1f} m of the room's outline are no wall that was seen: area at least {low_m2:.1f} m2"
    return RoomEstimate(Room(area_m2, outline_m, low_m2, None, exact=False), note)


def _area_m2(outline_m: Array) -> float:
    x, y = outline_m.T
    return 0.5 * float(x @ np.roll(y, -1) - y @ np.roll(x, -1))
