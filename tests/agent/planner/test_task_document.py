"""What a model says a question asks: a valid task or a problem in words, never anything else."""

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from spatial_agent.agent.models.schema_check import schema_problem
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.planner.planning import plan_calls
from spatial_agent.agent.planner.task_document import read_task
from spatial_agent.agent.planner.task_schema import KEYS, SCHEMA, document_of
from spatial_agent.agent.task import (
    ENTITY_COUNTS,
    NEEDED_VIEWPOINT,
    Comparison,
    Definition,
    Intent,
    Leg,
    Option,
    Reference,
    SpatialTask,
    Viewpoint,
)
from spatial_agent.tools.errors import InvalidValueError
from tests.agent.planner import test_direction_forms as directions
from tests.agent.planner import test_plain_forms as plain
from tests.agent.planner import test_questions_page as page
from tests.agent.planner import test_vsi_forms as vsi

WITH_OPTIONS: dict[str, list[str]] = {
    "Standing at the door facing the window, where is the sofa?": ["left", "right", "behind"],
    "Which is taller, the lamp or the sofa?": ["lamp", "sofa"],
    "Is the lamp taller than the sofa?": ["yes", "no"],
    "How far is the sofa from the lamp?": ["1 m", "2 m"],
    "Where is the lamp, from the sofa's point of view?": ["A. left", "B. front-left"],
}
KNOWN = [
    *plain.MEASURING,
    *plain.CHOOSING,
    *plain.ROUTES,
    *directions.IN_IMAGE,
    *directions.OWN,
    *(stated.format(asked) for stated in directions.STATED for asked in directions.ASKED),
    *(question for question, _ in vsi.FORMS.values()),
    *page.examples("question"),
]


def ref(noun: str) -> Reference:
    return Reference(noun, noun)


def said(
    intent: str, *entities: str, form: str = "number", view: str = "none", **more: object
) -> dict[str, object]:
    return {"intent": intent, "entities": list(entities), "viewpoint": view, "answer_form": form} | more


@pytest.mark.parametrize("question", KNOWN)
def test_a_task_comes_back_from_its_document(question: str) -> None:
    task = parse(question)
    document = json.loads(json.dumps(document_of(task)))
    assert schema_problem(document, SCHEMA) is None
    assert read_task(document, task.question, task.options, task.definition) == task


@pytest.mark.parametrize("question", WITH_OPTIONS)
def test_a_task_with_options_comes_back_from_its_document(question: str) -> None:
    task = parse(question, WITH_OPTIONS[question])
    assert read_task(document_of(task), task.question, task.options) == task


