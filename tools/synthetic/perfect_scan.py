"""What a perfect sensor would know of a room: true boxes, and the surface points its cameras see."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import PointCloud, SceneMap
from spatial_agent.tools.synthetic import raycast
from spatial_agent.tools.synthetic.room import SyntheticRoom

Array = NDArray[np.float64]


def perfect_scan(room: SyntheticRoom, voxel_m: float = 0.02) -> SceneMap:
    """Return the truth of a room together with what is seen of its surfaces.

    Objects keep their true boxes and fronts; one that no camera sees has no surface.

    Args:
        room: The room and its cameras.
        voxel_m: At most one point is kept in a cube of this edge, metres.
    """
    points, colours, owners = (np.concatenate(part) for part in zip(*_shots(room), strict=True))
    kept = np.unique(np.floor(points / voxel_m).astype(np.int64), axis=0, return_index=True)[1]
    points, colours, owners = points[kept], colours[kept], owners[kept]
    scene = room.scene_map()
    objects = tuple(
        replace(item, surface=PointCloud(points[owners == number]) if (owners == number).any() else None)
        for number, item in enumerate(scene.objects, start=1)
    )
    return replace(scene, objects=objects, cloud=PointCloud(points, colours))


def _shots(room: SyntheticRoom) -> list[tuple[Array, NDArray[np.uint8], NDArray[np.uint16]]]:
    """Return points, colours and object numbers of every pixel, one entry per camera."""
    shots = []
    for pose in room.cameras:
        rays = raycast.ray_directions(room.intrinsics, pose)
        seen = raycast.render(room.shell, room.objects, room.intrinsics, pose)
        rgb = raycast.paint(seen, room.shell, room.objects, rays, pose.position_m)
        hit_m = pose.position_m + rays * seen.z_m[..., None]
        shots.append((hit_m.reshape(-1, 3), rgb.reshape(-1, 3), seen.ids.ravel()))
    return shots
