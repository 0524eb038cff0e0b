"""What a layout reader is, and the options it is given."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import CameraIntrinsics, FrameSet


@dataclass(frozen=True)
class ReadOptions:
    """What the caller knows better than the files.

    Attributes:
        depth_scale_m: Metres per stored depth unit.
        intrinsics: The pinhole of every frame.
        max_frames: Keep at most this many frames, evenly spaced over the recording.
    """

    depth_scale_m: float | None = None
    intrinsics: CameraIntrinsics | None = None
    max_frames: int | None = None

    def __post_init__(self) -> None:
        """Check that the numbers can be used."""
        scale = self.depth_scale_m
        if scale is not None and not (math.isfinite(scale) and scale > 0):
            raise InvalidValueError(f"depth_scale_m: expected metres per depth unit > 0, got {scale!r}")
        if self.max_frames is not None and self.max_frames < 1:
            raise InvalidValueError(f"max_frames: expected at least 1, got {self.max_frames!r}")


@dataclass(frozen=True)
class Layout:
    """One way of laying out a recording on disk.

    Attributes:
        key: What callers pass as ``layout=``.
        title: What messages call it.
        needs: What must be where, one phrase.
        recognises: Whether a path bears this layout's signature; complete or not.
        read: Opens it, or raises `SourceError` naming the file that is wrong.
    """

    key: str
    title: str
    needs: str
    recognises: Callable[[Path], bool]
    read: Callable[[Path, ReadOptions], FrameSet]


def evenly_spaced(count: int, max_frames: int | None) -> list[int]:
    """Return which of `count` frames are kept: first and last, and the others evenly between.

    >>> evenly_spaced(10, 4)
    [0, 3, 6, 9]
    """
    if max_frames is None or count <= max_frames:
        return list(range(count))
    if max_frames == 1:
        return [0]
    return [round(k * (count - 1) / (max_frames - 1)) for k in range(max_frames)]
