"""The error model against what it models: surfaces moved away from cameras, and drawn at random."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.geometry.intervals import (
    NORMAL_Z90,
    SurfaceError,
    combined_std,
    margin_90,
    one_sided_std,
    room_std,
    scale_std,
    seen_share,
    surface_error,
)
from spatial_agent.tools.scene import (
    OrientedBox,
    PointCloud,
    Provenance,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
    SceneQuality,
)
from spatial_agent.tools.synthetic.layout import look_at
from spatial_agent.tools.synthetic.room import camera_of

Array = NDArray[np.float64]
BOX = OrientedBox.upright(np.array([0.0, 0.0, 0.5]), np.array([1.0, 2.0, 1.0]))
EYES = np.array([[3.0, 0.0, 1.5], [-2.0, 0.0, 1.5], [0.0, 4.0, 1.5]])
EXACT = SceneQuality(0.0, 0.0, 0.0, 0.0)


def scene_of(item: SceneObject, quality: SceneQuality = EXACT) -> SceneMap:
    cameras = tuple(
        SceneCamera(k, camera_of(160, 120), look_at(eye, BOX.centre_m)) for k, eye in enumerate(EYES)
    )
    return SceneMap((item,), cameras=cameras, quality=quality)


def box_seen_by(*frames: int) -> SceneObject:
    known = Provenance(frames, 100, 100, 0.0, (1.0,) * 6)
    return SceneObject("box", "box", BOX, PointCloud(BOX.corners_m), provenance=known)


@pytest.mark.parametrize(("axis", "sign", "camera"), [(0, 1, 0), (0, -1, 1), (1, 1, 2)])
def test_depth_too_long_moves_a_side_away_from_the_camera_that_sees_it(
    axis: int, sign: int, camera: int
) -> None:
    item = box_seen_by(0, 1, 2)
    outward = np.zeros(3)
    outward[axis] = sign
    point_m = BOX.centre_m + outward * BOX.extent_m / 2
    moved_m = EYES[camera] + 1.01 * (point_m - EYES[camera])
    predicted = 0.01 * surface_error(scene_of(item), item, point_m, outward).per_scale_m
    assert predicted == pytest.approx((moved_m - point_m) @ outward)


def test_a_box_seen_from_both_sides_shrinks_by_what_both_sides_move() -> None:
    item = box_seen_by(0, 1)
    scene = scene_of(item)
    x = np.array([1.0, 0.0, 0.0])
    ends = [surface_error(scene, item, BOX.centre_m + s * 0.5 * x, s * x) for s in (1.0, -1.0)]
    # Cameras stand 2.5 m and 1.5 m before the sides.
    assert sum(end.per_scale_m for end in ends) == pytest.approx(-4.0)


def test_a_given_box_has_no_error() -> None:
    given = SceneObject("box", "box", BOX)
    assert surface_error(scene_of(given), given, BOX.centre_m, np.array([1.0, 0, 0])) == SurfaceError(0, 0)


def test_errors_add_up_like_random_numbers_that_share_one_scale() -> None:
    errors = (SurfaceError(2.0, 0.01), SurfaceError(-0.5, 0.02, 0.03))
    scene = scene_of(box_seen_by(0))
    rng = np.random.default_rng(0)
    scale, own = rng.standard_normal(200_000), rng.standard_normal((3, 200_000))
    drawn = (2.0 * 3 + 0.5) * 0.01 * scale + 3 * 0.01 * own[0] - 0.02 * own[1] - 0.03 * own[2]
    assert scale_std(scene) == 0.01
    assert combined_std(scene, errors, (3.0, -1.0)) == pytest.approx(drawn.std(), rel=0.01)


def test_what_was_not_seen_counts_on_one_side_only() -> None:
    scene = scene_of(box_seen_by(0))
    seen, with_unseen = one_sided_std(scene, (SurfaceError(0.0, 0.01, 0.05), SurfaceError(0.0, 0.01)))
    assert seen == pytest.approx(np.hypot(0.01, 0.01))
    assert with_unseen == pytest.approx(np.sqrt(2 * 0.01**2 + 0.05**2))


def test_a_scan_that_disagrees_with_itself_about_scale_is_trusted_less() -> None:
    item = box_seen_by(0)
    assert scale_std(scene_of(item, replace(EXACT, scale_error=0.02))) == pytest.approx(0.02)


def test_the_seen_share_of_a_side_follows_the_direction_asked_for() -> None:
    known = Provenance((0,), 1, 1, 0.0, (0.0, 1.0, 0.5, 0.5, 0.0, 1.0))
    item = SceneObject("box", "box", BOX, provenance=known)
    assert seen_share(item, np.array([1.0, 0, 0])) == 1.0
    assert seen_share(item, np.array([-1.0, 0, 0])) == 0.0
    assert seen_share(item, np.array([1.0, 1.0, 0]) / np.sqrt(2)) == pytest.approx(0.75)


def test_a_ninety_percent_interval_holds_nine_of_ten_draws() -> None:
    measured = margin_90(10.0, 2.0, "deg", "drawn", z90=NORMAL_Z90)
    assert measured.low is not None
    assert measured.high is not None
    rng = np.random.default_rng(1)
    drawn = 10.0 + 2.0 * rng.standard_normal(100_000)
    assert ((drawn > measured.low) & (drawn < measured.high)).mean() == pytest.approx(0.9, abs=0.005)
    heavy = margin_90(10.0, 2.0, "deg", "drawn")
    assert heavy.low is not None
    assert heavy.high is not None
    drawn = 10.0 + 2.0 * rng.standard_t(4, 100_000)
    assert ((drawn > heavy.low) & (drawn < heavy.high)).mean() == pytest.approx(0.9, abs=0.005)


def test_a_length_is_never_said_to_be_below_zero_and_an_open_end_stays_open() -> None:
    measured = margin_90(0.01, 0.1, "m", "x", at_least=True)
    assert measured.low == 0.0
    assert measured.high is None
    assert margin_90(0.01, 0.1, "deg", "x").low == pytest.approx(0.01 - 0.213)


def test_a_room_filmed_from_its_middle_grows_with_the_depth_scale_on_both_axes() -> None:
    square = np.array([[-2.0, -2], [2, -2], [2, 2], [-2, 2]])
    looks = ((1, 0), (-1, 0), (0, 1), (0, -1))
    eye = np.array([0.0, 0.0, 1.5])
    cameras = tuple(
        SceneCamera(k, camera_of(160, 120), look_at(eye, eye + np.array([x, y, 0.0])))
        for k, (x, y) in enumerate(looks)
    )
    scene = SceneMap((), cameras=cameras, quality=EXACT)
    # (1 + s)^2 * 16 - 16 is 32 s for small s.
    assert room_std(scene, Room(16.0, square, 16.0, 16.0, exact=False), square) == pytest.approx(0.32)
