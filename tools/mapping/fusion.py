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
from spatial_agent.tools.mapping.agreement import View, depth_noise_m, keep_view, pose_drift_m
from spatial_agent.tools.mapping.blocks import Blocks, depth_sigma_m, frame_blocks
from spatial_agent.tools.mapping.thinning import surface_of
from spatial_agent.tools.mapping.voxels import Keys, Sums, VoxelSums, sum_by_key, voxel_keys
from spatial_agent.tools.scene import FrameSet, PointCloud

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]
Reduced = tuple[Keys, list[Sums], View | None]

#: Frames that wait, decoded, for their turn to be merged.
AHEAD = 2
#: What poses add to the error of a single view, metres.
POSE_NOISE_M = 0.005
#: Frames compared with one another to see how well they agree.
KEPT_VIEWS = 10


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


def fuse_cloud(
    frames: FrameSet,
    *,
    voxel_m: float = 0.02,
    stride: int | None = None,
    max_depth_m: float = 7.0,
    colour: bool = True,
    threads: int = 2,
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
        threads: Frames decoded at once; more than two pay only where decoding waits for something.
        progress: Called with (frames done, frames in all).

    Raises:
        InvalidValueError: If nothing can be fused, or a setting is not positive.
    """
    if not (voxel_m > 0 and max_depth_m > 0 and (stride is None or stride >= 1)):
        given = f"{voxel_m}, {max_depth_m}, {stride}"
        raise InvalidValueError(f"fuse_cloud: expected voxel_m, max_depth_m and stride above 0, got {given}")
    usable = [h.index for h in frames.headers if h.has_depth and h.pose and h.intrinsics]
    if not usable:
        raise InvalidValueError(f"{frames.name}: no frame has depth, pose and intrinsics; nothing to fuse")
    reduction = _Reduction(frames, usable, voxel_m, stride, max_depth_m, colour)
    grid = VoxelSums.empty(11 if colour else 8)
    views: list[View] = []
    for done, (keys, sums, view) in enumerate(_in_threads(reduction, usable, threads), start=1):
        grid.add(keys, sums)
        views += [view] if view else []
        if progress is not None:
            progress(done, len(usable))
    grid.merge()
    if not len(grid.keys):
        raise InvalidValueError(f"{frames.name}: no surface within {max_depth_m} m in any frame")
    return _fused(grid, views, reduction, len(frames))


class _Reduction:
    """Decodes one frame and adds it up per voxel; called from several threads."""

    def __init__(
        self,
        frames: FrameSet,
        usable: list[int],
        voxel_m: float,
        stride: int | None,
        max_depth_m: float,
        colour: bool,
    ) -> None:
        self.frames, self.voxel_m, self.colour = frames, voxel_m, colour
        self.stride, self.max_depth_m = stride, max_depth_m
        self.count = len(usable)
        # Near the cameras 32 bits are exact enough, and whole metres keep the grid where it was
        # when frames are added or reordered.
        self.origin_m: Array = np.round(
            np.mean([_pose(frames, index)[:3, 3] for index in usable], axis=0)
        ).astype(float)
        places = np.unique(np.linspace(0, len(usable) - 1, KEPT_VIEWS).round().astype(int))
        self.kept = {usable[place] for place in places}

    def __call__(self, index: int) -> Reduced:
        frame = self.frames.load(index, rgb=self.colour, instances=False)
        blocks = frame_blocks(frame, self.voxel_m, self.stride, self.max_depth_m)
        keys, sums = _sums(blocks, _pose(self.frames, index), self.origin_m, self.voxel_m, self.colour)
        return keys, sums, keep_view(frame, blocks) if index in self.kept else None


def _pose(frames: FrameSet, index: int) -> Array:
    pose = frames.headers[index].pose
    assert pose is not None
    return pose.world_from_camera


def _in_threads(work: Callable[[int], Reduced], indices: list[int], threads: int) -> Iterator[Reduced]:
    """Yield results in order; decoding and numpy release the interpreter lock."""
    waiting: deque[Future[Reduced]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="fusion") as pool:
        for index in indices:
            waiting.append(pool.submit(work, index))
            if len(waiting) >= threads + AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _sums(
    blocks: Blocks, world_from_camera: Array, origin_m: Array, voxel_m: float, colour: bool
) -> tuple[Keys, list[Sums]]:
    """Return a frame's sums per voxel: precision, offset, normal, pixels, colour."""
    turned = blocks.xyz_m.turned(world_from_camera[:3, :3])
    shift = ((world_from_camera[:3, 3] - origin_m) / voxel_m).astype(np.float32)
    scaled = [axis * np.float32(1 / voxel_m) + shift[i] for i, axis in enumerate(turned)]
    corner = [np.floor(axis) for axis in scaled]
    variance = POSE_NOISE_M**2 + (depth_sigma_m(blocks.xyz_m.z) * (blocks.noise / blocks.side_px)) ** 2
    precision = np.float32(POSE_NOISE_M**2) / variance
    columns = [precision]
    columns += [(axis - low) * precision for axis, low in zip(scaled, corner, strict=True)]
    columns += [axis * precision for axis in blocks.normals.turned(world_from_camera[:3, :3])]
    columns.append(np.full(len(precision), blocks.side_px**2, np.float32))
    if colour:
        grey = np.full((3, len(precision)), 128, np.uint8)
        rgb = grey if blocks.rgb is None else blocks.rgb
        columns += [channel * precision for channel in rgb]
    return sum_by_key(voxel_keys(*corner), columns)


def _fused(grid: VoxelSums, views: list[View], reduction: _Reduction, total: int) -> FusedCloud:
    """Turn sums into points, and say how well frames agree with them."""
    with ThreadPoolExecutor(1, thread_name_prefix="fusion") as pool:
        comparing = pool.submit(pose_drift_m, views)
        surface = surface_of(grid)
        noise_m = depth_noise_m(views, surface, reduction.origin_m, reduction.voxel_m)
        drift_m = comparing.result()
    xyz_m = surface.xyz.T.astype(float) * reduction.voxel_m + reduction.origin_m
    sums = [column[surface.chosen] for column in grid.columns]
    rgb = None
    if reduction.colour:
        rgb = np.clip(np.round(np.array(sums[8:11]).T / sums[0][:, None]), 0, 255).astype(np.uint8)
    notes = []
    if reduction.count < total:
        notes.append(f"{total - reduction.count} of {total} frames lack depth, pose or intrinsics: left out")
    if drift_m is None and reduction.count > 1:
        notes.append("no two frames compared saw the same surface: how well poses agree is not known")
    return FusedCloud(
        PointCloud(xyz_m, rgb, sums[7].astype(float)),
        surface.normals.T.astype(float),
        reduction.voxel_m,
        reduction.count,
        noise_m,
        drift_m or 0.0,
        tuple(notes),
    )
