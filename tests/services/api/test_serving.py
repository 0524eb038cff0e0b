"""The real thing: real experts measure rooms, and answer questions about them."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.testing import serving
from spatial_agent.services.scene_files.samples import sample_names

ROOM = {
    "format": "spatial-agent/scene@1",
    "scale": "metric",
    "up": [0.0, 0.0, 1.0],
    "objects": [
        {"id": name, "label": name[:-2], "box": {"centre_m": centre, "extent_m": extent}}
        for name, centre, extent in (
            ("door-1", (0.0, 0.0, 1.0), (0.9, 0.1, 2.0)),
            ("sofa-1", (0.0, 4.0, 0.4), (2.0, 0.9, 0.8)),
            ("table-1", (2.5, 4.0, 0.4), (1.0, 1.0, 0.8)),
        )
    ],
}


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("served")
    with serving(ServiceConfig(folder=folder)) as url, httpx.Client(base_url=url, timeout=120) as client:
        client.headers["X-Folder"] = str(folder)
        yield client


@pytest.fixture(scope="module")
def scene(http: httpx.Client) -> str:
    made = http.post("/v1/scenes", files={"files": ("room.json", json.dumps(ROOM), "application/json")})
    assert made.status_code in (201, 202), made.text
    return str(made.json()["id"])


def ask(http: httpx.Client, **fields: object) -> dict[str, Any]:
    answered = http.post("/v1/questions", json=fields, headers={"Prefer": "wait=100"})
    assert answered.status_code == 200, answered.text
    view: dict[str, Any] = answered.json()
    return view


def colours(http: httpx.Client, question: str) -> int:
    drawn = http.get(f"/v1/questions/{question}/picture.png")
    assert drawn.headers["content-type"] == "image/png"
    again = http.get(f"/v1/questions/{question}/picture.png")
    assert (again.headers["etag"], again.content) == (drawn.headers["etag"], drawn.content)
    with Image.open(io.BytesIO(drawn.content)) as picture:
        assert min(picture.size) > 300
        return len(picture.convert("RGB").getcolors(2**24) or ())


def test_a_question_is_measured_drawn_and_traced(http: httpx.Client, scene: str) -> None:
    view = ask(http, question="How far is the sofa from the table in meters?", scene=scene)
    assert view["state"] == "done", view
    answer = view["answer"]
    # Their nearest sides are at x = 1.0 m and x = 2.0 m.
    assert answer["value"] == pytest.approx(1.0, abs=1e-6)
    assert (answer["abstained"], answer["unit"], answer["trace_id"]) == (False, "m", view["id"])
    assert colours(http, view["id"]) > 5
    traced = http.get(f"/v1/questions/{view['id']}/trace")
    steps = [json.loads(line) for line in traced.text.splitlines()]
    assert {"question", "load", "answer"} <= {step["kind"] for step in steps}
    assert http.headers["X-Folder"] not in traced.text + json.dumps(view)


def test_a_dialogue_remembers_what_it_was_about(http: httpx.Client, scene: str) -> None:
    session = http.post("/v1/sessions", json={"scene": scene}).json()["id"]
    ask(http, question="How far is the sofa from the door in meters?", session=session)
    second = ask(http, question="And how far is it from the table in meters?", session=session)
    assert second["answer"]["value"] == pytest.approx(1.0, abs=1e-6)
    exchanges = http.get(f"/v1/sessions/{session}").json()["exchanges"]
    assert len(exchanges) == 2
    assert "sofa" in exchanges[1]["question"]


@pytest.mark.slow
def test_the_sample_scan_is_measured_and_its_frames_are_drawn_on(http: httpx.Client) -> None:
    scene = http.post("/v1/scenes", json={"sample": sample_names()[0]}).json()["id"]
    view = ask(http, question="How long is the sofa in meters?", scene=scene)
    assert view["answer"]["low"] < view["answer"]["value"] < view["answer"]["high"]
    assert colours(http, view["id"]) > 1000


def test_a_question_that_nobody_understands_fails_in_words(http: httpx.Client, scene: str) -> None:
    view = ask(http, question="What is love?", scene=scene)
    assert view["state"] == "failed"
    problem = view["problem"]
    assert problem["type"] == "urn:spatial-agent:problem:question"
    assert problem["detail"]


def test_everything_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with serving(web_page=False) as url:
        assert httpx.get(f"{url}/healthz").json()["status"] == "ok"
        assert list(tmp_path.iterdir())
        assert httpx.get(url).status_code == 404
    assert list(tmp_path.iterdir()) == []
