"""From the pixels of a mask to points in the world, without what bleeds in at its border."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.geometry.projection import unproject_pixels
from spatial_agent.tools.mapping.blocks import depth_sigma_m
from spatial_agent.tools.scene import CameraIntrinsics, Frame, InstanceMask

Array = NDArray[np.float64]
Pixels = NDArray[np.bool_]

#: An occlusion edge bends inverse depth by this share of itself; a plane, however slanted, not at all.
EDGE_SHARE = 0.04
#: How much too large a detector's outline may be: pixels, and share of the square root of its area on top.
BLEED_PX, BLEED_SHARE, MOST_BLEED_PX = 2, 0.015, 8
#: How much too large a recorded outline is at most; with too little silhouette to tell, half of it is taken.
RECORDED_BLEED_PX, LEAST_SILHOUETTE_PX = 3, 30
#: Pieces of a mask are apart where the gap exceeds all of: metres, share of the depth, pixels.
GAP_M, GAP_SHARE, GAP_PX = 0.05, 0.02, 4.0
#: Recorded pieces below this share of the whole are dropped.
LEAST_PIECE_SHARE = 0.02
VOXEL_M = 0.01
#: What the pose adds to the error of a single view, metres.
POSE_NOISE_M = 0.005


@dataclass(frozen=True, eq=False)
class Sighting:
    """One mask of one frame, lifted into the scan's own world.

    Attributes:
        frame: Index of the frame.
        label: Class name.
        score: Confidence of the detector, 0 to 1.
        instance_id: Identity where the source knows it.
        image_share: Share of the image the mask covers, before any cleaning.
        kept_share: Share of the image that survived cleaning, with depth.
        cut_off: Whether the mask touches the image border.
        pixels: Depth pixels that survived cleaning.
        xyz_m: Their surface, thinned to voxels, shape (N, 3); may be empty.
        weight: Pixels behind each point, shape (N,).
        precision: One over the expected variance of each point along its ray, 1/m2, shape (N,).
        border_m: Width of the border that was taken off where it touches something, metres.
    """

    frame: int
    label: str
    score: float
    instance_id: int | None
    image_share: float
    kept_share: float
    cut_off: bool
    pixels: int
    xyz_m: Array
    weight: Array
    precision: Array
    border_m: float


def lift(mask: InstanceMask, frame: Frame, most_points: int = 4000) -> Sighting:
    """Lift the pixels of a mask that are surely the object's own.

    Far sides of occlusion edges are dropped, then a border of pixels wherever the object touches
    something at its own depth (at an occlusion edge nothing is lost), then pieces apart in space.

    Args:
        mask: The mask, of the size of the depth map or any other size with the same view.
        frame: Its frame.
        most_points: More voxels than this are thinned evenly.

    Raises:
        SourceError: If the frame lacks depth, pose or intrinsics.
    """
    header = frame.header
    if frame.depth is None or header.pose is None or header.intrinsics is None:
        raise SourceError(
            f"frame {header.name}: expected depth, pose and intrinsics to place a mask in space"
        )
    pixels = resampled(mask.pixels, frame.depth.z_m.shape)
    border = bool(pixels[[0, -1]].any() or pixels[:, [0, -1]].any())
    recorded = mask.instance_id is not None
    xyz_m, bleed_px = _camera_points(pixels, frame.depth.z_m, header.intrinsics, recorded)
    depth_m = float(np.median(xyz_m[:, 2])) if len(xyz_m) else 0.0
    xyz_m = xyz_m[_kept_pieces(xyz_m, depth_m, depth_m / header.intrinsics.fx, recorded)]
    sigma_m = depth_sigma_m(xyz_m[:, 2].astype(np.float32))
    world_m = xyz_m @ header.pose.rotation.T + header.pose.position_m
    points, (weight, independent) = voxel_means(world_m, [np.ones(len(world_m)), 1 / sigma_m**2], VOXEL_M)
    step = max(1, -(-len(points) // most_points))
    return Sighting(
        frame=header.index,
        label=mask.label,
        score=mask.score,
        instance_id=mask.instance_id,
        image_share=float(pixels.mean()),
        kept_share=len(xyz_m) / pixels.size,
        cut_off=border,
        pixels=len(world_m),
        xyz_m=points[::step],
        weight=weight[::step],
        precision=(1 / (1 / independent + POSE_NOISE_M**2))[::step],
        border_m=bleed_px * depth_m / header.intrinsics.fx,
    )


def resampled(pixels: Pixels, shape: tuple[int, ...]) -> Pixels:
    """Return a mask at another size of the same view, by nearest pixel."""
    if pixels.shape == shape:
        return pixels
    rows = (np.arange(shape[0]) + 0.5) * pixels.shape[0] / shape[0]
    columns = (np.arange(shape[1]) + 0.5) * pixels.shape[1] / shape[1]
    nearest: Pixels = pixels[rows.astype(int)[:, None], columns.astype(int)]
    return nearest


def surely_own(pixels: Pixels, z_m: Array, bleed_px: int) -> Pixels:
    """Return the mask without far sides of occlusion edges and without touching neighbours' pixels.

    Args:
        pixels: The mask, shape (H, W).
        z_m: Z-depth, shape (H, W), 0 = none.
        bleed_px: How many pixels too large the outline may be.
    """
    inverse = _inverse(z_m)
    inside = pixels.copy()
    for _ in range(bleed_px):
        inside &= ~_touched(inside, inverse)
    own: Pixels = inside & (z_m > 0) & ~_behind_edges(inverse)
    return own


def voxel_means(xyz_m: Array, weights: Sequence[Array], voxel_m: float) -> tuple[Array, list[Array]]:
    """Return one point per occupied voxel, shape (M, 3), and the sums of the weights, shape (M,) each.

    Args:
        xyz_m: Shape (N, 3), metres.
        weights: One or more, shape (N,) each; the last one weighs the mean.
        voxel_m: Edge of a voxel, metres.
    """
    cell_of = distinct_cells(np.floor(xyz_m / voxel_m).astype(np.int64))[1]
    totals: list[Array] = [np.bincount(cell_of, weight).astype(np.float64) for weight in weights]
    sums = [np.bincount(cell_of, weights[-1] * axis_m) for axis_m in xyz_m.T]
    means: Array = np.column_stack(sums) / totals[-1][:, None]
    return means, totals


def distinct_cells(ijk: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the distinct rows of whole numbers, shape (M, 3), and which of them each row is, shape (N,)."""
    low = np.array([column.min(initial=0) for column in ijk.T])
    size = [int(column.max(initial=0)) - int(least) + 1 for column, least in zip(ijk.T, low, strict=True)]
    keys = np.ravel_multi_index(tuple((ijk - low).T), tuple(size))
    distinct, cell_of = np.unique(keys, return_inverse=True)
    return np.column_stack(np.unravel_index(distinct, tuple(size))) + low, cell_of


