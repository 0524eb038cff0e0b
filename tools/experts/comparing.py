"""Frames next to each other, to see what changed between them and which thing is which."""

from typing import Any

import numpy as np
from PIL import Image

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.drawing.canvas import INK, PAPER, Canvas
from spatial_agent.tools.drawing.set_of_marks import draw_plate
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.experts.drawing import (
    LARGEST_PX,
    check_objects,
    draw_marks,
    mark_objects,
    picture_of,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Frame, Picture, SceneMap

#: How many frames can be compared, and how high they can be shown, pixels.
FEWEST, MOST = 2, 6
SMALLEST_PX = 64
#: White space between frames, pixels.
GAP_PX = 8
#: Letters by which the caption and the marks call the panels.
LETTERS = "ABCDEF"


@expert("side_by_side", resources=Resources(in_caller=True))
def side_by_side(
    frames: tuple[Frame, ...],
    height_px: int = 360,
    marks: list[list[dict[str, Any]]] | None = None,
    scene: SceneMap | None = None,
    objects: list[str] | None = None,
) -> Picture:
    """Show two to six frames next to each other, from left to right in the order given, called A, B, C, ...

    Args:
        frames: The frames, with their pictures.
        height_px: Height of each frame in the picture; less where they would not fit.
        marks: What to draw on each frame, one list a frame, as `draw` takes it, in pixels of that frame.
        scene: The scene, for `objects`.
        objects: Ids of objects to mark with number and id in every frame, alike in all of them.

    Raises:
        ToolArgumentError: If the number of frames or marks, a mark, the height or an id cannot be.
        ToolFailedError: If a frame has no picture, or a place is not known where objects are to be marked.
    """
    _check(frames, height_px, marks, scene, objects)
    pictures = [picture_of(frame) for frame in frames]
    across = sum(rgb.shape[1] / rgb.shape[0] for rgb in pictures)
    room_px = LARGEST_PX - GAP_PX * (len(frames) - 1)
    high_px = max(1, min(height_px, int(room_px / across)))
    panels, said = [], []
    for number, frame in enumerate(frames):
        letter = LETTERS[number]
        canvas = _panel(frame, high_px)
        words = mark_objects(canvas, frame, scene, objects)
        draw_marks(canvas, marks[number] if marks else [], high_px / pictures[number].shape[0])
        draw_plate(canvas, (0.0, 0.0), f"{letter}: frame {_short(frame.header.name)}", INK)
        panels.append(canvas.image)
        said.append(f"{letter} = frame {frame.header.name}{words}")
    scales = {round(high_px / rgb.shape[0], 2) for rgb in pictures}
    scaled = ", ".join(f"{scale:g}" for scale in sorted(scales))
    return Picture(_joined(panels), f"Left to right: {'; '.join(said)}. Scaled {scaled} times.")


def _check(
    frames: tuple[Frame, ...],
    height_px: int,
    marks: list[list[dict[str, Any]]] | None,
    scene: SceneMap | None,
    objects: list[str] | None,
) -> None:
    if not FEWEST <= len(frames) <= MOST:
        raise ToolArgumentError(f"frames: expected {FEWEST} to {MOST} frames, got {len(frames)}")
    if not SMALLEST_PX <= height_px <= LARGEST_PX:
        raise ToolArgumentError(f"height_px: expected {SMALLEST_PX} to {LARGEST_PX} pixels, got {height_px}")
    if marks is not None and len(marks) != len(frames):
        raise ToolArgumentError(
            f"marks: expected one list for each of the {len(frames)} frames, got {len(marks)}"
        )
    check_objects(scene, objects)


def _panel(frame: Frame, high_px: int) -> Canvas:
    image = Image.fromarray(picture_of(frame))
    wide_px = max(1, round(image.width * high_px / image.height))
    return Canvas(image.resize((wide_px, high_px), Image.Resampling.LANCZOS))


def _short(name: str) -> str:
    return " ".join(name.split())[:24]


def _joined(panels: list[Image.Image]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    width_px = sum(panel.width for panel in panels) + GAP_PX * (len(panels) - 1)
    picture = Image.new("RGB", (width_px, panels[0].height), PAPER)
    left = 0
    for panel in panels:
        picture.paste(panel, (left, 0))
        left += panel.width + GAP_PX
    return np.array(picture)