BARE = SpatialTask("?", "room", "plain", "number")
READ: dict[str, tuple[dict[str, object], SpatialTask]] = {
    "articles and capitals go": (
        said("distance", "The Sofa", "a red  lamp", unit="ft"),
        replace(BARE, intent="distance", entities=(ref("sofa"), ref("red lamp")), unit="ft"),
    ),
    "what is empty is left out": (
        said("count", "chairs", at="", facing=None, centres=False, against=[], sectors=None),
        replace(BARE, intent="count", entities=(Reference("chairs", "chair", plural=True),), unit="count"),
    ),
    "one candidate is a kind": (
        said("nearest", "stove", "chair", form="name"),
        replace(
            BARE,
            intent="nearest",
            answer_form="name",
            entities=(ref("stove"), Reference("chair", "chair", plural=True)),
            select="least",
        ),
    ),
    "objects are every object": (
        said("size", "objects", form="name", select="most"),
        replace(BARE, intent="size", answer_form="name", dimension="longest", select="most"),
    ),
    "a direction in other words": (
        said(
            "direction", "lamp", form="yes_no", view="observer", at="door", facing="tv", direction="Behind me"
        ),
        replace(
            BARE,
            intent="direction",
            answer_form="yes_no",
            entities=(ref("lamp"),),
            viewpoint=Viewpoint("observer", ref("door"), ref("tv")),
            sectors="four",
            comparison=Comparison("is", name="back"),
        ),
    ),
    "the way to what is faced takes no turn": (
        said("route", form="order", view="observer", at="bed", facing="tv", stops=["tv", "door"]),
        replace(
            BARE,
            intent="route",
            answer_form="order",
            viewpoint=Viewpoint("observer", ref("bed"), ref("tv")),
            legs=(Leg(ref("tv"), turn_asked=False), Leg(ref("door"))),
        ),
    ),
    "an open question keeps its viewpoint and form": (
        said("open", "sofa", form="yes_no", view="camera", frame=3.0, objective=" sit  on it? "),
        replace(
            BARE,
            intent="open",
            answer_form="yes_no",
            entities=(ref("sofa"),),
            viewpoint=Viewpoint("camera", frame=3),
            objective="sit on it?",
        ),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_a_document_gives_its_task(name: str) -> None:
    document, task = READ[name]
    assert read_task(document, "?") == task


def test_options_make_the_answer_a_letter_and_say_how_finely() -> None:
    offered = (Option("A", "left"), Option("B", "right"))
    document = said("direction", "lamp", form="text", view="observer", at="door", facing="tv")
    task = read_task(document, "?", offered)
    assert (task.answer_form, task.options, task.sectors) == ("letter", offered, "two")


REFUSED: dict[str, tuple[object, str]] = {
    "no object": (["distance"], "expected a JSON object, got list"),
    "nothing": (None, "expected a JSON object, got NoneType"),
    "no intent": ({"entities": ["sofa"]}, "intent, viewpoint, answer_form missing"),
    "unknown intent": (said("teleport"), "intent: expected one of 'count'"),
    "unknown key": (said("room", colour="red"), "colour: unknown"),
    "too few": (said("distance", "sofa"), "takes 2 entities, got 1"),
    "too many": (said("distance", "sofa", "lamp", "tv"), "takes 2 entities, got 3"),
    "twice the same": (said("distance", "sofa", "the sofa"), "stands twice"),
    "no name": (said("distance", "it", "sofa"), "does not say which object"),
    "a sentence": (said("count", "all the things that you would not want to be there"), "name of one object"),
    "a novel": (said("count", "chair " * 1000), "got 5999 characters"),
    "what would be lost": (
        said("count", "chairs", view="observer", at="door", facing="tv"),
        "intent 'count' has no at, facing",
    ),
    "no observer": (said("direction", "lamp", form="name", view="observer", at="door"), "needs 'facing'"),
    "other viewpoint": (
        said("direction", "lamp", form="name", view="camera"),
        "goes with 'camera_direction'",
    ),
    "in two places": (
        said("direction", "lamp", form="name", view="observer", at="tv", facing="the tv"),
        "nobody can stand at the tv and face it too",
    ),
    "no comparison": (said("size", "sofa", form="yes_no"), "answered by 'number', got 'yes_no'"),
    "how many more": (
        said("count", "chairs", relation="greater", against=["tables"]),
        "answered by 'yes_no', got 'number'",
    ),
    "a number alone": (said("size", "sofa", form="yes_no", value=2), "value needs a relation"),
    "two comparisons": (
        said("size", "sofa", form="yes_no", relation="less", value=2, unit="m", against=["bed"]),
        "either a value",
    ),
    "a bare length": (said("size", "sofa", form="yes_no", relation="less", value=2), "value needs its unit"),
    "a square length": (said("distance", "sofa", "tv", unit="m2"), "measures area"),
    "not a number": (
        said("room", form="yes_no", relation="less", value=math.nan, unit="m2"),
        "expected a number, got nan",
    ),
    "endless": (said("room", form="yes_no", relation="less", value=10**400, unit="m2"), "at most"),
    "one of a second pair": (
        said("distance", "sofa", "tv", form="yes_no", relation="less", against=["bed"]),
        "takes 2, got 1",
    ),
    "nowhere": (
        said("vertical", "cup", "desk", form="yes_no", view="gravity", direction="left"),
        "above, below",
    ),
    "no side": (said("object_side", form="name", view="object_axes", at="sofa"), "either the one entity"),
    "no way": (said("route", form="order", view="observer", at="bed", facing="tv"), "got 0 stops"),
    "only straight on": (
        said("route", form="order", view="observer", at="bed", facing="tv", stops=["tv"]),
        "at least one that is asked for",
    ),
    "nothing to find out": (said("open", form="text"), "needs an objective"),
    "a count in metres": (said("count", "chairs", unit="m"), "is not in 'm'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_document_that_is_no_task_is_refused_with_what_to_do(name: str) -> None:
    document, problem = REFUSED[name]
    with pytest.raises(InvalidValueError) as caught:
        read_task(document, "?")
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 600


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PHRASES = st.sampled_from(
    [
        "sofa",
        "the lamp",
        "chairs",
        "tallest lamp near the sofa",
        "objects",
        "it",
        "",
        "chair-2",
        "\ud800",
        "s's",
    ]
) | st.text(max_size=12)


def _fitting(rule: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "enum" in rule:
        return st.sampled_from(rule["enum"])
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "boolean": st.booleans(),
        "integer": st.integers(-3, 9),
        "number": st.floats(-10, 10) | st.integers(-10, 10),
        "string": PHRASES | st.sampled_from(["left", "behind", "3 o'clock", "above", "on top of"]),
    }
    if rule["type"] == "array":
        return st.lists(kinds[rule["items"]["type"]], max_size=4)
    return kinds[rule["type"]]


PROPERTIES: Mapping[str, Any] = SCHEMA["properties"]
NAMES = ("sofa", "the lamp", "chairs", "tallest lamp near the sofa", "objects", "chair-2")


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, Any]:
    """Draw what a model may well write: mostly keys that go with the intent, now and then others."""
    intent: Intent = draw(st.sampled_from(get_args(Intent)))
    needed = NEEDED_VIEWPOINT.get(intent, "none")
    own = st.lists(st.sampled_from(sorted(KEYS[intent])), unique=True)
    odd = st.sampled_from([[]] * 5 + [[key] for key in PROPERTIES])
    document = {key: draw(_fitting(PROPERTIES[key])) for key in (*draw(own), *draw(odd))}
    fewest, most = ENTITY_COUNTS[intent]
    names = st.lists(st.sampled_from(NAMES), unique=True, min_size=fewest, max_size=min(most or 3, 3))
    return document | {
        "intent": intent,
        "entities": draw(names),
        "viewpoint": draw(st.sampled_from([needed, needed, "none"])),
        "answer_form": draw(st.sampled_from(["text", "text", "yes_no"])),
        "objective": "find it out",
    }


SPOILED = st.builds(
    lambda one, other: one | other, _documents(), st.dictionaries(st.sampled_from([*PROPERTIES]), JUNK)
)


@given(JUNK | _documents() | SPOILED, st.sampled_from(["plain", "vsi"]))
@example(said("nearest", "sofa", "anything"), "plain")
def test_any_document_becomes_a_task_that_can_be_measured_or_a_problem(
    document: object, definition: Definition
) -> None:
    try:
        task = read_task(document, "?", (), definition)
    except InvalidValueError:
        return
    assert SpatialTask.from_json(json.loads(json.dumps(task.to_json()))) == task
    assert all(call.arguments["scene"] == "$scene" for call in plan_calls(task, "$scene"))
    assert read_task(document_of(task), "?", (), definition) == task
