"""Plain questions about directions, for each kind of viewpoint."""

from typing import Any

import pytest

from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.task import Comparison, Reference, Viewpoint
from spatial_agent.tools.errors import QuestionError


def ref(noun: str) -> Reference:
    return Reference(noun, noun)


DOOR_WINDOW = Viewpoint("observer", ref("door"), ref("window"))
SOFA_AXES = Viewpoint("object_axes", ref("sofa"))
STATED = (
    "Standing at the door facing the window, {}?",
    "Standing by the door, facing the window, {}?",
    "If I stand at the door and face the window, {}?",
    "When I am standing next to the door and looking at the window, {}?",
    "Imagine you are sitting at the door looking towards the window. {}?",
    "From the door, facing the window, {}?",
    "I'm at the door facing the window. {}?",
    "From the viewpoint of someone at the door facing the window, {}?",
    "{} when I stand at the door facing the window?",
    "{}, standing at the door and facing the window?",
    "{} as seen from the door facing the window?",
    "{} from the perspective of someone standing at the door facing the window?",
)
#: What is asked, with sectors, answer form and what is compared with.
ASKED: dict[str, tuple[str, str, str | None]] = {
    "where is the sofa": ("eight", "name", None),
    "which way is the sofa": ("eight", "name", None),
    "in which direction is the sofa": ("eight", "name", None),
    "which way do I have to turn to face the sofa": ("eight", "name", None),
    "at what o'clock is the sofa": ("clock", "name", None),
    "how many degrees do I have to turn to face the sofa": ("degrees", "number", None),
    "is the sofa to my left or right": ("two", "name", None),
    "is the sofa on my left, right, or back": ("vsi_three", "name", None),
    "is the sofa in front of me, behind me, to my left or to my right": ("four", "name", None),
    "is the sofa front-left, front-right, back-left or back-right": ("quadrants", "name", None),
    "is the sofa to my left": ("two", "yes_no", "left"),
    "is the sofa on the right": ("two", "yes_no", "right"),
    "is the sofa behind me": ("four", "yes_no", "back"),
    "is the sofa in front of me": ("four", "yes_no", "front"),
    "is the sofa to my back left": ("quadrants", "yes_no", "back-left"),
    "is the sofa at 3 o'clock": ("clock", "yes_no", "3 o'clock"),
    "is the sofa at two o’clock": ("clock", "yes_no", "2 o'clock"),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("stated", [STATED[0], STATED[-3]])
def test_a_direction_for_an_observer_gives_its_task(stated: str, asked: str) -> None:
    sectors, form, name = ASKED[asked]
    task = parse(stated.format(asked))
    assert (task.intent, task.definition, task.viewpoint) == ("direction", "plain", DOOR_WINDOW)
    assert task.entities == (ref("sofa"),)
    assert (task.sectors, task.answer_form) == (sectors, form)
    assert task.comparison == (None if name is None else Comparison("is", name=name))
    assert task.unit == ("deg" if sectors == "degrees" else None)


@pytest.mark.parametrize("stated", STATED)
def test_a_viewpoint_may_be_stated_in_many_ways(stated: str) -> None:
    for asked in ("where is the sofa", "is the sofa to my left or right", "is the sofa behind me"):
        task = parse(stated.format(asked))
        assert task.viewpoint == DOOR_WINDOW
        assert task.entities == (ref("sofa"),)


def test_left_of_another_object_compares_the_two_bearings() -> None:
    task = parse("Is the lamp to the left of the sofa when I stand at the door facing the window?")
    assert task.entities == (ref("lamp"), ref("sofa"))
    assert task.comparison == Comparison("is", name="left")


def test_left_of_what_is_faced_is_simply_left() -> None:
    task = parse("Is the lamp left or right of the window when I stand at the door facing the window?")
    assert task.entities == (ref("lamp"),)
    assert task.sectors == "two"


def test_a_back_turned_to_something_is_kept() -> None:
    task = parse("Is the sofa to my left if I'm standing at the door with my back to the window?")
    assert task.viewpoint == Viewpoint("observer", ref("door"), ref("window"), facing_away=True)


@pytest.mark.parametrize(
    ("options", "sectors"),
    [
        (["A. left", "B. right"], "two"),
        (["left", "right", "back"], "vsi_three"),
        (["front-left", "front-right", "back-left", "back-right"], "quadrants"),
        (["in front of me", "behind me", "to my left", "to my right"], "four"),
        (["front", "front-left", "left", "back-left"], "eight"),
        (["the kitchen", "the garden"], "eight"),
    ],
)
def test_options_say_how_finely_a_direction_is_asked_for(options: list[str], sectors: str) -> None:
    task = parse("Standing at the door facing the window, where is the sofa?", options)
    assert task.sectors == sectors
    assert task.answer_form == "letter"
    assert len(task.options) == len(options)


IN_IMAGE: dict[str, tuple[int | None, tuple[str, ...], str | None]] = {
    "In frame 3, is the chair left or right of the table?": (3, ("chair", "table"), None),
    "Is the chair to the left of the table in frame #12?": (12, ("chair", "table"), "left"),
    "Is the chair on the left or right in image 3?": (3, ("chair",), None),
    "In the first frame, where is the chair?": (0, ("chair",), None),
    "Seen from the 3rd frame, is the chair on the right?": (2, ("chair",), "right"),
    "Is the chair left or right of the table in the last image?": (-1, ("chair", "table"), None),
    "In the image, is the chair on the left?": (None, ("chair",), "left"),
    "Is the chair on the left side of the picture?": (None, ("chair",), "left"),
    "From the camera's point of view, is the chair left of the table?": (None, ("chair", "table"), "left"),
}


@pytest.mark.parametrize("question", IN_IMAGE)
def test_a_direction_in_an_image_gives_its_task(question: str) -> None:
    frame, entities, name = IN_IMAGE[question]
    task = parse(question)
    assert (task.intent, task.viewpoint) == ("camera_direction", Viewpoint("camera", frame=frame))
    assert task.entities == tuple(map(ref, entities))
    assert task.comparison == (None if name is None else Comparison("is", name=name))
    assert task.sectors == "two"


OWN: dict[str, dict[str, Any]] = {
    "What is to the sofa's own left?": {"entities": (), "side": "left", "answer_form": "name"},
    "What is on the left side of the sofa, from its own point of view?": {"entities": (), "side": "left"},
    "What is behind the sofa, from the sofa's own point of view?": {"entities": (), "side": "back"},
    "Is the lamp on the left side of the sofa (from the sofa's own point of view)?": {
        "entities": (ref("lamp"),),
        "comparison": Comparison("is", name="left"),
        "sectors": "two",
    },
    "Is the lamp on the sofa's own right?": {"comparison": Comparison("is", name="right")},
    "From the sofa's perspective, is the lamp on the left or right?": {"sectors": "two", "comparison": None},
    "On which side of the sofa is the lamp, from the point of view of the sofa?": {
        "entities": (ref("lamp"),),
        "sectors": "four",
    },
}


@pytest.mark.parametrize("question", OWN)
def test_an_objects_own_side_gives_its_task(question: str) -> None:
    task = parse(question)
    assert (task.intent, task.viewpoint) == ("object_side", SOFA_AXES)
    assert {name: getattr(task, name) for name in OWN[question]} == OWN[question]


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Is the lamp left of the sofa?", "needs a viewpoint"),
        ("Is the lamp left of the picture?", "needs a viewpoint"),
        ("Where is the sofa?", "needs a viewpoint"),
        ("Is the chair in front of the table?", "needs a viewpoint"),
        ("Is the chair behind the table?", "needs a viewpoint"),
        ("Standing at the door, where is the sofa?", "a place and a direction"),
        ("Facing the window, is the sofa on my left?", "a place and a direction"),
        ("Standing at the door facing the door, where is the sofa?", "cannot|nobody can"),
        ("Standing at the door facing the window, is the lamp in front of the sofa?", "not in front of"),
        ("In frame 3, is the chair behind the table?", "in an image"),
        ("In frame 3, at what o'clock is the chair?", "in an image"),
        ("In the umpteenth frame, where is the chair?", "counted from 0"),
        ("In frame 3, how many chairs are there?", "only directions depend on a viewpoint"),
        ("From the sofa's point of view, is the lamp left of the table?", "its own left"),
        ("Is the lamp on the left, from its own point of view?", "does not say whose"),
        ("Standing at the door facing the window, is the sofa at 14 o'clock?", "make sense|1 to 12"),
        (
            "Standing at the door facing the window, what is on my left side of the sofa?",
            "only for an object",
        ),
        ("Standing at the door facing the window, is it on my left?", "'it' does not say which object"),
        ("Standing at the door facing the window, where is the sofa in feet?", "no unit"),
    ],
)
def test_a_direction_without_meaning_is_refused_with_what_it_lacks(question: str, said: str) -> None:
    with pytest.raises(QuestionError, match=said):
        parse(question)
