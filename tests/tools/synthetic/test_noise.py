"""Every kind of error does what it says, measured on what comes out."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError
from spatial_agent.tools.scene import FrameSet
from spatial_agent.tools.synthetic import SensorNoise, SyntheticObject, SyntheticRoom
from spatial_agent.tools.synthetic.layout import look_at
from spatial_agent.tools.synthetic.noise import depth_edges
from spatial_agent.tools.synthetic.room import QUIET

WALL = np.full((200, 200), 2.0)


def only(**settings: float) -> SensorNoise:
    return SensorNoise(**{**vars(QUIET), **settings})


def stage() -> SyntheticRoom:
    eye = np.array([1.0, 2.0, 1.2])
    camera = look_at(eye, eye + np.array([1.0, 0.0, -0.1]))
    cabinet = SyntheticObject.placed("cabinet", (3.0, 2.0), np.pi, (0.4, 1.0, 1.0))
    return SyntheticRoom(objects=(cabinet,), cameras=(camera,) * 8)


def masks(frames: FrameSet) -> list[int]:
    return [int((ids == 1).sum()) for frame in frames if (ids := frame.instance_ids) is not None]


def test_depth_noise_grows_with_the_square_of_depth() -> None:
    noise = only(depth_m=0.001, depth_per_m2=0.002)
    for z_m in (1.0, 2.0, 4.0):
        measured = noise.measured_depth(np.full((200, 200), z_m), 1, 0)
        assert measured.std() == pytest.approx(0.001 + 0.002 * z_m**2, rel=0.03)
        assert measured.mean() == pytest.approx(z_m, abs=0.001)


def test_depth_comes_in_steps() -> None:
    measured = only(depth_m=0.02, depth_step_m=0.01).measured_depth(WALL, 1, 0)
    assert measured * 100 == pytest.approx(np.rint(measured * 100), abs=1e-9)


def test_the_scale_error_is_one_factor_for_the_whole_scan() -> None:
    noise = only(scale_error=0.01)
    factors = np.array([noise.scan_scale(seed) for seed in range(400)])
    assert factors.std() == pytest.approx(0.01, rel=0.15)
    assert noise.measured_depth(WALL, 5, 0) == pytest.approx(2.0 * factors[5])
    assert noise.measured_depth(WALL, 5, 7) == pytest.approx(2.0 * factors[5])


def test_tracking_walks_away_from_the_truth_like_a_random_walk() -> None:
    room = stage()
    noise = only(drift_m=0.002, drift_rad=0.001)
    shifts, turns = [], []
    for seed in range(150):
        tracked = noise.tracked_poses(room.cameras, seed)
        assert tracked[0].world_from_camera == pytest.approx(room.cameras[0].world_from_camera)
        shifts.append(tracked[-1].position_m - room.cameras[-1].position_m)
        turns.append(np.arccos(np.clip(tracked[-1].forward @ room.cameras[-1].forward, -1, 1)))
    assert np.std(shifts) == pytest.approx(0.002 * np.sqrt(7), rel=0.15)
    # Two of three rotation axes turn the viewing direction.
    assert np.sqrt(np.mean(np.square(turns))) == pytest.approx(0.001 * np.sqrt(14), rel=0.2)


def test_bleeding_masks_grow_and_eroded_masks_shrink() -> None:
    exact = masks(stage().frames())[0]
    assert np.mean(masks(stage().frames(noise=only(bleed_px=3)))) > 1.02 * exact
    assert np.mean(masks(stage().frames(noise=only(erosion_px=3)))) < 0.98 * exact


def test_a_bleeding_mask_takes_in_what_lies_behind() -> None:
    frames = stage().frames(noise=only(bleed_px=3))
    depths = [
        frame.depth.z_m[frame.instance_ids == 1].max()
        for frame in frames
        if frame.depth is not None and frame.instance_ids is not None
    ]
    assert max(depths) > 2.5


def test_missed_objects_have_no_mask() -> None:
    seen = np.array(masks(stage().frames(noise=only(misses=0.5), seed=3)))
    assert 0 < (seen == 0).sum() < len(seen)


def test_edges_are_where_surfaces_end_and_not_on_slanted_walls() -> None:
    frame = stage().frames().load(0)
    assert frame.depth is not None
    edges = depth_edges(frame.depth.z_m.astype(float))
    bare = SyntheticRoom(cameras=stage().cameras).frames().load(0)
    assert bare.depth is not None
    assert edges.sum() > 50
    assert depth_edges(bare.depth.z_m.astype(float)).sum() == 0


def test_depth_drops_out_and_flies_at_edges_only() -> None:
    truth = stage().frames().load(0).depth
    dropped = stage().frames(noise=only(dropout=0.5)).load(0).depth
    flying = stage().frames(noise=only(flying=0.5)).load(0).depth
    assert truth is not None
    assert dropped is not None
    assert flying is not None
    edges = depth_edges(truth.z_m.astype(float))
    assert (dropped.z_m[edges] == 0).mean() == pytest.approx(0.5, abs=0.1)
    assert (dropped.z_m[~edges] > 0).all()
    moved = np.abs(flying.z_m - truth.z_m) > 0.01
    assert moved[edges].mean() > 0.2
    assert not moved[~edges].any()


def test_the_same_seed_gives_the_same_errors_and_another_seed_others() -> None:
    def depth(seed: int) -> NDArray[np.float32]:
        loaded = stage().frames(noise=SensorNoise(), seed=seed).load(2).depth
        assert loaded is not None
        return loaded.z_m

    assert np.array_equal(depth(4), depth(4))
    assert not np.array_equal(depth(4), depth(5))


@pytest.mark.parametrize("settings", [{"depth_m": -0.1}, {"misses": 1.5}, {"scale_error": float("nan")}])
def test_impossible_settings_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError, match=next(iter(settings))):
        only(**settings)
