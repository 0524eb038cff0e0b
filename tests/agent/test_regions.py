"""Regions of ray-cast frames become objects of the scene under the names that questions use."""

import asyncio
import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from spatial_agent.agent.plain import from_plain, to_plain
from spatial_agent.agent.regions import MaskRuns, Region, add_regions, with_names
from spatial_agent.tools.errors import InvalidValueError, QuestionError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.region import region as region_expert
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import CameraIntrinsics, SceneMap, SceneQuality
from spatial_agent.tools.synthetic import SyntheticObject, SyntheticRoom
from spatial_agent.tools.synthetic.layout import look_at

EYE = look_at(np.array([0.6, 2.2, 1.7]), np.array([2.8, 2.2, 0.5]))
ROOM = SyntheticRoom(
    5.0,
    4.4,
    2.6,
    (
        SyntheticObject.placed("table", (2.6, 2.6), 0.3, (0.8, 1.2, 0.72)),
        SyntheticObject.placed("cabinet", (3.2, 1.2), np.pi - 0.4, (0.45, 0.9, 0.85)),
    ),
    (EYE, EYE),
    CameraIntrinsics(130.0, 130.0, 79.5, 49.5, 160, 100),
)
SCENE = dataclasses.replace(ROOM.scene_map(), objects=(), quality=SceneQuality(0.003, 0.004, 0.003, 0.01))
TABLE_TOP, CABINET_TOP = (2.6, 2.6, 0.72), (3.2, 1.2, 0.85)


def pixel(point_m: tuple[float, float, float]) -> tuple[float, float]:
    x, y, z, _ = EYE.camera_from_world @ (*point_m, 1.0)
    return 130 * x / z + 79.5, 130 * y / z + 49.5


@pytest.fixture
def runner() -> LocalRunner:
    registry = Registry()
    registry.add(region_expert)
    made = LocalRunner(registry)
    made.keep("scene", SCENE)
    for index in range(2):
        made.keep(f"frame/{index}", ROOM.frames().load(index))
    return made


def added(runner: LocalRunner, regions: Sequence[Region]) -> tuple[SceneMap, tuple[str, ...]]:
    reference, names = asyncio.run(add_regions(runner, "$scene", regions))
    scene = runner.value(reference)
    assert isinstance(scene, SceneMap)
    return scene, names


def test_regions_are_objects_where_they_were_marked(runner: LocalRunner) -> None:
    scene, names = added(
        runner,
        [Region(0, point_px=pixel(TABLE_TOP)), Region(1, point_px=pixel(CABINET_TOP), label="Cabinet top")],
    )

    assert names == ("region-1", "cabinet top-1")
    assert [item.id for item in scene.objects] == list(names)
    for name, point_m in zip(names, (TABLE_TOP, CABINET_TOP), strict=True):
        np.testing.assert_allclose(scene.object(name).box.centre_m, point_m, atol=0.06)
    assert runner.value("$scene") is SCENE


def test_nothing_is_kept_that_nobody_needs(runner: LocalRunner) -> None:
    """Neither the scene with the first region alone nor the mask."""
    mask = MaskRuns.of(ROOM.frames().load(0).instance_ids == 2)  # type: ignore[arg-type]
    reference, _ = asyncio.run(
        add_regions(runner, "$scene", [Region(0, mask=mask), Region(0, point_px=pixel(TABLE_TOP))])
    )
    with pytest.raises(ToolArgumentError, match="in use: ") as error:
        runner.value("$nothing")

    assert str(error.value).endswith(f"in use: $frame/0, $frame/1, {reference}, $scene")


@pytest.mark.parametrize("factor", [1, 2])
def test_a_mask_of_the_picture_becomes_the_object_also_where_the_picture_is_larger(
    runner: LocalRunner, factor: int
) -> None:
    ids = ROOM.frames().load(0).instance_ids
    assert ids is not None
    mask = np.repeat(np.repeat(ids == 2, factor, axis=0), factor, axis=1)
    scene, _ = added(runner, [Region(0, mask=MaskRuns.of(mask), label="cabinet")])

    np.testing.assert_allclose(scene.object("cabinet-1").box.centre_m, (3.2, 1.2, 0.425), atol=0.08)


