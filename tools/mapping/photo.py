"""One photograph as a recording of one frame: its camera, estimated depth, and where both come from.

The world of the frame is its camera. Nothing here is measured: the focal length is read from the file or
assumed, depth is estimated by a network, and how wrong each may be goes along, into the margins of whatever
is measured in the scene map made of it.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from math import radians, tan

import numpy as np

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    DepthMap,
    Frame,
    FrameHeader,
    FrameSet,
)

#: Estimates the depth of a frame that has a picture and intrinsics, at the size of both.
EstimateDepth = Callable[[Frame], DepthMap]

#: Judged: phones and cameras at their usual zoom see 50 to 75 degrees across the longer side.
ASSUMED_DEG = 63.0
#: Relative standard deviation of a focal length assumed so: 90 % between 46 and 86 degrees.
ASSUMED_ERROR = 0.22
#: Longer sides are reduced to this: networks see no more, and maps need no more.
MOST_SIDE_PX = 1280


def photo_frames(frames: FrameSet, estimate: EstimateDepth) -> FrameSet:
    """Give a photograph what it lacks to be measured.

    Args:
        frames: An opened source of one frame; its own depth, where it has any, is not used.
        estimate: Estimates depth, such as the call of a ``depth.*`` expert.

    Returns:
        A source of one frame with intrinsics, depth and the identity as its pose (x right, y down,
        z forward); gravity is not known.

    Raises:
        SourceError: If there is more than one frame, no picture, or the depth has another size.
    """
    frame = _picture(frames)
    header = frame.header
    depth = estimate(frame)
    assert header.intrinsics is not None
    wanted = (header.intrinsics.height, header.intrinsics.width)
    if depth.z_m.shape != wanted:
        raise SourceError(
            f"{frames.name}: the estimated depth is {depth.z_m.shape}, the picture {wanted} (height, width)"
        )
    if not depth.valid.any():
        raise SourceError(f"{frames.name}: no depth could be estimated from the picture; try another backend")
    posed = replace(header, pose=CameraPose(np.eye(4)), has_depth=True)
    whole = Frame(posed, frame.rgb, depth)
    return replace(
        frames,
        headers=(posed,),
        loader=lambda index, rgb, depth, instances: _parts(whole, rgb, depth),
        content_hash=_hash(frames.content_hash, whole),
        instance_labels={},
        gravity=None,
        notes=(*frames.notes, *_notes(header, depth)),
    )


def with_camera(header: FrameHeader, width: int, height: int) -> FrameHeader:
    """Return the header of a picture with intrinsics: its own at this size, else those of a usual camera.

    Args:
        header: Of a picture that shows the same view.
        width: Of the picture, pixels.
        height: Of the picture, pixels.
    """
    if header.intrinsics is not None:
        return replace(header, intrinsics=header.intrinsics.resized(width, height))
    focal_px = max(width, height) / 2 / tan(radians(ASSUMED_DEG) / 2)
    camera = CameraIntrinsics(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, width, height)
    return replace(header, intrinsics=camera, focal_error=ASSUMED_ERROR)


def camera_note(header: FrameHeader) -> str | None:
    """Say that the focal length is assumed, and how wrong it may be; None where it is known."""
    if header.focal_error < ASSUMED_ERROR:
        return None
    return (
        f"the picture does not tell its focal length: a field of view of {ASSUMED_DEG:.0f} degrees across "
        f"its longer side is assumed, so the focal length may be off by {header.focal_error:.0%}"
    )


def _picture(frames: FrameSet) -> Frame:
    """Return the one picture at a size that is of use, with a camera."""
    if len(frames) != 1:
        raise SourceError(
            f"{frames.name} has {len(frames)} frames; estimating depth is for single pictures: choose one, "
            "or give a posed RGB-D scan"
        )
    frame = frames.load(0, depth=False, instances=False)
    if frame.rgb is None:
        raise SourceError(f"{frames.name}: expected a picture, got a frame without colour")
    height, width = frame.rgb.shape[:2]
    reduction = min(1.0, MOST_SIDE_PX / max(height, width))
    width, height = max(round(width * reduction), 1), max(round(height * reduction), 1)
    header = replace(with_camera(frame.header, width, height), index=0, has_depth=False, has_instances=False)
    return Frame(header, _resampled(frame.rgb, width, height))


def _resampled(rgb: np.ndarray, width: int, height: int) -> np.ndarray:
    from PIL import Image

    if rgb.shape[:2] == (height, width):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((width, height), Image.Resampling.BOX))


def _parts(whole: Frame, rgb: bool, depth: bool) -> Frame:
    return Frame(whole.header, whole.rgb if rgb else None, whole.depth if depth else None)


def _hash(content: str, frame: Frame) -> str:
    assert frame.depth is not None
    assert frame.header.intrinsics is not None
    depth = frame.depth
    settings = [content, vars(frame.header.intrinsics), frame.header.focal_error]
    digest = hashlib.sha256(json.dumps([settings, depth.scale_error, depth.shape_error]).encode())
    digest.update(depth.z_m.tobytes())
    return digest.hexdigest()


def _notes(header: FrameHeader, depth: DepthMap) -> tuple[str, ...]:
    estimated = (
        f"depth was estimated from the picture alone: all lengths together may be off by "
        f"{depth.scale_error:.0%}, single ones by {depth.shape_error:.0%} more (one standard deviation)"
    )
    assumed = camera_note(header)
    return (estimated,) if assumed is None else (assumed, estimated)
