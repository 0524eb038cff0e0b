"""The scene from above: floor plan, objects, cameras, and what was measured."""

import colorsys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.drawing.canvas import INK, MEASURED, OBSERVER, PALETTE, Canvas, Colour, Point
from spatial_agent.tools.geometry.boxes import footprint
from spatial_agent.tools.scene import SceneMap

Mark = Mapping[str, Any]
MARGIN_M = 0.4
#: Steps of this share of the circle of hues never come near each other soon.
GOLDEN_SHARE = 0.618034
#: Boundaries of each division, degrees counter-clockwise from straight ahead.
BOUNDARIES_DEG: dict[str, tuple[float, ...]] = {
    "two": (0.0, 180.0),
    "vsi_three": (0.0, 135.0, 225.0),
    "quadrants": (0.0, 90.0, 180.0, 270.0),
    "four": (45.0, 135.0, 225.0, 315.0),
    "degrees": (0.0,),
    "eight": tuple(22.5 + 45.0 * step for step in range(8)),
    "clock": tuple(15.0 + 30.0 * step for step in range(12)),
}


@dataclass(frozen=True)
class MapView:
    """How metres become pixels: x to the right, y up the page.

    Attributes:
        low_m: Lower left corner of the map, shape (2,).
        px_per_m: Scale.
        size_px: Width and height of the picture.
    """

    low_m: NDArray[np.float64]
    px_per_m: float
    size_px: int

    @classmethod
    def around(cls, points_m: NDArray[np.float64], size_px: int) -> "MapView":
        """Fit points, shape (N, 2), into a square picture."""
        low, high = points_m.min(axis=0) - MARGIN_M, points_m.max(axis=0) + MARGIN_M
        span = float((high - low).max())
        return cls((low + high) / 2 - span / 2, size_px / span, size_px)

    def pixel(self, point_m: Sequence[float] | NDArray[np.float64]) -> Point:
        """Return the pixel of a scene point."""
        x, y = (np.asarray(point_m, float)[:2] - self.low_m) * self.px_per_m
        return float(x), float(self.size_px - y)

    def pixels(self, points_m: NDArray[np.float64]) -> list[Point]:
        """Return the pixels of scene points, shape (N, 2 or 3)."""
        return [self.pixel(point) for point in points_m]


def draw_top_down(
    scene: SceneMap, marks: Sequence[Mark] = (), *, highlight: Sequence[str] = (), size_px: int = 720
) -> Image.Image:
    """Draw a scene from above.

    Args:
        scene: The scene; its up must be known.
        marks: What to draw on it, see `Finding.marks`.
        highlight: Ids of the objects drawn strongly; all where empty.
        size_px: Width and height of the square picture.

    Raises:
        ViewpointError: If up is unknown.
    """
    scene.require_up("a top-down map")
    view = MapView.around(_extent_m(scene), size_px)
    canvas = Canvas.blank(size_px, size_px)
    _draw_floor(canvas, view, scene)
    for number, item in enumerate(scene.objects):
        strong = not highlight or item.id in highlight
        colour = object_colour(number) if strong else (165, 168, 172)
        outline = view.pixels(shapely.get_coordinates(footprint(item.box)))
        if len(outline) > 2:
            canvas.polygon(outline, colour, fill_alpha=95 if strong else 40)
        else:
            canvas.line(outline, colour, 3)
    for camera in scene.cameras:
        ahead = camera.pose.position_m + 0.18 * camera.pose.forward
        canvas.line(view.pixels(np.stack([camera.pose.position_m, ahead])), (150, 150, 160), 1)
        canvas.dot(view.pixel(camera.pose.position_m), (150, 150, 160), 2)
    for mark in marks:
        DRAWERS.get(str(mark["kind"]), _skip)(canvas, view, mark)
    for number, item in enumerate(scene.objects):
        strong = not highlight or item.id in highlight
        colour = _darker(object_colour(number)) if strong else (120, 122, 126)
        canvas.label(view.pixel(item.box.centre_m), item.id, colour, 15 if strong else 12)
    _draw_scale_bar(canvas, view)
    return canvas.image


def object_colour(number: int) -> Colour:
    """Return the colour of the object at that position in its scene: the same in every picture."""
    if number < len(PALETTE):
        return PALETTE[number]
    red, green, blue = colorsys.hsv_to_rgb(number * GOLDEN_SHARE % 1.0, 0.75, 0.8)
    return round(red * 255), round(green * 255), round(blue * 255)


def _extent_m(scene: SceneMap) -> NDArray[np.float64]:
    parts = [item.box.corners_m[:, :2] for item in scene.objects]
    parts += [camera.pose.position_m[None, :2] for camera in scene.cameras]
    if scene.room is not None and scene.room.polygon_m is not None:
        parts.append(scene.room.polygon_m)
    return np.concatenate(parts) if parts else np.array([[-1.0, -1.0], [1.0, 1.0]])