def test_boxes_and_outlines_go_to_the_frame_they_were_drawn_on(runner: LocalRunner) -> None:
    left, top = pixel((2.6, 2.9, 0.72))
    right, bottom = pixel((2.4, 2.3, 0.72))
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    scene, names = added(
        runner, [Region(0, xyxy_px=(left, top, right, bottom)), Region(1, outline_px=corners)]
    )
    first, second = (scene.object(name) for name in names)

    np.testing.assert_allclose(first.box.centre_m, second.box.centre_m, atol=0.01)
    assert first.provenance is not None
    assert second.provenance is not None
    assert (first.provenance.frames, second.provenance.frames) == ((0,), (1,))


def test_a_region_that_cannot_be_measured_is_named(runner: LocalRunner) -> None:
    good = Region(0, point_px=pixel(TABLE_TOP))
    with pytest.raises(ToolArgumentError, match="<region 2> on frame 0: .*outside the 160x100 picture"):
        added(runner, [good, Region(0, point_px=(900.0, 3.0))])
    with pytest.raises(ToolFailedError, match="<region 1> on frame 1: .*too little depth"):
        added(runner, [Region(1, xyxy_px=(3.0, 3.0, 5.0, 5.0))])
    with pytest.raises(ToolArgumentError, match="<region 1> on frame 7: nothing is kept as '\\$frame/7'"):
        added(runner, [Region(7, point_px=(1.0, 1.0))])
    with pytest.raises(ToolArgumentError, match="the mask is empty"):
        added(runner, [Region(0, mask=MaskRuns((100, 160), (16_000,)))])


def test_a_region_is_marked_in_one_way() -> None:
    with pytest.raises(InvalidValueError, match="exactly one of"):
        Region(0)
    with pytest.raises(InvalidValueError, match="exactly one of"):
        Region(0, xyxy_px=(0, 0, 9, 9), point_px=(3, 3))
    with pytest.raises(InvalidValueError, match="frame number from 0"):
        Region(-1, point_px=(3, 3))


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (3, 40)])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_mask_comes_back_from_its_runs_whole(shape: tuple[int, int], share: float) -> None:
    pixels = np.random.default_rng(3).random(shape) < share

    np.testing.assert_array_equal(MaskRuns.of(pixels).pixels, pixels)


def test_runs_are_those_of_coco() -> None:
    """Columns first, beginning with what is outside: the example of COCO's own mask code."""
    assert MaskRuns.of(np.array([[0, 0, 1, 1, 1, 0, 1]], bool)).counts == (2, 3, 1, 1)
    assert MaskRuns.of(np.array([[1, 1, 1, 1, 1, 1, 0]], bool)).counts == (0, 6, 1)
    assert MaskRuns.of(np.array([[0, 1], [1, 1]], bool)).counts == (1, 3)
    with pytest.raises(InvalidValueError, match="fill 2x2 pixels"):
        MaskRuns((2, 2), (3,))
    with pytest.raises(InvalidValueError, match="fill 2x2 pixels"):
        MaskRuns((2, 2), (5, -1))


def test_regions_survive_as_plain_json() -> None:
    marked = [
        Region(3, xyxy_px=(1.0, 2.0, 3.5, 4.0)),
        Region(0, outline_px=((1.0, 2.0), (3.0, 4.0), (5.0, 1.0)), label="mug"),
        Region(1, mask=MaskRuns((2, 2), (1, 3))),
    ]

    assert [from_plain(Region, to_plain(region)) for region in marked] == marked


@pytest.mark.parametrize(
    ("question", "ids", "named"),
    [
        ("How far is <region 1> from the door?", ["region-1"], "How far is region-1 from the door?"),
        ("Is <region 2> left of <region1>?", ["mug-1", "pen-4"], "Is pen-4 left of mug-1?"),
        ("How high is < Region_1 >?", ["region-7"], "How high is region-7?"),
        ("How high is <region>?", ["region-7"], "How high is region-7?"),
        ("How big is the region 1 of the room?", ["region-7"], "How big is the region 1 of the room?"),
        ("How far are <region 1> and <region 1>?", ["a-1"], "How far are a-1 and a-1?"),
    ],
)
def test_questions_name_the_objects_of_their_regions(question: str, ids: list[str], named: str) -> None:
    assert with_names(question, ids) == named


@pytest.mark.parametrize(
    ("question", "ids"),
    [
        ("How high is <region 2>?", ["region-1"]),
        ("How high is <region 0>?", ["region-1"]),
        ("How high is <region>?", ["region-1", "region-2"]),
        ("How high is <region 1>?", []),
        (f"How high is <region {'9' * 5000}>?", ["region-1"]),
    ],
)
def test_regions_that_were_not_marked_are_refused(question: str, ids: list[str]) -> None:
    with pytest.raises(QuestionError, match="was marked; mark it on a frame"):
        with_names(question, ids)
