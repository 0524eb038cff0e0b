"""Scenes of one picture without depth: what can be told is right, everything else is refused."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.drawing.top_down import draw_top_down
from spatial_agent.tools.errors import InvalidValueError, ScaleError, SourceError, ToolError, ViewpointError
from spatial_agent.tools.mapping.picture_scene import picture_scene
from spatial_agent.tools.mapping.scene_file import scene_from_json, scene_to_json
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    Detections,
    Frame,
    FrameHeader,
    FrameSet,
    SceneCamera,
    SceneMap,
)
from spatial_agent.tools.skills.counting import count
from spatial_agent.tools.skills.direction import camera_direction
from spatial_agent.tools.skills.vertical import vertical
from spatial_agent.tools.synthetic import SyntheticRoom

WIDTH, HEIGHT = 300, 200
CAMERA = CameraIntrinsics(250.0, 250.0, 149.5, 99.5, WIDTH, HEIGHT)
#: Edges in pixels. The lamp is high on the left, the sofa is cut by the right border.
FOUND = {
    "lamp": (40.0, 20.0, 60.0, 70.0),
    "chair": (70.0, 110.0, 110.0, 180.0),
    "table": (120.0, 120.0, 180.0, 160.0),
    "sofa": (220.0, 100.0, 299.5, 190.0),
}
SECOND_CHAIR = (5.0, 130.0, 35.0, 150.0)


def picture(camera: CameraIntrinsics | None = CAMERA) -> FrameSet:
    rgb = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    header = FrameHeader(0, "photo.jpg", camera)
    return FrameSet("photo.jpg", "image", (header,), lambda *_: Frame(header, rgb), "0b" * 32)


def detections(*, two_chairs: bool = False) -> Detections:
    boxes = list(FOUND.items()) + ([("chair", SECOND_CHAIR)] if two_chairs else [])
    return Detections(
        np.array([edges for _, edges in boxes]),
        np.full(len(boxes), 0.8),
        tuple(label for label, _ in boxes),
    )


@pytest.fixture(scope="module")
def scene() -> SceneMap:
    return picture_scene(picture(), detections())


def across_deg(u_px: float) -> float:
    """Degrees left of the optical axis, worked out from the pinhole."""
    return float(np.degrees(np.arctan((CAMERA.cx - u_px) / CAMERA.fx)))


def test_what_was_detected_is_there_and_what_is_not_known_is_said(scene: SceneMap) -> None:
    assert scene.scale == "directions"
    assert scene.up is None
    assert scene.room is None
    assert {item.label for item in scene.objects} == set(FOUND)
    text = " ".join(scene.notes)
    assert "nothing is known of depth" in text
    assert "degrees across" not in text
    assumed = picture_scene(picture(None), detections())
    assert "63 degrees across" in " ".join(assumed.notes)


def test_things_are_counted() -> None:
    assert count(picture_scene(picture(), detections(two_chairs=True)), "chairs").value == 2
    assert count(picture_scene(picture(), detections()), "chair").value == 1


@pytest.mark.parametrize("label", FOUND)
def test_left_and_right_for_the_camera_are_those_of_the_picture(scene: SceneMap, label: str) -> None:
    left, _, right, _ = FOUND[label]
    finding = camera_direction(scene, label, sectors="degrees")
    truth = (across_deg(left) + across_deg(right)) / 2
    assert finding.value == pytest.approx(truth, abs=1.5)
    assert finding.low is not None
    assert finding.high is not None
    assert finding.low <= across_deg((left + right) / 2) <= finding.high
    assert camera_direction(scene, label).value == ("left" if truth > 0 else "right")


@pytest.mark.parametrize("label", FOUND)
@pytest.mark.parametrize("against", FOUND)
def test_one_thing_is_left_or_right_of_another_in_the_picture(
    scene: SceneMap, label: str, against: str
) -> None:
    if label == against:
        return
    middles = [sum(FOUND[name][::2]) / 2 for name in (label, against)]
    expected = "left" if middles[0] < middles[1] else "right"
    assert camera_direction(scene, label, against=against).value == expected


def test_what_the_border_cut_may_be_elsewhere(scene: SceneMap) -> None:
    whole = camera_direction(scene, "table", sectors="degrees").details["margin_deg"]
    cut = camera_direction(scene, "sofa", sectors="degrees").details["margin_deg"]
    assert cut > 3 * whole
    (sofa,) = [item for item in scene.objects if item.label == "sofa"]
    assert sofa.provenance is not None
    assert sofa.provenance.cut_off


def test_an_assumed_camera_makes_bearings_uncertain_and_not_sides() -> None:
    known, assumed = (picture_scene(picture(camera), detections()) for camera in (CAMERA, None))
    before = camera_direction(known, "lamp", sectors="degrees").details["margin_deg"]
    after = camera_direction(assumed, "lamp", sectors="degrees").details["margin_deg"]
    assert after > 5 * before
    truth_deg = across_deg(50.0)
    found = camera_direction(assumed, "lamp", sectors="degrees")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= truth_deg <= found.high
    assert camera_direction(assumed, "lamp").value == "left"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [("lamp", "chair", "above"), ("table", "lamp", "below"), ("chair", "table", "level")],
)
def test_higher_and_lower_are_those_of_the_picture_and_weak(
    scene: SceneMap, a: str, b: str, expected: str
) -> None:
    finding = vertical(scene, a, b)
    assert finding.value == expected
    assert finding.claim.startswith("In the picture")
    assert finding.quality == "weak"
    assert finding.definition == "picture.vertical"
    assert " m " not in finding.claim


#: Arguments for every skill there is; those of which the answer needs depth are refused.
ARGUMENTS: Mapping[str, Mapping[str, Any]] = {
    "camera_direction": {"target": "lamp"},
    "count": {"kind": "chair"},
    "direction": {"at": "chair", "facing": "table", "target": "lamp"},
    "distance": {"a": "chair", "b": "table"},
    "nearest": {"anchor": "chair", "candidates": ["lamp", "table"]},
    "next_view": {"of": ["chair"]},
    "object_side": {"of": "sofa", "target": "lamp"},
    "order": {"kinds": ["chair", "lamp"]},
    "room": {},
    "route": {"at": "chair", "facing": "table", "stops": ["lamp"], "asked": [True]},
    "size": {"of": "chair"},
    "size_extreme": {"candidates": ["chair", "table"]},
    "vertical": {"a": "lamp", "b": "chair"},
    "vertical_extreme": {"candidates": ["lamp", "chair"]},
}
ANSWERED: Mapping[str, Any] = {"camera_direction": "left", "count": 1, "vertical": "above"}


def skills() -> dict[str, Callable[..., Finding]]:
    registry = Registry.from_entry_points()
    tools = [registry.get(name) for name in registry]
    return {tool.name: tool.target for tool in tools if tool.kind == "skill"}


def test_every_skill_is_right_or_refuses(scene: SceneMap) -> None:
    found = skills()
    untested = sorted(set(found) - set(ARGUMENTS))
    assert not untested, f"say what {untested} should do with a scene of directions: ARGUMENTS, ANSWERED"
    for name, skill in found.items():
        if name in ANSWERED:
            assert skill(scene, **ARGUMENTS[name]).value == ANSWERED[name], name
            continue
        with pytest.raises((ToolError, InvalidValueError)) as refusal:
            skill(scene, **ARGUMENTS[name])
        if name not in ("order", "object_side"):  # refused for reasons of their own
            assert "one picture without" in str(refusal.value), name


@pytest.mark.parametrize(
    "arguments",
    [
        {"at": "chair", "facing": "table", "target": "lamp", "definition": "vsi"},
        {"at": "chair", "facing": "table", "target": "lamp", "sectors": "clock", "facing_away": True},
    ],
)
def test_no_way_of_asking_for_a_direction_between_things_is_open(
    scene: SceneMap, arguments: dict[str, Any]
) -> None:
    with pytest.raises(ScaleError, match="depth"):
        skills()["direction"](scene, **arguments)


@pytest.mark.parametrize(
    "phrase",
    [
        "the chair next to the table",
        "the chair closest to the table",
        "the chair farthest from the lamp",
        "the lamp on the table",
        "the lamp above the table",
        "the chair under the lamp",
        "the biggest chair",
        "the tallest chair",
        "the lowest chair",
        "the widest chair",
    ],
)
def test_phrases_that_need_depth_pick_nothing(phrase: str) -> None:
    scene = picture_scene(picture(), detections(two_chairs=True))
    for name in ("count", "camera_direction"):
        argument = {"count": "kind", "camera_direction": "target"}[name]
        with pytest.raises(ScaleError, match="one picture without"):
            skills()[name](scene, **{argument: phrase})


def test_there_is_no_map_from_above(scene: SceneMap) -> None:
    with pytest.raises((ScaleError, ViewpointError), match="picture"):
        draw_top_down(scene)


def test_a_scene_of_directions_survives_its_file(scene: SceneMap) -> None:
    again = scene_from_json(scene_to_json(scene))
    assert again.scale == "directions"
    assert camera_direction(again, "lamp").value == "left"
    with pytest.raises(ScaleError):
        again.require_metric("a distance")


def test_directions_need_exactly_one_camera() -> None:
    camera = SceneCamera(0, CAMERA, CameraPose(np.eye(4)))
    for cameras in ((), (camera, SceneCamera(1, CAMERA, CameraPose(np.eye(4))))):
        with pytest.raises(InvalidValueError, match="one camera"):
            SceneMap((), scale="directions", up=None, cameras=cameras)
    with pytest.raises(InvalidValueError, match="no up"):
        SceneMap((), scale="directions", cameras=(camera,))


def test_masks_count_pixels_and_other_detections_are_another_scene() -> None:
    masks: NDArray[np.bool_] = np.zeros((1, HEIGHT, WIDTH), bool)
    masks[0, 120:130, 70:80] = True
    found = Detections(np.array([FOUND["chair"]]), np.array([0.8]), ("chair",), masks)
    scene = picture_scene(picture(), found)
    assert scene.objects[0].provenance is not None
    assert scene.objects[0].provenance.pixels == 100
    assert scene.scene_id != picture_scene(picture(), detections()).scene_id


def test_several_frames_are_no_picture() -> None:
    with pytest.raises(SourceError, match=r"has \d+ frames"):
        picture_scene(SyntheticRoom.example().frames(), detections())
