"""A noisy recording of a room, sound or with one frame at fault, and what all of its frames together show."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import CameraPose, DepthMap, Frame, FrameSet, SceneMap, SceneQuality
from spatial_agent.tools.synthetic import SensorNoise, SyntheticRoom
from spatial_agent.tools.synthetic.layout import walk_round
from spatial_agent.tools.synthetic.perfect_scan import perfect_scan

EXAMPLE = SyntheticRoom.example()
#: The living room, filmed in few frames.
ROOM = replace(EXAMPLE, cameras=walk_round((5.0, 4.0, 2.6), EXAMPLE.objects, 8)).resized(200, 150)
#: As mapping finds it in noisy recordings of such rooms.
QUALITY = SceneQuality(0.01, 0.004, 0.0035, 0.01)
UP_M = (0.0, 0.0, 0.15)


@cache
def scene() -> SceneMap:
    """Return true boxes with the surfaces that the cameras see."""
    return replace(perfect_scan(ROOM), quality=QUALITY)


def filmed(seed: int = 3) -> FrameSet:
    """Return a recording with noise in depth, scale and poses."""
    return ROOM.frames(noise=SensorNoise(), seed=seed)


def with_wrong_pose(frames: FrameSet, index: int, shift_m: tuple[float, float, float] = UP_M) -> FrameSet:
    """Return the recording with one camera believed to stand elsewhere."""
    moved = np.eye(4)
    moved[:3, 3] = shift_m
    headers = list(frames.headers)
    right = headers[index].pose
    assert right is not None
    headers[index] = replace(headers[index], pose=CameraPose(moved @ right.world_from_camera))
    return _changed(replace(frames, headers=tuple(headers)), frames, lambda number, z_m: z_m)


def with_wrong_depth(frames: FrameSet, index: int, factor: float = 1.12) -> FrameSet:
    """Return the recording with the depth of one frame too long by a factor."""
    return _changed(frames, frames, lambda number, z_m: z_m * (factor if number == index else 1.0))


def _changed(
    changed: FrameSet,
    original: FrameSet,
    depth_of: Callable[[int, NDArray[np.float32]], NDArray[np.float32]],
) -> FrameSet:
    def load(number: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        frame = original.load(number, rgb=rgb, depth=depth, instances=instances)
        z_m = None if frame.depth is None else depth_of(number, frame.depth.z_m)
        map_ = None if z_m is None else DepthMap(z_m.astype(np.float32))
        return replace(frame, header=changed.headers[number], depth=map_)

    return replace(changed, loader=load)
