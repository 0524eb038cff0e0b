"""What hides what from a place: silhouettes and depths of surfaces, compared pixel by pixel."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import ViewpointError
from spatial_agent.tools.geometry.projection import in_view, project
from spatial_agent.tools.geometry.splatting import SplatView, point_spacing_m, splat
from spatial_agent.tools.geometry.viewpoint import WIDEST_DEG, camera_towards, pinhole
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    SceneCamera,
    SceneMap,
    SceneObject,
)

Array = NDArray[np.float64]
Pixels = NDArray[np.bool_]

#: Longer side of the picture an object is looked at in, pixels, and its margin round the object.
ACROSS_PX, ROOM_ROUND = 160, 1.15
#: Something is in front or behind where it is this much nearer or farther: metres, spacings, share of depth.
APART_M, APART_SPACINGS, APART_SHARE = 0.03, 2.0, 0.015
#: Points of the room this near an object's box are taken for the object's own, metres.
OWN_M = 0.05
#: Boxes without points are covered with points this share of their longest edge apart.
BOX_STEP = 0.02
#: The rest of the scene, walls and whatever has no name, goes by this.
REST = ""
#: Share of a patch by which silhouettes may be too wide, as found against ray casting.
EDGE_SHARE = 0.55


@dataclass(frozen=True)
class Visibility:
    """How an object is seen from a place, as shares of its silhouette; all in [0, 1].

    Attributes:
        visible: Share that is seen.
        hidden: Share hidden by other things; with `visible` and `out_of_view` it makes 1.
        out_of_view: Share beyond the border of the camera's picture; 0 for a mere viewpoint.
        margin: Half-width of the 90 % interval of `visible` and `hidden`.
        hidden_by: Share hidden by each object, most first; under ``""`` by what has no name.
        behind: Objects behind it, nearest first, each with the share of the silhouette it lies behind.
        from_surface: Whether its own observed surface was used, rather than its box.
    """

    visible: float
    hidden: float
    out_of_view: float
    margin: float
    hidden_by: Mapping[str, float]
    behind: Mapping[str, float]
    from_surface: bool


def visibility(
    scene: SceneMap, item: SceneObject, position_m: Array, camera: SceneCamera | None = None
) -> Visibility:
    """Return how much of an object is seen from a place, and what hides it.

    Silhouettes are those of the observed surfaces, or of boxes for objects without any, so parts that no
    frame ever saw neither hide nor are missed.

    Args:
        scene: The scene.
        item: One of its objects.
        position_m: The eye, shape (3,).
        camera: A camera standing there, whose picture bounds the view; None for a free look round.

    Raises:
        ViewpointError: If the eye is inside the object or too near to see it whole.
    """
    own_m, spacing_m = _points(item)
    lens, pose = _look_at(item.box, own_m, position_m)
    own = splat(lens, pose, own_m, spacing_m)
    rest_m = _rest(scene, lens, pose)
    rest_spacing_m = point_spacing_m(rest_m)
    apart_m = _apart(own, max(spacing_m, rest_spacing_m))
    framed = own.known & (_in_picture(lens, pose, own, camera) if camera else True)
    others = {thing.id: splat(lens, pose, *_points(thing)) for thing in scene.objects if thing.id != item.id}
    others[REST] = splat(lens, pose, rest_m, rest_spacing_m)
    nearer = {name: framed & view.known & (view.z_m < own.z_m - apart_m) for name, view in others.items()}
    area_px = max(int(own.known.sum()), 1)
    hidden = np.any([*nearer.values(), np.zeros_like(own.known)], axis=0)
    return Visibility(
        visible=float((framed & ~hidden).sum() / area_px),
        hidden=float(hidden.sum() / area_px),
        out_of_view=float((own.known & ~framed).sum() / area_px),
        margin=_margin(own, hidden, spacing_m * lens.fx, area_px),
        hidden_by=_hidden_by(others, nearer, area_px),
        behind=_behind(others, own, framed, apart_m, area_px),
        from_surface=item.surface is not None,
    )


def _look_at(box: OrientedBox, own_m: Array, position_m: Array) -> tuple[CameraIntrinsics, CameraPose]:
    """Return a camera at the eye whose picture the object fills."""
    if box.contains(position_m[None])[0]:
        raise ViewpointError("the viewpoint is inside the object")
    pose = camera_towards(position_m, box.centre_m)
    local_m = (own_m - position_m) @ pose.rotation
    if local_m[:, 2].min() <= 0:
        raise ViewpointError("the viewpoint is too near to see the object as a whole")
    reach = np.abs(local_m[:, :2] / local_m[:, 2:]).max(axis=0) * ROOM_ROUND
    if np.degrees(2 * np.arctan(reach.max())) > WIDEST_DEG:
        raise ViewpointError("the viewpoint is too near to see the object as a whole")
    width_px, height_px = np.maximum(np.ceil(ACROSS_PX * reach / reach.max()), 8).astype(int).tolist()
    # Pixels are square: the longer side sets how many there are to a radian.
    focal_px = ACROSS_PX / 2 / float(reach.max())
    fov_deg = float(np.degrees(2 * np.arctan(width_px / 2 / focal_px)))
    return pinhole(width_px, height_px, fov_deg), pose


def _points(item: SceneObject) -> tuple[Array, float]:
    """Return points of an object's surface, shape (N, 3), and how far apart they are."""
    if item.surface is not None and len(item.surface):
        xyz_m = item.surface.xyz_m
        return xyz_m, point_spacing_m(xyz_m)
    step_m = max(BOX_STEP * float(item.box.extent_m.max()), 1e-3)
    edges = [np.linspace(-0.5, 0.5, max(2, int(np.ceil(edge / step_m)) + 1)) for edge in item.box.extent_m]
    grid = np.stack(np.meshgrid(*edges, indexing="ij"), axis=-1).reshape(-1, 3)
    faces = grid[(np.abs(grid) > 0.5 - 1e-9).any(axis=1)]
    return item.box.centre_m + (faces * item.box.extent_m) @ item.box.world_from_box.T, step_m