def pieces(xyz_m: Array, gap_m: float) -> NDArray[np.int_]:
    """Number the groups of points that are further apart than about `gap_m`, largest first, shape (N,)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    # Points in neighbouring cells are at most two edges apart along each axis, one on average.
    cells, cell_of = distinct_cells(np.floor(xyz_m / gap_m).astype(np.int64))
    pairs = cKDTree(cells).query_pairs(1.0, p=np.inf, output_type="ndarray")
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(len(cells), len(cells)))
    group = connected_components(links, directed=False)[1]
    rank = np.argsort(np.argsort(-np.bincount(group[cell_of]), kind="stable"))
    numbers: NDArray[np.int_] = rank[group][cell_of]
    return numbers


def seen_bleed_px(pixels: Pixels, z_m: Array) -> int:
    """Return by how many pixels a mask is too large, as seen where it hangs over an occlusion edge.

    Along a silhouette everything in the mask that lies behind its own border's edge is not the object's.

    Args:
        pixels: The mask, shape (H, W).
        z_m: Z-depth, shape (H, W), 0 = none.
    """
    from scipy.ndimage import binary_erosion, maximum_filter

    inverse = _inverse(z_m)
    reach = RECORDED_BLEED_PX
    rim = pixels & ~binary_erosion(pixels, np.ones((3, 3), bool), iterations=reach + 1, border_value=1)
    nearest = maximum_filter(np.where(pixels, inverse, 0.0), 2 * reach + 1)
    behind = rim & (inverse > 0) & (nearest > inverse * (1 + 2 * EDGE_SHARE))
    silhouette = rim & ~behind & _before_edges(inverse)
    length_px = np.count_nonzero(silhouette)
    if length_px < LEAST_SILHOUETTE_PX:
        return reach // 2
    return min(reach, round(np.count_nonzero(behind) / length_px))


def _camera_points(
    pixels: Pixels, z_m: NDArray[np.float32], camera: CameraIntrinsics, recorded: bool
) -> tuple[Array, int]:
    """Return the points of the pixels that are surely the mask's own, and how wide a border was taken off."""
    window = _window(pixels, MOST_BLEED_PX + 2)
    if window is None:
        return np.empty((0, 3)), 0
    mask, near_m = pixels[window], z_m[window].astype(np.float64)
    area_px = np.count_nonzero(mask)
    bleed_px = min(MOST_BLEED_PX, round(BLEED_PX + BLEED_SHARE * np.sqrt(area_px)))
    if recorded:
        bleed_px = seen_bleed_px(mask, near_m)
    own = surely_own(mask, near_m, bleed_px)
    rows, columns = np.nonzero(own)
    uv_px = np.column_stack([columns + window[1].start, rows + window[0].start])
    return unproject_pixels(camera, uv_px, near_m[own]), bleed_px


