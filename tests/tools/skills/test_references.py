"""Which objects a phrase means, in a scene small enough to work out by hand."""

import numpy as np
import pytest

from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    NoSuchObjectError,
    ToolFailedError,
    ViewpointError,
)
from spatial_agent.tools.scene import OrientedBox, SceneMap, SceneObject
from spatial_agent.tools.skills.phrases import read_phrase
from spatial_agent.tools.skills.references import resolve, resolve_one

Triple = tuple[float, float, float]


def thing(name: str, label: str, centre_m: Triple, extent_m: Triple) -> SceneObject:
    return SceneObject(name, label, OrientedBox.upright(np.array(centre_m), np.array(extent_m)))


OBJECTS = (
    thing("sofa-1", "sofa", (0, 0, 0.4), (2, 0.9, 0.8)),
    thing("lamp-1", "lamp", (1.55, 0, 0.7), (0.3, 0.3, 1.4)),  # 0.4 m from the sofa
    thing("lamp-2", "floor lamp", (4, 3, 0.9), (0.3, 0.3, 1.8)),
    thing("table-1", "dining table", (4, 0, 0.375), (1.6, 0.9, 0.75)),
    thing("cup-1", "cup", (4.1, 0.1, 0.8), (0.1, 0.1, 0.1)),  # stands on the table
    thing("cup-2", "cup", (0, 3, 0.05), (0.1, 0.1, 0.1)),
    thing("box-1", "box", (4.2, 0, 0.1), (0.2, 0.2, 0.2)),  # under the table top
    thing("chair-1", "chair", (4, -0.9, 0.45), (0.5, 0.5, 0.9)),  # 0.2 m from the table
    thing("chair-2", "chair", (0, -3, 0.45), (0.5, 0.5, 0.9)),
    thing("chair-3", "chair", (-3, -3, 0.45), (0.6, 0.5, 1.1)),
    thing("clock-1", "clock", (4, 0, 2.0), (0.3, 0.1, 0.3)),  # on the wall above the table
)
SCENE = SceneMap(OBJECTS)
RELATIVE = SceneMap(OBJECTS, scale="relative")
WITHOUT_UP = SceneMap(OBJECTS, up=None)


@pytest.mark.parametrize(
    ("phrase", "ids"),
    [
        ("the couch", ["sofa-1"]),
        ("Chairs", ["chair-1", "chair-2", "chair-3"]),
        ("all the chairs in the room", ["chair-1", "chair-2", "chair-3"]),
        ("lamps", ["lamp-1", "lamp-2"]),
        ("floor lamp", ["lamp-2"]),
        ("table", ["table-1"]),
        ("lamp-2", ["lamp-2"]),
        ("Lamp 2", ["lamp-2"]),
        ("chairs near the table", ["chair-1"]),
        ("cups on the table", ["cup-1"]),
        ("cups that is on top of the table", ["cup-1"]),
        ("the clock above the table", ["clock-1"]),
        ("the biggest lamp", ["lamp-2"]),
        ("the lowest lamp", ["lamp-1"]),
        ("the chair closest to the sofa", ["chair-2"]),
        ("chair farthest from the cup on the table", ["chair-3"]),
    ],
)
def test_a_phrase_means_every_object_that_fits_it(phrase: str, ids: list[str]) -> None:
    assert [item.id for item in resolve(SCENE, phrase)] == ids


@pytest.mark.parametrize(
    ("phrase", "name"),
    [
        ("the lamp next to the sofa", "lamp-1"),
        ("the lamp by the couch", "lamp-1"),
        ("the tallest chair", "chair-3"),
        ("the largest table", "table-1"),
        ("the chair nearest to the lamp next to the sofa", "chair-1"),
        ("the cup on the table", "cup-1"),
    ],
)
def test_a_qualifier_picks_one_of_several(phrase: str, name: str) -> None:
    assert resolve_one(SCENE, phrase).id == name


def test_next_to_takes_the_closer_of_two_that_are_near() -> None:
    stool = thing("chair-4", "chair", (5.6, 0, 0.4), (0.4, 0.4, 0.8))  # 0.6 m from the table
    scene = SceneMap((*OBJECTS, stool))
    assert [item.id for item in resolve(scene, "chairs next to the table")] == ["chair-1", "chair-4"]
    assert resolve_one(scene, "the chair next to the table").id == "chair-1"


def test_next_to_two_equally_near_ones_stays_ambiguous() -> None:
    twin = thing("chair-4", "chair", (4, 0.9, 0.45), (0.5, 0.5, 0.9))
    with pytest.raises(AmbiguousReferenceError) as caught:
        resolve_one(SceneMap((*OBJECTS, twin)), "the chair next to the table")
    assert caught.value.candidates == ("chair-1", "chair-4")


