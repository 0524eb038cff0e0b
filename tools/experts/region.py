"""What a user points at becomes an object of the scene: a box, an outline, a mask or a point on a frame."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import InvalidValueError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.geometry.transforms import invert_rigid
from spatial_agent.tools.mapping.association import Track
from spatial_agent.tools.mapping.extents import fitted_box
from spatial_agent.tools.mapping.lifting import Sighting, lift
from spatial_agent.tools.mapping.objects import face_coverage, scene_object
from spatial_agent.tools.mapping.patches import surface_patch
from spatial_agent.tools.mapping.surfaces import merged
from spatial_agent.tools.mapping.views import CoarseView
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Detections, Frame, InstanceMask, SceneMap, SceneObject

Pixels = NDArray[np.bool_]

#: Given regions are taken as drawn; identities the source knows are lifted that way.
AS_DRAWN = 1
MOST_CORNERS = 500


@expert("region", resources=Resources(in_caller=True))
def region(
    scene: SceneMap,
    frame: Frame,
    xyxy_px: list[float] | None = None,
    outline_px: list[list[float]] | None = None,
    point_px: list[float] | None = None,
    masks: Detections | None = None,
    label: str = "region",
) -> SceneMap:
    """Add what is marked on a frame to the scene as an object, measured like every other.

    A point stands for the smooth surface it lies on (a table top, a seat, a stretch of wall), up to where
    it ends or bends. A box or an outline stands for the surfaces seen inside it, a mask for its pixels.
    Only this frame is looked at, so sides it does not show are open in the measurements. The new object is
    the last of the scene; its id is the label and a number, such as "region-1".

    Args:
        scene: The scene the frame belongs to.
        frame: A frame with depth, pose and intrinsics.
        xyxy_px: Left, top, right and bottom edge, pixels; integers are pixel centres.
        outline_px: Corners x, y of an outline, pixels.
        point_px: A point x, y, pixels.
        masks: Masks, of which the first counts, as segmentation gives them.
        label: What to call it.

    Raises:
        ToolArgumentError: If not exactly one region is given, or it is outside the picture.
        ToolFailedError: If the frame has no depth or pose, or too little depth there.
    """
    if frame.depth is None or frame.header.pose is None or frame.header.intrinsics is None:
        raise ToolFailedError(f"frame {frame.header.name}: a region needs depth, pose and intrinsics")
    pixels = _pixels(frame, xyxy_px, outline_px, point_px, masks)
    name = label.strip().lower() or "region"
    item = _lifted(scene, frame, InstanceMask(pixels, name, instance_id=AS_DRAWN), whole=masks is not None)
    if item is None:
        raise ToolFailedError(
            f"frame {frame.header.name}: too little depth in that region to measure it; mark a larger one"
        )
    taken = {other.id for other in scene.objects}
    number = next(k for k in range(1, len(taken) + 2) if f"{name}-{k}" not in taken)
    return replace(scene, objects=(*scene.objects, replace(item, id=f"{name}-{number}")))


def _pixels(
    frame: Frame,
    xyxy_px: Sequence[float] | None,
    outline_px: Sequence[Sequence[float]] | None,
    point_px: Sequence[float] | None,
    masks: Detections | None,
) -> Pixels:
    if sum(given is not None for given in (xyxy_px, outline_px, point_px, masks)) != 1:
        raise ToolArgumentError("region: give exactly one of xyxy_px, outline_px, point_px and masks")
    if masks is not None:
        return _first_mask(masks)
    if point_px is not None:
        return _with_border(_round_point(frame, point_px))
    corners_px = _corners(xyxy_px, outline_px)
    pixels = _inside(frame, corners_px)
    if not pixels.any():
        raise ToolArgumentError("region: there is no pixel of the picture inside it")
    return _with_border(pixels)


def _with_border(pixels: Pixels) -> Pixels:
    """Widen an exact region by the pixel that lifting takes off the outlines of masks, which bleed."""
    from scipy.ndimage import binary_dilation

    wider: Pixels = binary_dilation(pixels, np.ones((3, 3), bool))
    return wider


def _corners(
    xyxy_px: Sequence[float] | None, outline_px: Sequence[Sequence[float]] | None
) -> NDArray[np.float64]:
    """Return the corners of a box or outline, shape (N, 2)."""
    if xyxy_px is not None and len(xyxy_px) == 4:
        left, top, right, bottom = xyxy_px
        outline_px = [[left, top], [right, top], [right, bottom], [left, bottom]]
    if outline_px is not None and len(outline_px) > MOST_CORNERS:
        raise ToolArgumentError(
            f"region: expected an outline of at most {MOST_CORNERS} corners, got {len(outline_px)}; "
            "leave out every second one"
        )
    pairs = outline_px is not None and len(outline_px) > 2 and all(len(corner) == 2 for corner in outline_px)
    if not pairs or not np.isfinite(np.asarray(outline_px, np.float64)).all():
        raise ToolArgumentError(
            "region: expected xyxy_px as left, top, right, bottom, or outline_px as three or more x, y"
        )
    return np.asarray(outline_px, np.float64)


def _inside(frame: Frame, corners_px: NDArray[np.float64]) -> Pixels:
    """Return the pixels of the depth map whose centres an outline encloses, shape (H, W)."""
    import shapely

    height, width = _size(frame)
    rows, columns = np.indices((height, width))
    x_px, y_px = (axis * size / of for axis, size, of in _to_depth(frame, corners_px))
    outline = shapely.Polygon(np.column_stack([x_px - 0.5, y_px - 0.5])).buffer(0)
    inside: Pixels = shapely.intersects_xy(outline, columns, rows)
    return inside


def _to_depth(frame: Frame, corners_px: NDArray[np.float64]) -> list[tuple[NDArray[np.float64], int, int]]:
    """Return x and y from the outer corner of the picture, each with the sizes of depth map and picture."""
    height, width = _size(frame)
    shown = (height, width) if frame.rgb is None else frame.rgb.shape[:2]
    return [(corners_px[:, 0] + 0.5, width, shown[1]), (corners_px[:, 1] + 0.5, height, shown[0])]


def _round_point(frame: Frame, point_px: Sequence[float]) -> Pixels:
    if frame.depth is None or frame.header.intrinsics is None:
        raise ToolFailedError("a region needs depth and intrinsics")
    if len(point_px) != 2 or not np.isfinite(point_px).all():
        raise ToolArgumentError(f"region: expected point_px as x, y in pixels, got {point_px}")
    (x, wide, shown_wide), (y, high, shown_high) = _to_depth(frame, np.array([point_px], np.float64))
    column, row = float(x[0]) * wide / shown_wide - 0.5, float(y[0]) * high / shown_high - 0.5
    try:
        return surface_patch(frame.depth, frame.header.intrinsics, column, row)
    except InvalidValueError as error:
        raise ToolArgumentError(f"region: {error}") from error


def _first_mask(masks: Detections) -> Pixels:
    if masks.masks is None or not len(masks) or not masks.masks[0].any():
        raise ToolArgumentError("region: masks holds no mask; give what a segmentation tool returned")
    first: Pixels = masks.masks[0]
    return first


def _size(frame: Frame) -> tuple[int, int]:
    if frame.depth is None:
        raise ToolFailedError("a region needs depth")
    height, width = frame.depth.z_m.shape
    return height, width


def _lifted(scene: SceneMap, frame: Frame, mask: InstanceMask, *, whole: bool) -> SceneObject | None:
    """Return the pixels as an object in scene coordinates, its frame numbers those of the source.

    Args:
        scene: The scene.
        frame: The frame.
        mask: The pixels.
        whole: Whether they are an object, which may reach down to the floor unseen, rather than the surface
            that is seen.
    """
    header, depth = frame.header, frame.depth
    if depth is None or header.pose is None or header.intrinsics is None:
        return None
    scene_from_scan = np.eye(4) if scene.scan_from_scene is None else invert_rigid(scene.scan_from_scene)
    # One frame alone, number 0 of its own little source.
    moved = replace(frame, header=replace(header, index=0, pose=header.pose.moved(scene_from_scan)))
    sighting = lift(mask, moved)
    if not len(sighting.xyz_m) or moved.header.pose is None:
        return None
    view = CoarseView.of(0, depth, header.intrinsics, moved.header.pose.camera_from_world)
    around_m = scene.cloud.xyz_m if scene.cloud is not None else np.empty((0, 3))
    track = Track(mask.label, (sighting,))
    item = scene_object(track, (view,), (moved.header,), around_m, up_known=scene.up is not None)
    if item is None:
        return None
    if not whole:
        item = _surface_alone(item, sighting, view, up_known=scene.up is not None)
    first = None if item.first_seen_frame is None else header.index
    provenance = None if item.provenance is None else replace(item.provenance, frames=(header.index,))
    return replace(item, first_seen_frame=first, score=1.0, provenance=provenance)


def _surface_alone(item: SceneObject, sighting: Sighting, view: CoarseView, *, up_known: bool) -> SceneObject:
    """Return the object with the box round what was seen of it and nothing more."""
    surface = merged((sighting,))
    box = fitted_box(surface.xyz_m, np.sqrt(surface.precision), surface.noise_m, upright=up_known)
    coverage = face_coverage(box, (view,))
    provenance = None if item.provenance is None else replace(item.provenance, face_coverage=coverage)
    return replace(item, box=box, surface=surface.cloud, provenance=provenance)
