"""Pictures for looking at: marks on a frame, parts of it, and the scene from above.

Pixel coordinates are those of `Detections`: integers are pixel centres, so the edges of a box round the
whole picture are -0.5 and width - 0.5.
"""

from collections.abc import Callable
from math import ceil, floor
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.contract import Json, Resources
from spatial_agent.tools.drawing.canvas import PALETTE, Canvas, Colour, Point
from spatial_agent.tools.drawing.set_of_marks import PictureView, draw_objects, mark_name
from spatial_agent.tools.drawing.top_down import draw_top_down
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Frame, Picture, SceneMap

Array = NDArray[np.float64]
Pixels = NDArray[np.uint8]

#: Pictures larger than this along either side are of no use to anybody, pixels.
LARGEST_PX = 4096
#: More marks than anybody can tell apart.
MOST_MARKS = 500
#: Nothing farther away than this, from the first pixel, is ever drawn.
FARTHEST_PX = 1e7


#: Kinds of marks, and what their coordinates are called.
KINDS = {
    "box": "xyxy_px",
    "point": "at_px",
    "label": "at_px",
    "polyline": "points_px",
    "line": "points_px",
    "arrow": "points_px",
}


@expert("draw", version="2", resources=Resources(in_caller=True))
def draw(
    frame: Frame,
    marks: list[dict[str, Any]] | None = None,
    scene: SceneMap | None = None,
    objects: list[str] | None = None,
) -> Picture:
    """Draw boxes, points, labels, lines and arrows on a frame, or mark objects of the scene on it.

    Args:
        frame: The frame, with its picture.
        marks: What to draw, each with its `kind`: "box" (`xyxy_px`: left, top, right, bottom edge), "point"
            (`at_px`: x, y), "label" (`at_px`), "line" and "arrow" (`points_px`: start and end, each x, y) or
            "polyline" (`points_px`: a list of x, y; `closed`). All may have a `label` and a `colour` (red,
            green, blue, 0 to 255). Integers are pixel centres.
        scene: The scene, for `objects`.
        objects: Ids of objects to mark with number and id, alike in every picture.

    Raises:
        ToolArgumentError: If a mark is not of that form, or an id unknown; the message names it.
        ToolFailedError: If the frame has no picture, or nobody knows where it was taken from and objects are
            to be marked.
    """
    check_objects(scene, objects)
    canvas = Canvas(Image.fromarray(picture_of(frame)))
    marked = mark_objects(canvas, frame, scene, objects)
    marks = marks or []
    draw_marks(canvas, marks)
    named = [str(mark["label"]) for mark in marks if mark.get("label")]
    what = f"{len(marks)} mark{'s' if len(marks) != 1 else ''}" + (f": {', '.join(named)}" if named else "")
    return Picture(np.array(canvas.image), f"Frame {frame.header.name} with {what}{marked}.")


def check_objects(scene: SceneMap | None, objects: list[str] | None) -> None:
    """Raise `ToolArgumentError` unless all objects are those of a scene that is given."""
    if not objects:
        return
    if scene is None:
        raise ToolArgumentError("objects: give the scene that the objects belong to as scene")
    known = [item.id for item in scene.objects]
    if unknown := sorted(set(objects) - set(known)):
        raise ToolArgumentError(f"objects: no object {', '.join(unknown)}; ids are {', '.join(known)}")


def mark_objects(canvas: Canvas, frame: Frame, scene: SceneMap | None, objects: list[str] | None) -> str:
    """Mark objects on the picture of a frame, and return the end of the sentence that says which are seen.

    Raises:
        ToolFailedError: If the scene does not know where the frame was taken from.
    """
    if scene is None or not objects:
        return ""
    camera = next((view for view in scene.cameras if view.index == frame.header.index), None)
    if camera is None:
        raise ToolFailedError(
            f"frame {frame.header.name}: the scene does not know where it was taken from, so objects cannot "
            "be marked on it; leave objects out"
        )
    depth = frame.depth.z_m if frame.depth is not None and scene.has_places else None
    view = PictureView(camera.intrinsics.resized(*canvas.image.size), camera.pose, depth)
    shown = draw_objects(canvas, scene, view, objects)
    in_sight = [mark_name(scene, name) for name, look in shown.items() if look == "seen"]
    return f" showing {', '.join(in_sight) or 'none of the objects asked for'}"


def draw_marks(canvas: Canvas, marks: list[dict[str, Any]], zoom: float = 1.0) -> None:
    """Draw marks, as `draw` takes them, on a picture.

    Args:
        canvas: The picture.
        marks: The marks, in pixels of the frame.
        zoom: Pixels of the picture to a pixel of the frame.

    Raises:
        ToolArgumentError: If a mark is not of that form; the message names it.
    """
    if len(marks) > MOST_MARKS:
        raise ToolArgumentError(f"marks: expected at most {MOST_MARKS}, got {len(marks)}; draw what matters")
    for number, mark in enumerate(marks):
        # Edges of pixels, not centres, keep their share of the picture.
        points_px = (_coordinates(number, mark) + 0.5) * zoom - 0.5
        _DRAW[mark["kind"]](canvas, points_px, _colour(number, mark), mark)
        if mark.get("label"):
            canvas.label(_beside(mark["kind"], points_px), str(mark["label"]), _colour(number, mark))


