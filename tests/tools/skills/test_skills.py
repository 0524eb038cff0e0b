"""Skills on a scene of boxes whose answers follow by hand.

Seen from above, x to the right and y up, metres::

    y=4      lamp-1 (0, 4)
    y=2                      table-1 (3, 2)
    y=0      sofa-1 (0, 0)   tv-1 (4, 0)      lamp-2 (9, 0)
"""

import asyncio
import dataclasses
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.contract import Finding, ToolCall
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    NoSuchObjectError,
    ToolArgumentError,
    ToolFailedError,
)
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    CameraPose,
    OrientedBox,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
)

SIZES = {
    "sofa-1": ((0, 0, 0.4), (2.0, 1.0, 0.8)),
    "tv-1": ((4, 0, 1.0), (0.2, 1.2, 0.6)),
    "table-1": ((3, 2, 0.35), (1.0, 1.6, 0.7)),
    "lamp-1": ((0, 4, 0.75), (0.4, 0.4, 1.5)),
    "lamp-2": ((9, 0, 0.5), (0.4, 0.4, 1.0)),
    "cup-1": ((3, 2, 0.75), (0.1, 0.1, 0.1)),
}
FIRST_SEEN_S = {"sofa-1": 0.0, "tv-1": 2.0, "table-1": 6.0, "lamp-1": 8.0, "lamp-2": 4.0, "cup-1": 10.0}
#: Stands at (0, -3), 1 m high, and looks along +y: right is +x, down is -z.
LOOKING_NORTH = np.array([[1.0, 0, 0, 0], [0, 0, 1, -3], [0, -1, 0, 1], [0, 0, 0, 1]])


def build_scene(**changes: Any) -> SceneMap:  # noqa: ANN401
    objects = tuple(
        SceneObject(
            name,
            name.rpartition("-")[0],
            OrientedBox.upright(np.array(centre, float), np.array(extent)),
            facing=np.array([1.0, 0, 0]) if name == "sofa-1" else None,
            first_seen_frame=int(FIRST_SEEN_S[name] // 2),
            first_seen_s=FIRST_SEEN_S[name],
        )
        for name, (centre, extent) in SIZES.items()
    )
    camera = SceneCamera(0, CameraIntrinsics(500, 500, 320, 240, 640, 480), CameraPose(LOOKING_NORTH))
    scene = SceneMap(objects, room=Room(40.0), cameras=(camera,), scene_id="by hand")
    return dataclasses.replace(scene, **changes)


def call(tool: str, scene: SceneMap | None = None, **arguments: Any) -> Finding:  # noqa: ANN401
    runner = LocalRunner(Registry.from_entry_points())
    reference = runner.keep("scene", scene or build_scene())
    result = asyncio.run(runner.call(ToolCall("c1", tool, {"scene": reference} | arguments)))
    if result.error is not None:
        raise result.error
    return result.evidence[0].finding


def test_distance_is_between_surfaces_unless_centres_are_asked() -> None:
    assert call("distance", a="sofa", b="tv").value == pytest.approx(4 - 1.0 - 0.1)
    assert call("distance", a="sofa", b="tv", between="centres").value == pytest.approx(np.hypot(4, 0.6))


def test_distance_comes_in_the_unit_asked_for_and_is_drawn_between_the_surfaces() -> None:
    finding = call("distance", a="couch", b="television", unit="ft")

    assert finding.value == pytest.approx(2.9 / 0.3048)
    assert finding.unit == "ft"
    assert finding.objects == ("sofa-1", "tv-1")
    assert finding.marks[0]["from_m"][0] == pytest.approx(1.0)
    assert finding.marks[0]["to_m"][0] == pytest.approx(3.9)


def test_the_benchmark_distance_is_rounded_to_ten_centimetres() -> None:
    finding = call("distance", a="sofa", b="tv", between="vsi")

    # The benchmark samples faces every 5 cm, so it may read up to a step too long.
    assert finding.value in (2.9, 3.0)
    assert finding.definition == "vsi.object_abs_distance"


def test_an_ambiguous_name_is_refused_with_the_candidates() -> None:
    with pytest.raises(AmbiguousReferenceError, match=r"lamp-1.*lamp-2"):
        call("distance", a="lamp", b="sofa")


def test_a_relation_picks_one_of_several() -> None:
    assert call("distance", a="lamp closest to the tv", b="sofa").objects == ("lamp-2", "sofa-1")


def test_a_misspelt_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(NoSuchObjectError, match="did you mean.*sofa"):
        call("size", of="soffa")


@pytest.mark.parametrize(
    ("dimension", "value"),
    [("height", 0.7), ("width", 1.6), ("length", 1.6), ("depth", 1.0), ("longest", 1.6)],
)
def test_size_is_the_named_edge(dimension: str, value: float) -> None:
    assert call("size", of="table", dimension=dimension).value == pytest.approx(value)


def test_the_benchmark_size_is_in_whole_centimetres() -> None:
    finding = call("size", of="lamp-1", definition="vsi", unit="cm")

    assert finding.value == 150
    assert isinstance(finding.value, int)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        # An edge of 1.904 m, a gap of 1.57 m (as the benchmark samples it) and a floor of 17.26 m2.
        ({"tool": "size", "of": "sofa", "definition": "vsi", "unit": "m"}, 1.90),
        ({"tool": "size", "of": "sofa", "definition": "vsi", "unit": "in"}, 190 / 2.54),
        ({"tool": "distance", "a": "sofa", "b": "tv", "between": "vsi", "unit": "cm"}, 160.0),
        ({"tool": "distance", "a": "sofa", "b": "tv", "between": "vsi", "unit": "m"}, 1.6),
        ({"tool": "room", "definition": "vsi", "unit": "m2"}, 17.3),
        ({"tool": "room", "definition": "vsi", "unit": "ft2"}, 17.3 / 0.3048**2),
    ],
)
def test_the_benchmark_rounds_in_its_own_unit_and_the_interval_holds_what_it_says(
    arguments: dict[str, Any], expected: float
) -> None:
    boxes = {"sofa": ((0.0, 0.0, 0.4), (1.904, 1.0, 0.8)), "tv": ((2.622, 0.0, 0.4), (0.2, 1.2, 0.8))}
    objects = tuple(
        SceneObject(f"{label}-1", label, OrientedBox.upright(np.array(centre), np.array(extent)))
        for label, (centre, extent) in boxes.items()
    )
    finding = call(scene=SceneMap(objects, room=Room(17.26)), **arguments)

    assert finding.value == pytest.approx(expected, rel=1e-12)
    assert finding.low is not None
    assert finding.high is not None
    assert finding.low <= finding.value <= finding.high


