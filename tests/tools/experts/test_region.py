"""Regions on a ray-cast frame become objects of the right size at the right place."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.region import region
from spatial_agent.tools.geometry.measuring import measure_size
from spatial_agent.tools.geometry.transforms import rigid, yaw_rotation
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    Detections,
    Frame,
    SceneMap,
    SceneObject,
    SceneQuality,
)
from spatial_agent.tools.synthetic import SensorNoise, SyntheticObject, SyntheticRoom
from spatial_agent.tools.synthetic.layout import look_at

#: A table and a cabinet before a wall, in a picture that is not square.
LENS = CameraIntrinsics(260.0, 260.0, 159.5, 99.5, 320, 200)
EYE = look_at(np.array([0.6, 2.2, 1.7]), np.array([2.8, 2.2, 0.5]))
ROOM = SyntheticRoom(
    5.0,
    4.4,
    2.6,
    (
        SyntheticObject.placed("table", (2.6, 2.6), 0.3, (0.8, 1.2, 0.72)),
        SyntheticObject.placed("cabinet", (3.2, 1.2), np.pi - 0.4, (0.45, 0.9, 0.85)),
    ),
    (EYE,),
    LENS,
)
QUALITY = SceneQuality(0.003, 0.004, 0.003, 0.01)
SCENE = dataclasses.replace(ROOM.scene_map(), objects=(), quality=QUALITY)


def frame(noise: SensorNoise | None = None) -> Frame:
    frames = ROOM.frames() if noise is None else ROOM.frames(noise=noise, seed=3)
    return frames.load(0)


def pixel(point_m: tuple[float, float, float], pose: CameraPose = EYE) -> list[float]:
    x, y, z, _ = pose.camera_from_world @ (*point_m, 1.0)
    return [260 * x / z + 159.5, 260 * y / z + 99.5]


def last(scene: SceneMap) -> SceneObject:
    return scene.objects[-1]


@pytest.mark.parametrize("noise", [None, SensorNoise(scale_error=0.0, drift_m=0.0, drift_rad=0.0)])
def test_a_point_on_a_table_becomes_its_top(noise: SensorNoise | None) -> None:
    found = region(SCENE, frame(noise), point_px=pixel((2.6, 2.6, 0.72)), label="top")
    item = last(found)

    assert item.id == "top-1"
    np.testing.assert_allclose(item.box.centre_m[:2], (2.6, 2.6), atol=0.04)
    assert item.box.centre_m[2] == pytest.approx(0.72, abs=0.02)
    assert item.box.extent_m[2] < 0.03
    for dimension, truth in (("width", 1.2), ("depth", 0.8)):
        measured = measure_size(found, item, dimension)  # type: ignore[arg-type]
        assert measured.value == pytest.approx(truth, abs=0.1 if noise else 0.05)
        assert measured.low is not None
        assert measured.low <= truth


def test_a_point_on_the_floor_is_the_floor_and_not_what_stands_on_it() -> None:
    item = last(region(SCENE, frame(), point_px=pixel((3.0, 2.1, 0.0))))

    assert item.surface is not None
    assert np.quantile(np.abs(item.surface.xyz_m[:, 2]), 0.95) < 0.03
    assert item.box.extent_m[:2].min() > 1.3


def test_a_mask_becomes_the_object_with_margins_that_hold() -> None:
    seen = frame()
    assert seen.instance_ids is not None
    masks = Detections(
        np.array([[0.0, 0.0, 9.0, 9.0]]), np.ones(1), ("cabinet",), (seen.instance_ids == 2)[None]
    )
    found = region(SCENE, seen, masks=masks, label="Cabinet")
    item, height = last(found), measure_size(found, last(found), "height")
    width = measure_size(found, item, "width")

    assert item.label == "cabinet"
    np.testing.assert_allclose(item.box.centre_m, (3.2, 1.2, 0.425), atol=0.06)
    for measured, truth in ((height, 0.85), (width, 0.9)):
        assert measured.low is not None
        assert measured.high is not None
        assert measured.low <= truth <= measured.high
        assert measured.high - measured.low < 0.3


@pytest.mark.parametrize("as_box", [True, False])
def test_a_box_or_outline_on_a_wall_measures_what_it_encloses(as_box: bool) -> None:
    """The wall x = 5 m: a rectangle of it, given by the pixels of its corners."""
    facing = look_at(np.array([2.0, 2.2, 1.5]), np.array([5.0, 2.2, 1.5]))
    room = dataclasses.replace(ROOM, objects=(), cameras=(facing,))
    scene = dataclasses.replace(room.scene_map(), quality=QUALITY)
    seen = room.frames().load(0)
    corners = [pixel((5.0, y, z), facing) for y, z in ((2.7, 2.0), (1.7, 2.0), (1.7, 1.4), (2.7, 1.4))]
    given: dict[str, object] = {"outline_px": corners}
    if as_box:
        given = {"xyxy_px": [*corners[0], *corners[2]]}
    found = region(scene, seen, **given)  # type: ignore[arg-type]
    item = last(found)

    np.testing.assert_allclose(item.box.centre_m, (5.0, 2.2, 1.7), atol=0.03)
    extents = sorted(item.box.extent_m)
    assert extents[0] < 0.02
    assert extents[1] == pytest.approx(0.6, abs=0.05)
    assert extents[2] == pytest.approx(1.0, abs=0.05)


def test_pixels_are_those_of_the_picture_where_depth_is_smaller() -> None:
    seen = frame()
    assert seen.rgb is not None
    larger = dataclasses.replace(seen, rgb=np.repeat(np.repeat(seen.rgb, 2, axis=0), 2, axis=1))
    x, y = pixel((2.6, 2.6, 0.72))
    plain = last(region(SCENE, seen, point_px=[x, y]))
    doubled = last(region(SCENE, larger, point_px=[2 * x + 0.5, 2 * y + 0.5]))

    np.testing.assert_allclose(plain.box.centre_m, doubled.box.centre_m)


def test_a_region_of_a_turned_scan_is_placed_in_the_scene() -> None:
    scan_from_room = rigid(yaw_rotation(0.8), (1.0, 2.0, 3.0))
    seen = ROOM.frames(scan_from_room=scan_from_room).load(0)
    turned = dataclasses.replace(SCENE, scan_from_scene=scan_from_room)
    item = last(region(turned, seen, point_px=pixel((2.6, 2.6, 0.72))))

    np.testing.assert_allclose(item.box.centre_m[:2], (2.6, 2.6), atol=0.04)


def test_a_second_region_gets_the_next_number_and_the_scene_stays_as_it_was() -> None:
    once = region(SCENE, frame(), point_px=pixel((2.6, 2.6, 0.72)))
    twice = region(once, frame(), point_px=pixel((3.2, 1.2, 0.85)))

    assert [item.id for item in twice.objects] == ["region-1", "region-2"]
    assert SCENE.objects == ()
    assert last(twice).provenance is not None
    assert last(twice).provenance.frames == (0,)  # type: ignore[union-attr]


def test_impossible_regions_are_named() -> None:
    seen = frame()
    with pytest.raises(ToolArgumentError, match="exactly one of"):
        region(SCENE, seen)
    with pytest.raises(ToolArgumentError, match="exactly one of"):
        region(SCENE, seen, xyxy_px=[0, 0, 9, 9], point_px=[3, 3])
    with pytest.raises(ToolArgumentError, match="outside the 320x200 picture"):
        region(SCENE, seen, point_px=[500, 20])
    with pytest.raises(ToolArgumentError, match="no pixel of the picture"):
        region(SCENE, seen, xyxy_px=[400, 0, 420, 10])
    with pytest.raises(ToolArgumentError, match="three or more x, y"):
        region(SCENE, seen, outline_px=[[0, 0], [1, 1]])
    with pytest.raises(ToolArgumentError, match="holds no mask"):
        region(SCENE, seen, masks=Detections(np.zeros((0, 4)), np.zeros(0), ()))
    with pytest.raises(ToolFailedError, match="too little depth"):
        region(SCENE, seen, xyxy_px=[3, 3, 5, 5])
    with pytest.raises(ToolFailedError, match="needs depth, pose"):
        region(SCENE, dataclasses.replace(seen, depth=None), point_px=[3, 3])
