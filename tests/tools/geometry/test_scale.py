"""The metric scale of estimated depth: against planted factors, ranges with known odds, and exact rooms."""

from functools import cache
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, ShapeError
from spatial_agent.tools.geometry.scale import (
    ScaleCue,
    check_scale,
    cue_from_camera_height,
    cue_from_sensor,
    cue_from_size,
    rescaled,
)
from spatial_agent.tools.scene import DepthMap
from spatial_agent.tools.synthetic import SyntheticRoom

Image = NDArray[np.float32]
FACTORS = st.floats(0.3, 3.0)
ERRORS = st.floats(0.01, 0.5)
CUES = st.builds(ScaleCue, FACTORS, ERRORS, st.just("a cue"))


@cache
def room_depth_m(seed: int) -> Image:
    """Exact depth of the first frame of a room, by ray casting."""
    depth = SyntheticRoom.random(seed, width_px=120, height_px=80).frames().load(0).depth
    assert depth is not None
    return depth.z_m


def warp(shape: tuple[int, ...], strength: float, seed: int) -> NDArray[np.float64]:
    """A smooth random field of logarithms, zero on average, of the given standard deviation."""
    from scipy.ndimage import gaussian_filter

    field = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 12, mode="reflect")
    field -= field.mean()
    return np.asarray(strength * field / field.std())


def window(shape: tuple[int, ...], seed: int) -> NDArray[np.bool_]:
    """A part of the picture between a quarter of it and all of it."""
    rng = np.random.default_rng((seed, 1))
    high, wide = (int(side * rng.uniform(0.5, 1.0)) for side in shape)
    top, left = (
        int(rng.integers(0, side - size + 1)) for side, size in zip(shape, (high, wide), strict=True)
    )
    inside = np.zeros(shape, bool)
    inside[top : top + high, left : left + wide] = True
    return inside


@pytest.mark.parametrize("factor", [0.6, 0.9, 1.0, 1.25, 1.8])
def test_a_sensor_tells_the_scale_of_a_distorted_room(factor: float) -> None:
    truth_m = room_depth_m(3)
    estimated = DepthMap(truth_m / np.float32(factor), scale_error=0.2, shape_error=0.05)
    cue = cue_from_sensor(estimated, DepthMap(truth_m))
    assert cue is not None
    assert cue.factor == pytest.approx(factor, rel=1e-3)
    check = check_scale(estimated.scale_error, [cue])
    assert check.factor == pytest.approx(factor, rel=0.01)
    corrected = rescaled(estimated, check)
    np.testing.assert_allclose(corrected.z_m[truth_m > 0], truth_m[truth_m > 0], rtol=0.01)
    assert corrected.scale_error == check.error < 0.06


def test_a_sensor_that_sees_only_part_of_the_picture_is_enough() -> None:
    truth_m = room_depth_m(5)
    seen_m = truth_m.copy()
    seen_m[:, 40:] = 0
    estimated = DepthMap((truth_m / 1.3).astype(np.float32), scale_error=0.2)
    cue = cue_from_sensor(estimated, DepthMap(seen_m))
    assert cue is not None
    assert cue.factor == pytest.approx(1.3, rel=1e-3)
    assert cue_from_sensor(estimated, DepthMap(np.zeros_like(truth_m))) is None


def test_sensor_cues_of_warped_rooms_hold_their_ninety_percent() -> None:
    """Depth with a smooth error of shape besides the scale, where the sensor saw part of the picture."""
    held, errors = 0, []
    for seed in range(1000, 1200):
        truth_m = room_depth_m(seed % 6)
        rng = np.random.default_rng(seed)
        factor = float(np.exp(rng.normal(0, 0.2)))
        bent = truth_m / factor * np.exp(warp(truth_m.shape, 0.06, seed))
        estimated = DepthMap(bent.astype(np.float32), scale_error=0.2, shape_error=0.06)
        seen_m = truth_m * (1 + rng.normal(0, 0.01)) * window(truth_m.shape, seed)
        sensor = DepthMap(seen_m.astype(np.float32))
        cue = cue_from_sensor(estimated, sensor)
        assert cue is not None
        check = check_scale(estimated.scale_error, [cue])
        off = np.log(check.factor / factor)
        errors.append(abs(off))
        held += abs(off) <= 1.645 * check.error
    assert 0.84 <= held / 200 <= 0.98, (held, float(np.median(errors)))
    assert np.median(errors) < 0.03


def test_holes_and_sizes_are_checked() -> None:
    with pytest.raises(ShapeError, match="one size"):
        cue_from_sensor(DepthMap(np.ones((3, 4), np.float32)), DepthMap(np.ones((4, 3), np.float32)))
    with pytest.raises(InvalidValueError, match="door"):
        cue_from_size(1.0, 2.1, 2.0, source="the door")
    with pytest.raises(InvalidValueError, match="camera height"):
        cue_from_camera_height(0.0, 1.5, 0.1)
    with pytest.raises(InvalidValueError, match="above 0"):
        check_scale(0.0, [])
    with pytest.raises(InvalidValueError, match="factor"):
        ScaleCue(-1.0, 0.1, "x")


