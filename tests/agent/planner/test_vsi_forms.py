"""All ten question forms of VSI-Bench, word for word."""

import json
import os
import re
from pathlib import Path

import pytest

from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.task import Leg, Option, Reference, SpatialTask, Viewpoint
from spatial_agent.tools.errors import QuestionError

CLOSEST = "Measuring from the closest point of each object, "
STANDING = "If I am standing by the stove and facing the tv, is the sofa to "
QUADRANTS = (
    "\nThe directions refer to the quadrants of a Cartesian plane (if I am standing at the origin and facing "
    "along the positive y-axis)."
)
ROBOT = (
    "You are a robot beginning at the {start} facing the {x}. You want to navigate to the {end}. "
    "You will perform the following actions (Note: for each [please fill in], choose either 'turn back,' "
    "'turn left,' or 'turn right.'): {steps} You have reached the final destination."
)
ROUTE = ROBOT.format(
    start="bed",
    x="tv",
    end="toilet",
    steps="1. Go forward until the tv 2. [please fill in] 3. Go forward until the door "
    "4. [please fill in] 5. Go forward until the toilet.",
)


def ref(noun: str) -> Reference:
    return Reference(noun, noun)


def observer(at: str, facing: str) -> Viewpoint:
    return Viewpoint("observer", ref(at), ref(facing))


STOVE = observer("stove", "tv")
SOFA = (ref("sofa"),)
FORMS: dict[str, tuple[str, SpatialTask]] = {
    "object_counting": (
        "How many table(s) are in this room?",
        SpatialTask("", "count", "vsi", "number", (ref("table"),), unit="count", decimals=0),
    ),
    "object_abs_distance": (
        CLOSEST + "what is the direct distance between the sofa and the stove (in meters)?",
        SpatialTask("", "distance", "vsi", "number", (ref("sofa"), ref("stove")), unit="m", decimals=1),
    ),
    "object_abs_distance as released": (
        CLOSEST + "what is the distance between the trash can and the ceiling light (in meters)?",
        SpatialTask(
            "", "distance", "vsi", "number", (ref("trash can"), ref("ceiling light")), unit="m", decimals=1
        ),
    ),
    "object_size_estimation": (
        "What is the length of the longest dimension (length, width, or height) of the computer tower, "
        "measured in centimeters?",
        SpatialTask(
            "", "size", "vsi", "number", (ref("computer tower"),), dimension="longest", unit="cm", decimals=0
        ),
    ),
    "room_size_estimation": (
        "What is the size of this room (in square meters)? \nIf multiple rooms are shown, estimate the size "
        "of the combined space.",
        SpatialTask("", "room", "vsi", "number", unit="m2", decimals=1),
    ),
    "object_rel_distance": (
        CLOSEST + "which of these objects (chair, lamp, tv, stove) is the closest to the sofa?\n"
        "If there are multiple instances of an object category, measure to the closest.",
        SpatialTask(
            "",
            "nearest",
            "vsi",
            "name",
            (ref("sofa"), ref("chair"), ref("lamp"), ref("tv"), ref("stove")),
            select="least",
            closest_instance=True,
        ),
    ),
    "object_rel_direction_hard": (
        STANDING + "my front-left, front-right, back-left, or back-right?" + QUADRANTS,
        SpatialTask("", "direction", "vsi", "name", SOFA, viewpoint=STOVE, sectors="quadrants"),
    ),
    "object_rel_direction_medium": (
        STANDING + "my left, right, or back?\nAn object is to my back if I would have to turn at least 135 "
        "degrees in order to face it.",
        SpatialTask("", "direction", "vsi", "name", SOFA, viewpoint=STOVE, sectors="vsi_three"),
    ),
    "object_rel_direction_easy": (
        STANDING + "the left or the right of the tv?",
        SpatialTask("", "direction", "vsi", "name", SOFA, viewpoint=STOVE, sectors="two"),
    ),
    "obj_appearance_order": (
        "What will be the first-time appearance order of the following categories in the video: blanket, "
        "trash can, microwave, plant?",
        SpatialTask(
            "", "order", "vsi", "order", (ref("blanket"), ref("trash can"), ref("microwave"), ref("plant"))
        ),
    ),
    "route_planning": (
        ROUTE,
        SpatialTask(
            "",
            "route",
            "vsi",
            "order",
            viewpoint=observer("bed", "tv"),
            legs=(Leg(ref("tv"), turn_asked=False), Leg(ref("door")), Leg(ref("toilet"))),
        ),
    ),
}


