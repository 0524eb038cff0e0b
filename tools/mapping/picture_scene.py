"""A picture without depth as a scene: which way things are from its camera, and nothing more.

Counting, left and right for the camera, and higher and lower in the picture need no depth. Distances,
sizes, and which way one thing is from another do; scenes made here refuse them (`SceneMap.require_places`).
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.geometry.projection import unproject_pixels
from spatial_agent.tools.mapping.build import named
from spatial_agent.tools.mapping.first_seen import SEEN_SHARE
from spatial_agent.tools.mapping.photo import camera_note, with_camera
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    Detections,
    FrameSet,
    OrientedBox,
    Provenance,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)

Array = NDArray[np.float64]

#: A box that comes this near to the border of the image may be cut by it, pixels.
BORDER_PX = 1.0


def picture_scene(frames: FrameSet, found: Detections) -> SceneMap:
    """Make a scene of what was detected in one picture.

    Args:
        frames: An opened source of one frame with a picture; neither depth nor intrinsics are needed.
        found: What was detected in it, each thing once; masks, where there are any, count pixels.

    Returns:
        A scene with ``scale == "directions"``: the world is the camera (x right, y down, z forward), and
        objects are flat boxes at a z-depth of 1 that look from there as those in the picture do.

    Raises:
        SourceError: If there is more than one frame, or no picture.
    """
    if len(frames) != 1:
        raise SourceError(f"{frames.name} has {len(frames)} frames; expected a single picture")
    frame = frames.load(0, depth=False, instances=False)
    if frame.rgb is None:
        raise SourceError(f"{frames.name}: expected a picture, got a frame without colour")
    height, width = frame.rgb.shape[:2]
    header = with_camera(frame.header, width, height)
    assert header.intrinsics is not None
    objects = [_object(found, index, header.intrinsics) for index in range(len(found))]
    assumed = camera_note(header)
    notes = (
        "nothing is known of depth: things can be counted, and are left, right, above or below in the "
        "picture; distances, sizes and directions from one thing to another cannot be told",
    )
    return SceneMap(
        objects=named(objects),
        scale="directions",
        up=None,
        cameras=(SceneCamera(0, header.intrinsics, CameraPose(np.eye(4)), header.time_s),),
        quality=SceneQuality(0.0, 0.0, float(np.pi), 0.0, focal_error=header.focal_error),
        scene_id=_scene_id(frames, found),
        notes=(*frames.notes, *([assumed] if assumed else []), *notes),
    )


def _object(found: Detections, index: int, camera: CameraIntrinsics) -> SceneObject:
    left, top, right, bottom = (float(edge) for edge in found.xyxy_px[index])
    corners = unproject_pixels(camera, np.array([[left, top], [right, bottom]]), np.ones(2))
    area_px = max(right - left, 0.0) * max(bottom - top, 0.0)
    pixels = int(round(area_px) if found.masks is None else np.count_nonzero(found.masks[index]))
    return SceneObject(
        id=found.labels[index],
        label=found.labels[index],
        box=OrientedBox(corners.mean(axis=0), np.abs(corners[1] - corners[0]), np.eye(3)),
        first_seen_frame=0 if pixels >= SEEN_SHARE * camera.width * camera.height else None,
        score=float(found.scores[index]),
        provenance=_provenance((left, top, right, bottom), pixels, camera),
    )


def _provenance(
    edges_px: tuple[float, float, float, float], pixels: int, camera: CameraIntrinsics
) -> Provenance:
    """Say which edges were seen: all but those that the border of the image may have cut."""
    left, top, right, bottom = edges_px
    seen = (
        left > BORDER_PX - 0.5,
        right < camera.width - 0.5 - BORDER_PX,
        top > BORDER_PX - 0.5,
        bottom < camera.height - 0.5 - BORDER_PX,
    )
    shares = tuple(float(edge) for edge in seen)
    coverage = (shares[0], shares[1], shares[2], shares[3], 1.0, 1.0)
    return Provenance((0,), pixels, 0, 0.0, coverage, cut_off=not all(seen))


def _scene_id(frames: FrameSet, found: Detections) -> str:
    digest = hashlib.sha256(repr(found.labels).encode())
    digest.update(found.xyxy_px.tobytes() + found.scores.tobytes())
    return f"{frames.content_hash}-picture-{digest.hexdigest()[:12]}"