@expert("crop", resources=Resources(in_caller=True))
def crop(frame: Frame, xyxy_px: list[float]) -> Picture:
    """Cut a rectangle out of a frame, pixel for pixel.

    Args:
        frame: The frame, with its picture.
        xyxy_px: Left, top, right and bottom edge, pixels; integers are pixel centres. Pixels whose centre
            is inside are kept; what lies beyond the picture is left out.

    Raises:
        ToolArgumentError: If no pixel is inside.
        ToolFailedError: If the frame has no picture.
    """
    rgb = picture_of(frame)
    left, top, right, bottom = _inside(rgb, xyxy_px)
    columns = slice(max(0, ceil(left)), floor(right) + 1)
    rows = slice(max(0, ceil(top)), floor(bottom) + 1)
    part = rgb[rows, columns]
    if not part.size:
        raise ToolArgumentError(f"crop: no pixel centre lies inside {xyxy_px}; take a larger box")
    region = f"columns {columns.start} to {columns.start + part.shape[1] - 1}, rows {rows.start} to "
    return Picture(part, f"{region}{rows.start + part.shape[0] - 1} {_of(frame, rgb)}.")


@expert("zoom", resources=Resources(in_caller=True))
def zoom(frame: Frame, xyxy_px: list[float], factor: float = 4.0) -> Picture:
    """Cut a rectangle out of a frame and enlarge it.

    Args:
        frame: The frame, with its picture.
        xyxy_px: Left, top, right and bottom edge, pixels; integers are pixel centres. What lies beyond the
            picture is left out.
        factor: Pixels of the result per pixel of the frame, above 0.

    Raises:
        ToolArgumentError: If nothing of the frame is inside, or the result would be empty or huge.
        ToolFailedError: If the frame has no picture.
    """
    rgb = picture_of(frame)
    left, top, right, bottom = _inside(rgb, xyxy_px)
    wide_px, high_px = (right - left) * factor, (bottom - top) * factor
    # Asked this way round, a factor that is not a number is refused, too.
    if not (min(wide_px, high_px) >= 1 and max(wide_px, high_px) <= LARGEST_PX):
        raise ToolArgumentError(
            f"zoom: {factor:g} times {right - left:g}x{bottom - top:g} pixels would be "
            f"{wide_px:g}x{high_px:g}; expected 1 to {LARGEST_PX} pixels to a side"
        )
    # Pillow counts from the outer corner of the first pixel, half a pixel from its centre.
    corners = (left + 0.5, top + 0.5, right + 0.5, bottom + 0.5)
    size = round(wide_px), round(high_px)
    enlarged = Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC, box=corners)
    region = f"x {left:g} to {right:g}, y {top:g} to {bottom:g} px"
    return Picture(np.array(enlarged), f"{region} {_of(frame, rgb)}, {factor:g} times enlarged.")


@expert("top_down", resources=Resources(in_caller=True))
def top_down(scene: SceneMap, highlight: list[str] | None = None, size_px: int = 720) -> Picture:
    """Draw the scene from above: floor plan, objects with their ids, cameras, and a bar of one metre.

    Args:
        scene: The scene; its up must be known.
        highlight: Ids of the objects to draw strongly; all where left out.
        size_px: Width and height of the picture.

    Raises:
        ToolArgumentError: If an id is unknown or the size is out of range.
        ViewpointError: If up is unknown.
    """
    known = {item.id for item in scene.objects}
    if unknown := sorted(set(highlight or ()) - known):
        raise ToolArgumentError(
            f"top_down: no object {', '.join(unknown)}; ids are {', '.join(sorted(known))}"
        )
    if not 64 <= size_px <= LARGEST_PX:
        raise ToolArgumentError(f"top_down: expected a size of 64 to {LARGEST_PX} pixels, got {size_px}")
    image = draw_top_down(scene, highlight=highlight or (), size_px=size_px)
    return Picture(np.array(image), f"The scene from above, +x to the right and +y up: {len(known)} objects.")


def picture_of(frame: Frame) -> Pixels:
    """Return the picture of a frame, shape (H, W, 3), or raise `ToolFailedError`."""
    if frame.rgb is None:
        raise ToolFailedError(f"frame {frame.header.name} has no picture to look at")
    return frame.rgb


def _of(frame: Frame, rgb: Pixels) -> str:
    return f"of frame {frame.header.name} ({rgb.shape[1]}x{rgb.shape[0]})"


