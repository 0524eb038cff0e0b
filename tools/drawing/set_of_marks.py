"""Set-of-marks: objects outlined in a camera's picture, each with the number and colour it has everywhere.

The number of an object is its position in `SceneMap.objects`, counted from 0; its colour follows from the
number. So a mark means the same object in every frame, map, imagined view and sentence.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFont

from spatial_agent.tools.drawing.canvas import INK, MEASURED, OBSERVER, PAPER, Canvas, Colour, Point
from spatial_agent.tools.drawing.top_down import object_colour
from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.geometry.projection import in_view, project
from spatial_agent.tools.geometry.transforms import transform_points
from spatial_agent.tools.scene import CameraIntrinsics, CameraPose, OrientedBox, SceneMap, SceneObject

Array = NDArray[np.float64]
Mark = Mapping[str, Any]
#: How an object is in a picture: seen, there but behind other things, or not in the picture at all.
Shown = Literal["seen", "hidden", "outside"]

#: Nothing nearer than this can be projected sensibly, metres.
NEAREST_M = 0.1
#: A point counts as hidden where the picture's depth is this much smaller: metres, share of its depth.
BEHIND_M, BEHIND_SHARE = 0.1, 0.05
#: An object is seen where at least this share of its points in the picture is.
LEAST_SEEN = 0.08
#: Points of an object that are looked at, and steps along the edges of a box without points.
MOST_POINTS, BOX_STEPS = 400, 7
#: Longest name written on a picture, characters.
LONGEST_NAME = 28
#: Size of words by the longer side of the picture, and bounds of it, pixels.
WORDS_SHARE, SMALLEST_WORDS, LARGEST_WORDS = 1 / 42, 12, 24
#: Space between words and the border of their plate, pixels.
PLATE_PX = 3
#: Length of the dashes of what is hidden, pixels.
DASH_PX = 5.0
#: Places that are tried for a plate before it covers another one.
MOST_MOVES = 24


@dataclass(frozen=True, eq=False)
class PictureView:
    """What a picture was taken with, at the picture's own size.

    Attributes:
        intrinsics: The pinhole, of the picture's size.
        pose: Where the camera stands in the scene.
        z_m: Z-depth of the picture, shape (H, W), metres, 0 = unknown; None where there is none.
    """

    intrinsics: CameraIntrinsics
    pose: CameraPose
    z_m: NDArray[np.floating] | None = None

    def pixels(self, xyz_m: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
        """Return pixels, shape (N, 2), NaN behind the camera, z-depths, and which fall on the picture."""
        local_m = transform_points(self.pose.camera_from_world, xyz_m)
        uv_px, z_m = project(self.intrinsics, local_m)
        uv_px[z_m < NEAREST_M] = np.nan
        return uv_px, z_m, in_view(self.intrinsics, uv_px, z_m) & (z_m >= NEAREST_M)

    def segment(self, ends_m: Array) -> tuple[Point, Point] | None:
        """Return the part of a straight line, shape (2, 3), that is in the picture; None where none is."""
        lens = self.intrinsics
        start, end = transform_points(self.pose.camera_from_world, ends_m)
        right, bottom = lens.width - 0.5 - lens.cx, lens.height - 0.5 - lens.cy
        # Inside are the points whose product with each row is not negative: near plane, then the four sides.
        sides = np.array(
            [
                [0, 0, 1],
                [lens.fx, 0, lens.cx + 0.5],
                [-lens.fx, 0, right],
                [0, lens.fy, lens.cy + 0.5],
                [0, -lens.fy, bottom],
            ]
        )
        first, last = sides @ start, sides @ end
        first[0] -= NEAREST_M
        last[0] -= NEAREST_M
        if ((first < 0) & (last < 0)).any():
            return None
        with np.errstate(divide="ignore", invalid="ignore"):
            crossing = first / (first - last)
        low = float(np.max(crossing, initial=0.0, where=first < 0))
        high = float(np.min(crossing, initial=1.0, where=last < 0))
        if low >= high:
            return None
        uv_px, _ = project(lens, start + np.array([[low], [high]]) * (end - start))
        return _point(uv_px[0]), _point(uv_px[1])


def mark_number(scene: SceneMap, object_id: str) -> int:
    """Return the number of an object's mark: its position in the scene, from 0.

    Raises:
        InvalidValueError: If there is no such object.
    """
    return scene.objects.index(scene.object(object_id))


def mark_name(scene: SceneMap, object_id: str) -> str:
    """Return what stands on the mark of an object and in texts about it: ``"3 sofa-1"``."""
    return f"{mark_number(scene, object_id)} {' '.join(object_id.split())[:LONGEST_NAME]}"


def draw_objects(
    canvas: Canvas, scene: SceneMap, view: PictureView, object_ids: Sequence[str] = ()
) -> dict[str, Shown]:
    """Mark objects on a picture: their boxes, dashed where hidden, and a plate with number and id.

    Args:
        canvas: The picture.
        scene: The scene.
        view: What it was taken with.
        object_ids: Objects to mark; all where empty.

    Returns:
        How each of them is shown, by id. Those outside the picture get no mark.

    Raises:
        InvalidValueError: If there is no such object.
    """
    wanted = list(dict.fromkeys(object_ids)) or [item.id for item in scene.objects]
    looks = {name: _look(scene.object(name), view) for name in wanted}
    for name, (shown, _) in looks.items():
        if shown != "outside":
            _draw_box(canvas, view, scene.object(name).box, _colour(scene, name), dashed=shown == "hidden")
    for name, (shown, at_px) in looks.items():
        if shown != "outside":
            draw_plate(canvas, at_px, mark_name(scene, name), _colour(scene, name))
    return {name: shown for name, (shown, _) in looks.items()}


def draw_evidence(canvas: Canvas, view: PictureView, marks: Sequence[Mark]) -> int:
    """Draw what was measured on a picture, see `Finding.marks`; return how many marks are in it."""
    return sum(_EVIDENCE.get(str(mark["kind"]), _draw_none)(canvas, view, mark) for mark in marks)


def draw_plate(canvas: Canvas, at_px: Point, text: str, colour: Colour) -> None:
    """Write words on a light plate with a coloured border, moved where another plate already stands."""
    size = words_px(canvas)
    left, top, right, bottom = ImageFont.load_default(size).getbbox(text)
    # Room for the halo that words have, and for the plate's own border.
    half_wide, half_high = (right - left) / 2 + PLATE_PX + 2, (bottom - top) / 2 + PLATE_PX + 2
    x, y = _free(canvas, at_px, half_wide, half_high)
    corners = [(x + i * half_wide, y + j * half_high) for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    canvas.polygon(corners, PAPER, fill_alpha=255, width=0)
    canvas.polygon(corners, colour, width=2)
    canvas.label((x, y), text, INK, size)
    canvas.taken[-1] = (*corners[0], *corners[2])


def words_px(canvas: Canvas) -> int:
    """Return the size of words that can be read on a picture, pixels."""
    wanted = round(max(canvas.image.size) * WORDS_SHARE)
    return min(max(wanted, SMALLEST_WORDS), LARGEST_WORDS)


def _look(item: SceneObject, view: PictureView) -> tuple[Shown, Point]:
    """Return how an object is in a picture, and the middle of what is seen of it, pixels."""
    uv_px, z_m, inside = view.pixels(_points_m(item))
    if not inside.any():
        return "outside", (0.0, 0.0)
    nearer_m = np.where(inside, _in_front_m(view, uv_px, z_m, inside), 0.0)
    slack_m = np.maximum(BEHIND_M, BEHIND_SHARE * z_m)
    clear = inside & (nearer_m < slack_m)
    if clear.sum() < LEAST_SEEN * inside.sum():
        return "hidden", _point(uv_px[inside].mean(axis=0))
    # A box is mostly air: words stand where the picture's surface is, if it is anywhere in the box.
    touched = clear & (np.abs(nearer_m) < slack_m)
    return "seen", _point(np.median(uv_px[touched if touched.any() else clear], axis=0))


def _in_front_m(view: PictureView, uv_px: Array, z_m: Array, inside: NDArray[np.bool_]) -> Array:
    """Return how far in front of each point the picture's surface is, shape (N,); 0 where nobody knows."""
    ahead_m = np.zeros(len(z_m))
    if view.z_m is None:
        return ahead_m
    columns, rows = np.rint(uv_px[inside]).astype(int).T
    # A picture's depth map may have another number of pixels.
    high, wide = view.z_m.shape
    seen_m = view.z_m[rows * high // view.intrinsics.height, columns * wide // view.intrinsics.width]
    ahead_m[inside] = np.where(seen_m > 0, z_m[inside] - seen_m, 0.0)
    return ahead_m


def _points_m(item: SceneObject) -> Array:
    """Return points of an object: of its surface where it was observed, else of its box."""
    if item.surface is not None and len(item.surface):
        xyz_m = item.surface.xyz_m
        return xyz_m[:: max(1, len(xyz_m) // MOST_POINTS)]
    steps = np.linspace(-0.5, 0.5, BOX_STEPS)
    grid = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    return item.box.centre_m + (grid * item.box.extent_m) @ item.box.world_from_box.T


def _draw_box(canvas: Canvas, view: PictureView, box: OrientedBox, colour: Colour, *, dashed: bool) -> None:
    for a in range(8):
        for b in range(a + 1, 8):
            # Corners are numbered in binary: an edge joins those that differ in one axis.
            if (a ^ b).bit_count() == 1:
                _draw_line(canvas, view, box.corners_m[[a, b]], colour, 2, dashed=dashed)


def _draw_line(
    canvas: Canvas, view: PictureView, ends_m: Array, colour: Colour, width: int, *, dashed: bool = False
) -> bool:
    """Draw a straight line of the scene, and say whether any of it is in the picture."""
    ends = view.segment(ends_m)
    if ends is None:
        return False
    # Shorter dashes than those of plans: the edges of small things have to be dashed, too.
    count = max(int(np.hypot(*np.subtract(*ends)) / DASH_PX), 3) if dashed else 1
    stops = np.linspace(ends[0], ends[1], count + 1)
    for start, end in zip(stops[::2], stops[1::2], strict=False):
        canvas.line([_point(start), _point(end)], colour, width)
    return True


def _draw_segment(canvas: Canvas, view: PictureView, mark: Mark) -> bool:
    ends = view.segment(np.array([mark["from_m"], mark["to_m"]], float))
    if ends is None:
        return False
    canvas.line(ends, MEASURED, 4)
    canvas.label(_above(np.mean(ends, axis=0)), str(mark["label"]), MEASURED, words_px(canvas) + 2)
    return True


def _draw_point(canvas: Canvas, view: PictureView, mark: Mark) -> bool:
    uv_px, _, inside = view.pixels(np.array([mark["at_m"]], float))
    if inside.all():
        canvas.label(_above(uv_px[0]), str(mark["label"]), MEASURED, words_px(canvas) + 2)
    return bool(inside.all())


def _draw_observer(canvas: Canvas, view: PictureView, mark: Mark) -> bool:
    """Draw which way the observer faces, and the line to what is looked for."""
    at, towards, target = (np.array(mark[name], float) for name in ("at_m", "towards_m", "target_m"))
    facing = view.segment(np.array([at, towards]))
    if facing is not None:
        canvas.arrow(*facing, OBSERVER, 4)
    sought = view.segment(np.array([at, target]))
    if sought is None:
        return facing is not None
    canvas.line(sought, MEASURED, 3)
    canvas.label(_above(np.array(sought[1])), str(mark["label"]), MEASURED, words_px(canvas) + 2)
    return True


def _draw_path(canvas: Canvas, view: PictureView, mark: Mark) -> bool:
    stops_m = _on_floor(mark["points_m"])
    legs = [view.segment(np.array(pair)) for pair in zip(stops_m, stops_m[1:], strict=False)]
    for leg in legs:
        if leg is not None:
            canvas.arrow(*leg, MEASURED, 4)
    return any(leg is not None for leg in legs)


def _draw_polygon(canvas: Canvas, view: PictureView, mark: Mark) -> bool:
    corners_m = _on_floor(mark["points_m"])
    sides = [
        _draw_line(canvas, view, np.array(pair), MEASURED, 3)
        for pair in zip(corners_m, np.roll(corners_m, -1, axis=0), strict=True)
    ]
    return any(sides)


def _draw_none(canvas: Canvas, view: PictureView, mark: Mark) -> bool:
    """Draw nothing: marks of that kind belong elsewhere."""
    return False


_EVIDENCE: Mapping[str, Callable[[Canvas, PictureView, Mark], bool]] = {
    "segment": _draw_segment,
    "point": _draw_point,
    "observer": _draw_observer,
    "path": _draw_path,
    "polygon": _draw_polygon,
}


def _on_floor(points_m: Sequence[Sequence[float]]) -> Array:
    """Return points with a height, shape (N, 3); those of plans lie on the floor."""
    points = np.asarray(points_m, float)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise InvalidValueError(f"marks: expected points_m as x, y or x, y, z, got shape {points.shape}")
    return points if points.shape[1] == 3 else np.column_stack([points, np.zeros(len(points))])


def _free(canvas: Canvas, at_px: Point, half_wide: float, half_high: float) -> Point:
    """Return the place nearest to a point, up or down, where a plate covers no other one."""
    width, height = canvas.image.size
    x = min(max(at_px[0], half_wide + 1), max(width - half_wide - 2, half_wide + 1))
    middle = min(max(at_px[1], half_high + 1), max(height - half_high - 2, half_high + 1))
    for step in range(MOST_MOVES):
        # Where it is wanted, then one down, one up, two down, ...
        y = middle + (step + 1) // 2 * (1 if step % 2 else -1) * (2 * half_high + 1)
        box = (x - half_wide, y - half_high, x + half_wide, y + half_high)
        if box[1] > 0 and box[3] < height - 1 and not any(_overlap(box, other) for other in canvas.taken):
            return x, y
    return x, middle


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _colour(scene: SceneMap, object_id: str) -> Colour:
    return object_colour(mark_number(scene, object_id))


def _above(at_px: Array) -> Point:
    return float(at_px[0]), float(at_px[1]) - 16


def _point(at_px: Array) -> Point:
    return float(at_px[0]), float(at_px[1])