def _rest(scene: SceneMap, lens: CameraIntrinsics, pose: CameraPose) -> Array:
    """Return the surface points in the picture that belong to no object, shape (N, 3)."""
    if scene.cloud is None:
        return np.empty((0, 3))
    uv_px, z_m = project(lens, (scene.cloud.xyz_m - pose.position_m) @ pose.rotation)
    xyz_m = scene.cloud.xyz_m[in_view(lens, uv_px, z_m)]
    owned = np.zeros(len(xyz_m), bool)
    for thing in scene.objects:
        owned |= thing.box.contains(xyz_m, OWN_M)
    return xyz_m[~owned]


def _apart(own: SplatView, spacing_m: float) -> Array:
    return np.maximum(max(APART_M, APART_SPACINGS * spacing_m), APART_SHARE * own.z_m)


def _in_picture(lens: CameraIntrinsics, pose: CameraPose, own: SplatView, camera: SceneCamera) -> Pixels:
    """Return which pixels are also in the picture of a camera standing at the same place."""
    rows, columns = np.indices(own.z_m.shape)
    rays = np.stack(
        [(columns - lens.cx) / lens.fx, (rows - lens.cy) / lens.fy, np.ones(own.z_m.shape)], axis=-1
    )
    seen = rays @ pose.rotation.T @ camera.pose.rotation
    other = camera.intrinsics
    with np.errstate(divide="ignore", invalid="ignore"):
        u_px = seen[..., 0] / seen[..., 2] * other.fx + other.cx
        v_px = seen[..., 1] / seen[..., 2] * other.fy + other.cy
    across, down = np.abs(u_px - (other.width - 1) / 2), np.abs(v_px - (other.height - 1) / 2)
    inside: Pixels = (seen[..., 2] > 0) & (across <= other.width / 2) & (down <= other.height / 2)
    return inside


def _hidden_by(
    others: Mapping[str, SplatView], nearer: Mapping[str, Pixels], area_px: int
) -> dict[str, float]:
    """Return the share that each thing hides as the foremost one, most first."""
    if not others:
        return {}
    names = list(others)
    depths = np.array([np.where(nearer[name], others[name].z_m, np.inf) for name in names])
    foremost = np.where(np.isfinite(depths).any(axis=0), depths.argmin(axis=0), -1)
    shares = {name: float((foremost == number).sum() / area_px) for number, name in enumerate(names)}
    return dict(sorted(((name, share) for name, share in shares.items() if share > 0), key=lambda s: -s[1]))


def _behind(
    others: Mapping[str, SplatView], own: SplatView, framed: Pixels, apart_m: Array, area_px: int
) -> dict[str, float]:
    """Return the named things behind the silhouette, nearest first."""
    found: list[tuple[float, str, float]] = []
    for name, view in others.items():
        pixels = framed & view.known & (view.z_m > own.z_m + apart_m)
        if name != REST and pixels.any():
            gap_m = float(np.median((view.z_m - own.z_m)[pixels]))
            found.append((gap_m, name, float(pixels.sum() / area_px)))
    return {name: share for _, name, share in sorted(found)}


def _margin(own: SplatView, hidden: Pixels, patch_px_m: float, area_px: int) -> float:
    """Return how much the shares may be off because silhouettes are as coarse as points are apart."""
    depth_m = float(np.median(own.z_m[own.known])) if own.known.any() else 1.0
    width_px = EDGE_SHARE * max(patch_px_m / depth_m, 1.0)
    border_px = np.count_nonzero(hidden[1:] != hidden[:-1]) + np.count_nonzero(
        hidden[:, 1:] != hidden[:, :-1]
    )
    return float(min(1.0, 0.01 + width_px * border_px / area_px))