def _inside(rgb: Pixels, xyxy_px: list[float]) -> tuple[float, float, float, float]:
    """Return the edges of the part of a rectangle that lies in the picture."""
    if len(xyxy_px) != 4 or not np.isfinite(xyxy_px).all():
        raise ToolArgumentError(f"xyxy_px: expected left, top, right and bottom in pixels, got {xyxy_px}")
    left, top = max(xyxy_px[0], -0.5), max(xyxy_px[1], -0.5)
    right, bottom = min(xyxy_px[2], rgb.shape[1] - 0.5), min(xyxy_px[3], rgb.shape[0] - 0.5)
    if left >= right or top >= bottom:
        raise ToolArgumentError(
            f"xyxy_px: {xyxy_px} has nothing in common with the {rgb.shape[1]}x{rgb.shape[0]} picture"
        )
    return left, top, right, bottom


def _coordinates(number: int, mark: dict[str, Json]) -> Array:
    """Return the points of a mark, shape (N, 2), or say what is wrong with it."""
    kind = mark.get("kind")
    if kind not in KINDS:
        raise ToolArgumentError(f"marks.{number}: expected a kind of {', '.join(KINDS)}, got {kind!r}")
    further = {"closed"} if kind == "polyline" else set()
    if unknown := sorted(set(mark) - {"kind", KINDS[kind], "label", "colour", *further}):
        raise ToolArgumentError(f"marks.{number}: a {kind} has no {', '.join(unknown)}")
    try:
        given = np.array(mark.get(KINDS[kind]), np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    if not _fits(kind, given):
        wanted = f"{KINDS[kind]} as {_WANTED.get(kind, 'x, y')} in pixels"
        raise ToolArgumentError(f"marks.{number}: expected {wanted}, got {mark.get(KINDS[kind])!r}")
    return given.reshape(-1, 2)


def _fits(kind: str, given: Array) -> bool:
    """Return whether coordinates have the shape of a kind of mark and can be drawn."""
    shapes = {
        "box": given.shape == (4,),
        "polyline": given.ndim == 2 and given.shape[1:] == (2,) and len(given) > 0,
        "line": given.shape == (2, 2),
        "arrow": given.shape == (2, 2),
    }
    return shapes.get(kind, given.shape == (2,)) and bool((np.abs(given) <= FARTHEST_PX).all())


_WANTED = {
    "box": "left, top, right, bottom",
    "polyline": "a list of x, y",
    "line": "start and end, each x, y,",
    "arrow": "start and end, each x, y,",
}


def _colour(number: int, mark: dict[str, Json]) -> Colour:
    given = mark.get("colour")
    if given is None:
        return PALETTE[number % len(PALETTE)]
    if not (isinstance(given, list) and len(given) == 3 and all(_is_byte(part) for part in given)):
        raise ToolArgumentError(
            f"marks.{number}: expected colour as three whole numbers 0 to 255, got {given!r}"
        )
    red, green, blue = given
    return red, green, blue


def _is_byte(part: Json) -> bool:
    return isinstance(part, int) and not isinstance(part, bool) and 0 <= part <= 255


def _draw_box(canvas: Canvas, corners_px: Array, colour: Colour, mark: dict[str, Json]) -> None:
    # A line runs through pixel centres; edges lie half a pixel further out.
    (left, top), (right, bottom) = _point(corners_px[0] + 0.5), _point(corners_px[1] - 0.5)
    canvas.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour)


def _draw_point(canvas: Canvas, points_px: Array, colour: Colour, mark: dict[str, Json]) -> None:
    canvas.dot(_point(points_px[0]), colour, 4)


def _draw_polyline(canvas: Canvas, points_px: Array, colour: Colour, mark: dict[str, Json]) -> None:
    points = [_point(point) for point in points_px]
    canvas.line([*points, points[0]] if mark.get("closed") else points, colour)


def _draw_arrow(canvas: Canvas, points_px: Array, colour: Colour, mark: dict[str, Json]) -> None:
    canvas.arrow(_point(points_px[0]), _point(points_px[1]), colour)


def _draw_nothing(canvas: Canvas, points_px: Array, colour: Colour, mark: dict[str, Json]) -> None:
    """Draw nothing: the label is all there is."""


def _beside(kind: str, points_px: Array) -> Point:
    """Return where the words of a mark stand: above boxes and points, else in the middle."""
    above = {"box": 10.0, "point": 14.0}.get(kind, 0.0)
    x, y = points_px.mean(axis=0)[0], points_px[:, 1].min() if above else points_px.mean(axis=0)[1]
    return float(x), float(y - above)


def _point(xy_px: Array) -> Point:
    return float(xy_px[0]), float(xy_px[1])


_DRAW: dict[str, Callable[[Canvas, Array, Colour, dict[str, Json]], None]] = {
    "box": _draw_box,
    "point": _draw_point,
    "label": _draw_nothing,
    "polyline": _draw_polyline,
    "line": _draw_polyline,
    "arrow": _draw_arrow,
}
