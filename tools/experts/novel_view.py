"""The scene from where no camera stood, drawn from its surface points; what was never seen stays open."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.geometry.splatting import SplatView, point_spacing_m, splat
from spatial_agent.tools.geometry.viewpoint import camera_facing, camera_towards, pinhole
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    DepthMap,
    Frame,
    FrameHeader,
    Picture,
    PointCloud,
    Scale,
    SceneMap,
)

#: A view that shows less of the scene than this shows nothing.
LEAST_KNOWN = 0.005
#: Sides of a picture, pixels.
SMALLEST_PX, LARGEST_PX = 16, 1920
#: Unknown pixels are striped in these greys, so that nobody takes them for a surface.
STRIPES, STRIPE_PX = (70, 95), 6


class Seen(NamedTuple):
    """A novel view: its camera in the scene, and what it sees."""

    intrinsics: CameraIntrinsics
    pose: CameraPose
    cloud: PointCloud
    view: SplatView


@expert("novel_view")
def novel_view(
    scene: SceneMap,
    position_m: list[float],
    looking_at_m: list[float] | None = None,
    yaw_deg: float | None = None,
    pitch_deg: float = 0.0,
    fov_deg: float = 70.0,
    width_px: int = 640,
    height_px: int = 480,
) -> Picture:
    """Show the scene from any place; striped pixels are where no frame saw a surface.

    Args:
        scene: A measured scene, with its surface points.
        position_m: Where the camera stands: x, y, z in the scene, metres; the floor is z = 0.
        looking_at_m: The point in the middle of the picture: x, y, z; or else give `yaw_deg`.
        yaw_deg: Where the camera looks, degrees counter-clockwise from +x seen from above.
        pitch_deg: How far up from level, degrees; with `yaw_deg`.
        fov_deg: Horizontal field of view, 1 to 170 degrees.
        width_px: Width of the picture.
        height_px: Height of the picture.

    Raises:
        ToolArgumentError: If the pose or the size of the picture cannot be.
        ToolFailedError: If the scene has no surface points, or the camera sees none of them.
    """
    seen = _look(scene, position_m, looking_at_m, (yaw_deg, pitch_deg), (width_px, height_px, fov_deg))
    x, y, z = position_m
    return Picture(
        _painted(seen),
        f"The scene from ({x:.4g}, {y:.4g}, {z:.4g}) m, drawn from its surface points; "
        f"{seen.view.unknown_share:.0%} of the picture is unknown (striped).",
    )


@expert("novel_view.frame")
def novel_frame(
    scene: SceneMap,
    position_m: list[float],
    looking_at_m: list[float] | None = None,
    yaw_deg: float | None = None,
    pitch_deg: float = 0.0,
    fov_deg: float = 70.0,
    width_px: int = 640,
    height_px: int = 480,
) -> Frame:
    """Return the scene from any place as a frame with depth, for other tools to look at.

    Its depth is 0 where no frame saw a surface, and its pose is in the world of the scan.

    Args:
        scene: A measured scene, with its surface points.
        position_m: Where the camera stands: x, y, z in the scene, metres; the floor is z = 0.
        looking_at_m: The point in the middle of the picture: x, y, z; or else give `yaw_deg`.
        yaw_deg: Where the camera looks, degrees counter-clockwise from +x seen from above.
        pitch_deg: How far up from level, degrees; with `yaw_deg`.
        fov_deg: Horizontal field of view, 1 to 170 degrees.
        width_px: Width of the picture.
        height_px: Height of the picture.

    Raises:
        ToolArgumentError: If the pose or the size of the picture cannot be.
        ToolFailedError: If the scene has no surface points, or the camera sees none of them.
    """
    seen = _look(scene, position_m, looking_at_m, (yaw_deg, pitch_deg), (width_px, height_px, fov_deg))
    pose = seen.pose if scene.scan_from_scene is None else seen.pose.moved(scene.scan_from_scene)
    index = max((camera.index for camera in scene.cameras), default=-1) + 1
    header = FrameHeader(index, "novel view", seen.intrinsics, pose, has_depth=True)
    scale_error = scene.quality.scale_error if scene.quality else DepthMap.scale_error
    scale: Scale = "metric" if scene.scale == "metric" else "relative"
    depth = DepthMap(seen.view.z_m.astype(np.float32), scale, scale_error)
    return Frame(header, _painted(seen), depth)


def _look(
    scene: SceneMap,
    position_m: list[float],
    looking_at_m: list[float] | None,
    angles_deg: tuple[float | None, float],
    lens: tuple[int, int, float],
) -> Seen:
    if scene.cloud is None or not len(scene.cloud):
        raise ToolFailedError("this scene has no surface points to draw; it needs frames with depth")
    intrinsics, pose = _lens(*lens), _pose(position_m, looking_at_m, *angles_deg)
    view = splat(intrinsics, pose, scene.cloud.xyz_m, point_spacing_m(scene.cloud.xyz_m))
    if view.unknown_share > 1.0 - LEAST_KNOWN:
        low_m, high_m = (np.quantile(scene.cloud.xyz_m, q, axis=0).round(1).tolist() for q in (0.01, 0.99))
        raise ToolFailedError(
            f"a camera at {position_m} sees nothing of the scene from there; its surfaces lie between "
            f"{low_m} and {high_m} m"
        )
    return Seen(intrinsics, pose, scene.cloud, view)


def _pose(
    position_m: list[float], looking_at_m: list[float] | None, yaw_deg: float | None, pitch_deg: float
) -> CameraPose:
    if (looking_at_m is None) == (yaw_deg is None):
        raise ToolArgumentError("novel_view: give either looking_at_m (x, y, z) or yaw_deg")
    for name, point in (("position_m", position_m), ("looking_at_m", looking_at_m)):
        if point is not None and (len(point) != 3 or not np.isfinite(point).all()):
            raise ToolArgumentError(f"novel_view: expected {name} as x, y, z in metres, got {point}")
    try:
        if looking_at_m is not None:
            return camera_towards(position_m, looking_at_m)
        return camera_facing(position_m, yaw_deg or 0.0, pitch_deg)
    except ValueError as error:
        raise ToolArgumentError(f"novel_view: {error}") from error


def _lens(width_px: int, height_px: int, fov_deg: float) -> CameraIntrinsics:
    if not all(SMALLEST_PX <= size <= LARGEST_PX for size in (width_px, height_px)):
        raise ToolArgumentError(
            f"novel_view: expected a picture of {SMALLEST_PX} to {LARGEST_PX} pixels to a side, "
            f"got {width_px}x{height_px}"
        )
    try:
        return pinhole(width_px, height_px, fov_deg)
    except ValueError as error:
        raise ToolArgumentError(f"novel_view: {error}") from error


def _painted(seen: Seen) -> NDArray[np.uint8]:
    """Colour what is seen as its points are coloured, or by depth; stripe the rest."""
    view, known = seen.view, seen.view.known
    rows, columns = np.indices(known.shape)
    striped = ((rows + columns) // STRIPE_PX) % 2
    rgb = np.repeat(np.where(striped, *STRIPES)[..., None], 3, axis=2).astype(np.uint8)
    if seen.cloud.rgb is not None:
        rgb[known] = seen.cloud.rgb[view.nearest[known]]
    else:
        near_m, far_m = np.quantile(view.z_m[known], (0.02, 0.98))
        shade = 235 - 150 * np.clip((view.z_m[known] - near_m) / max(far_m - near_m, 1e-6), 0, 1)
        rgb[known] = shade[:, None].astype(np.uint8)
    return rgb