def test_counting_names_what_was_counted_and_knows_zero() -> None:
    assert call("count", kind="lamps").objects == ("lamp-1", "lamp-2")
    assert call("count", kind="pianos").value == 0


def test_a_narrower_kind_is_named_and_not_counted_where_the_label_itself_exists() -> None:
    scene = build_scene()
    extra = [
        SceneObject(name, label, OrientedBox.upright(np.array([x, 6.0, 0.5]), np.ones(3)))
        for x, name, label in (
            (0.0, "chair-1", "chair"),
            (2.0, "chair-2", "chair"),
            (4.0, "armchair-1", "armchair"),
        )
    ]
    both = call("count", dataclasses.replace(scene, objects=(*scene.objects, *extra)), kind="chairs")
    alone = call("count", dataclasses.replace(scene, objects=(*scene.objects, extra[2])), kind="chairs")

    assert both.value == 2
    assert "armchair-1" in both.claim
    assert alone.value == 1


def test_a_typing_error_is_not_counted_as_zero() -> None:
    with pytest.raises(NoSuchObjectError, match="did you mean"):
        call("count", kind="lampps")


def test_the_nearest_is_by_surface_not_by_centre() -> None:
    near = SceneObject(
        "shelf-1", "shelf", OrientedBox.upright(np.array([6.5, 0, 1]), np.array([4.0, 0.4, 2]))
    )
    scene = build_scene()
    scene = dataclasses.replace(scene, objects=(*scene.objects, near))

    # From the tv: the shelf's surface is 0.4 m away and its centre 2.5 m, the table's centre 2.2 m.
    assert call("nearest", scene, anchor="tv", candidates=["table", "shelf"]).value == "shelf"


def test_nearest_and_farthest_of_everything() -> None:
    assert call("nearest", anchor="lamp-2", candidates=[]).value == "tv"
    assert call("nearest", anchor="lamp-2", candidates=[], select="most").value == "lamp-1"


def test_the_benchmark_takes_the_closest_of_a_kind() -> None:
    finding = call("nearest", anchor="tv", candidates=["lamp", "sofa"], definition="vsi")

    assert finding.value == "sofa"
    assert finding.details["distances_m"]["lamp"] == pytest.approx(4.7, abs=0.05)


def test_room_area_in_the_unit_asked_for() -> None:
    assert call("room").value == 40.0
    assert call("room", unit="ft2").value == pytest.approx(430.556, abs=0.01)


