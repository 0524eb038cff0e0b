import numpy as np
import pytest

from spatial_agent.tools.errors import InvalidValueError, ScaleError, ShapeError, ViewpointError
from spatial_agent.tools.scene import OrientedBox, Room, SceneMap, SceneObject

BOX = OrientedBox.upright(np.zeros(3), np.ones(3))
CHAIR = SceneObject("chair-1", "chair", BOX)
LAMP = SceneObject("lamp-1", "lamp", BOX, facing=np.array([3.0, 4.0, 0.0]))


def test_an_object_is_found_by_its_id() -> None:
    assert SceneMap((CHAIR, LAMP)).object("lamp-1") is LAMP


def test_an_unknown_id_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InvalidValueError, match="no object 'sofa-1'; there are chair-1, lamp-1"):
        SceneMap((CHAIR, LAMP)).object("sofa-1")


def test_two_objects_never_share_an_id() -> None:
    with pytest.raises(InvalidValueError, match="object ids must be unique, repeated: chair-1"):
        SceneMap((CHAIR, LAMP, CHAIR))


def test_facing_becomes_a_unit_vector() -> None:
    assert LAMP.facing is not None
    np.testing.assert_allclose(LAMP.facing, [0.6, 0.8, 0.0])


@pytest.mark.parametrize(("name", "label"), [("", "chair"), ("chair-1", "")])
def test_an_object_has_a_name_and_a_class(name: str, label: str) -> None:
    with pytest.raises(InvalidValueError, match="object: expected an id and a label"):
        SceneObject(name, label, BOX)


def test_a_facing_without_direction_is_refused_by_name() -> None:
    with pytest.raises(ShapeError, match="chair-1: facing: expected a direction, got a zero vector"):
        SceneObject("chair-1", "chair", BOX, facing=np.zeros(3))


def test_a_confidence_beyond_certainty_is_refused_by_name() -> None:
    with pytest.raises(ShapeError, match="chair-1: score: expected a confidence from 0 to 1"):
        SceneObject("chair-1", "chair", BOX, score=1.2)


def test_up_is_z_whatever_its_length() -> None:
    scene = SceneMap((), up=np.array([0.0, 0.0, 2.0]))
    assert scene.up is not None
    assert scene.up.tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("up", [[0.0, 0.0, -1.0], [0.0, 1.0, 0.0], [0.0, 0.01, 1.0]])
def test_another_up_is_refused_with_what_to_do(up: list[float]) -> None:
    with pytest.raises(InvalidValueError, match=r"up must be \+Z .* rotate the scene first"):
        SceneMap((), up=np.array(up))


def test_the_way_back_into_the_scan_is_rigid() -> None:
    with pytest.raises(ShapeError, match="scan_from_scene: not rigid"):
        SceneMap((), scan_from_scene=np.diag([2.0, 2.0, 2.0, 1.0]))


def test_a_metric_upright_scene_answers_everything() -> None:
    scene = SceneMap((CHAIR,))
    scene.require_metric("distance")
    scene.require_up("height")


def test_a_relative_scene_gives_no_metres() -> None:
    with pytest.raises(
        ScaleError, match="distance needs metres, but the scale of this scene is only relative"
    ):
        SceneMap((), scale="relative").require_metric("distance")


def test_a_scene_without_gravity_has_no_above() -> None:
    with pytest.raises(ViewpointError, match="height needs to know which way is up"):
        SceneMap((), up=None).require_up("height")


@pytest.mark.parametrize("area_m2", [0.0, -1.0, float("nan"), float("inf")])
def test_a_room_has_an_area(area_m2: float) -> None:
    with pytest.raises(InvalidValueError, match="room: expected an area above 0 m2"):
        Room(area_m2)


@pytest.mark.parametrize(("low_m2", "high_m2"), [(21.0, 25.0), (15.0, 19.0)])
def test_an_area_outside_its_interval_is_refused(low_m2: float, high_m2: float) -> None:
    with pytest.raises(InvalidValueError, match="room: expected low <= area <= high"):
        Room(20.0, area_low_m2=low_m2, area_high_m2=high_m2, exact=False)


def test_an_outline_lies_on_the_floor() -> None:
    with pytest.raises(ShapeError, match=r"polygon_m: expected shape \(N, 2\), got \(3, 3\)"):
        Room(20.0, np.zeros((3, 3)))
