"""What turning, moving, mirroring and reordering a scene may change in an answer, and what it must not."""

import dataclasses
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.geometry.transforms import mirror, move_scene, rigid, yaw_rotation
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import SceneMap
from spatial_agent.tools.synthetic import SyntheticRoom

REGISTRY = Registry.from_entry_points()
SCENES = {seed: SyntheticRoom.random(seed).scene_map() for seed in range(4)}
FLIPPED = {
    "left": "right",
    "front-left": "front-right",
    "back-left": "back-right",
    "front": "front",
    "back": "back",
}
FLIPPED |= {other: name for name, other in FLIPPED.items()}


def call(tool: str, scene: SceneMap, **arguments: Any) -> Finding:  # noqa: ANN401
    finding = REGISTRY.get(tool).target(scene, **arguments)
    assert isinstance(finding, Finding)
    return finding


def unsigned(scene: SceneMap) -> dict[str, object]:
    """Return answers that no rigid motion and no mirror may change."""
    a, b, c, *_ = (item.id for item in scene.objects)
    return {
        "distance": round(call("distance", scene, a=a, b=b).value, 9),
        "centres": round(call("distance", scene, a=a, b=b, between="centres").value, 9),
        "height": round(call("size", scene, of=c, dimension="height").value, 9),
        "width": round(call("size", scene, of=a, dimension="width").value, 9),
        "nearest": call("nearest", scene, anchor=a, candidates=[]).value,
        "counts": str([call("count", scene, kind=item.label).value for item in scene.objects[:3]]),
        "room": round(call("room", scene).value, 9),
        "on": call("vertical", scene, a=a, b=b).value,
    }


def signed(scene: SceneMap) -> dict[str, Any]:
    """Return answers that a mirror must turn round and no rigid motion may change."""
    a, b, c, d, *_ = (item.id for item in scene.objects)
    view = {"at": a, "facing": b, "target": c}
    return {
        "two": call("direction", scene, **view, sectors="two").value,
        "quadrants": call("direction", scene, **view, sectors="quadrants").value,
        "four": call("direction", scene, **view, sectors="four").value,
        "degrees": round(call("direction", scene, **view, sectors="degrees").value, 6),
        "clock": int(call("direction", scene, **view, sectors="clock").value.split()[0]),
        "route": call("route", scene, at=a, facing=b, stops=[c, d], asked=[True, True]).claim,
    }


@pytest.mark.parametrize("seed", SCENES)
@given(
    yaw_rad=st.floats(-np.pi, np.pi),
    shift_m=st.tuples(*[st.floats(-50, 50)] * 2),
)
@settings(max_examples=10)
def test_turning_and_moving_the_world_changes_no_answer(
    seed: int, yaw_rad: float, shift_m: tuple[float, float]
) -> None:
    scene = SCENES[seed]
    moved = move_scene(scene, rigid(yaw_rotation(yaw_rad), (*shift_m, 0.0)))

    assert unsigned(moved) == pytest.approx(unsigned(scene), abs=1e-6)
    assert signed(moved) == pytest.approx(signed(scene), abs=1e-5)


@pytest.mark.parametrize("seed", SCENES)
def test_a_mirror_flips_left_and_right_and_nothing_else(seed: int) -> None:
    scene, mirrored = SCENES[seed], mirror(SCENES[seed])
    before, after = signed(scene), signed(mirrored)

    assert unsigned(mirrored) == unsigned(scene)
    for name in ("two", "quadrants", "four"):
        assert after[name] == FLIPPED[before[name]]
    assert after["degrees"] == pytest.approx(-before["degrees"])
    assert after["clock"] % 12 == (12 - before["clock"]) % 12
    swapped = after["route"].replace("left", "_").replace("right", "left").replace("_", "right")
    assert re.findall("turn [a-z]+", swapped) == re.findall("turn [a-z]+", before["route"])


@pytest.mark.parametrize("seed", SCENES)
def test_the_order_of_objects_changes_no_answer(seed: int) -> None:
    scene = SCENES[seed]
    a, b, c, d = scene.objects[:4]
    shuffled = dataclasses.replace(scene, objects=(*scene.objects[4:], d, b, c, a))
    names = {"anchor": a.id, "candidates": []}

    assert call("nearest", shuffled, **names).value == call("nearest", scene, **names).value
    assert call("distance", shuffled, a=a.id, b=b.id).value == call("distance", scene, a=a.id, b=b.id).value


@pytest.mark.parametrize("seed", SCENES)
def test_distance_does_not_depend_on_who_is_named_first(seed: int) -> None:
    scene = SCENES[seed]
    a, b = (item.id for item in scene.objects[:2])

    for between in ("surfaces", "centres", "vsi"):
        there = call("distance", scene, a=a, b=b, between=between)
        back = call("distance", scene, a=b, b=a, between=between)
        assert there.value == pytest.approx(back.value, abs=1e-9)
