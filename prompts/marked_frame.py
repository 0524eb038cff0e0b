"""Frames as models and people get to see them: objects marked alike everywhere, and what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.prompts.frame_choice import choose_frames as choose_frames
from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.drawing.canvas import Canvas
from spatial_agent.tools.drawing.set_of_marks import (
    PictureView,
    Shown,
    draw_evidence,
    draw_objects,
    mark_name,
)
from spatial_agent.tools.errors import SpatialAgentError
from spatial_agent.tools.scene import Frame, FrameSet, Picture, SceneCamera, SceneMap

Marks = Sequence[Mapping[str, Any]]
#: Sides below which a frame is enlarged before it is marked, so that its marks can be read, pixels.
READABLE_PX = 480
#: How many objects a caption names.
MOST_NAMED = 24


def best_camera(scene: SceneMap, object_ids: Sequence[str]) -> SceneCamera | None:
    """Return the camera that shows the objects best: most of them, most whole, nearest the middle."""
    return next(iter(choose_frames(scene, object_ids, 1)), None)


def marked_frames(
    scene: SceneMap,
    frames: FrameSet,
    entities: Sequence[str],
    marks: Marks = (),
    *,
    most: int = 4,
    side_px: int = 768,
) -> tuple[Picture, ...]:
    """Return the frames that show what a question is about, each object marked with its number and id.

    Frames that cannot be decoded are passed over.

    Args:
        scene: The scene.
        frames: The frames it was measured from.
        entities: Ids of the objects to mark; all where empty.
        marks: What was measured, see `Finding.marks`.
        most: How many pictures at most.
        side_px: Longer side of the pictures, pixels.
    """
    pictures = []
    for camera in choose_frames(scene, entities, most):
        frame = _decoded(frames, camera.index)
        if frame is not None:
            pictures.append(marked_frame(scene, camera, frame, entities, marks, side_px=side_px))
    return tuple(pictures)


def marked_frame(
    scene: SceneMap,
    camera: SceneCamera,
    frame: Frame,
    entities: Sequence[str],
    marks: Marks = (),
    *,
    side_px: int = 768,
) -> Picture:
    """Return one frame with objects marked; what its depth says to be hidden is drawn dashed.

    Args:
        scene: The scene.
        camera: The frame's camera in the scene.
        frame: The frame, with its picture.
        entities: Ids of the objects to mark; all where empty.
        marks: What was measured, see `Finding.marks`.
        side_px: Longer side of the picture, pixels.
    """
    canvas = Canvas(_sized(frame, side_px))
    view = _view(camera, canvas, None if frame.depth is None or not scene.has_places else frame)
    known = {item.id for item in scene.objects}
    drawn = draw_evidence(canvas, view, marks)
    shown = draw_objects(canvas, scene, view, [name for name in entities if name in known])
    return Picture(np.array(canvas.image), _caption(scene, camera, shown, drawn))


def plain_frames(frames: FrameSet, *, most: int = 4, side_px: int = 768) -> tuple[Picture, ...]:
    """Return frames spread evenly over a recording, without marks: all there is where nothing was measured.

    Args:
        frames: The recording.
        most: How many pictures at most.
        side_px: Longer side of the pictures, pixels.
    """
    pictures = []
    for index in np.unique(np.linspace(0, len(frames) - 1, max(most, 1)).round().astype(int)).tolist():
        frame = _decoded(frames, index)
        if frame is not None:
            shown = f"{_frame_words(index, frame.header.time_s)} of {len(frames)}, nothing marked."
            pictures.append(Picture(np.array(_sized(frame, side_px, enlarge=False)), shown))
    return tuple(pictures)


def draw_marked_frame(
    scene: SceneMap,
    camera: SceneCamera,
    rgb: NDArray[np.uint8],
    object_ids: Sequence[str],
    marks: Marks = (),
) -> Image.Image:
    """Draw objects and what was measured on a frame, at the frame's own size.

    Args:
        scene: The scene.
        camera: The frame's camera.
        rgb: The frame, shape (H, W, 3) uint8.
        object_ids: Objects to outline; all where empty.
        marks: Measured segments and points, see `Finding.marks`.
    """
    canvas = Canvas(Image.fromarray(rgb))
    view = _view(camera, canvas, None)
    draw_evidence(canvas, view, marks)
    draw_objects(canvas, scene, view, object_ids)
    return canvas.image


def _decoded(frames: FrameSet, index: int) -> Frame | None:
    """Return a frame with its picture, and its depth where it has any; None where there is no picture."""
    if not 0 <= index < len(frames):
        return None
    try:
        frame = frames.load(index, depth=frames.headers[index].has_depth, instances=False)
    except SpatialAgentError:
        return None
    return None if frame.rgb is None else frame


def _sized(frame: Frame, side_px: int, *, enlarge: bool = True) -> Image.Image:
    """Return the picture of a frame, shrunk to a longer side, or enlarged until marks can be read."""
    assert frame.rgb is not None  # only frames with a picture come here
    image = Image.fromarray(frame.rgb)
    longest = max(image.size)
    wanted = min(side_px, max(longest, READABLE_PX if enlarge else 1))
    if wanted == longest:
        return image
    width, height = (max(1, round(size * wanted / longest)) for size in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _view(camera: SceneCamera, canvas: Canvas, frame: Frame | None) -> PictureView:
    depth = None if frame is None or frame.depth is None else frame.depth.z_m
    return PictureView(camera.intrinsics.resized(*canvas.image.size), camera.pose, depth)


def _caption(scene: SceneMap, camera: SceneCamera, shown: Mapping[str, Shown], drawn: int) -> str:
    """Return what a marked frame shows: number and id of every mark, and what is not to be seen."""
    named = {
        look: [quoted(mark_name(scene, name))[1:-1] for name, as_shown in shown.items() if as_shown == look]
        for look in ("seen", "hidden", "outside")
    }
    parts = [f"{_frame_words(camera.index, camera.time_s)}. Marked: {_listed(named['seen'])}."]
    if named["hidden"]:
        parts.append(f"Hidden behind something, dashed: {_listed(named['hidden'])}.")
    if named["outside"]:
        parts.append(f"Out of this picture: {_listed(named['outside'])}.")
    if drawn:
        parts.append("Red lines and numbers were measured.")
    return " ".join(parts)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return (", ".join(names[:MOST_NAMED]) or "nothing") + more


def _frame_words(index: int, time_s: float | None) -> str:
    return f"Frame {index}" + ("" if time_s is None else f" ({time_s:.1f} s)")
