"""Scenes with a planted wrong scale, corrected by sizes and by the height of the camera."""

from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.tools.errors import InvalidValueError, ScaleError, ViewpointError
from spatial_agent.tools.geometry.transforms import scale_scene
from spatial_agent.tools.mapping.scale_check import scale_of, with_checked_scale
from spatial_agent.tools.scene import SceneMap, SceneQuality
from spatial_agent.tools.synthetic import SyntheticRoom

ROOM = SyntheticRoom.example()
QUALITY = SceneQuality(0.005, 0.0, 0.01, scale_error=0.15, shape_error=0.05)


def wrong(factor: float) -> SceneMap:
    """The room with all lengths divided by a factor."""
    return replace(scale_scene(ROOM.scene_map(), 1 / factor), quality=QUALITY)


def rulers(factor: float, spread: float = 1.15) -> list[tuple[float, float, float]]:
    """Heights as measured in the wrong scene, each with a range round the true one."""
    heights_m = [float(piece.box.extent_m[2]) for piece in ROOM.objects]
    return [(height / factor, height / spread, height * spread) for height in heights_m]


@pytest.mark.parametrize("factor", [0.8, 0.9, 1.1, 1.25])
def test_known_sizes_bring_lengths_back(factor: float) -> None:
    scene = with_checked_scale(wrong(factor), rulers(factor))
    truth = ROOM.scene_map()
    for item, true in zip(scene.objects, truth.objects, strict=True):
        np.testing.assert_allclose(item.box.extent_m, true.box.extent_m, rtol=0.07)
    assert scene.quality is not None
    assert scene.quality.scale_error < QUALITY.scale_error
    assert "typical sizes" in scene.notes[-1]
    assert scene.quality.shape_error == QUALITY.shape_error


def test_the_known_height_of_the_camera_brings_lengths_back() -> None:
    height_m = float(np.median([camera.position_m[2] for camera in ROOM.cameras]))
    scene = with_checked_scale(wrong(1.2), camera_height_m=height_m, camera_margin_m=0.05)
    (first, true) = scene.objects[0].box.extent_m, ROOM.scene_map().objects[0].box.extent_m
    np.testing.assert_allclose(first, true, rtol=0.05)
    assert "the height of the camera" in scene.notes[-1]


def test_corrected_lengths_hold_their_ninety_percent() -> None:
    """Scale wrong as stated, sizes drawn from their own ranges: 300 rooms of eight things."""
    rng = np.random.default_rng(8)
    heights_m = np.array([piece.box.extent_m[2] for piece in ROOM.objects])
    spread = np.log(1.3)
    held = 0
    for _ in range(300):
        factor = float(np.exp(rng.normal(0, QUALITY.scale_error)))
        usual_m = heights_m * np.exp(rng.normal(0, spread / 1.645, len(heights_m)) + rng.normal(0, 0.05))
        measured_m = heights_m / factor * np.exp(rng.normal(0, 0.06, len(heights_m)))
        given = [
            (float(length), float(usual / 1.3), float(usual * 1.3))
            for length, usual in zip(measured_m, usual_m, strict=True)
        ]
        check = scale_of(wrong(factor), given)
        held += abs(np.log(check.factor / factor)) <= 1.645 * check.error
    assert 0.86 <= held / 300 <= 0.98, held / 300


def test_an_unknown_focal_length_limits_what_sizes_can_tell() -> None:
    known = scale_of(wrong(1.2), rulers(1.2))
    guessed = scale_of(replace(wrong(1.2), quality=replace(QUALITY, focal_error=0.22)), rulers(1.2))
    assert guessed.error > 1.5 * known.error
    assert abs(np.log(guessed.factor)) < abs(np.log(known.factor))


def test_without_anything_to_compare_nothing_changes_but_the_note() -> None:
    scene = wrong(1.2)
    checked = with_checked_scale(scene)
    assert checked.objects == scene.objects
    assert checked.quality == scene.quality
    assert "nothing in the picture confirms" in checked.notes[-1]


def test_scenes_without_metres_or_up_are_refused() -> None:
    with pytest.raises(ScaleError, match="metres"):
        with_checked_scale(replace(wrong(1.0), scale="relative"), rulers(1.0))
    with pytest.raises(ViewpointError, match="height of the camera"):
        with_checked_scale(replace(wrong(1.0), up=None), camera_height_m=1.5)
    with pytest.raises(InvalidValueError, match="above 0"):
        with_checked_scale(ROOM.scene_map(), rulers(1.0))
