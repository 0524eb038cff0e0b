"""One depth map, averaged over small pixel blocks: less noise and fewer points before any grid.

Images are kept as one array per axis: numpy is several times faster on those than on (H, W, 3).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import CameraIntrinsics, Frame

Image = NDArray[np.float32]
Flags = NDArray[np.bool_]

#: Surfaces seen at less than 7 degrees to the ray are left out.
GRAZING = np.float32(0.12)
#: Normals come from differences over this many blocks to either side.
REACH = 2
MOST_SIDE_PX = 4
#: How far measured noise may lie from the model; stored depth has steps that hide small noise.
NOISE_LIMITS = (0.3, 6.0)


class Axes(NamedTuple):
    """Three components of a vector per element."""

    x: Image
    y: Image
    z: Image

    def take(self, index: NDArray[np.intp]) -> "Axes":
        """Return the chosen elements of the flattened arrays."""
        return Axes(*(axis.ravel()[index] for axis in self))

    def turned(self, rotation: NDArray[np.float64]) -> "Axes":
        """Return the vectors in another frame of axes, given a 3x3 rotation."""
        r = rotation.astype(np.float32)
        return Axes(*(r[i, 0] * self.x + r[i, 1] * self.y + r[i, 2] * self.z for i in range(3)))


@dataclass(frozen=True, eq=False)
class Blocks:
    """One frame averaged over pixel blocks: where its surfaces lie, in camera coordinates.

    Attributes:
        xyz_m: N points.
        normals: Their unit normals, towards the camera.
        rgb: Shape (3, N), or None where the frame has no colour.
        side_px: Edge of a block, pixels.
        noise: Noise of single pixels, as a multiple of `depth_sigma_m`.
        place: Row-major number of each in the lattice of blocks, shape (N,).
        shape: Rows and columns of that lattice.
    """

    xyz_m: Axes
    normals: Axes
    rgb: NDArray[np.uint8] | None
    side_px: int
    noise: float
    place: NDArray[np.intp]
    shape: tuple[int, int]


def depth_sigma_m(z_m: Image) -> Image:
    """Return the axial noise of one pixel of a structured-light sensor, metres.

    Source: Nguyen, Izadi, Lovell, Modeling Kinect Sensor Noise, 3DIMPVT 2012, equation 3.
    """
    sigma: Image = np.float32(0.0012) + np.float32(0.0019) * (z_m - np.float32(0.4)) ** 2
    return sigma


def frame_blocks(frame: Frame, voxel_m: float, stride: int | None, max_depth_m: float) -> Blocks:
    """Average a frame over pixel blocks, leaving out holes, depth edges and grazing surfaces.

    Args:
        frame: With depth and intrinsics.
        voxel_m: Blocks stay closer than this, metres.
        stride: Edge of the blocks, pixels; None chooses it.
        max_depth_m: Depth beyond this is ignored.
    """
    camera = frame.header.intrinsics
    assert frame.depth is not None
    assert camera is not None
    z_m = frame.depth.z_m
    side = stride or _side_px(z_m, camera, voxel_m, max_depth_m)
    noise = _noise(z_m)
    mean_m, whole = _block_depth(z_m, side, noise, max_depth_m)
    grid_m = _unproject(_smoothed(mean_m, noise / side), camera, side)
    normals, clear = _normals(grid_m)
    picked = np.flatnonzero(whole & clear)
    rgb = None if frame.rgb is None else _colours(frame.rgb, mean_m.shape, side, picked)
    return Blocks(
        grid_m.take(picked),
        normals.take(picked),
        rgb,
        side,
        noise,
        picked,
        (mean_m.shape[0], mean_m.shape[1]),
    )


def _side_px(z_m: Image, camera: CameraIntrinsics, voxel_m: float, max_depth_m: float) -> int:
    sample = z_m[4::8, 4::8]
    seen = sample[(sample > 0) & (sample < max_depth_m)]
    far_m = float(np.percentile(seen, 80)) if len(seen) else max_depth_m
    return int(np.clip(voxel_m * camera.fx / far_m, 1, MOST_SIDE_PX))


def _noise(z_m: Image) -> float:
    """Return how noisy single pixels are, as a multiple of the model.

    Second differences along rows vanish on planes; their variance is 1.5 times that of a pixel.
    """
    left, middle, right = (z_m[4::8, start : z_m.shape[1] - 2 + start : 4] for start in range(3))
    seen = (left > 0) & (middle > 0) & (right > 0)
    if not seen.any():
        return 1.0
    bend = np.abs(middle - (left + right) / 2)[seen] / depth_sigma_m(middle[seen])
    return float(np.clip(np.median(bend) / (0.6745 * np.sqrt(1.5)), *NOISE_LIMITS))


def _block_depth(z_m: Image, side: int, noise: float, max_depth_m: float) -> tuple[Image, Flags]:
    """Return the mean depth of each block, and whether it lies on one surface."""
    rows, columns = z_m.shape[0] // side, z_m.shape[1] // side
    parts = [z_m[i : rows * side : side, j : columns * side : side] for i in range(side) for j in range(side)]
    mean, low, high = _mean_and_range(parts)
    edge_m = np.float32(0.01) + np.float32(0.02) * mean + np.float32(3 * noise) * depth_sigma_m(mean)
    return mean, (low > 0) & (high < max_depth_m) & (high - low < edge_m)


def _mean_and_range(parts: list[Image]) -> tuple[Image, Image, Image]:
    total, low, high = parts[0].copy(), parts[0].copy(), parts[0].copy()
    for part in parts[1:]:
        total += part
        np.minimum(low, part, out=low)
        np.maximum(high, part, out=high)
    total *= np.float32(1 / len(parts))
    return total, low, high


def _smoothed(mean_m: Image, noise: float) -> Image:
    """Average 3x3 blocks where noise explains their differences; steps and holes stay as they are."""
    rows, columns = mean_m.shape
    parts = [mean_m[i : rows - 2 + i, j : columns - 2 + j] for i in range(3) for j in range(3)]
    total, low, high = _mean_and_range(parts)
    middle = mean_m[1:-1, 1:-1]
    sigma_m = np.float32(noise) * depth_sigma_m(middle)
    even = (low > 0) & (high - low < 5 * sigma_m + np.float32(0.025) * middle)
    even &= np.abs(middle - total) < np.float32(3.5) * sigma_m
    smooth = mean_m.copy()
    np.copyto(smooth[1:-1, 1:-1], total, where=even)
    return smooth


def _unproject(mean_m: Image, camera: CameraIntrinsics, side: int) -> Axes:
    """Return block centres in camera coordinates, each axis of shape (rows, columns)."""
    rows, columns = mean_m.shape
    middle = (side - 1) / 2
    x = ((np.arange(columns) * side + middle - camera.cx) / camera.fx).astype(np.float32)
    y = ((np.arange(rows) * side + middle - camera.cy) / camera.fy).astype(np.float32)
    return Axes(x * mean_m, y[:, None] * mean_m, mean_m)


def _normals(grid_m: Axes) -> tuple[Axes, Flags]:
    """Return unit normals towards the camera, and where they exist and the surface does not graze."""
    a, d = (Axes(*(_difference(part, axis) for part in grid_m)) for axis in (1, 0))
    normal = Axes(d.y * a.z - d.z * a.y, d.z * a.x - d.x * a.z, d.x * a.y - d.y * a.x)
    scale = 1 / np.sqrt(normal.x**2 + normal.y**2 + normal.z**2 + np.float32(1e-20))
    facing = -(normal.x * grid_m.x + normal.y * grid_m.y + normal.z * grid_m.z) * scale
    clear = facing > GRAZING * grid_m.z
    return Axes(*(part * scale for part in normal)), clear


def _difference(part: Image, axis: int) -> Image:
    """Return central differences over `REACH` blocks to either side; 0 at the border."""
    difference = np.zeros_like(part)
    if axis == 1:
        np.subtract(part[:, 2 * REACH :], part[:, : -2 * REACH], out=difference[:, REACH:-REACH])
    else:
        np.subtract(part[2 * REACH :], part[: -2 * REACH], out=difference[REACH:-REACH])
    return difference


def _colours(
    rgb: NDArray[np.uint8], shape: tuple[int, int], side: int, picked: NDArray[np.intp]
) -> NDArray[np.uint8]:
    """Return the colour at the middle of the picked blocks, shape (3, N)."""
    middles = rgb[side // 2 :: side, side // 2 :: side][: shape[0], : shape[1]]
    return np.array([middles[:, :, channel].ravel()[picked] for channel in range(3)])
