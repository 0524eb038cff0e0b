"""What every frame saw, coarsely: enough to ask whether a place was seen, seen through or hidden."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.geometry.projection import in_view, project
from spatial_agent.tools.scene import CameraIntrinsics, DepthMap

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: Depth images are kept at about this width; 256 frames are then 10 MB.
WIDTH_PX = 160
#: Depth agrees within this: metres, and share of the depth.
AGREE_M, AGREE_SHARE = 0.03, 0.015


@dataclass(frozen=True, eq=False)
class CoarseView:
    """The depth image of one frame, thinned.

    Attributes:
        frame: Index of the frame.
        z_m: Every few pixels' z-depth, shape (h, w) float16; 0 = none.
        step: How many pixels apart they are.
        intrinsics: The pinhole of the whole image.
        camera_from_world: Rigid 4x4.
    """

    frame: int
    z_m: NDArray[np.float16]
    step: int
    intrinsics: CameraIntrinsics
    camera_from_world: Array

    @classmethod
    def of(
        cls, frame: int, depth: DepthMap, intrinsics: CameraIntrinsics, camera_from_world: Array
    ) -> "CoarseView":
        """Keep what a frame saw."""
        step = max(1, round(depth.z_m.shape[1] / WIDTH_PX))
        thinned = depth.z_m[step // 2 :: step, step // 2 :: step]
        return cls(frame, np.minimum(thinned, 6e4).astype(np.float16), step, intrinsics, camera_from_world)

    def beyond_m(self, xyz_m: Array) -> Array:
        """Return how far behind each point, shape (N, 3), the frame saw something, shape (N,).

        Positive: it looked through the point; near 0: it saw a surface there; negative: something hid
        the point; NaN: out of view, or without depth.
        """
        camera_m = xyz_m @ self.camera_from_world[:3, :3].T + self.camera_from_world[:3, 3]
        uv_px, z_m = project(self.intrinsics, camera_m)
        inside = in_view(self.intrinsics, uv_px, z_m)
        beyond_m = np.full(len(xyz_m), np.nan)
        place = np.rint(uv_px[inside]).astype(int) // self.step
        rows, columns = (np.minimum(place[:, 1 - k], self.z_m.shape[k] - 1) for k in (0, 1))
        seen_m = self.z_m[rows, columns].astype(np.float64)
        beyond_m[inside] = np.where(seen_m > 0, seen_m - z_m[inside], np.nan)
        return beyond_m

    def shows(self, xyz_m: Array) -> Flags:
        """Return at which points, shape (N, 3), it saw a surface, shape (N,)."""
        with np.errstate(invalid="ignore"):
            return np.abs(self.beyond_m(xyz_m)) <= self.tolerance_m(xyz_m)

    def bounds(self, xyz_m: Array) -> Flags:
        """Return at which points, shape (N, 3), it saw a surface or looked through, shape (N,)."""
        with np.errstate(invalid="ignore"):
            return self.beyond_m(xyz_m) > -self.tolerance_m(xyz_m)

    def tolerance_m(self, xyz_m: Array) -> Array:
        """Return within what depth agrees at each point, shape (N,)."""
        camera_z_m = xyz_m @ self.camera_from_world[2, :3] + self.camera_from_world[2, 3]
        tolerance: Array = AGREE_M + AGREE_SHARE * np.abs(camera_z_m)
        return tolerance


def seen_by_any(xyz_m: Array, views: Sequence[CoarseView]) -> Flags:
    """Return at which points, shape (N, 3), some frame saw a surface or looked through, shape (N,)."""
    seen = np.zeros(len(xyz_m), bool)
    for view in views:
        seen |= view.bounds(xyz_m)
    return seen
