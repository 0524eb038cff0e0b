"""Lifting masks, against planes whose depth is known by formula."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.mapping.lifting import lift, pieces, resampled, seen_bleed_px, voxel_means
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    DepthMap,
    Frame,
    FrameHeader,
    InstanceMask,
)

CAMERA = CameraIntrinsics(200.0, 200.0, 99.5, 74.5, 200, 150)
NEAR_M, FAR_M = 2.0, 3.5


def frame_of(z_m: NDArray[np.float64], pose: CameraPose | None = None) -> Frame:
    pose = pose or CameraPose(np.eye(4))
    header = FrameHeader(0, "0", CAMERA, pose, has_depth=True)
    return Frame(header, depth=DepthMap(z_m.astype(np.float32)))


def board() -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """A board 0.6 m by 0.4 m at 2 m, before a wall at 3.5 m, and its exact mask."""
    mask = np.zeros((150, 200), bool)
    mask[55:95, 70:130] = True
    return np.where(mask, NEAR_M, FAR_M), mask


@pytest.mark.parametrize("recorded", [7, None])
def test_nothing_of_an_exact_silhouette_is_lost(recorded: int | None) -> None:
    z_m, mask = board()
    sighting = lift(InstanceMask(mask, "board", instance_id=recorded), frame_of(z_m))
    assert sighting.pixels == mask.sum()
    # 60 by 40 pixels of 1 cm, measured from pixel centre to pixel centre, then averaged in 1 cm voxels.
    np.testing.assert_allclose(np.ptp(sighting.xyz_m, axis=0), (0.59, 0.39, 0.0), atol=0.012)


@pytest.mark.parametrize("recorded", [7, None])
def test_background_that_bleeds_in_at_a_silhouette_is_dropped(recorded: int | None) -> None:
    z_m, mask = board()
    sloppy = binary_dilation(mask, iterations=2)
    sighting = lift(InstanceMask(sloppy, "board", instance_id=recorded), frame_of(z_m))
    assert sighting.xyz_m[:, 2].max() < NEAR_M + 0.01
    assert sighting.pixels > 0.98 * mask.sum()


def test_pixels_that_hang_between_two_surfaces_are_dropped() -> None:
    z_m, mask = board()
    rim = binary_dilation(mask) & ~mask
    z_m[rim] = NEAR_M + 0.25
    sighting = lift(InstanceMask(mask | rim, "board", instance_id=7), frame_of(z_m))
    assert sighting.xyz_m[:, 2].max() < NEAR_M + 0.01


def test_background_seen_through_an_object_is_dropped_for_detections() -> None:
    z_m, mask = board()
    z_m[65:85, 90:110] = FAR_M
    sighting = lift(InstanceMask(mask, "chair", 0.8), frame_of(z_m))
    assert sighting.xyz_m[:, 2].max() < NEAR_M + 0.01


@pytest.mark.parametrize("bleed_px", [0, 1, 2, 3])
def test_how_far_a_mask_bleeds_is_seen_at_its_silhouette(bleed_px: int) -> None:
    z_m, mask = board()
    sloppy = binary_dilation(mask, iterations=bleed_px) if bleed_px else mask
    assert abs(seen_bleed_px(sloppy, z_m) - bleed_px) <= 0.3 * bleed_px


def test_a_mask_loses_its_border_where_it_touches_the_same_surface() -> None:
    mask = np.zeros((150, 200), bool)
    mask[50:90, 60:120] = True
    sighting = lift(InstanceMask(mask, "picture", 0.9), frame_of(np.full((150, 200), NEAR_M)))
    assert sighting.border_m > 0
    # Border and pixel footprint follow from the pinhole: 2 m / 200 px = 1 cm a pixel.
    lost_m = 0.59 - np.ptp(sighting.xyz_m[:, 0])
    assert lost_m == pytest.approx(2 * sighting.border_m, abs=0.012)


def test_a_slanted_surface_is_not_taken_for_an_edge() -> None:
    rows = np.arange(150)[:, None] + np.zeros((1, 200))
    z_m = 1.2 / np.maximum((rows - 74.5) / 200 + 0.5, 0.05)  # a floor 1.2 m below a tilted view
    mask = np.zeros((150, 200), bool)
    mask[40:150, 40:160] = True
    sighting = lift(InstanceMask(mask, "rug", instance_id=1), frame_of(z_m))
    assert sighting.pixels > 0.9 * mask.sum()


def test_points_lie_in_the_world_of_the_pose() -> None:
    z_m, mask = board()
    turn = np.array([[0.0, 0, 1, 5], [-1, 0, 0, 6], [0, -1, 0, 1.5], [0, 0, 0, 1]])
    sighting = lift(InstanceMask(mask, "board", 0.9), frame_of(z_m, CameraPose(turn)))
    np.testing.assert_allclose(sighting.xyz_m[:, 0], 5 + NEAR_M, atol=1e-6)


def test_a_mask_of_another_size_is_the_same_view() -> None:
    z_m, mask = board()
    doubled = np.kron(mask, np.ones((2, 2), bool))
    np.testing.assert_array_equal(resampled(doubled, mask.shape), mask)
    one = lift(InstanceMask(mask, "board", 0.9), frame_of(z_m))
    two = lift(InstanceMask(doubled, "board", 0.9), frame_of(z_m))
    np.testing.assert_allclose(one.xyz_m, two.xyz_m)


def test_a_mask_at_the_border_is_cut_off_and_one_inside_is_not() -> None:
    z_m, mask = board()
    assert not lift(InstanceMask(mask, "board"), frame_of(z_m)).cut_off
    mask[0, 90] = True
    assert lift(InstanceMask(mask, "board"), frame_of(z_m)).cut_off


def test_a_mask_without_depth_keeps_its_share_of_the_image() -> None:
    mask = board()[1]
    sighting = lift(InstanceMask(mask, "window", instance_id=3), frame_of(np.zeros((150, 200))))
    assert sighting.pixels == 0 == len(sighting.xyz_m)
    assert sighting.image_share == pytest.approx(60 * 40 / (150 * 200))


def test_a_frame_without_depth_is_refused_by_name() -> None:
    header = FrameHeader(4, "000004", CAMERA, CameraPose(np.eye(4)))
    with pytest.raises(SourceError, match="000004"):
        lift(InstanceMask(np.ones((150, 200), bool), "chair"), Frame(header))


def test_voxel_means_keep_weight_and_centre() -> None:
    rng = np.random.default_rng(1)
    xyz_m, weight = rng.normal(size=(500, 3)), rng.uniform(1, 2, 500)
    points, (total,) = voxel_means(xyz_m, [weight], 0.3)
    assert len(points) < 500
    assert total.sum() == pytest.approx(weight.sum())
    np.testing.assert_allclose(
        np.average(points, axis=0, weights=total), np.average(xyz_m, axis=0, weights=weight)
    )


def test_pieces_are_numbered_from_the_largest() -> None:
    rng = np.random.default_rng(2)
    big, small = rng.uniform(0, 0.3, (400, 3)), rng.uniform(0, 0.3, (200, 3)) + (1.0, 0, 0)
    number = pieces(np.concatenate([small, big]), 0.15)
    assert set(number[:200]) == {1}
    assert set(number[200:]) == {0}
