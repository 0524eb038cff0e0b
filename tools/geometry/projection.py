"""Between points in front of a camera and pixels."""

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ShapeError
from spatial_agent.tools.scene import CameraIntrinsics

Array = NDArray[np.float64]


def project(intrinsics: CameraIntrinsics, xyz_camera_m: Array) -> tuple[Array, Array]:
    """Project points onto the image plane.

    Args:
        intrinsics: The pinhole.
        xyz_camera_m: Shape (N, 3), camera axes, metres.

    Returns:
        Pixel coordinates, shape (N, 2), NaN for points not in front of the camera; and z-depth,
        shape (N,), metres.
    """
    z_m = xyz_camera_m[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(z_m[:, None] > 0, xyz_camera_m[:, :2] / z_m[:, None], np.nan)
    uv_px = slope * (intrinsics.fx, intrinsics.fy) + (intrinsics.cx, intrinsics.cy)
    return uv_px, z_m


def in_view(intrinsics: CameraIntrinsics, uv_px: Array, z_m: Array) -> NDArray[np.bool_]:
    """Return which projected points, shape (N, 2) and (N,), are in front and fall on a pixel."""
    u_px, v_px = uv_px[:, 0], uv_px[:, 1]
    inside: NDArray[np.bool_] = (
        (z_m > 0)
        & (u_px >= -0.5)
        & (u_px < intrinsics.width - 0.5)
        & (v_px >= -0.5)
        & (v_px < intrinsics.height - 0.5)
    )
    return inside


def unproject_pixels(intrinsics: CameraIntrinsics, uv_px: Array, z_m: Array) -> Array:
    """Return the points, shape (N, 3), camera axes, seen at pixels (N, 2) with z-depth (N,)."""
    xy_m = (uv_px - (intrinsics.cx, intrinsics.cy)) / (intrinsics.fx, intrinsics.fy) * z_m[:, None]
    return np.column_stack([xy_m, z_m])


def unproject(intrinsics: CameraIntrinsics, z_m: NDArray[np.floating]) -> Array:
    """Return the point behind every pixel of a depth map.

    Args:
        intrinsics: The pinhole.
        z_m: Z-depth, shape (H, W), metres; pixels without depth (0) land on the camera itself.

    Returns:
        Shape (H, W, 3), camera axes, metres.

    Raises:
        ShapeError: If the depth map is not of the size the intrinsics say.
    """
    if z_m.shape != (intrinsics.height, intrinsics.width):
        raise ShapeError(
            f"z_m: expected {(intrinsics.height, intrinsics.width)} (height, width), got {z_m.shape}"
        )
    xyz_m = np.empty((*z_m.shape, 3))
    xyz_m[..., 0] = (np.arange(intrinsics.width) - intrinsics.cx) / intrinsics.fx * z_m
    xyz_m[..., 1] = ((np.arange(intrinsics.height) - intrinsics.cy) / intrinsics.fy)[:, None] * z_m
    xyz_m[..., 2] = z_m
    return xyz_m