@pytest.mark.parametrize(
    ("target", "sectors", "value"),
    [
        ("table", "quadrants", "front-left"),
        ("table", "two", "left"),
        ("lamp-1", "four", "left"),
        ("lamp-1", "clock", "9 o'clock"),
        ("table", "eight", "front-left"),
        ("lamp-1", "vsi_three", "left"),
    ],
)
def test_directions_from_the_sofa_towards_the_tv(target: str, sectors: str, value: str) -> None:
    assert call("direction", at="sofa", facing="tv", target=target, sectors=sectors).value == value


def test_an_observer_who_turns_round_has_left_and_right_swapped() -> None:
    assert call("direction", at="sofa", facing="tv", target="lamp-1", sectors="two").value == "left"
    turned = call("direction", at="sofa", facing="tv", target="lamp-1", sectors="two", facing_away=True)
    assert turned.value == "right"


def test_degrees_are_signed_counter_clockwise() -> None:
    angle = call("direction", at="sofa", facing="tv", target="table", sectors="degrees")

    assert angle.value == pytest.approx(np.degrees(np.arctan2(2, 3)))
    assert angle.unit == "deg"


def test_without_gravity_left_and_right_are_refused() -> None:
    with pytest.raises(ToolFailedError, match="which way is up"):
        call("direction", build_scene(up=None), at="sofa", facing="tv", target="table")


def test_without_metric_scale_metres_are_refused_but_directions_are_not() -> None:
    scene = build_scene(scale="relative")

    with pytest.raises(ToolFailedError, match="only relative"):
        call("distance", scene, a="sofa", b="tv")
    assert call("direction", scene, at="sofa", facing="tv", target="table", sectors="two").value == "left"


def test_left_and_right_in_the_only_frame() -> None:
    assert call("camera_direction", target="tv").value == "right"
    assert call("camera_direction", target="table", against="tv").value == "left"


def test_left_in_an_image_needs_a_frame_where_there_are_several() -> None:
    scene = build_scene()
    second = dataclasses.replace(scene.cameras[0], index=1)
    scene = dataclasses.replace(scene, cameras=(*scene.cameras, second))

    with pytest.raises(ToolFailedError, match="need a frame"):
        call("camera_direction", scene, target="tv")
    assert call("camera_direction", scene, target="tv", frame=-1).details["frame"] == 1
    with pytest.raises(ToolFailedError, match="no frame 7; frames are 0 to 1"):
        call("camera_direction", scene, target="tv", frame=7)


def test_an_objects_own_left_is_its_occupants() -> None:
    # The sofa faces +x, so whoever sits in it has +y to the left.
    assert call("object_side", of="sofa", target="lamp-1").value == "left"
    assert call("object_side", of="sofa", side="left").value == ["lamp-1"]


def test_an_object_without_a_front_has_no_own_left() -> None:
    with pytest.raises(ToolFailedError, match="front of the table is not known"):
        call("object_side", of="table", target="sofa")


def test_order_of_first_appearance() -> None:
    assert call("order", kinds=["table", "lamp", "sofa"]).value == ["sofa", "lamp", "table"]
    assert call("order", kinds=["table", "lamp", "sofa"], select="most").value == "table"


def test_no_kinds_have_no_order() -> None:
    for select in (None, "least", "most"):
        with pytest.raises(ToolArgumentError, match="one or more kinds"):
            call("order", kinds=[], select=select)


def test_route_turns_are_relative_to_the_walking_direction() -> None:
    finding = call(
        "route", at="sofa", facing="tv", stops=["tv", "table", "lamp-1"], asked=[False, True, True]
    )

    # East to the tv, then north-west (117 degrees to the left), then on to the left by 29 degrees.
    assert finding.value == ["turn left", "turn left"]
    assert finding.details["turns_deg"][1] == pytest.approx(np.degrees(np.arctan2(2, -1)))


def test_a_route_back_the_way_it_came_turns_back() -> None:
    route = call("route", at="sofa", facing="tv", stops=["tv", "sofa"], asked=[False, True])

    assert route.value == ["turn back"]


def test_vertical_relations_and_resting() -> None:
    on_table = call("vertical", a="cup", b="table")

    assert on_table.value == "above"
    assert on_table.details["resting_on"] is True
    assert call("vertical", a="tv", b="cup").details["resting_on"] is False
    assert call("vertical_extreme", candidates=["sofa", "tv", "cup"]).value == "tv"


def test_the_largest_of_a_kind() -> None:
    assert call("size_extreme", candidates=["lamp"], dimension="height", each_of_kind=True).value == "lamp-1"
    assert call("size_extreme", candidates=["sofa", "cup"], select="least").value == "cup"
