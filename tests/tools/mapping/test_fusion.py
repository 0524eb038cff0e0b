"""Fusion against surfaces known from formulae."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.mapping.fusion import FusedCloud, fuse_cloud
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    DepthMap,
    Frame,
    FrameHeader,
    FrameSet,
)

Array = NDArray[np.float64]
CAMERA = CameraIntrinsics(150.0, 150.0, 99.5, 74.5, 200, 150)
WALL_Z_M = 2.0


def pose_at(x_m: float, y_m: float = 0.0, z_m: float = 0.0, yaw_rad: float = 0.0) -> Array:
    cos, sin = np.cos(yaw_rad), np.sin(yaw_rad)
    matrix = np.eye(4)
    matrix[:3, :3] = [[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]
    matrix[:3, 3] = x_m, y_m, z_m
    return matrix


def wall_depth_m(world_from_camera: Array) -> Array:
    """Depth of the plane z = WALL_Z_M, by intersecting every pixel's ray with it."""
    column, row = np.meshgrid(np.arange(CAMERA.width), np.arange(CAMERA.height))
    rays = np.stack([(column - CAMERA.cx) / CAMERA.fx, (row - CAMERA.cy) / CAMERA.fy, np.ones(row.shape)], -1)
    depth: Array = (WALL_Z_M - world_from_camera[2, 3]) / (rays @ world_from_camera[2, :3])
    return depth


def scan(
    poses: list[Array], depths_m: list[Array], colour: tuple[int, int, int] = (200, 100, 50)
) -> FrameSet:
    headers = tuple(
        FrameHeader(index, str(index), CAMERA, CameraPose(pose), has_depth=True)
        for index, pose in enumerate(poses)
    )

    def load(index: int, rgb: bool, depth: bool, instances: bool) -> Frame:
        picture = np.full((CAMERA.height, CAMERA.width, 3), colour, np.uint8) if rgb else None
        return Frame(headers[index], picture, DepthMap(depths_m[index].astype(np.float32)) if depth else None)

    return FrameSet("wall", "test", headers, load, "hash")


def wall_scan(poses: list[Array], noise_m: float = 0.0, seed: int = 0) -> FrameSet:
    rng = np.random.default_rng(seed)
    depths = [wall_depth_m(pose) for pose in poses]
    return scan(poses, [depth + rng.normal(0, noise_m, depth.shape) for depth in depths])


def off_wall_m(fused: FusedCloud) -> Array:
    distance: Array = np.abs(fused.cloud.xyz_m[:, 2] - WALL_Z_M)
    return distance


def test_points_lie_on_the_surface_and_cover_it_once_per_voxel() -> None:
    fused = fuse_cloud(wall_scan([pose_at(0), pose_at(0.2, yaw_rad=-0.1)]))
    assert off_wall_m(fused).max() < 1e-3
    cells = np.unique(np.floor(fused.cloud.xyz_m[:, :2] / 0.02).astype(int), axis=0)
    inner = cells[(np.abs(cells * 0.02) < (1.0, 0.7)).all(axis=1)]
    assert len(inner) == pytest.approx(100 * 70, rel=0.04)
    assert len(fused.cloud) < 1.1 * len(cells)
    assert np.abs(fused.normals @ (0, 0, -1) - 1).max() < 1e-3


def test_colour_and_the_number_of_pixels_are_kept() -> None:
    fused = fuse_cloud(wall_scan([pose_at(0)]))
    assert fused.cloud.rgb is not None
    assert (fused.cloud.rgb == (200, 100, 50)).all()
    assert fused.cloud.weight is not None
    assert 0.9 * CAMERA.width * CAMERA.height < fused.cloud.weight.sum() <= CAMERA.width * CAMERA.height


def test_colours_are_left_out_on_request() -> None:
    assert fuse_cloud(wall_scan([pose_at(0)]), colour=False).cloud.rgb is None


def test_noise_as_wide_as_a_voxel_is_averaged_into_one_layer() -> None:
    noise_m = 0.02
    fused = fuse_cloud(wall_scan([pose_at(0.02 * step) for step in range(20)], noise_m))
    assert np.sqrt(np.mean(off_wall_m(fused) ** 2)) < noise_m / 4
    assert len(fused.cloud) < 1.6 * len(fuse_cloud(wall_scan([pose_at(0.02 * s) for s in range(20)])).cloud)


