"""A frame with the objects and the measured line drawn on it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.drawing.canvas import MEASURED, Canvas
from spatial_agent.tools.drawing.top_down import object_colour
from spatial_agent.tools.geometry.projection import in_view, project
from spatial_agent.tools.geometry.transforms import transform_points
from spatial_agent.tools.scene import OrientedBox, SceneCamera, SceneMap

#: Nothing nearer than this can be projected sensibly, metres.
NEAREST_M = 0.1
LINE_STEPS = 48


def best_camera(scene: SceneMap, object_ids: Sequence[str]) -> SceneCamera | None:
    """Return the camera that shows the objects best: most of them, most whole, nearest the middle."""
    boxes = [item.box for item in scene.objects if item.id in object_ids]
    if not scene.cameras or not boxes:
        return scene.cameras[0] if scene.cameras else None
    return max(scene.cameras, key=lambda camera: (sum(_shown(camera, box) for box in boxes), -camera.index))


def draw_marked_frame(
    scene: SceneMap,
    camera: SceneCamera,
    rgb: NDArray[np.uint8],
    object_ids: Sequence[str],
    marks: Sequence[Mapping[str, Any]] = (),
) -> Image.Image:
    """Draw boxes and measured lines on a frame.

    Args:
        scene: The scene.
        camera: The frame's camera.
        rgb: The frame, shape (H, W, 3) uint8.
        object_ids: Objects to outline; all where empty.
        marks: Measured segments and points, see `Finding.marks`.
    """
    canvas = Canvas(Image.fromarray(rgb))
    zoom = rgb.shape[1] / camera.intrinsics.width
    for number, item in enumerate(scene.objects):
        if object_ids and item.id not in object_ids:
            continue
        corners, visible = _pixels(camera, item.box.corners_m)
        if not visible.any():
            continue
        for start, end in _edges():
            _draw_line(canvas, camera, item.box.corners_m[[start, end]], object_colour(number), zoom)
        shown = corners[visible] * zoom
        top = (float(shown[:, 0].mean()), float(max(shown[:, 1].min() - 10, 12)))
        canvas.label(top, item.id, object_colour(number), 16)
    for mark in marks:
        _draw_mark(canvas, camera, mark, zoom)
    return canvas.image


def _draw_mark(canvas: Canvas, camera: SceneCamera, mark: Mapping[str, Any], zoom: float) -> None:
    """Draw a measured line with its number, or the number said about one object."""
    if mark["kind"] not in ("segment", "point"):
        return
    ends = np.array([mark["from_m"], mark["to_m"]] if mark["kind"] == "segment" else [mark["at_m"]], float)
    if len(ends) == 2:
        _draw_line(canvas, camera, ends, MEASURED, zoom, width=4)
    middle, visible = _pixels(camera, ends.mean(axis=0, keepdims=True))
    if visible.all():
        at = middle[0] * zoom
        canvas.label((float(at[0]), float(at[1]) - 16), str(mark["label"]), MEASURED, 18)


def _draw_line(
    canvas: Canvas,
    camera: SceneCamera,
    ends_m: NDArray[np.float64],
    colour: tuple[int, int, int],
    zoom: float,
    width: int = 2,
) -> None:
    """Draw a straight line of the scene, leaving out what lies behind the camera."""
    steps = np.linspace(0.0, 1.0, LINE_STEPS)[:, None]
    pixels, _ = _pixels(camera, ends_m[0] + steps * (ends_m[1] - ends_m[0]))
    # A point behind the camera has neither coordinate.
    front = np.isfinite(pixels[:, 0])
    for start, end, drawn in zip(pixels * zoom, pixels[1:] * zoom, front[:-1] & front[1:], strict=False):
        if drawn:
            canvas.line([(float(start[0]), float(start[1])), (float(end[0]), float(end[1]))], colour, width)


def _pixels(camera: SceneCamera, xyz_m: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return pixels, shape (N, 2), NaN behind the camera, and which are in the image."""
    local = transform_points(camera.pose.camera_from_world, xyz_m)
    front = local[:, 2] > NEAREST_M
    pixels = np.full((len(xyz_m), 2), np.nan)
    visible = np.zeros(len(xyz_m), dtype=bool)
    if front.any():
        uv_px, z_m = project(camera.intrinsics, local[front])
        pixels[front] = uv_px
        visible[front] = in_view(camera.intrinsics, uv_px, z_m)
    return pixels, visible


def _shown(camera: SceneCamera, box: OrientedBox) -> float:
    points = np.concatenate([box.corners_m, box.centre_m[None]])
    pixels, visible = _pixels(camera, points)
    if not visible[-1]:
        return 0.25 * float(visible[:-1].mean())
    size = (camera.intrinsics.width, camera.intrinsics.height)
    off_centre = float(np.abs(pixels[-1] / size - 0.5).max())
    return float(visible.mean()) + 0.3 * (0.5 - off_centre)


def _edges() -> list[tuple[int, int]]:
    """Return the corner pairs of a box that differ in one axis only."""
    return [(a, b) for a in range(8) for b in range(a + 1, 8) if (a ^ b).bit_count() == 1]