def test_several_that_fit_are_named_with_their_places() -> None:
    with pytest.raises(AmbiguousReferenceError) as caught:
        resolve_one(SCENE, "the lamp")
    assert caught.value.candidates == ("lamp-1", "lamp-2")
    assert "lamp-1 (0.4 m from the sofa), lamp-2 (2.4 m from the dining table)" in str(caught.value)


def test_the_closest_instance_is_taken_where_that_is_asked() -> None:
    sofa = SCENE.object("sofa-1")
    assert resolve_one(SCENE, "chair", closest_to=sofa).id == "chair-2"
    assert resolve_one(SCENE, "chair", closest_to=SCENE.object("chair-2")).id == "chair-3"


def test_an_exact_label_shuts_out_kinds_only_where_asked() -> None:
    assert len(resolve(SCENE, "lamp")) == 2
    assert [item.id for item in resolve(SCENE, "lamp", exact_label=True)] == ["lamp-1"]
    assert resolve_one(SCENE, "lamp", exact_label=True).id == "lamp-1"
    assert [item.id for item in resolve(SCENE, "table", exact_label=True)] == ["table-1"]


def test_an_id_that_is_also_a_label_does_not_hide_the_others() -> None:
    scene = SceneMap(
        (thing("sofa", "sofa", (0, 0, 0), (1, 1, 1)), thing("sofa-2", "sofa", (5, 0, 0), (1, 1, 1)))
    )
    with pytest.raises(AmbiguousReferenceError):
        resolve_one(scene, "sofa")


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("piano", "there is no 'piano' in this scene. The scene has: box, chair (3), clock, cup (2)"),
        ("coutch", "did you mean 'sofa'?"),
        ("office chair", "did you mean 'chair'?"),
        ("cups under the table", "no 'cups' is under the dining table"),
        ("boxes on the table", "no 'boxes' is on the dining table"),
        ("the cup near the sofa", "none within 1.5 m, the closest is cup-2 at 2.5 m"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(phrase: str, said: str) -> None:
    with pytest.raises(NoSuchObjectError) as caught:
        resolve(SCENE, phrase)
    assert said in str(caught.value)


def test_suggestions_are_kept_beside_the_message() -> None:
    with pytest.raises(NoSuchObjectError) as caught:
        resolve_one(SCENE, "coutch")
    assert caught.value.suggestions == ("sofa",)


@pytest.mark.parametrize(
    ("phrase", "said"),
    [
        ("lamp left of the sofa", "'left of' picks nothing without a viewpoint"),
        ("the chair behind the table", "'behind' picks nothing without a viewpoint"),
        ("the lamp near the piano", "'lamp near the piano' cannot be found: there is no 'piano'"),
        ("lamp next to the cup next to the chair next to the sofa", "too deeply nested"),
        ("  ", "expected the name of an object"),
        ("the", "there is no 'the'"),
    ],
)
def test_a_phrase_that_picks_nothing_is_refused_with_the_reason(phrase: str, said: str) -> None:
    with pytest.raises(ToolFailedError) as caught:
        resolve(SCENE, phrase)
    assert said in str(caught.value)


def test_a_missing_neighbour_is_not_taken_for_a_missing_object() -> None:
    with pytest.raises(ToolFailedError) as caught:
        resolve(SCENE, "chairs near the piano")
    assert not isinstance(caught.value, NoSuchObjectError)


def test_above_and_tall_need_to_know_which_way_is_up() -> None:
    for phrase in ("the cup on the table", "the tallest chair"):
        with pytest.raises(ViewpointError):
            resolve(WITHOUT_UP, phrase)
    assert resolve_one(WITHOUT_UP, "the biggest lamp").id == "lamp-2"


def test_without_metric_scale_no_metres_are_used_or_said() -> None:
    assert resolve_one(RELATIVE, "the lamp next to the sofa").id == "lamp-1"
    with pytest.raises(AmbiguousReferenceError) as caught:
        resolve_one(RELATIVE, "the lamp")
    assert " m " not in str(caught.value)


def test_an_empty_scene_says_that_it_is_empty() -> None:
    with pytest.raises(NoSuchObjectError, match="no objects"):
        resolve(SceneMap(()), "chair")


def test_a_phrase_is_taken_apart() -> None:
    phrase = read_phrase("The largest lamp that is next to the red sofa near the door?")
    assert (phrase.noun, phrase.superlative, phrase.relation) == ("lamp", "biggest", "near")
    assert phrase.anchor == "red sofa near the door"
    assert phrase.qualifier == "largest that is next to the red sofa near the door"
    assert read_phrase("chair").qualifier is None