def _draw_floor(canvas: Canvas, view: MapView, scene: SceneMap) -> None:
    if scene.cloud is not None and len(scene.cloud):
        xyz_m = scene.cloud.xyz_m
        # Floor and ceiling would cover everything else.
        walls = (xyz_m[:, 2] > 0.15) & (xyz_m[:, 2] < 2.0)
        xy_px = (xyz_m[walls, :2] - view.low_m) * view.px_per_m
        xy_px[:, 1] = view.size_px - xy_px[:, 1]
        canvas.points(xy_px, np.full((len(xy_px), 3), 205, np.uint8))
    if scene.room is not None and scene.room.polygon_m is not None and len(scene.room.polygon_m) > 2:
        canvas.polygon(view.pixels(scene.room.polygon_m), (90, 94, 100), fill_alpha=14, width=3)


def _draw_segment(canvas: Canvas, view: MapView, mark: Mark) -> None:
    start, end = view.pixel(mark["from_m"]), view.pixel(mark["to_m"])
    canvas.line([start, end], MEASURED, 4)
    for point in (start, end):
        canvas.dot(point, MEASURED, 5)
    canvas.label(((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 - 14), str(mark["label"]), MEASURED, 18)


def _draw_observer(canvas: Canvas, view: MapView, mark: Mark) -> None:
    at = np.asarray(mark["at_m"], float)[:2]
    ahead = np.asarray(mark["towards_m"], float)[:2] - at
    target = np.asarray(mark["target_m"], float)[:2]
    heading = float(np.arctan2(ahead[1], ahead[0]))
    reach_m = 0.3 * view.size_px / view.px_per_m
    for boundary in BOUNDARIES_DEG.get(str(mark["sectors"]), ()):
        angle = heading + np.radians(boundary)
        edge = at + reach_m * np.array([np.cos(angle), np.sin(angle)])
        canvas.line([view.pixel(at), view.pixel(edge)], OBSERVER, 1, dashed=True)
    forward = at + ahead / max(float(np.hypot(*ahead)), 1e-9) * min(
        reach_m, max(float(np.hypot(*ahead)), 0.5)
    )
    canvas.arrow(view.pixel(at), view.pixel(forward), OBSERVER, 4)
    canvas.line([view.pixel(at), view.pixel(target)], MEASURED, 3)
    canvas.dot(view.pixel(at), OBSERVER, 7)
    canvas.dot(view.pixel(target), MEASURED, 6)
    canvas.label((view.pixel(target)[0], view.pixel(target)[1] - 20), str(mark["label"]), MEASURED, 18)


def _draw_path(canvas: Canvas, view: MapView, mark: Mark) -> None:
    stops = view.pixels(np.asarray(mark["points_m"], float))
    start, faced = np.asarray(mark["points_m"][0], float)[:2], np.asarray(mark["towards_m"], float)[:2]
    ahead = faced - start
    ahead = ahead / max(float(np.hypot(*ahead)), 1e-9) * 0.7
    canvas.arrow(view.pixel(start), view.pixel(start + ahead), OBSERVER, 4)
    for before, after in zip(stops, stops[1:], strict=False):
        canvas.arrow(before, after, MEASURED, 4)
    for number, stop in enumerate(stops):
        canvas.dot(stop, OBSERVER if number == 0 else MEASURED, 6)


def _draw_polygon(canvas: Canvas, view: MapView, mark: Mark) -> None:
    outline = view.pixels(np.asarray(mark["points_m"], float))
    canvas.polygon(outline, MEASURED, fill_alpha=20, width=4)
    middle = np.mean(outline, axis=0)
    canvas.label((float(middle[0]), float(middle[1])), str(mark["label"]), MEASURED, 20)


def _draw_point(canvas: Canvas, view: MapView, mark: Mark) -> None:
    at = view.pixel(mark["at_m"])
    canvas.dot(at, MEASURED, 6)
    canvas.label((at[0], at[1] - 16), str(mark["label"]), MEASURED, 17)


def _skip(canvas: Canvas, view: MapView, mark: Mark) -> None:
    """Draw nothing: the mark belongs to the frame."""


def _draw_scale_bar(canvas: Canvas, view: MapView) -> None:
    x, y = 18.0, view.size_px - 18.0
    canvas.line([(x, y), (x + view.px_per_m, y)], INK, 3)
    canvas.label((x + view.px_per_m / 2, y - 14), "1 m", INK, 14)


def _darker(colour: Colour) -> Colour:
    red, green, blue = (int(part * 0.72) for part in colour)
    return red, green, blue


DRAWERS: dict[str, Callable[[Canvas, MapView, Mark], None]] = {
    "segment": _draw_segment,
    "observer": _draw_observer,
    "path": _draw_path,
    "polygon": _draw_polygon,
    "point": _draw_point,
}