def test_pixels_between_two_surfaces_leave_no_points_between_them() -> None:
    depth = wall_depth_m(pose_at(0))
    depth[:, :100] = 1.0
    depth[:, 99:101] = 1.5
    z_m = fuse_cloud(scan([pose_at(0)], [depth])).cloud.xyz_m[:, 2]
    assert ((np.abs(z_m - 1.0) < 0.01) | (np.abs(z_m - WALL_Z_M) < 0.01)).all()


def test_order_of_frames_changes_nothing() -> None:
    poses = [pose_at(0.1 * step, yaw_rad=0.05 * step) for step in range(6)]
    depths = [wall_depth_m(pose) for pose in poses]
    one, other = scan(poses, depths), scan(poses[::-1], depths[::-1])
    assert np.allclose(fuse_cloud(one).cloud.xyz_m, fuse_cloud(other).cloud.xyz_m, atol=1e-5)


def test_far_from_the_origin_nothing_gets_less_exact() -> None:
    far = [pose_at(0), pose_at(0.2)]
    depths = [wall_depth_m(pose) for pose in far]
    for pose in far:
        pose[0, 3] += 5000.0
    assert off_wall_m(fuse_cloud(scan(far, depths))).max() < 1e-3


@pytest.mark.parametrize("noise_m", [0.003, 0.012])
def test_depth_noise_is_measured(noise_m: float) -> None:
    fused = fuse_cloud(wall_scan([pose_at(0.05 * step) for step in range(8)], noise_m))
    assert fused.depth_noise_m == pytest.approx(noise_m, rel=0.2)


def test_pose_drift_is_measured_and_noise_is_not_taken_for_it() -> None:
    true = [pose_at(0.03 * step) for step in range(12)]
    depths = [wall_depth_m(pose) for pose in true]
    rng = np.random.default_rng(3)
    noisy = [depth + rng.normal(0, 0.01, depth.shape) for depth in depths]
    still = fuse_cloud(scan(true, noisy))
    assert still.pose_drift_m < 0.0015
    offsets_m = rng.normal(0, 0.01, 12)
    moved = [pose + np.pad([[z]], ((2, 1), (3, 0))) for pose, z in zip(true, offsets_m, strict=True)]
    assert fuse_cloud(scan(moved, noisy)).pose_drift_m == pytest.approx(float(np.std(offsets_m)), rel=0.4)


def test_frames_that_share_nothing_say_so() -> None:
    fused = fuse_cloud(wall_scan([pose_at(0), pose_at(9)]))
    assert fused.pose_drift_m == 0.0
    assert "not known" in fused.notes[0]


def test_memory_does_not_grow_with_the_number_of_frames() -> None:
    poses = [pose_at(0.0), pose_at(0.1), pose_at(0.2), pose_at(0.3)]

    def peak_bytes(rounds: int) -> int:
        frames = wall_scan(poses * rounds)
        tracemalloc.start()
        fuse_cloud(frames)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert peak_bytes(36) < 1.3 * peak_bytes(9)


def test_progress_is_told_for_every_frame() -> None:
    told: list[tuple[int, int]] = []
    fuse_cloud(wall_scan([pose_at(0), pose_at(0.1)]), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]


def test_frames_without_a_pose_are_left_out_and_counted() -> None:
    whole = wall_scan([pose_at(0), pose_at(0.1)])
    lost = FrameHeader(1, "1", CAMERA, None, has_depth=True)
    fused = fuse_cloud(FrameSet("wall", "test", (whole.headers[0], lost), whole.loader, "hash"))
    assert fused.frames == 1
    assert "1 of 2 frames" in fused.notes[0]


def test_a_scan_without_depth_is_refused() -> None:
    header = FrameHeader(0, "0", CAMERA, CameraPose(np.eye(4)))
    with pytest.raises(InvalidValueError, match="nothing to fuse"):
        fuse_cloud(FrameSet("blind", "test", (header,), lambda *_: Frame(header), "hash"))


def test_depth_out_of_reach_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="within 1"):
        fuse_cloud(wall_scan([pose_at(0)]), max_depth_m=1.0)


@pytest.mark.parametrize("settings", [{"voxel_m": 0.0}, {"stride": 0}, {"max_depth_m": -1.0}])
def test_senseless_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError, match="above 0"):
        fuse_cloud(wall_scan([pose_at(0)]), **settings)  # type: ignore[arg-type]