def test_a_range_is_a_ninety_percent_interval() -> None:
    """Things drawn so that nine of ten lie in the range: the cue's own interval holds as many."""
    rng = np.random.default_rng(2)
    low_m, high_m, factor = 1.9, 2.2, 1.4
    true_m = np.exp(rng.normal(np.log(low_m * high_m) / 2, np.log(high_m / low_m) / (2 * 1.645), 2000))
    cues = [cue_from_size(float(length) / factor, low_m, high_m, source="the door") for length in true_m]
    held = np.mean([abs(np.log(cue.factor / factor)) <= 1.645 * cue.error for cue in cues])
    assert 0.88 <= held <= 0.92


def test_combined_cues_hold_their_ninety_percent_and_are_better_than_each() -> None:
    rng = np.random.default_rng(4)
    held, widths, misses = 0, [], []
    for _ in range(600):
        truth = float(np.exp(rng.normal(0, 0.15)))
        errors = rng.uniform(0.03, 0.2, 3)
        cues = [ScaleCue(float(truth * np.exp(rng.normal(0, e))), float(e), "cue") for e in errors]
        check = check_scale(0.15, cues)
        held += abs(np.log(check.factor / truth)) <= 1.645 * check.error
        widths.append(check.error / errors.min())
        misses.append(abs(np.log(check.factor / truth)))
    assert 0.87 <= held / 600 <= 0.97
    assert np.median(widths) < 1.0
    assert np.median(misses) < 0.05


@given(CUES, ERRORS)
def test_between_the_estimate_and_one_cue_the_more_precise_wins(cue: ScaleCue, prior: float) -> None:
    check = check_scale(prior, [cue])
    between = sorted((0.0, np.log(cue.factor)))
    assert between[0] - 1e-9 <= np.log(check.factor) <= between[1] + 1e-9
    to_cue, to_own = abs(np.log(check.factor / cue.factor)), abs(np.log(check.factor))
    assert (to_cue <= to_own + 1e-9) == (cue.error <= prior) or abs(to_cue - to_own) < 1e-6


@given(st.lists(CUES, min_size=1, max_size=4), ERRORS)
def test_the_order_of_cues_does_not_matter(cues: list[ScaleCue], prior: float) -> None:
    checks = [check_scale(prior, list(order)) for order in permutations(cues)]
    np.testing.assert_allclose([check.factor for check in checks], checks[0].factor, rtol=1e-9)
    np.testing.assert_allclose([check.error for check in checks], checks[0].error, rtol=1e-9)


@given(st.lists(CUES, min_size=1, max_size=4), ERRORS)
def test_too_large_and_too_small_are_treated_alike(cues: list[ScaleCue], prior: float) -> None:
    check = check_scale(prior, cues)
    turned = check_scale(prior, [ScaleCue(1 / cue.factor, cue.error, cue.source) for cue in cues])
    assert turned.factor == pytest.approx(1 / check.factor, rel=1e-6)
    assert turned.error == pytest.approx(check.error, rel=1e-6)


@given(ERRORS, st.floats(0.02, 0.2))
def test_cues_that_agree_narrow_the_margin(prior: float, error: float) -> None:
    one = check_scale(prior, [ScaleCue(1.0, error, "a")])
    two = check_scale(prior, [ScaleCue(1.0, error, "a"), ScaleCue(1.0, error, "b")])
    assert two.error < one.error < prior
    assert two.agrees


def test_one_wrong_size_among_many_moves_little_and_is_said() -> None:
    doors = [ScaleCue(1.2, 0.05, f"door {k}") for k in range(6)]
    right = check_scale(0.15, [], table=doors)
    wrong = check_scale(0.15, [], table=[*doors, ScaleCue(4.0, 0.05, "a door that is a toy")])
    assert right.factor == pytest.approx(1.2, abs=0.03)
    assert wrong.factor == pytest.approx(right.factor, rel=0.06)
    assert wrong.error > right.error


def test_disagreement_beyond_the_margins_is_said_and_widens() -> None:
    agreeing = check_scale(0.1, [ScaleCue(1.05, 0.03, "the depth sensor")])
    torn = check_scale(0.1, [ScaleCue(1.9, 0.03, "the depth sensor")])
    assert agreeing.agrees
    assert "do not agree" not in agreeing.note
    assert not torn.agrees
    assert "the depth sensor (1.90)" in torn.note
    assert "do not agree" in torn.note
    assert torn.error > 3 * agreeing.error


def test_typical_sizes_together_are_no_better_than_their_judge() -> None:
    check = check_scale(0.5, [], table=[ScaleCue(1.1, 0.05, f"chair {k}") for k in range(100)])
    assert check.error >= 0.045


def test_a_partly_seen_thing_only_bounds_the_scale() -> None:
    """Of a 2 m sofa 1 m was seen: factors up to about 2 are possible, and no more is known."""
    loose = cue_from_size(1.0, 1.8, 2.2, source="the sofa", cut=True)
    assert check_scale(0.1, [], table=[loose]).factor == 1.0
    # What was seen of it is already longer than such things are.
    tight = cue_from_size(3.0, 1.8, 2.2, source="the sofa", cut=True)
    assert check_scale(0.3, [], table=[tight]).factor < 0.85


def test_without_anything_to_compare_the_note_says_so() -> None:
    check = check_scale(0.12, [])
    assert (check.factor, check.error, check.agrees) == (1.0, 0.12, True)
    assert "nothing in the picture confirms" in check.note
    assert "20%" in check.note


def test_the_height_of_the_camera_tells_the_scale() -> None:
    cue = cue_from_camera_height(1.2, 1.5, 0.15)
    assert cue.factor == pytest.approx(1.25)
    assert cue.error == pytest.approx(0.1 / 1.645)
