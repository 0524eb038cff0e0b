"""Scenes as files that 3D programs open: coloured clouds (.ply) and boxes with cloud (.glb)."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import OrientedBox, PointCloud, SceneMap, TriangleMesh

#: glTF is +Y up; scenes are +Z up.
GLTF_FROM_SCENE = np.array([[1.0, 0, 0, 0], [0, 0, 1, 0], [0, -1, 0, 0], [0, 0, 0, 1]])
#: More points than this make viewers slow; an even subset is exported.
MOST_POINTS = 300_000
GREY = 150


def write_ply(scene: SceneMap, path: Path) -> None:
    """Write the fused cloud as binary PLY, in scene metres, +Z up.

    Raises:
        InvalidValueError: If the scene has no cloud.
    """
    import trimesh

    if scene.cloud is None or not len(scene.cloud):
        raise InvalidValueError("this scene has no points to export; it was given as boxes")
    cloud = trimesh.PointCloud(scene.cloud.xyz_m, colors=_rgba(scene.cloud))
    path.write_bytes(trimesh.exchange.ply.export_ply(cloud))


def write_mesh(mesh: TriangleMesh, path: Path) -> None:
    """Write a mesh as binary PLY, metres, in the world it is in.

    Raises:
        InvalidValueError: If it has no triangle.
    """
    import trimesh

    if not len(mesh.faces):
        raise InvalidValueError("this mesh has no triangles to export")
    surface = trimesh.Trimesh(mesh.vertices_m, mesh.faces, vertex_colors=mesh.rgb, process=False)
    path.write_bytes(trimesh.exchange.ply.export_ply(surface))


def write_glb(scene: SceneMap, path: Path) -> None:
    """Write object boxes and the cloud as binary glTF, metres, +Y up as glTF wants it.

    Raises:
        InvalidValueError: If there is nothing to export.
    """
    import trimesh

    world = trimesh.Scene()
    for number, item in enumerate(scene.objects):
        box = trimesh.creation.box(extents=np.maximum(item.box.extent_m, 1e-3))
        box.visual.face_colors = (*_hue(number), 120)
        world.add_geometry(box, node_name=item.id, geom_name=item.id, transform=_scene_from_box(item.box))
    if scene.cloud is not None and len(scene.cloud):
        step = max(len(scene.cloud) // MOST_POINTS, 1)
        cloud = trimesh.PointCloud(scene.cloud.xyz_m[::step], colors=_rgba(scene.cloud)[::step])
        world.add_geometry(cloud, node_name="cloud", geom_name="cloud")
    if not world.geometry:
        raise InvalidValueError("this scene has neither objects nor points to export")
    world.apply_transform(GLTF_FROM_SCENE)
    path.write_bytes(world.export(file_type="glb"))


def _rgba(cloud: PointCloud) -> NDArray[np.uint8]:
    rgb = np.full((len(cloud), 3), GREY, np.uint8) if cloud.rgb is None else cloud.rgb
    return np.concatenate([rgb, np.full((len(cloud), 1), 255, np.uint8)], axis=1)


def _scene_from_box(box: OrientedBox) -> NDArray[np.float64]:
    transform = np.eye(4)
    transform[:3, :3] = box.world_from_box
    transform[:3, 3] = box.centre_m
    return transform


def _hue(number: int) -> tuple[int, int, int]:
    """Return a colour far from those of neighbouring numbers."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(number * 0.618034 % 1.0, 0.65, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)
