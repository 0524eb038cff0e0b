"""A model behind the whole service: its words reach whoever follows, its tokens whoever pays."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest

from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.testing import serving

QUESTION = "How far is the sofa from the table in meters?"
DOCUMENT = {"answer": "1.0", "unit": "m", "cites": ["e1"]}
ROOM = {
    "format": "spatial-agent/scene@1",
    "scale": "metric",
    "up": [0.0, 0.0, 1.0],
    "objects": [
        {"id": name, "label": name[:-2], "box": {"centre_m": centre, "extent_m": extent}}
        for name, centre, extent in (
            ("sofa-1", (0.0, 4.0, 0.4), (2.0, 0.9, 0.8)),
            ("table-1", (2.5, 4.0, 0.4), (1.0, 1.0, 0.8)),
        )
    ],
}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("served")
    config = ServiceConfig(folder=folder, model=f"scripted:{script(folder)}")
    with serving(config) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def scene(http: httpx.Client) -> str:
    made = http.post("/v1/scenes", files={"files": ("room.json", json.dumps(ROOM), "application/json")})
    return str(made.json()["id"])


def script(folder: Path) -> Path:
    """Write a model down that leaves all to the grammar but the answer."""
    replies = [
        {"purpose": "formalise", "text": "I leave that to the grammar."},
        {"purpose": "plan", "text": "There is nothing more to measure."},
        {"purpose": "answer", "document": DOCUMENT, "usage": {"input_tokens": 900, "output_tokens": 30}},
    ]
    path = folder / "script.json"
    path.write_text(json.dumps({"format": "spatial-agent/model-script@1", "replies": replies * 8}))
    return path


def test_the_words_of_a_model_are_events_between_evidence_and_answer(http: httpx.Client, scene: str) -> None:
    asked = http.post("/v1/questions", json={"question": QUESTION, "scene": scene}).json()
    blocks = http.get(asked["links"]["events"]).text.strip().split("\n\n")
    events = [dict(line.split(": ", 1) for line in block.split("\n")) for block in blocks]
    kinds = [event["event"] for event in events]
    assert {"started", "stage", "tool_call", "evidence", "token"} < set(kinds)
    assert kinds.index("evidence") < kinds.index("token") < kinds.index("answer") == len(kinds) - 1
    written = "".join(json.loads(event["data"])["text"] for event in events if event["event"] == "token")
    assert DOCUMENT in (json.loads(line) for line in written.splitlines() if line.startswith("{"))
    answer = json.loads(events[-1]["data"])
    # Their nearest sides are at x = 1.0 m and x = 2.0 m.
    assert answer["value"] == pytest.approx(1.0, abs=1e-6)
    assert answer["degraded"] == []
    assert answer["tokens"] >= 930


def test_a_streamed_completion_says_what_the_model_cost(http: httpx.Client, scene: str) -> None:
    with openai.OpenAI(base_url=str(http.base_url.join("/v1")), api_key="none") as client:
        chunks = list(
            client.chat.completions.create(
                model="spatial-agent/recorded",
                messages=[{"role": "user", "content": f"{QUESTION}\nAnswer with a single number."}],
                extra_body={"spatial": {"scene": scene}},
                stream=True,
                stream_options={"include_usage": True},
            )
        )
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert float(said) == pytest.approx(1.0)
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.prompt_tokens >= 900
    assert 30 <= usage.completion_tokens < 900