def _kept_pieces(xyz_m: Array, depth_m: float, pixel_m: float, recorded: bool) -> Pixels:
    """Return which points lie on pieces that count: a detector's largest, all but tiny recorded ones."""
    if not len(xyz_m):
        return np.zeros(0, bool)
    number = pieces(xyz_m, max(GAP_M, GAP_SHARE * depth_m, GAP_PX * pixel_m))
    kept: Pixels = number == 0
    if recorded:
        kept = np.bincount(number)[number] >= LEAST_PIECE_SHARE * len(number)
    return kept


def _inverse(z_m: Array) -> Array:
    return np.divide(1.0, z_m, out=np.zeros_like(z_m), where=z_m > 0)


def _window(pixels: Pixels, margin: int) -> tuple[slice, slice] | None:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    if not len(rows):
        return None
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _touched(inside: Pixels, inverse: Array) -> Pixels:
    """Return the pixels of a mask that have a neighbour outside it on the same surface."""
    touched = np.zeros(inside.shape, bool)
    for axis in (0, 1):
        touched_, inside_, inverse_ = (np.moveaxis(a, axis, 0) for a in (touched, inside, inverse))
        first, second = inverse_[:-1], inverse_[1:]
        joined = (
            (np.abs(first - second) < EDGE_SHARE * np.maximum(first, second)) & (first > 0) & (second > 0)
        )
        border = joined & (inside_[:-1] != inside_[1:])
        touched_[:-1] |= border
        touched_[1:] |= border
    return touched & inside


def _before_edges(inverse: Array) -> Pixels:
    """Return the pixels next to something much farther, shape (H, W)."""
    before = np.zeros(inverse.shape, bool)
    for axis in (0, 1):
        before_, inverse_ = np.moveaxis(before, axis, 0), np.moveaxis(inverse, axis, 0)
        first, second = inverse_[:-1], inverse_[1:]
        known = (first > 0) & (second > 0)
        before_[:-1] |= known & (first > second * (1 + 2 * EDGE_SHARE))
        before_[1:] |= known & (second > first * (1 + 2 * EDGE_SHARE))
    return before


def _behind_edges(inverse: Array) -> Pixels:
    """Return the pixels on the far side of an occlusion edge, or hanging between its two sides."""
    behind = np.zeros(inverse.shape, bool)
    for axis in (0, 1):
        behind_, inverse_ = np.moveaxis(behind, axis, 0), np.moveaxis(inverse, axis, 0)
        before, here, after = inverse_[:-2], inverse_[1:-1], inverse_[2:]
        bends = np.abs(before - 2 * here + after) > EDGE_SHARE * here
        behind_[1:-1] |= bends & (np.maximum(before, after) > here * (1 + EDGE_SHARE))
    return behind
