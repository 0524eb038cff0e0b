"""Rigid transforms, and what they and mirrors do to whole scenes."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    PointCloud,
    Provenance,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)
from spatial_agent.tools.scene.arrays import check_direction, check_rigid

Array = NDArray[np.float64]
#: Reflection across the plane x = 0.
MIRROR: Array = np.diag([-1.0, 1.0, 1.0])


def rigid(rotation: ArrayLike, translation_m: ArrayLike = (0.0, 0.0, 0.0)) -> Array:
    """Return the 4x4 transform that rotates by `rotation` (3, 3), then moves by `translation_m` (3,)."""
    target_from_source = np.eye(4)
    target_from_source[:3, :3] = rotation
    target_from_source[:3, 3] = translation_m
    return target_from_source


def invert_rigid(target_from_source: Array) -> Array:
    """Return ``source_from_target`` of a rigid 4x4 transform.

    >>> invert_rigid(rigid(np.eye(3), (1, 2, 3)))[:3, 3].tolist()
    [-1.0, -2.0, -3.0]
    """
    source_from_target_rotation = target_from_source[:3, :3].T
    return rigid(source_from_target_rotation, -source_from_target_rotation @ target_from_source[:3, 3])


def transform_points(target_from_source: Array, xyz_m: Array) -> Array:
    """Return points, shape (..., 3), given in source coordinates, in target coordinates."""
    points: Array = xyz_m @ target_from_source[:3, :3].T + target_from_source[:3, 3]
    return points


def yaw_rotation(yaw_rad: float) -> Array:
    """Return the 3x3 rotation about +Z, counter-clockwise seen from above."""
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def quaternion_to_rotation(x: float, y: float, z: float, w: float) -> Array:
    """Return the 3x3 rotation of a quaternion, scalar last; it need not be of unit length.

    Raises:
        InvalidValueError: If the quaternion is zero or not finite.

    Source: the Euler-Rodrigues formula.
    """
    norm = float(np.sqrt(x * x + y * y + z * z + w * w))
    if not (np.isfinite(norm) and norm > 1e-9):
        raise InvalidValueError(f"quaternion: expected finite x, y, z, w, not all zero, got {(x, y, z, w)}")
    x, y, z, w = x / norm, y / norm, z / norm, w / norm
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation_to_align(source: ArrayLike, target: ArrayLike) -> Array:
    """Return the smallest 3x3 rotation that turns direction `source` (3,) into direction `target` (3,).

    Opposite directions are turned half round about some axis square to them.

    Raises:
        ShapeError: If a direction has no length.

    Source: two half-turns about axes half the angle apart make one turn by the angle.
    """
    start, end = check_direction("source", source), check_direction("target", target)
    middle = start + end
    if float(np.linalg.norm(middle)) < 1e-8:
        middle = np.cross(start, np.eye(3)[int(np.abs(start).argmin())])
    middle /= np.linalg.norm(middle)
    # The first half-turn keeps the start where it is, the second takes it to the end.
    about_start = 2 * np.outer(start, start) - np.eye(3)
    about_middle = 2 * np.outer(middle, middle) - np.eye(3)
    return about_middle @ about_start


def move_scene(scene: SceneMap, target_from_scene: Array) -> SceneMap:
    """Return the scene in another world that has the same up.

    Args:
        scene: Any scene.
        target_from_scene: Rigid 4x4; where the scene knows up, a rotation about +Z and a shift.

    Raises:
        ShapeError: If the transform is not rigid.
        InvalidValueError: If gravity would no longer point down.
    """
    target_from_scene = check_rigid("target_from_scene", target_from_scene)
    if scene.up is not None and abs(target_from_scene[2, 2] - 1.0) > 1e-9:
        raise InvalidValueError("move_scene: expected a rotation about +Z, because the scene knows its up")
    scan_from_scene = scene.scan_from_scene
    if scan_from_scene is not None:
        scan_from_scene = scan_from_scene @ invert_rigid(target_from_scene)
    return replace(
        scene,
        objects=tuple(_move_object(item, target_from_scene) for item in scene.objects),
        room=_move_room(scene.room, target_from_scene),
        cameras=tuple(replace(camera, pose=camera.pose.moved(target_from_scene)) for camera in scene.cameras),
        cloud=scene.cloud.moved(target_from_scene) if scene.cloud else None,
        scan_from_scene=scan_from_scene,
        scene_id=f"{scene.scene_id}-moved",
    )


def _move_object(item: SceneObject, target_from_scene: Array) -> SceneObject:
    return replace(
        item,
        box=item.box.moved(target_from_scene),
        surface=item.surface.moved(target_from_scene) if item.surface else None,
        facing=None if item.facing is None else target_from_scene[:3, :3] @ item.facing,
    )


def _move_room(room: Room | None, target_from_scene: Array) -> Room | None:
    if room is None or room.polygon_m is None:
        return room
    corners_m = room.polygon_m @ target_from_scene[:2, :2].T + target_from_scene[:2, 3]
    return replace(room, polygon_m=corners_m)


def scale_scene(scene: SceneMap, factor: float) -> SceneMap:
    """Return the scene with every length multiplied by `factor` about the origin.

    The way back to the scan is dropped: it is no longer rigid.

    Raises:
        InvalidValueError: If the factor is not a positive number.
    """
    if not (np.isfinite(factor) and factor > 0):
        raise InvalidValueError(f"scale_scene: expected a factor above 0, got {factor!r}")
    return replace(
        scene,
        objects=tuple(_scale_object(item, factor) for item in scene.objects),
        room=_scale_room(scene.room, factor),
        cameras=tuple(_scale_camera(camera, factor) for camera in scene.cameras),
        cloud=_scale_cloud(scene.cloud, factor),
        scan_from_scene=None,
        quality=_scale_quality(scene.quality, factor),
        scene_id=f"{scene.scene_id}-scaled-{factor:g}",
    )


def _scale_object(item: SceneObject, factor: float) -> SceneObject:
    provenance = item.provenance
    return replace(
        item,
        box=OrientedBox(item.box.centre_m * factor, item.box.extent_m * factor, item.box.world_from_box),
        surface=_scale_cloud(item.surface, factor),
        provenance=replace(provenance, spread_m=provenance.spread_m * factor) if provenance else None,
    )


def _scale_cloud(cloud: PointCloud | None, factor: float) -> PointCloud | None:
    return replace(cloud, xyz_m=cloud.xyz_m * factor) if cloud else None


def _scale_camera(camera: SceneCamera, factor: float) -> SceneCamera:
    pose = CameraPose(rigid(camera.pose.rotation, camera.pose.position_m * factor))
    return replace(camera, pose=pose)


def _scale_room(room: Room | None, factor: float) -> Room | None:
    if room is None:
        return None
    areas = (None if area is None else area * factor**2 for area in (room.area_low_m2, room.area_high_m2))
    low_m2, high_m2 = areas
    return replace(
        room,
        area_m2=room.area_m2 * factor**2,
        polygon_m=None if room.polygon_m is None else room.polygon_m * factor,
        area_low_m2=low_m2,
        area_high_m2=high_m2,
    )


def _scale_quality(quality: SceneQuality | None, factor: float) -> SceneQuality | None:
    if quality is None:
        return None
    return replace(
        quality,
        depth_noise_m=quality.depth_noise_m * factor,
        pose_drift_m=quality.pose_drift_m * factor,
    )


def mirror(scene: SceneMap) -> SceneMap:
    """Return the scene as a mirror standing on the plane x = 0 shows it.

    Left and right change places and nothing else does. Box rotations are made proper again by
    turning round their first axis. A mirrored camera is a proper camera that takes the left-right
    flipped image. The way back to the scan is dropped: no rotation leads there.
    """
    return replace(
        scene,
        objects=tuple(_mirror_object(item) for item in scene.objects),
        room=_mirror_room(scene.room),
        cameras=tuple(_mirror_camera(camera) for camera in scene.cameras),
        cloud=_mirror_cloud(scene.cloud),
        scan_from_scene=None,
        scene_id=f"{scene.scene_id}-mirrored",
    )


def _mirror_object(item: SceneObject) -> SceneObject:
    # Mirroring the world and the box's own first axis together is a proper rotation again.
    axes = MIRROR @ item.box.world_from_box @ MIRROR
    return replace(
        item,
        box=OrientedBox(MIRROR @ item.box.centre_m, item.box.extent_m, axes),
        surface=_mirror_cloud(item.surface),
        facing=None if item.facing is None else MIRROR @ item.facing,
        provenance=_mirror_provenance(item.provenance),
    )


def _mirror_provenance(provenance: Provenance | None) -> Provenance | None:
    if provenance is None:
        return None
    low_x, high_x, low_y, high_y, low_z, high_z = provenance.face_coverage
    return replace(provenance, face_coverage=(high_x, low_x, low_y, high_y, low_z, high_z))


def _mirror_cloud(cloud: PointCloud | None) -> PointCloud | None:
    return replace(cloud, xyz_m=cloud.xyz_m @ MIRROR) if cloud else None


def _mirror_room(room: Room | None) -> Room | None:
    if room is None or room.polygon_m is None:
        return room
    return replace(room, polygon_m=(room.polygon_m @ MIRROR[:2, :2])[::-1])


def _mirror_camera(camera: SceneCamera) -> SceneCamera:
    lens, pose = camera.intrinsics, camera.pose
    flipped = CameraIntrinsics(lens.fx, lens.fy, lens.width - 1 - lens.cx, lens.cy, lens.width, lens.height)
    mirrored = CameraPose(rigid(MIRROR @ pose.rotation @ MIRROR, MIRROR @ pose.position_m))
    return replace(camera, intrinsics=flipped, pose=mirrored)
