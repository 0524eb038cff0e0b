"""Surfaces as meshes: truncated signed distances fused by Open3D's voxel block grid.

Measuring uses the clouds of `tools.mapping.fusion`, which are faster and closer to the surface; a mesh
is for looking at. Source: Curless and Levoy 1996; Dong et al., ASH, 2022.
"""

from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import SourceError, ToolArgumentError
from spatial_agent.tools.native_imports import install
from spatial_agent.tools.progress import report
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Frame, FrameSet, TriangleMesh

#: Voxels along the edge of a block, and blocks held before the grid grows.
BLOCK_VOXELS, BLOCKS = 16, 4000
#: Voxels over which the signed distance falls off to either side of the surface.
TRUNCATION_VOXELS = 4.0
#: Frames that must agree on a voxel; a recording of fewer has to do with what it has.
LEAST_WEIGHT = 3.0
#: Edges of voxels and reaches of cameras that a scan of a room or a building may have, metres.
VOXELS_M, REACHES_M = (0.001, 1.0), (0.01, 1000.0)


@expert("mesh")
def mesh(frames: FrameSet, voxel_m: float = 0.02, max_depth_m: float = 7.0) -> TriangleMesh:
    """Reconstruct the surfaces of a scan as a coloured triangle mesh, in the scan's own world.

    Args:
        frames: Posed frames with depth.
        voxel_m: Edge of a voxel, 0.001 to 1 m.
        max_depth_m: Depth beyond which pixels are left out, 0.01 to 1000 m.

    Raises:
        ToolArgumentError: If a length is out of its range.
        SourceError: If the frames have no depth or poses, or show no surface within reach.
    """
    _check_length("voxel_m", voxel_m, VOXELS_M)
    _check_length("max_depth_m", max_depth_m, REACHES_M)
    if not (frames.has_depth and frames.has_poses):
        raise SourceError(f"{frames.name}: a mesh needs frames with depth, poses and intrinsics")
    install()
    # Not by an import statement: Open3D's own type hints refuse what its examples do.
    o3d: Any = import_module("open3d")
    grid = o3d.t.geometry.VoxelBlockGrid(
        ("tsdf", "weight", "color"), (o3d.core.float32,) * 3, ((1), (1), (3)), voxel_m, BLOCK_VOXELS, BLOCKS
    )
    used = 0
    for done, frame in enumerate(frames, start=1):
        used += _integrate(o3d, grid, frame, max_depth_m)
        report("mesh frames", done, len(frames))
    if not used:
        raise SourceError(f"{frames.name}: no surface within {max_depth_m:g} m in any frame")
    extracted = grid.extract_triangle_mesh(min(LEAST_WEIGHT, used - 0.5))
    rgb = np.clip(np.rint(extracted.vertex.colors.numpy() * 255.0), 0, 255).astype(np.uint8)
    vertices_m = extracted.vertex.positions.numpy().astype(np.float64)
    return _in_order(vertices_m, extracted.triangle.indices.numpy().astype(np.int64), rgb)


def _check_length(name: str, given_m: float, limits_m: tuple[float, float]) -> None:
    low_m, high_m = limits_m
    if not low_m <= given_m <= high_m:
        raise ToolArgumentError(f"mesh: expected {name} from {low_m:g} to {high_m:g} m, got {given_m!r}")


def _in_order(
    vertices_m: NDArray[np.float64], faces: NDArray[np.int64], rgb: NDArray[np.uint8]
) -> TriangleMesh:
    """Return a mesh with vertices and triangles sorted, because Open3D's threads race for the order of both.

    Vertices in one place and of one colour become one: nothing else would tell which of them comes first.
    """
    keys = np.column_stack([vertices_m, rgb])
    order = np.lexsort(keys.T)
    keys = keys[order]
    is_new = np.append(True, (keys[1:] != keys[:-1]).any(axis=1))[: len(keys)]
    place = np.empty(len(keys), np.int64)
    place[order] = np.cumsum(is_new) - 1
    faces = place[faces]
    # Each triangle starts at its first vertex; it still turns the same way round.
    around = (faces.argmin(axis=1, keepdims=True) + np.arange(3)) % 3
    faces = np.take_along_axis(faces, around, axis=1)
    kept = order[is_new]
    return TriangleMesh(vertices_m[kept], faces[np.lexsort(faces.T)], rgb[kept])


def _integrate(o3d: Any, grid: Any, frame: Frame, max_depth_m: float) -> bool:  # noqa: ANN401 - untyped library
    """Add a frame to the grid; return whether it showed any surface within reach."""
    camera, pose, depth = frame.header.intrinsics, frame.header.pose, frame.depth
    if camera is None or pose is None or depth is None:
        raise SourceError(f"{frame.header.name}: a mesh needs depth, pose and intrinsics")
    if not ((depth.z_m > 0) & (depth.z_m < max_depth_m)).any():
        return False
    matrix = o3d.core.Tensor(camera.matrix)
    extrinsic = o3d.core.Tensor(pose.camera_from_world)
    z_m = o3d.t.geometry.Image(np.array(depth.z_m))
    # Beside depth in metres the grid takes colour as fractions only.
    grey = np.full((*depth.z_m.shape, 3), 0.6, np.float32)
    rgb = grey if frame.rgb is None else frame.rgb.astype(np.float32) / np.float32(255)
    colour = o3d.t.geometry.Image(rgb)
    colour_matrix = matrix
    if rgb.shape[:2] != depth.z_m.shape:
        colour_matrix = o3d.core.Tensor(camera.resized(rgb.shape[1], rgb.shape[0]).matrix)
    reach = (1.0, max_depth_m, TRUNCATION_VOXELS)
    blocks = grid.compute_unique_block_coordinates(z_m, matrix, extrinsic, *reach)
    grid.integrate(blocks, z_m, colour, matrix, colour_matrix, extrinsic, *reach)
    return True
