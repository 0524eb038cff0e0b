"""The scene from where no camera stood, drawn from its surface points; what was never seen stays open."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spatial_agent.tools.drawing.canvas import INK, Canvas, Colour
from spatial_agent.tools.drawing.set_of_marks import PictureView, draw_objects, mark_name, words_px
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
#: Unknown pixels of frames are striped in greys, which detectors pass over; those of pictures in colours
#: that no room has, so that nobody who looks takes them for a surface.
STRIPE_PX = 6
GREY: tuple[Colour, Colour] = ((70, 70, 70), (95, 95, 95))
HATCHED: tuple[Colour, Colour] = ((255, 0, 200), (250, 235, 248))
#: An unknown part is also called so where it is this many times as wide as the words are high.
ROOM_FOR_WORDS = 2.5


class Seen(NamedTuple):
    """A novel view: its camera in the scene, and what it sees."""

    intrinsics: CameraIntrinsics
    pose: CameraPose
    cloud: PointCloud
    view: SplatView
    spacing_m: float


@expert("novel_view", version="2")
def novel_view(
    scene: SceneMap,
    position_m: list[float],
    looking_at_m: list[float] | None = None,
    yaw_deg: float | None = None,
    pitch_deg: float = 0.0,
    fov_deg: float = 70.0,
    width_px: int = 640,
    height_px: int = 480,
    mark: list[str] | None = None,
) -> Picture:
    """Show the scene from any place; hatched pixels are where no frame saw a surface.

    A surface is drawn from both sides with the colours of the side that was seen.

    Args:
        scene: A measured scene, with its surface points.
        position_m: Where the camera stands: x, y, z in the scene, metres; the floor is z = 0.
        looking_at_m: The point in the middle of the picture: x, y, z; or else give `yaw_deg`.
        yaw_deg: Where the camera looks, degrees counter-clockwise from +x seen from above.
        pitch_deg: How far up from level, degrees; with `yaw_deg`.
        fov_deg: Horizontal field of view, 1 to 170 degrees.
        width_px: Width of the picture.
        height_px: Height of the picture.
        mark: Ids of objects to mark with number and id, as in marked frames.

    Raises:
        ToolArgumentError: If the pose, the size of the picture or an id cannot be.
        ToolFailedError: If the scene has no surface points, or the camera sees none of them.
    """
    names = [item.id for item in scene.objects]
    if unknown := sorted(set(mark or ()) - set(names)):
        raise ToolArgumentError(f"mark: no object {', '.join(unknown)}; ids are {', '.join(names)}")
    seen = _look(scene, position_m, looking_at_m, (yaw_deg, pitch_deg), (width_px, height_px, fov_deg))
    canvas = Canvas(Image.fromarray(_painted(seen, HATCHED)))
    _name_unknown(canvas, seen.view)
    marked = _marked(canvas, scene, seen, mark)
    x, y, z = position_m
    depth_m = float(np.median(seen.view.z_m[seen.view.known]))
    apart_px = seen.spacing_m * seen.intrinsics.fx / depth_m
    return Picture(
        np.array(canvas.image),
        f"Imagined view from ({x:.4g}, {y:.4g}, {z:.4g}) m, drawn from surface points that lie about "
        f"{apart_px:.1f} px apart; {1 - seen.view.unknown_share:.0%} of the picture is known, the rest "
        f"(hatched in pink) no frame saw{marked}.",
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
    return Frame(header, _painted(seen, GREY), depth)


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
    spacing_m = point_spacing_m(scene.cloud.xyz_m)
    view = splat(intrinsics, pose, scene.cloud.xyz_m, spacing_m)
    if view.unknown_share > 1.0 - LEAST_KNOWN:
        low_m, high_m = (np.quantile(scene.cloud.xyz_m, q, axis=0).round(1).tolist() for q in (0.01, 0.99))
        raise ToolFailedError(
            f"a camera at {position_m} sees nothing of the scene from there; its surfaces lie between "
            f"{low_m} and {high_m} m"
        )
    return Seen(intrinsics, pose, scene.cloud, view, spacing_m)


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


def _painted(seen: Seen, stripes: tuple[Colour, Colour]) -> NDArray[np.uint8]:
    """Colour what is seen as its points are coloured, or by depth; stripe the rest."""
    view, known = seen.view, seen.view.known
    rows, columns = np.indices(known.shape)
    striped = ((rows + columns) // STRIPE_PX) % 2
    rgb: NDArray[np.uint8] = np.array(stripes, np.uint8)[1 - striped]
    if seen.cloud.rgb is not None:
        rgb[known] = seen.cloud.rgb[view.nearest[known]]
    else:
        near_m, far_m = np.quantile(view.z_m[known], (0.02, 0.98))
        shade = 235 - 150 * np.clip((view.z_m[known] - near_m) / max(far_m - near_m, 1e-6), 0, 1)
        rgb[known] = shade[:, None].astype(np.uint8)
    return rgb


def _name_unknown(canvas: Canvas, view: SplatView) -> None:
    """Write "unknown" where the largest unknown part is widest, if there is room."""
    from scipy.ndimage import distance_transform_edt

    # What lies beyond the border is no more known than what is there.
    reach_px = distance_transform_edt(~np.pad(view.known, 1, constant_values=True))[1:-1, 1:-1]
    row, column = np.unravel_index(int(np.argmax(reach_px)), view.known.shape)
    if 2 * reach_px[row, column] >= ROOM_FOR_WORDS * words_px(canvas):
        canvas.label((float(column), float(row)), "unknown", INK, words_px(canvas))


def _marked(canvas: Canvas, scene: SceneMap, seen: Seen, names: list[str] | None) -> str:
    """Mark objects and return the end of the sentence that says which are seen."""
    if not names:
        return ""
    shown = draw_objects(canvas, scene, PictureView(seen.intrinsics, seen.pose, seen.view.z_m), names)
    in_sight = [mark_name(scene, name) for name, look in shown.items() if look == "seen"]
    out = [mark_name(scene, name) for name, look in shown.items() if look != "seen"]
    not_seen = f"; hidden or outside: {', '.join(out)}" if out else ""
    return f". Marked: {', '.join(in_sight) or 'none in sight'}{not_seen}"
