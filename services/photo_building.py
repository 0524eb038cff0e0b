"""Scenes of scans, and of photographs: their depth is asked of experts and weighed against known sizes."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from spatial_agent.services.asking import Asking
from spatial_agent.services.perception import Perception
from spatial_agent.tools.errors import (
    SourceError,
    ToolFailedError,
    ToolUnavailableError,
    UnmeasurableError,
)
from spatial_agent.tools.experts.instances import Segmenter
from spatial_agent.tools.experts.masks import mask_boxes
from spatial_agent.tools.experts.sizes import rulers
from spatial_agent.tools.mapping.build import build_scene
from spatial_agent.tools.mapping.photo import photo_frames
from spatial_agent.tools.mapping.picture_scene import picture_scene
from spatial_agent.tools.mapping.scale_check import with_checked_scale
from spatial_agent.tools.media import check_geometry
from spatial_agent.tools.progress import report
from spatial_agent.tools.scene import DepthMap, Detections, Frame, FrameSet, SceneMap

#: Makes a scene map whose objects a segmenter finds.
BuildScene = Callable[[Segmenter], SceneMap]
#: Depth whose scale is better known than this is not weighed against usual sizes.
WELL_KNOWN = 0.02
NO_DEPTH = "no depth could be found: only what stands where in the picture is known, not how far or how big"


@runtime_checkable
class FindsBoxes(Protocol):
    """A segmenter that can say where objects are without outlining them, for which some need depth."""

    def boxes(self, frame: Frame, frames: FrameSet) -> Detections:
        """Return what is in one frame."""
        ...


def build_scan(frames: FrameSet, segmenter: Segmenter) -> SceneMap:
    """Build the scene of posed frames with depth."""
    scene = build_scene(frames, segmenter, progress=report)
    return replace(scene, notes=(*scene.notes, *check_geometry(frames)))


def is_photo(frames: FrameSet) -> bool:
    """Return whether a source is one picture whose camera stands nowhere in particular."""
    return len(frames) == 1 and frames.headers[0].pose is None


def plan_photo(asking: Asking, frames: FrameSet, perception: Perception) -> tuple[BuildScene, list[str]]:
    """Find depth for a photograph; returns how its scene is built, and what was lost.

    Its own depth comes first, then each depth expert in turn. Without any, the scene knows what stands
    where in the picture, and nothing in metres.

    Raises:
        UnmeasurableError: If the profile finds nothing in photographs.
        SourceError: If the picture cannot be read.
    """
    if perception.recorded and not frames.has_instances:
        raise UnmeasurableError(
            f"{frames.name} is a single picture, in which nothing is recorded; look at it with profile 'open'"
        )
    if frames.has_depth:
        return partial(build_weighed, photo_frames(frames, partial(_recorded, frames))), []
    lost = [perception.no_depth] if perception.no_depth else []
    for tool in perception.depth:
        try:
            photo = photo_frames(frames, partial(_estimated, asking, tool))
            return partial(build_weighed, photo, camera_height_m=perception.camera_height_m), lost
        except (ToolFailedError, ToolUnavailableError) as error:
            lost.append(f"{tool} gave no depth: {error}")
    return partial(build_picture, frames), [*lost, NO_DEPTH]


def build_picture(frames: FrameSet, segmenter: Segmenter) -> SceneMap:
    """Build what is known of a photograph without depth: what is in it, and where in the picture."""
    frame = frames.load(0, depth=False)
    if isinstance(segmenter, FindsBoxes):
        return picture_scene(frames, segmenter.boxes(frame, frames))
    masks = segmenter.segment(frame, frames)
    pixels = np.array([mask.pixels for mask in masks]).reshape(len(masks), *_size(frame))
    scores = np.array([mask.score for mask in masks], np.float64)
    found = Detections(mask_boxes(pixels), scores, tuple(mask.label for mask in masks), pixels)
    return picture_scene(frames, found)


def build_weighed(photo: FrameSet, segmenter: Segmenter, *, camera_height_m: float | None = None) -> SceneMap:
    """Build the scene of a photograph with depth, whose scale is weighed against what else is known.

    Args:
        photo: What `photo_frames` gives.
        segmenter: Finds the objects.
        camera_height_m: Height of the camera above the floor, where somebody knows it, metres; it says
            nothing where no floor is in view.
    """
    scene = build_scene(photo, segmenter, progress=report)
    if scene.quality is None or scene.quality.scale_error <= WELL_KNOWN:
        return scene
    known_m = camera_height_m if scene.up is not None else None
    return with_checked_scale(scene, rulers(scene.objects), camera_height_m=known_m)


def _recorded(frames: FrameSet, frame: Frame) -> DepthMap:
    depth = frames.load(0, rgb=False, instances=False).depth
    if depth is None:
        raise SourceError(f"{frames.name}: expected a depth map, got none")
    return depth


def _estimated(asking: Asking, tool: str, frame: Frame) -> DepthMap:
    """Ask an expert for the depth of a frame."""
    kept = [asking.runner.keep("photo", frame)]
    try:
        kept.append(asking.through(asking.handle(tool, {"frame": kept[0]})))
        return asking.value(kept[-1], DepthMap)
    finally:
        for reference in kept:
            asking.runner.drop(reference)


def _size(frame: Frame) -> tuple[int, int]:
    if frame.rgb is None:
        raise SourceError(f"frame {frame.header.name}: expected a picture, got a frame without colour")
    return frame.rgb.shape[0], frame.rgb.shape[1]
