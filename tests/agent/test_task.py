"""The formal task: what it refuses to be, and that it survives as JSON."""

import json
from dataclasses import replace

import pytest

from spatial_agent.agent.task import Comparison, Leg, Option, Reference, SpatialTask, Viewpoint
from spatial_agent.tools.errors import InvalidValueError

SOFA = Reference("red sofa near the door", "sofa", "near the door")
LAMPS = Reference("lamps", "lamp", plural=True)
OBSERVER = Viewpoint("observer", SOFA, LAMPS, facing_away=True)
TASKS = (
    SpatialTask("How many lamps?", "count", "plain", "number", (LAMPS,), unit="count"),
    SpatialTask(
        "Is it left?",
        "direction",
        "plain",
        "letter",
        (SOFA, LAMPS),
        options=(Option("A", "yes"), Option("B", "no")),
        viewpoint=OBSERVER,
        sectors="two",
        comparison=Comparison("is", name="left"),
    ),
    SpatialTask("Turns?", "route", "vsi", "order", viewpoint=OBSERVER, legs=(Leg(SOFA), Leg(LAMPS, False))),
    SpatialTask(
        "Longer?",
        "size",
        "plain",
        "yes_no",
        (SOFA,),
        dimension="length",
        comparison=Comparison("greater", 2.0, "m"),
    ),
    SpatialTask(
        "Where?", "camera_direction", "plain", "name", (SOFA,), viewpoint=Viewpoint("camera", frame=0)
    ),
)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.intent)
def test_a_task_comes_back_from_json_as_it_was(task: SpatialTask) -> None:
    assert SpatialTask.from_json(json.loads(json.dumps(task.to_json()))) == task


@pytest.mark.parametrize(
    "change",
    [
        {"intent": "teleport"},
        {"entities": []},
        {"entities": [{"phrase": "", "noun": "x"}]},
        {"decimals": "many"},
        {"surprise": 1},
        {"options": [{"letter": "A", "text": "yes"}]},
    ],
    ids=str,
)
def test_json_that_is_no_task_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(InvalidValueError, match="not a spatial task"):
        SpatialTask.from_json(TASKS[0].to_json() | change)


@pytest.mark.parametrize("document", [None, [], "task", {}])
def test_other_json_is_refused(document: object) -> None:
    with pytest.raises(InvalidValueError, match="not a spatial task"):
        SpatialTask.from_json(document)


def test_a_task_without_what_its_intent_needs_cannot_be_built() -> None:
    for change, said in (
        ({"intent": "distance"}, "takes 2 to 2 entities"),
        ({"intent": "direction"}, "needs a viewpoint of kind 'observer'"),
        ({"intent": "route", "entities": (), "viewpoint": OBSERVER}, "somewhere to go"),
        ({"answer_form": "letter"}, "exactly when there are options"),
    ):
        with pytest.raises(InvalidValueError, match=said):
            replace(TASKS[0], **change)


def test_parts_that_mean_nothing_cannot_be_built() -> None:
    with pytest.raises(InvalidValueError, match="place to stand"):
        Viewpoint("observer", SOFA)
    with pytest.raises(InvalidValueError, match="whose axes"):
        Viewpoint("object_axes")
    with pytest.raises(InvalidValueError, match="exactly one"):
        Comparison("less")
    with pytest.raises(InvalidValueError, match="exactly one"):
        Comparison("less", 2.0, "m", (SOFA,))
    with pytest.raises(InvalidValueError, match="goes with a name"):
        Comparison("less", name="left")
    with pytest.raises(InvalidValueError, match="a phrase and a noun"):
        Reference("", "")
