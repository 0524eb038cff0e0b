"""Plain questions about number, distance, size, choice, order and height."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.task import (
    AnswerForm,
    CompareRelation,
    Comparison,
    Intent,
    Leg,
    Reference,
    SpatialTask,
    Viewpoint,
)


def ref(text: str) -> Reference:
    """Build a reference: ``chairs>chair`` is a plural, ``tallest lamp|lamp|tallest`` qualified."""
    if "|" in text:
        phrase, noun, qualifier = text.split("|")
        return Reference(phrase, noun, qualifier, plural=noun not in phrase.split())
    phrase, _, noun = text.partition(">")
    return Reference(phrase, noun or phrase, plural=bool(noun))


def task(intent: Intent, form: AnswerForm, *entities: str, **fields: object) -> SpatialTask:
    bare = SpatialTask("", "room", "plain", "number")
    given = {"intent": intent, "answer_form": form, "entities": tuple(map(ref, entities))}
    return replace(bare, **given, **fields)  # type: ignore[arg-type]


def distance(*entities: str, **fields: object) -> SpatialTask:
    return task("distance", "number", *entities, **fields)


def size(entity: str, dimension: str, **fields: object) -> SpatialTask:
    return task("size", "number", entity, dimension=dimension, **fields)


def yes(
    base: SpatialTask,
    relation: CompareRelation,
    value: float | None = None,
    unit: str | None = None,
    against: Sequence[str] = (),
) -> SpatialTask:
    comparison = Comparison(relation, value, unit, tuple(map(ref, against)))
    return replace(base, answer_form="yes_no", unit=None, comparison=comparison)


def count(entity: str) -> SpatialTask:
    return task("count", "number", entity, unit="count")


CHAIRS = count("chairs>chair")
GRAVITY = Viewpoint("gravity")

MEASURING: dict[str, SpatialTask] = {
    "How many chairs are there?": CHAIRS,
    "how many chairs are there in the room": CHAIRS,
    "How many chairs are in this room?": CHAIRS,
    "How many chairs can you see?": CHAIRS,
    "Please count the chairs.": CHAIRS,
    "What is the number of chairs?": CHAIRS,
    "HOW MANY  CHAIRS DOES THE ROOM HAVE ??": CHAIRS,
    "How many chairs are next to the table?": count("chairs next to the table|chair|next to the table"),
    "How many objects are on the desk?": count("objects on the desk|object|on the desk"),
    "Is there a lamp?": yes(count("lamp"), relation="at_least", value=1.0),
    "Does the room contain a piano?": yes(count("piano"), relation="at_least", value=1.0),
    "Are there any chairs?": yes(CHAIRS, relation="at_least", value=1.0),
    "Are there more than 3 chairs?": yes(CHAIRS, relation="greater", value=3.0),
    "Are there two chairs?": yes(CHAIRS, relation="equal", value=2.0),
    "Are there at most two chairs?": yes(CHAIRS, relation="at_most", value=2.0),
    "Are there more chairs than tables?": yes(CHAIRS, relation="greater", against=["tables>table"]),
    "Are there fewer chairs than tables?": yes(CHAIRS, relation="less", against=["tables>table"]),
    "How far is the chair from the table?": distance("chair", "table"),
    "How far away is the chair from the table?": distance("chair", "table"),
    "What’s the distance between the TV and the sofa?": distance("tv", "sofa"),
    "What is the distance from the tv to the sofa in feet?": distance("tv", "sofa", unit="ft"),
    "What is the distance between chair-1 and chair 2?": distance("chair-1", "chair 2"),
    "How far apart are the sofa and the office chair (in cm)?": distance("sofa", "office chair", unit="cm"),
    "How far from the table is the chair?": distance("chair", "table"),
    "How much space is there between the chair and the table?": distance("chair", "table"),
    "Are the chair and the table less than 1 m apart?": yes(
        distance("chair", "table"), relation="less", value=1.0, unit="m"
    ),
    "How far is the chair from the picture?": distance("chair", "picture"),
    "How close is the chair to the table?": distance("chair", "table"),
    "How many metres is the chair from the table?": distance("chair", "table", unit="m"),
    "How many inches are between the chair and the table?": distance("chair", "table", unit="in"),
    "How far is the lamp from the sofa, centre to centre?": distance("lamp", "sofa", centres=True),
    "What is the center-to-center distance between the lamp and the sofa?": distance(
        "lamp", "sofa", centres=True
    ),
    "What is the distance between the centres of the lamp and the sofa?": distance(
        "lamp", "sofa", centres=True
    ),
    "How far is the lamp next to the sofa from the door?": distance(
        "lamp next to the sofa|lamp|next to the sofa", "door"
    ),
    "Is the chair within 2 m of the table?": yes(
        distance("chair", "table"), relation="at_most", value=2.0, unit="m"
    ),
    "Is the chair more than 50cm away from the table?": yes(
        distance("chair", "table"), relation="greater", value=50.0, unit="cm"
    ),
    "Is the chair closer to the table than to the sofa?": yes(
        distance("chair", "table"), relation="less", against=["chair", "sofa"]
    ),
    "Is the chair farther from the table than from the sofa?": yes(
        distance("chair", "table"), relation="greater", against=["chair", "sofa"]
    ),
    "Is the chair closer to the table than the sofa is?": yes(
        distance("chair", "table"), relation="less", against=["sofa", "table"]
    ),
    "How tall is the sofa?": size("sofa", "height"),
    "How high is the sofa, in feet?": size("sofa", "height", unit="ft"),
    "How wide is the couch?": size("couch", "width"),
    "How deep is the wardrobe?": size("wardrobe", "depth"),
    "How long is the table measured in inches?": size("table", "length", unit="in"),
    "How big is the dining table?": size("dining table", "longest"),
    "What is the height of the tallest lamp?": size("tallest lamp|lamp|tallest", "height"),
    "What is the lamp's width?": size("lamp", "width"),
    "How many feet tall is the lamp?": size("lamp", "height", unit="ft"),
    "Is the sofa longer than 2 m?": yes(size("sofa", "length"), relation="greater", value=2.0, unit="m"),
    "Is the sofa at least 6 feet wide?": yes(
        size("sofa", "width"), relation="at_least", value=6.0, unit="ft"
    ),
    "Is the sofa taller than the table?": yes(size("sofa", "height"), relation="greater", against=["table"]),
    "Is the sofa narrower than the bed?": yes(size("sofa", "width"), relation="less", against=["bed"]),
    "What is the area of the room?": task("room", "number"),
    "How big is the room?": task("room", "number"),
    "What is the size of this room in square feet?": task("room", "number", unit="ft2"),
    "How many square metres is the room?": task("room", "number", unit="m2"),
    "Is the room larger than 20 square metres?": yes(
        task("room", "number"), relation="greater", value=20.0, unit="m2"
    ),
}
CHOOSING: dict[str, SpatialTask] = {
    "Which is closer to the sofa, the lamp or the table?": task(
        "nearest", "name", "sofa", "lamp", "table", select="least"
    ),
    "Which of the lamp, the table and the chair is farthest from the sofa?": task(
        "nearest", "name", "sofa", "lamp", "table", "chair", select="most"
    ),
    "Which of these objects (lamp, table) is nearest to the sofa?": task(
        "nearest", "name", "sofa", "lamp", "table", select="least"
    ),
    "Is the lamp or the table closer to the sofa?": task(
        "nearest", "name", "sofa", "lamp", "table", select="least"
    ),
    "What is the nearest object to the sofa?": task("nearest", "name", "sofa", select="least"),
    "What's nearest the sofa?": task("nearest", "name", "sofa", select="least"),
    "What is closest to the sofa?": task("nearest", "name", "sofa", select="least"),
    "Which chair is closest to the door?": task("nearest", "name", "door", select="least"),
    "Which is taller, the lamp or the sofa?": task(
        "size", "name", "lamp", "sofa", dimension="height", select="most"
    ),
    "Which of the lamp and the sofa is less tall?": task(
        "size", "name", "lamp", "sofa", dimension="height", select="least"
    ),
    "What is the largest object?": task("size", "name", dimension="longest", select="most"),
    "Which is higher, the clock or the lamp?": task(
        "vertical", "name", "clock", "lamp", viewpoint=GRAVITY, select="most"
    ),
    "Is the cup above the table?": task(
        "vertical", "yes_no", "cup", "table", viewpoint=GRAVITY, comparison=Comparison("is", name="above")
    ),
    "Is the cup under the table?": task(
        "vertical", "yes_no", "cup", "table", viewpoint=GRAVITY, comparison=Comparison("is", name="below")
    ),
    "Is the cup on top of the table?": task(
        "vertical", "yes_no", "cup", "table", viewpoint=GRAVITY, comparison=Comparison("is", name="on")
    ),
    "In what order do the sofa, the lamp and the table appear?": task(
        "order", "order", "sofa", "lamp", "table"
    ),
    "What is the order of appearance of the sofa, the lamp and the table in the video?": task(
        "order", "order", "sofa", "lamp", "table"
    ),
    "Which appears first, the sofa or the lamp?": task("order", "name", "sofa", "lamp", select="least"),
    "Which of the sofa and the lamp appears last?": task("order", "name", "sofa", "lamp", select="most"),
}
DOOR_SOFA = Viewpoint("observer", ref("door"), ref("sofa"))
ROUTES: dict[str, tuple[Leg, ...]] = {
    "I start at the door facing the sofa, go to the table, then to the lamp: which turns do I take?": (
        Leg(ref("table")),
        Leg(ref("lamp")),
    ),
    "Starting at the door and facing the sofa, I walk to the sofa, then to the table and then to the lamp. "
    "Which turns do I make?": (Leg(ref("sofa"), turn_asked=False), Leg(ref("table")), Leg(ref("lamp"))),
    "Which turns do I take from the door, facing the sofa, to the table, then to the lamp?": (
        Leg(ref("table")),
        Leg(ref("lamp")),
    ),
}


@pytest.mark.parametrize("question", MEASURING)
def test_a_plain_measuring_question_gives_its_task(question: str) -> None:
    assert parse(question).to_json() | {"question": ""} == MEASURING[question].to_json()


@pytest.mark.parametrize("question", CHOOSING)
def test_a_plain_choosing_question_gives_its_task(question: str) -> None:
    got = parse(question).to_json() | {"question": ""}
    if question == "Which chair is closest to the door?":
        assert got["entities"].pop() == {
            "phrase": "chair",
            "noun": "chair",
            "qualifier": None,
            "plural": True,
        }
    assert got == CHOOSING[question].to_json()


@pytest.mark.parametrize("question", ROUTES)
def test_a_plain_route_asks_for_a_turn_before_every_stop_not_yet_faced(question: str) -> None:
    got = parse(question)
    assert (got.intent, got.answer_form, got.viewpoint) == ("route", "order", DOOR_SOFA)
    assert got.legs == ROUTES[question]


def test_plural_candidates_mean_all_objects_of_the_kind() -> None:
    assert parse("What is the tallest chair?").entities == (Reference("chair", "chair", plural=True),)
    assert parse("Which of the chairs is the tallest?").entities == (
        Reference("chairs", "chair", plural=True),
    )