def without_question(task: SpatialTask) -> dict[str, object]:
    return task.to_json() | {"question": ""}


@pytest.mark.parametrize("name", FORMS)
def test_a_benchmark_form_word_for_word_gives_its_task(name: str) -> None:
    question, expected = FORMS[name]
    task = parse(question)
    assert without_question(task) == without_question(expected)
    assert task.question == question


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize(
    "wrapping",
    [
        "These are frames of a video.\n{}\nPlease answer the question using a single word or phrase.",
        "These are frames of a video.\n{}\nAnswer with the option's letter from the given choices directly.",
        "{}\nDo not response anything other than a single number!",
        "  {}  ",
    ],
)
def test_what_benchmarks_wrap_around_a_question_does_not_change_it(name: str, wrapping: str) -> None:
    question, expected = FORMS[name]
    assert without_question(parse(wrapping.format(question))) == without_question(expected)


def test_options_written_into_the_prompt_are_read() -> None:
    question, _ = FORMS["object_rel_direction_easy"]
    prompt = f"{question}\nOptions:\nA. left\nB. right\n"
    prompt += "Answer with the option's letter from the given choices directly."
    task = parse(prompt)
    assert task.options == (Option("A", "left"), Option("B", "right"))
    assert task.answer_form == "letter"


def test_a_route_may_begin_with_a_turn_and_say_and_before_facing() -> None:
    steps = (
        "1. [please fill in] 2. Go forward until the sofa. 3. [please fill in] 4. Go forward until the tv."
    )
    question = ROBOT.format(start="door and", x="window", end="tv", steps=steps)
    task = parse(question)
    assert task.viewpoint == observer("door", "window")
    assert task.legs == (Leg(ref("sofa")), Leg(ref("tv")))


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("1. Go forward until the tv 2. [please fill in]", "after it"),
        ("1. Go forward until the sofa 2. Go forward until the tv", "after it"),
        ("1. Fly to the moon 2. [please fill in] 3. Go forward until the tv", "route step"),
        ("1. [please fill in] 2. Go forward until the sofa", "said to lead to"),
    ],
)
def test_a_route_that_cannot_be_answered_is_refused(steps: str, said: str) -> None:
    with pytest.raises(QuestionError, match=said):
        parse(ROBOT.format(start="door", x="window", end="tv", steps=steps))


def test_left_or_right_of_something_not_faced_is_refused() -> None:
    with pytest.raises(QuestionError, match="'lamp' where 'tv' was expected"):
        parse(STANDING + "the left or the right of the lamp?")


def test_official_rows_give_the_places_they_name() -> None:
    folder = os.environ.get("SPATIAL_AGENT_TEST_DATA", "")
    file = Path(folder) / "vsi_meta" / "official_rows.jsonl"
    if not folder or not file.exists():
        pytest.skip("SPATIAL_AGENT_TEST_DATA does not hold vsi_meta/official_rows.jsonl")
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert rows
    for row in rows:
        task = parse(row["question"], row["options"])
        found = re.search(r"by the (.+?) and facing the (.+?), is the (.+?) to my", row["question"])
        assert found
        assert task.viewpoint is not None
        places = found.groups()
        assert task.viewpoint.at == ref(places[0])
        assert task.viewpoint.facing == ref(places[1])
        assert task.entities == (ref(places[2]),)
        assert (task.definition, task.sectors) == ("vsi", "quadrants")
        assert [f"{option.letter}. {option.text}" for option in task.options] == row["options"]
