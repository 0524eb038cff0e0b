"""Cameras of a source, moved into another world."""

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import FrameSet, SceneCamera


def scene_cameras(
    frames: FrameSet, scene_from_scan: NDArray[np.float64] | None = None
) -> tuple[SceneCamera, ...]:
    """Return where the frames were taken from, in recording order.

    Args:
        frames: The source; frames without a pose or intrinsics are left out.
        scene_from_scan: Rigid 4x4 from the source's own world to the wanted one; None keeps it.
    """
    cameras = []
    for header in frames.headers:
        if header.pose is None or header.intrinsics is None:
            continue
        pose = header.pose if scene_from_scan is None else header.pose.moved(scene_from_scan)
        cameras.append(SceneCamera(header.index, header.intrinsics, pose, header.time_s))
    return tuple(cameras)
