"""The skill that says where to look from next, in words and as a pose that other tools take."""

import asyncio
import inspect
import json
from dataclasses import replace

import numpy as np
import pytest

from spatial_agent.tools.contract import Finding, ToolCall
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.experts.novel_view import novel_view
from spatial_agent.tools.geometry.measuring import measure_size
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    OrientedBox,
    PointCloud,
    Provenance,
    Room,
    SceneCamera,
    SceneMap,
    SceneObject,
)
from spatial_agent.tools.skills.next_view import next_view
from spatial_agent.tools.synthetic.layout import look_at

LENS = CameraIntrinsics(320.0, 320.0, 319.5, 239.5, 640, 480)
FLOOR = np.array([[0, 0], [6, 0], [6, 4], [0, 4]], float)
#: Shares seen of -x, +x, -y, +y, -z, +z.
Coverage = tuple[float, float, float, float, float, float]


def cabinet(coverage: Coverage, *, cut_off: bool = False, x_m: float = 3.0) -> SceneObject:
    """A cabinet in the middle of a room of 6 by 4 m, its front towards -x."""
    box = OrientedBox.upright(np.array([x_m, 2.0, 0.5]), np.array([0.5, 1.2, 1.0]))
    record = Provenance((0,), 5000, 500, 0.005, coverage, cut_off)
    facing = np.array([-1.0, 0.0, 0.0])
    return SceneObject("cabinet-1", "cabinet", box, PointCloud(box.corners_m), facing, provenance=record)


def lamp() -> SceneObject:
    return SceneObject("lamp-1", "lamp", OrientedBox.upright(np.array([5.5, 3.6, 0.8]), np.full(3, 0.3)))


def scene(item: SceneObject, **changes: object) -> SceneMap:
    """A camera at x = 0.6 m has looked along +x."""
    camera = SceneCamera(0, LENS, look_at(np.array([0.6, 2.0, 1.5]), np.array([3.0, 2.0, 0.5])))
    made = SceneMap((item, lamp()), room=Room(24.0, FLOOR), cameras=(camera,))
    return replace(made, **changes)  # type: ignore[arg-type]


FRONT_SEEN: Coverage = (1.0, 0.0, 0.2, 0.2, 1.0, 1.0)


def test_the_back_of_a_cabinet_is_seen_from_behind_it() -> None:
    of = scene(cabinet(FRONT_SEEN))
    finding = next_view(of, ["cabinet"])
    x_m, _, z_m = finding.value["position_m"]

    assert x_m > 3.25
    assert z_m == 1.5
    assert finding.claim.startswith("A camera at (")
    assert "the cabinet's back (0% seen so far, 100% then)" in finding.claim
    assert "the depth of the cabinet, which is now 0.5" in finding.claim
    assert finding.details["faces"][0]["side"] == "back"
    assert finding.objects == ("cabinet-1",)
    depth = next(edge for edge in finding.details["edges"] if edge["dimension"] == "depth")
    assert depth["margin_m"] == measure_size(of, of.objects[0], "depth").margin
    assert depth["margin_then_m"] < 0.6 * depth["margin_m"]
    json.dumps([finding.value, finding.details, finding.marks], allow_nan=False)


def test_the_open_end_it_would_close_is_named() -> None:
    """A cabinet that the border of the picture cut goes on for nobody knows how long."""
    of = scene(cabinet((1.0, 0.0, 0.0, 0.3, 1.0, 1.0), cut_off=True))
    finding = next_view(of, ["cabinet-1"])
    closed = {edge["dimension"] for edge in finding.details["edges"] if edge["closes"]}

    assert measure_size(of, of.objects[0], "width").high is None
    assert closed == {"width", "depth"}
    assert "That would close the open end of the width of the cabinet, which is now at least" in finding.claim
    # A share of an edge that was never in doubt is not promised anything.
    assert "height" not in closed


def test_what_was_seen_whole_needs_no_other_view() -> None:
    finding = next_view(scene(cabinet((1.0, 1.0, 1.0, 0.99, 1.0, 1.0))), ["cabinet"])

    assert finding.value is None
    assert finding.claim == "Every side of the cabinet was seen; no other view would tell more of it."


def test_what_faces_the_wall_is_seen_from_nowhere() -> None:
    at_the_wall = cabinet((1.0, 0.0, 1.0, 1.0, 1.0, 1.0), x_m=5.74)
    finding = next_view(scene(at_the_wall), ["cabinet"])

    assert finding.value is None
    assert finding.claim.startswith("No place that can be reached shows")
    assert finding.details["unseen_faces"] == pytest.approx(1.0)


def test_several_objects_share_a_view() -> None:
    other = replace(cabinet((0.0, 1.0, 1.0, 1.0, 1.0, 1.0), x_m=4.6), id="cabinet-2", facing=None)
    both = replace(scene(cabinet(FRONT_SEEN)), objects=(cabinet(FRONT_SEEN), other))
    finding = next_view(both, ["cabinet-1", "cabinet-2"])

    assert finding.objects == ("cabinet-1", "cabinet-2")
    assert {face["object"] for face in finding.details["faces"]} == {"cabinet-1", "cabinet-2"}
    # Without a front, a side is named after what it faces.
    assert "cabinet-2's side towards cabinet-1" in finding.claim


def call(given: SceneMap, **arguments: object) -> Finding:
    registry = Registry()
    registry.add(next_view)
    runner = LocalRunner(registry)
    runner.keep("scene", given)
    result = asyncio.run(runner.call(ToolCall("c1", "next_view", {"scene": "$scene", **arguments})))
    if result.error is not None:
        raise result.error
    return result.evidence[0].finding


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"up": None}, "up"),
        ({"room": None}, "outline of the room"),
        ({"room": Room(24.0)}, "outline of the room"),
        ({"scale": "relative"}, "relative"),
    ],
)
def test_where_one_cannot_know_where_to_stand_it_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ToolFailedError, match=says):
        call(scene(cabinet(FRONT_SEEN), **changes), of=["cabinet"])


@pytest.mark.parametrize("arguments", [{"of": []}, {"of": ["cabinet"], "eye_height_m": 9.0}])
def test_a_wrong_call_says_what_was_expected(arguments: dict[str, object]) -> None:
    with pytest.raises(ToolArgumentError, match="expected one or more objects and an eye"):
        call(scene(cabinet(FRONT_SEEN)), **arguments)


def test_it_runs_as_a_skill_and_novel_view_takes_its_pose() -> None:
    finding = call(scene(cabinet(FRONT_SEEN)), of=["cabinet"])

    assert finding.definition == "next_view"
    assert set(finding.value) <= set(inspect.signature(novel_view).parameters)
