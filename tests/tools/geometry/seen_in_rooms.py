"""What cameras in a synthetic room see of the boxes of its furniture, by casting rays at its parts.

Written from the definition alone: a place just outside a face of a box is seen where nothing solid stands
between it and the eye, and it is in the picture. Nothing here comes from `tools.geometry`.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    PointCloud,
    Provenance,
    SceneMap,
)
from spatial_agent.tools.synthetic import SyntheticRoom, raycast
from spatial_agent.tools.synthetic.layout import look_at

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
CELLS, OUTSIDE_M = 9, 0.04
#: Free floor is this far from walls and furniture, and joins a camera this near; cells of its map; metres.
CLEAR_M, NEAR_M, CELL_M = 0.25, 0.6, 0.05
EYE_M, FARTHEST_M = 1.5, 5.0


def places(box: OrientedBox) -> Array:
    """Return places outside the faces -x, +x, -y, +y, -z, +z of a box, shape (6, CELLS², 3)."""
    along = (np.arange(CELLS) + 0.5) / CELLS - 0.5
    faces = []
    for axis in range(3):
        for side in (-1.0, 1.0):
            first, second = (number for number in range(3) if number != axis)
            local = np.zeros((CELLS, CELLS, 3))
            local[..., first] = along[:, None] * box.extent_m[first]
            local[..., second] = along[None, :] * box.extent_m[second]
            local[..., axis] = side * (box.extent_m[axis] / 2 + OUTSIDE_M)
            faces.append(box.centre_m + local.reshape(-1, 3) @ box.world_from_box.T)
    return np.stack(faces)


def unhidden(room: SyntheticRoom, eye_m: Array, where_m: Array) -> Flags:
    """Return which places, shape (..., 3), no part of any furniture hides from an eye."""
    rays = where_m - eye_m
    clear = room.shell.contains(where_m.reshape(-1, 3)).reshape(where_m.shape[:-1])
    for item in room.objects:
        for part in item.parts:
            # The ray reaches the place at 1.
            clear &= raycast._enter(part, eye_m, rays) >= 1.0
    return clear


def framed(lens: CameraIntrinsics, pose: CameraPose, where_m: Array) -> Flags:
    local = (where_m - pose.position_m) @ pose.rotation
    with np.errstate(divide="ignore", invalid="ignore"):
        across = np.abs(local[..., 0] / local[..., 2]) <= lens.width / 2 / lens.fx
        down = np.abs(local[..., 1] / local[..., 2]) <= lens.height / 2 / lens.fy
    inside: Flags = (local[..., 2] > 0) & across & down
    return inside


def seen(room: SyntheticRoom, number: int) -> Flags:
    """Return which places about an object its room's cameras see, shape (6, CELLS²); the floor bounds it."""
    where_m = places(room.objects[number].box)
    found = np.zeros(where_m.shape[:2], bool)
    for pose in room.cameras:
        found |= framed(room.intrinsics, pose, where_m) & unhidden(room, pose.position_m, where_m)
    found[4] = True
    return found


def gain(room: SyntheticRoom, missing: Flags, number: int, pose: CameraPose) -> float:
    """Return how many faces, in shares of each, a camera newly sees of an object."""
    where_m = places(room.objects[number].box)
    new = missing & framed(room.intrinsics, pose, where_m) & unhidden(room, pose.position_m, where_m)
    return float(new.mean(axis=1).sum())


def reachable(room: SyntheticRoom) -> Array:
    """Return the middles of all cells of floor that a camera's holder gets to on foot, shape (N, 2)."""
    xs, ys = (np.arange(CELL_M / 2, size_m, CELL_M) for size_m in (room.width_m, room.depth_m))
    grid = np.stack(np.meshgrid(xs, ys, indexing="ij"), axis=-1)
    apart = clearance(room, grid.reshape(-1, 2)).reshape(grid.shape[:2])
    regions, count = ndimage.label(apart > CLEAR_M)
    reached = np.zeros(regions.shape, bool)
    for number in range(1, count + 1):
        cells_m = grid[regions == number]
        ways_m = [np.hypot(*(cells_m - pose.position_m[:2]).T).min() for pose in room.cameras]
        if min(ways_m) <= NEAR_M:
            reached |= regions == number
    found: Array = grid[reached]
    return found


def clearance(room: SyntheticRoom, xy_m: Array) -> Array:
    """Return how far places on the floor, shape (N, 2), are from the nearest wall or piece of furniture."""
    gaps = [np.minimum(xy_m, (room.width_m, room.depth_m) - xy_m).min(axis=1)]
    for item in room.objects:
        centre_m, half_m = item.box.centre_m[:2], item.box.extent_m[:2] / 2
        beyond_m = np.abs((xy_m - centre_m) @ item.box.world_from_box[:2, :2]) - half_m
        gaps.append(np.hypot(*np.maximum(beyond_m, 0.0).T))
    nearest: Array = np.min(gaps, axis=0)
    return nearest


def best_of_all(room: SyntheticRoom, missing: Flags, number: int) -> float:
    """Return the most that any camera newly sees of an object, of one every 15 cm and 15 degrees."""
    where_m = places(room.objects[number].box)
    cells_m = reachable(room)
    lattice = (np.floor(cells_m / CELL_M).astype(int) % 3 == 1).all(axis=1)
    clear = []
    for x, y in cells_m[lattice]:
        eye_m = np.array([x, y, EYE_M])
        near = np.linalg.norm(where_m - eye_m, axis=2) <= FARTHEST_M
        clear.append((missing & near & unhidden(room, eye_m, where_m), eye_m))
    best = 0.0
    for open_, eye_m in sorted(clear, key=lambda pair: -pair[0].mean(axis=1).sum()):
        if open_.mean(axis=1).sum() <= best:
            break
        for yaw in np.radians(np.arange(0, 360, 15)):
            for pitch in np.radians((-60, -45, -30, -15, 0)):
                level = np.array([np.cos(yaw), np.sin(yaw), np.tan(pitch)])
                pose = look_at(eye_m, eye_m + level)
                best = max(best, float((open_ & framed(room.intrinsics, pose, where_m)).mean(axis=1).sum()))
    return best


def scanned(room: SyntheticRoom) -> SceneMap:
    """Return the true boxes of a room with what its cameras saw of each, as mapping would record it."""
    scene = room.scene_map()
    objects = []
    for number, item in enumerate(scene.objects):
        shares = seen(room, number).mean(axis=1)
        coverage = tuple(float(share) for share in shares)
        record = Provenance(
            frames=tuple(range(len(room.cameras))),
            pixels=5000,
            points=500,
            spread_m=0.005,
            face_coverage=(coverage[0], coverage[1], coverage[2], coverage[3], coverage[4], coverage[5]),
        )
        objects.append(replace(item, provenance=record, surface=PointCloud(item.box.corners_m)))
    return replace(scene, objects=tuple(objects))
