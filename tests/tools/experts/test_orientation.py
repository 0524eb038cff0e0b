"""The orientation expert on scanned rooms: right fronts with margins, reasons where it abstains."""

import dataclasses

import numpy as np
import pytest

from spatial_agent.tools.errors import ToolFailedError, ViewpointError
from spatial_agent.tools.experts.orientation import geometric
from spatial_agent.tools.geometry.facing import Facing
from spatial_agent.tools.geometry.transforms import mirror
from spatial_agent.tools.mapping.facing import estimate_facing, with_facings
from spatial_agent.tools.scene import FrameSet, SceneMap, SceneObject
from spatial_agent.tools.synthetic import SyntheticRoom
from spatial_agent.tools.synthetic.perfect_scan import perfect_scan


@pytest.fixture(scope="module")
def scene() -> SceneMap:
    return perfect_scan(SyntheticRoom.example())


#: Yaws of `SyntheticRoom.example`.
TRUE_DEG = {"chair-1": -90.0, "chair-2": 90.0, "sofa-1": 0.0}


@pytest.mark.parametrize("name", TRUE_DEG)
def test_the_front_of_a_seat_is_found_with_its_margin(scene: SceneMap, name: str) -> None:
    found = geometric(scene, name)

    assert found.unit == "deg"
    assert found.low is not None
    assert found.high is not None
    assert found.low <= TRUE_DEG[name] <= found.high
    assert found.high - found.low < 15
    along = (np.cos(np.radians(TRUE_DEG[name])), np.sin(np.radians(TRUE_DEG[name])), 0.0)
    assert np.dot(found.details["facing"], along) > 0.99
    assert found.objects == (name,)


@pytest.mark.parametrize("name", ["table-1", "lamp-1", "trash can-1", "bookshelf-1"])
def test_what_has_no_back_rest_is_refused_by_name(scene: SceneMap, name: str) -> None:
    with pytest.raises(ToolFailedError, match="has no back-rest"):
        geometric(scene, name)


def test_a_table_called_a_chair_is_refused_by_its_shape(scene: SceneMap) -> None:
    table = dataclasses.replace(scene.object("table-1"), label="chair", id="chair-9")
    with pytest.raises(ToolFailedError, match="front and back cannot be told apart"):
        geometric(dataclasses.replace(scene, objects=(table,)), "chair-9")


def test_a_mirrored_scene_has_mirrored_fronts(scene: SceneMap) -> None:
    for name in TRUE_DEG:
        plain = np.array(geometric(scene, name).details["facing"])
        mirrored = np.array(geometric(mirror(scene), name).details["facing"])
        np.testing.assert_allclose(mirrored, plain * (-1, 1, 1), atol=0.05)


def test_without_points_or_gravity_there_is_no_front(scene: SceneMap) -> None:
    boxes = SyntheticRoom.example().scene_map()
    with pytest.raises(ToolFailedError, match="only as a box"):
        geometric(boxes, "sofa")
    with pytest.raises(ViewpointError):
        geometric(dataclasses.replace(scene, up=None), "sofa")


def test_fronts_are_filled_in_where_none_is_known(scene: SceneMap) -> None:
    bare = dataclasses.replace(
        scene, objects=tuple(dataclasses.replace(item, facing=None) for item in scene.objects)
    )
    filled = with_facings(bare)

    told = {item.id for item in filled.objects if item.facing is not None}
    assert told == set(TRUE_DEG)
    assert with_facings(dataclasses.replace(bare, up=None)).object("sofa-1").facing is None


def test_a_learned_estimator_is_asked_first_and_given_facts_stay(scene: SceneMap) -> None:
    def learned(item: SceneObject, frames: FrameSet | None = None) -> Facing | None:
        return Facing(np.array([0.0, 0.0, 1.0]), 5.0, 1.0, 1.0, "learned") if item.label == "tv" else None

    bare = dataclasses.replace(
        scene,
        objects=tuple(
            dataclasses.replace(item, facing=None if item.label in ("tv", "sofa") else item.facing)
            for item in scene.objects
        ),
    )
    filled = with_facings(bare, (learned, estimate_facing))

    learned_facing = filled.object("tv-1").facing
    assert learned_facing is not None
    np.testing.assert_allclose(learned_facing, (0, 0, 1))
    assert filled.object("sofa-1").facing is not None
    assert filled.object("chair-1").facing is bare.object("chair-1").facing
