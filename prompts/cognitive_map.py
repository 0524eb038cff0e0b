"""The scene from above on a grid of 10 by 10, as words and as a picture.

The grid is square and allocentric: its axes are the scene's, its middle is the middle of the room (of all
objects where the outline of the room is not known), and it just holds them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from spatial_agent.prompts.naming import foremost, named, numbers, present, seen_remark
from spatial_agent.prompts.template import Template
from spatial_agent.tools.drawing.canvas import INK, OBSERVER, Canvas, Colour, Point
from spatial_agent.tools.drawing.top_down import object_colour
from spatial_agent.tools.geometry.boxes import footprint
from spatial_agent.tools.scene import Picture, SceneMap, SceneObject

CELLS = 10
RULE: Colour = (214, 216, 218)
#: Width left for the numbers of rows and columns, pixels.
BORDER_PX = 26


@dataclass(frozen=True, eq=False)
class Grid:
    """Square cells over the floor plan.

    Attributes:
        low_m: Lower left corner, shape (2,), metres.
        cell_m: Edge of a cell, metres.
    """

    low_m: NDArray[np.float64]
    cell_m: float

    def cell(self, point_m: NDArray[np.float64]) -> tuple[int, int]:
        """Return column and row of a point, 0 to 9; what lies outside counts to the nearest cell."""
        column, row = np.clip(np.floor((point_m[:2] - self.low_m) / self.cell_m), 0, CELLS - 1)
        return int(column), int(row)


def grid_of(scene: SceneMap) -> Grid:
    """Return the grid that just holds the room and its objects.

    Raises:
        ViewpointError: If up is unknown, so that there is no above.
    """
    scene.require_up("a map from above")
    parts = [item.box.corners_m[:, :2] for item in scene.objects]
    if scene.room is not None and scene.room.polygon_m is not None:
        parts = [scene.room.polygon_m, *(item.box.centre_m[None, :2] for item in scene.objects)]
    points_m = np.concatenate(parts) if parts else np.zeros((1, 2))
    low_m, high_m = points_m.min(axis=0), points_m.max(axis=0)
    # A scene of one point still has a grid.
    side_m = float((high_m - low_m).max()) or 1.0
    return Grid((low_m + high_m - side_m) / 2, side_m / CELLS)


def cognitive_map(
    scene: SceneMap,
    entities: Sequence[str],
    observer: tuple[str, str] | None = None,
    *,
    away: bool = False,
    only: bool = False,
    drawn: bool = True,
) -> str:
    """Return the map as words; nothing where up is unknown or there are no objects.

    Args:
        scene: The scene.
        entities: Ids of the objects asked about, which come first.
        observer: Ids of the object where an observer stands and of the one faced.
        away: Whether the observer has its back to that one.
        only: Whether no others are listed.
        drawn: Whether the grid itself is drawn in letters, beside the list of places.
    """
    items = present(scene, entities) if only else foremost(scene, entities)
    if scene.up is None or not scene.has_places or not items:
        return ""
    grid = grid_of(scene)
    cell = f" A cell is about {grid.cell_m:.2f} m wide." if scene.scale == "metric" else ""
    number = numbers(scene)
    rows = [f"{number[item.id]} | {named(item)}{seen_remark(item)} | {_place(grid, item)}" for item in items]
    if observer is not None:
        rows += _observer_row(scene, grid, observer, away)
    if drawn:
        rows += ["", *_drawn(scene, grid, items)]
    return Template.load("cognitive_map").fill(cell=cell, rows="\n".join(rows))


def cognitive_map_picture(
    scene: SceneMap,
    entities: Sequence[str] = (),
    observer: tuple[str, str] | None = None,
    *,
    away: bool = False,
    size_px: int = 480,
) -> Picture:
    """Draw the map: the grid, outlines of objects with their numbers, and an arrow for the observer.

    Args:
        scene: The scene.
        entities: Ids of the objects drawn strongly; all where empty.
        observer: Ids of the object where an observer stands and of the one faced.
        away: Whether the observer has its back to that one.
        size_px: Width and height of the picture.

    Raises:
        ViewpointError: If up is unknown.
    """
    sheet = _Sheet(grid_of(scene), size_px)
    canvas = Canvas.blank(size_px, size_px)
    _rule(canvas, sheet)
    if scene.room is not None and scene.room.polygon_m is not None and len(scene.room.polygon_m) > 2:
        canvas.polygon([sheet.pixel(corner) for corner in scene.room.polygon_m], (90, 94, 100), fill_alpha=14)
    strong = {*entities} or {item.id for item in scene.objects}
    for number, item in enumerate(scene.objects):
        _outline(canvas, sheet, item, object_colour(number) if item.id in strong else (165, 168, 172))
    ends = present(scene, observer or ())
    if len(ends) == 2:
        at_m, faced_m = (item.box.centre_m for item in ends)
        canvas.arrow(sheet.pixel(at_m), sheet.pixel(2 * at_m - faced_m if away else faced_m), OBSERVER)
    for number, item in enumerate(scene.objects):
        canvas.label(sheet.pixel(item.box.centre_m), str(number), INK, 17 if item.id in strong else 13)
    arrow = "; the arrow is the observer" if len(ends) == 2 else ""
    caption = f"The scene from above on a grid of {CELLS} by {CELLS}, objects by number{arrow}."
    return Picture(np.asarray(canvas.image), caption)


@dataclass(frozen=True)
class _Sheet:
    """How the grid becomes pixels: columns to the right, rows up the page."""

    grid: Grid
    size_px: int

    @property
    def cell_px(self) -> float:
        return (self.size_px - 2 * BORDER_PX) / CELLS

    def pixel(self, point_m: NDArray[np.float64]) -> Point:
        column, row = (point_m[:2] - self.grid.low_m) / self.grid.cell_m
        return self.at(float(column), float(row))

    def at(self, column: float, row: float) -> Point:
        return BORDER_PX + column * self.cell_px, self.size_px - BORDER_PX - row * self.cell_px


def _rule(canvas: Canvas, sheet: _Sheet) -> None:
    for line in range(CELLS + 1):
        canvas.line([sheet.at(line, 0), sheet.at(line, CELLS)], RULE, 1)
        canvas.line([sheet.at(0, line), sheet.at(CELLS, line)], RULE, 1)
    for cell in range(CELLS):
        canvas.label(sheet.at(cell + 0.5, -0.35), str(cell), (120, 122, 126), 13)
        canvas.label(sheet.at(-0.35, cell + 0.5), str(cell), (120, 122, 126), 13)


def _outline(canvas: Canvas, sheet: _Sheet, item: SceneObject, colour: Colour) -> None:
    corners = [sheet.pixel(corner) for corner in shapely.get_coordinates(footprint(item.box))]
    if len(corners) > 2:
        canvas.polygon(corners, colour, fill_alpha=95)
    else:
        canvas.line(corners, colour, 3)


def _place(grid: Grid, item: SceneObject) -> str:
    column, row = grid.cell(item.box.centre_m)
    return f"({column}, {row})"


def _observer_row(scene: SceneMap, grid: Grid, observer: tuple[str, str], away: bool) -> list[str]:
    ends = present(scene, observer)
    if len(ends) < 2:
        return []
    facing = "with the back to" if away else "looking towards"
    return [f"observer | at {_place(grid, ends[0])}, {facing} {_place(grid, ends[1])}"]


def _drawn(scene: SceneMap, grid: Grid, items: Sequence[SceneObject]) -> list[str]:
    """Return the rows of the grid, the topmost first: numbers of objects, ``*`` for several in a cell."""
    number = numbers(scene)
    cells: dict[tuple[int, int], str] = {}
    for item in items:
        place = grid.cell(item.box.centre_m)
        cells[place] = "*" if place in cells else str(number[item.id])
    wide = 1 + max(len(mark) for mark in cells.values())
    lines = [
        f"{row}:" + "".join(f"{cells.get((column, row), '.'):>{wide}}" for column in range(CELLS))
        for row in reversed(range(CELLS))
    ]
    return [*lines, "  " + "".join(f"{column:>{wide}}" for column in range(CELLS))]
