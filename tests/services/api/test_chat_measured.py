"""Chat completions that are really measured: a room of boxes whose every answer follows from its numbers."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from spatial_agent.services.api.testing import serving

FRAMES = "These are frames of a video."
DIRECTLY = "Answer with the option's letter from the given choices directly."
ONE_WORD = "Please answer the question using a single word or phrase."
STANDING = "If I am standing by the door and facing the sofa, is the "


def box(name: str, centre: tuple[float, float, float], extent: tuple[float, float, float]) -> dict[str, Any]:
    label = name.rpartition("-")[0]
    return {"id": name, "label": label, "box": {"centre_m": centre, "extent_m": extent}}


#: Seen from above, x to the right and y upwards: the sofa is above the door, the lamp to the left of both.
ROOM = {
    "format": "spatial-agent/scene@1",
    "scale": "metric",
    "up": [0.0, 0.0, 1.0],
    "room": {"area_m2": 20.0},
    "objects": [
        box("door-1", (0.0, 0.0, 1.0), (0.9, 0.1, 2.0)),
        box("sofa-1", (0.0, 4.0, 0.4), (2.0, 0.9, 0.8)),
        box("table-1", (2.5, 4.0, 0.4), (1.0, 1.0, 0.8)),
        box("lamp-1", (-2.0, 2.0, 0.8), (0.3, 0.3, 1.6)),
        box("chair-1", (2.5, 2.5, 0.5), (0.5, 0.5, 1.0)),
        box("chair-2", (2.0, 1.0, 0.5), (0.5, 0.5, 1.0)),
    ],
}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with serving(web_page=False) as url, httpx.Client(base_url=f"{url}/v1", timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def scene(http: httpx.Client) -> str:
    sent = http.post("/scenes", files={"files": ("room.json", json.dumps(ROOM), "application/json")})
    assert sent.status_code in (201, 202), sent.text
    identity: str = sent.json()["id"]
    return identity


def ask(http: httpx.Client, scene: str, *messages: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    response = http.post(
        "/chat/completions",
        json={
            "model": "spatial-agent/recorded",
            "messages": [{"role": roles[at % 2], "content": text} for at, text in enumerate(messages)],
            "spatial": {"scene": scene},
        },
    )
    assert response.status_code == 200, response.text
    completion: dict[str, Any] = response.json()
    return completion


def said(completion: dict[str, Any]) -> str:
    content: str = completion["choices"][0]["message"]["content"]
    return content


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("How many chair(s) are in this room?", "2"),
        # Between the faces x = 1 of the sofa and x = 2 of the table.
        (
            "Measuring from the closest point of each object, what is the direct distance between the sofa "
            "and "
            "the table (in meters)?",
            "1.0",
        ),
        (
            "What is the length of the longest dimension (length, width, or height) of the sofa, measured in "
            "centimeters?",
            "200",
        ),
        (
            "What is the size of this room (in square meters)? \nIf multiple rooms are shown, estimate the "
            "size "
            "of the combined space.",
            "20.0",
        ),
        ("How tall is the lamp in centimetres?", "160"),
        ("Is the sofa longer than 3 m?", "no"),
    ],
)
def test_numbers_and_words(http: httpx.Client, scene: str, question: str, answer: str) -> None:
    completion = ask(http, scene, f"{FRAMES}\n{question}\n{ONE_WORD}")
    assert said(completion) == answer
    assert completion["spatial"]["evidence"]


@pytest.mark.parametrize(
    ("question", "options", "letter"),
    [
        (
            "Measuring from the closest point of each object, which of these objects (sofa, door, lamp, "
            "table) is "
            "the closest to the chair?\nIf there are multiple instances of an object category, measure to "
            "the "
            "closest.",
            ("sofa", "door", "lamp", "table"),
            "D",
        ),
        (f"{STANDING}lamp to the left or the right of the sofa?", ("right", "left"), "B"),
        (
            f"{STANDING}table to my left, right, or back?\nAn object is to my back if I would have to turn "
            f"at least "
            "135 degrees in order to face it.",
            ("back", "right", "left"),
            "B",
        ),
        (
            f"{STANDING}table to my front-left, front-right, back-left, or back-right?\nThe directions "
            f"refer to the "
            "quadrants of a Cartesian plane (if I am standing at the origin and facing along the positive "
            "y-axis).",
            ("back-left", "front-left", "front-right", "back-right"),
            "C",
        ),
    ],
)
@pytest.mark.parametrize("header", ["Options:\n", ""])
def test_choices(
    http: httpx.Client, scene: str, question: str, options: tuple[str, ...], letter: str, header: str
) -> None:
    lettered = "\n".join(f"{mark}. {option}" for mark, option in zip("ABCD", options, strict=False))
    assert said(ask(http, scene, f"{FRAMES}\n{question}\n{header}{lettered}\n{DIRECTLY}")) == letter


def test_a_dialogue_goes_on_from_what_was_said(http: httpx.Client, scene: str) -> None:
    first = "How tall is the sofa?"
    answered = said(ask(http, scene, first))
    completion = ask(http, scene, first, answered, "And how far is it from the table, in metres?")
    assert completion["spatial"]["value"] == pytest.approx(1.0)


def test_what_is_not_there_is_said(http: httpx.Client, scene: str) -> None:
    completion = ask(http, scene, "How tall is the piano?")
    assert completion["spatial"]["abstained"] is True
    assert "piano" in said(completion)


def test_what_nobody_can_read_is_said_with_what_can_be_asked(http: httpx.Client, scene: str) -> None:
    completion = ask(http, scene, "Colourless green ideas sleep furiously")
    assert completion["spatial"]["abstained"] is True
    assert "how tall is the sofa?" in said(completion)
