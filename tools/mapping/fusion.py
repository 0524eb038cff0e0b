"""RGB-D frames to one metric cloud: voxels of running sums, thinned to a surface.

Frames stream through two decoding threads. A frame is averaged over small pixel blocks, so that its
noise shrinks before it meets the grid; blocks across depth edges are dropped. Every voxel keeps
precision-weighted sums of position, normal and colour. At the end the voxels in front of and behind
one another along the normal are pulled onto one surface, as a signed-distance volume would.
Memory depends on the surface seen, never on the number of frames.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.mapping.voxels import Keys, Sums, VoxelSums, sum_by_key, voxel_indices, voxel_keys
from spatial_agent.tools.scene import CameraIntrinsics, Frame, FrameSet, PointCloud

Image = NDArray[np.float32]
Progress = Callable[[int, int], None]

#: Frames decoded ahead of the merge.
AHEAD = 4
#: What poses add to the error of a single view, metres.
POSE_NOISE_M = 0.005


@dataclass(frozen=True, eq=False)
class FusedCloud:
    """The observed surfaces of a recording.

    Attributes:
        cloud: Points in the source's own world; `weight` counts depth pixels.
        normals: Unit normals towards the cameras, shape (N, 3); zero where undefined.
        voxel_m: Grid width the cloud was fused with, metres.
        frames: Number of frames that had depth, pose and intrinsics.
        depth_noise_m: Robust standard deviation of single depth pixels about the fused surface.
        pose_drift_m: Robust disagreement between where different frames put the same surface.
        notes: What was left out, one sentence each.
    """

    cloud: PointCloud
    normals: NDArray[np.float64]
    voxel_m: float
    frames: int
    depth_noise_m: float
    pose_drift_m: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Blocks:
    """One frame averaged over pixel blocks: where its surfaces lie.

    Attributes:
        xyz_m: Points in camera coordinates, shape (N, 3).
        normals: Unit normals towards the camera, shape (N, 3).
        colour: Shape (N, 3) in 0 to 255, or None.
        side_px: Edge of a block, pixels.
    """

    xyz_m: Image
    normals: Image
    colour: Image | None
    side_px: int


def depth_sigma_m(z_m: Image) -> Image:
    """Return the expected axial noise of one structured-light depth pixel, metres.

    Source: Nguyen, Izadi, Lovell, Modeling Kinect Sensor Noise, 3DIMPVT 2012, equation 3.
    """
    sigma: Image = np.float32(0.0012) + np.float32(0.0019) * (z_m - np.float32(0.4)) ** 2
    return sigma


def fuse_cloud(
    frames: FrameSet,
    *,
    voxel_m: float = 0.02,
    stride: int | None = None,
    max_depth_m: float = 7.0,
    colour: bool = True,
    progress: Progress | None = None,
) -> FusedCloud:
    """Fuse all depth maps into one cloud of surface points.

    Args:
        frames: A posed source with depth; frames without depth, pose or intrinsics are skipped.
        voxel_m: Grid width, metres: about one point per voxel of surface comes back.
        stride: Edge of the pixel blocks that are averaged; None chooses per frame, so that blocks
            stay closer than one voxel.
        max_depth_m: Depth beyond this is ignored.
        colour: Whether points get colours.
        progress: Called with (frames done, frames in all).

    Raises:
        InvalidValueError: If nothing can be fused, or a setting is not positive.
    """
    if not (voxel_m > 0 and max_depth_m > 0 and (stride is None or stride >= 1)):
        raise InvalidValueError(
            f"fuse_cloud: expected voxel_m, max_depth_m > 0 and stride >= 1, got {voxel_m}, {max_depth_m}, {stride}"
        )
    usable = [h.index for h in frames.headers if h.has_depth and h.pose and h.intrinsics]
    if not usable:
        raise InvalidValueError(f"{frames.name}: no frame has depth, pose and intrinsics; nothing to fuse")
    positions = [_pose(frames, index)[:3, 3] for index in usable]
    origin_m = np.round(np.mean(positions, axis=0))
    grid = VoxelSums.empty(11 if colour else 8)

    def reduce_frame(index: int) -> tuple[Keys, list[Sums]]:
        frame = frames.load(index, rgb=colour, instances=False)
        blocks = frame_blocks(frame, voxel_m, stride, max_depth_m)
        return _frame_sums(blocks, _pose(frames, index), origin_m, voxel_m, colour)

    for done, (keys, sums) in enumerate(_in_two_threads(reduce_frame, usable), start=1):
        grid.add(keys, sums)
        if progress is not None:
            progress(done, len(usable))
    grid.merge()
    if not len(grid.keys):
        raise InvalidValueError(
            f"{frames.name}: no depth within {max_depth_m} m in any frame; nothing to fuse"
        )
    cloud, normals = _surface(grid, origin_m, voxel_m)
    return FusedCloud(cloud, normals, voxel_m, len(usable), 0.0, 0.0)


def frame_blocks(frame: Frame, voxel_m: float, stride: int | None, max_depth_m: float) -> Blocks:
    """Average a frame over pixel blocks, leaving out holes and depth edges."""
    camera = frame.header.intrinsics
    assert frame.depth is not None
    assert camera is not None
    z_m = frame.depth.z_m
    side = stride or _block_side(z_m, camera, voxel_m, max_depth_m)
    mean_m, whole = _block_depth(z_m, side, max_depth_m)
    grid_m = _unproject_blocks(mean_m, camera, side)
    normals, flat = _block_normals(grid_m, whole)
    picked = whole & flat
    colour = None if frame.rgb is None else _block_colour(frame.rgb, z_m.shape, side)[picked]
    return Blocks(grid_m[picked], normals[picked], colour, side)


def _pose(frames: FrameSet, index: int) -> NDArray[np.float64]:
    pose = frames.headers[index].pose
    assert pose is not None
    return pose.world_from_camera


def _in_two_threads(
    work: Callable[[int], tuple[Keys, list[Sums]]], indices: list[int]
) -> Iterator[tuple[Keys, list[Sums]]]:
    """Yield results in order; decoding and numpy release the interpreter lock."""
    waiting: deque[Future[tuple[Keys, list[Sums]]]] = deque()
    with ThreadPoolExecutor(2, thread_name_prefix="fusion") as pool:
        for index in indices:
            waiting.append(pool.submit(work, index))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _block_side(z_m: Image, camera: CameraIntrinsics, voxel_m: float, max_depth_m: float) -> int:
    sample = z_m[4::8, 4::8]
    seen = sample[(sample > 0) & (sample < max_depth_m)]
    far_m = float(np.percentile(seen, 80)) if len(seen) else max_depth_m
    return int(np.clip(voxel_m * camera.fx / far_m, 1, 4))


def _block_depth(z_m: Image, side: int, max_depth_m: float) -> tuple[Image, NDArray[np.bool_]]:
    """Return the mean depth of each block, and whether it lies on one surface."""
    rows, columns = z_m.shape[0] // side, z_m.shape[1] // side
    parts = [z_m[i : rows * side : side, j : columns * side : side] for i in range(side) for j in range(side)]
    low, high, total = parts[0].copy(), parts[0].copy(), parts[0].copy()
    for part in parts[1:]:
        np.minimum(low, part, out=low)
        np.maximum(high, part, out=high)
        total += part
    total /= np.float32(side * side)
    edge_m = np.float32(0.01) + np.float32(0.02) * total
    return total, (low > 0) & (high < max_depth_m) & (high - low < edge_m)


def _unproject_blocks(mean_m: Image, camera: CameraIntrinsics, side: int) -> Image:
    """Return block centres in camera coordinates, shape (rows, columns, 3)."""
    rows, columns = mean_m.shape
    middle = (side - 1) / 2
    x = ((np.arange(columns) * side + middle - camera.cx) / camera.fx).astype(np.float32)
    y = ((np.arange(rows) * side + middle - camera.cy) / camera.fy).astype(np.float32)
    grid_m = np.empty((rows, columns, 3), np.float32)
    grid_m[..., 0] = x * mean_m
    grid_m[..., 1] = y[:, None] * mean_m
    grid_m[..., 2] = mean_m
    return grid_m


def _block_normals(grid_m: Image, whole: NDArray[np.bool_]) -> tuple[Image, NDArray[np.bool_]]:
    """Return normals towards the camera from central differences, and where they exist and do not graze."""
    reach = 2
    across, down = np.zeros_like(grid_m), np.zeros_like(grid_m)
    across[:, reach:-reach] = grid_m[:, 2 * reach :] - grid_m[:, : -2 * reach]
    down[reach:-reach] = grid_m[2 * reach :] - grid_m[: -2 * reach]
    normals = np.empty_like(grid_m)
    for axis in range(3):
        one, two = (axis + 1) % 3, (axis + 2) % 3
        normals[..., axis] = down[..., one] * across[..., two] - down[..., two] * across[..., one]
    length = np.sqrt(np.einsum("ijk,ijk->ij", normals, normals)) + np.float32(1e-12)
    normals /= length[..., None]
    facing = -np.einsum("ijk,ijk->ij", normals, grid_m)
    distance = np.sqrt(np.einsum("ijk,ijk->ij", grid_m, grid_m))
    return normals, whole & (facing > np.float32(0.12) * distance)


def _block_colour(rgb: NDArray[np.uint8], depth_shape: tuple[int, ...], side: int) -> Image:
    """Return the colour at the middle of each block; colour images may be larger than depth."""
    rows, columns = depth_shape[0] // side, depth_shape[1] // side
    row = ((np.arange(rows) + 0.5) * side * rgb.shape[0] / depth_shape[0]).astype(np.intp)
    column = ((np.arange(columns) + 0.5) * side * rgb.shape[1] / depth_shape[1]).astype(np.intp)
    return rgb[row[:, None], column].astype(np.float32)


def _frame_sums(
    blocks: Blocks,
    world_from_camera: NDArray[np.float64],
    origin_m: NDArray[np.float64],
    voxel_m: float,
    colour: bool,
) -> tuple[Keys, list[Sums]]:
    """Return a frame's sums per voxel: precision, offset, normal, pixels, colour."""
    rotation = world_from_camera[:3, :3].astype(np.float32)
    shift_m = (world_from_camera[:3, 3] - origin_m).astype(np.float32)
    xyz_m = blocks.xyz_m @ rotation.T + shift_m
    normals = blocks.normals @ rotation.T
    scaled = xyz_m / np.float32(voxel_m)
    ijk = np.floor(scaled)
    offset = scaled - ijk
    variance = POSE_NOISE_M**2 + (depth_sigma_m(blocks.xyz_m[:, 2]) / blocks.side_px) ** 2
    precision = np.float32(POSE_NOISE_M**2) / variance
    columns = [precision, *(offset * precision[:, None]).T, *(normals * precision[:, None]).T]
    columns.append(np.full(len(xyz_m), blocks.side_px**2, np.float32))
    if colour:
        rgb = blocks.colour if blocks.colour is not None else np.full_like(xyz_m, 128)
        columns.extend((rgb * precision[:, None]).T)
    return sum_by_key(voxel_keys(ijk.astype(np.int32)), columns)


def _surface(
    grid: VoxelSums, origin_m: NDArray[np.float64], voxel_m: float
) -> tuple[PointCloud, NDArray[np.float64]]:
    """Turn sums into points."""
    columns = np.array(grid.columns)
    precision, pixels = columns[0], columns[7]
    xyz_m = (voxel_indices(grid.keys) + (columns[1:4] / precision).T) * voxel_m + origin_m
    normals = columns[4:7].T / np.maximum(np.linalg.norm(columns[4:7], axis=0), 1e-12)[:, None]
    rgb = None
    if len(columns) > 8:
        rgb = np.clip(np.round(columns[8:11] / precision), 0, 255).astype(np.uint8).T
    return PointCloud(xyz_m, rgb, pixels), normals
