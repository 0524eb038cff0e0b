"""The clients against the real service, over a real connection that breaks where a test wants it to."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from spatial_agent.agent.events import Answered, StageDone, Started, ToolEnded
from spatial_agent.agent.regions import MaskRuns, Region
from spatial_agent.services import open_agent
from spatial_agent.services.api.testing import serving
from spatial_agent.services.sdk import NotFoundError, Retries, uploading
from spatial_agent.tools.errors import InvalidValueError, QuestionError, SourceError, ToolArgumentError
from tests.services.sdk.breaking import BreakingWay, breaking_way
from tests.services.sdk.conftest import AnyClient, opened

SAMPLE = Path(__file__).parents[3] / "examples" / "scans" / "living_room"
TRUTH = json.loads((SAMPLE / "truth.json").read_text())
SOFA = next(item for item in TRUTH["objects"] if item["label"] == "sofa")
QUESTION = "How wide is the sofa?"
#: Differ from run to run.
OWN = {"seconds", "trace_id", "gpu_seconds"}


#: Where the two clients only pass on what the same plan gives.
ONE_KIND = pytest.mark.parametrize("kind", ["Client"], indirect=True)


@pytest.fixture(scope="module")
def way() -> Iterator[BreakingWay]:
    """A service, and a way to it."""
    with serving() as url, breaking_way(url) as way:
        yield way


@pytest.fixture
def client(kind: str, way: BreakingWay) -> Iterator[AnyClient]:
    with opened(kind, way.url, None, retries=Retries(first_s=0.02)) as client:
        yield client
        way.breaks()


@pytest.fixture(scope="module")
def sample(way: BreakingWay) -> str:
    """Id of the sample scan, measured."""
    with opened("Client", way.url, None) as client:
        return str(client.scenes.wait_until_ready(client.scenes.sample("living_room")).id)


def questions_of(way: BreakingWay, scene: str) -> int:
    """How many questions the service was asked about a scene."""
    return len(httpx.get(f"{way.url}/v1/questions", params={"scene": scene, "most": 200}).json()["questions"])


def test_the_answer_is_that_of_an_agent_in_process(client: AnyClient, sample: str) -> None:
    with open_agent() as agent:
        here = agent.ask(SAMPLE, QUESTION).to_json()
    there = client.ask(sample, QUESTION)
    assert there.low <= SOFA["box"]["extent_m"][0] <= there.high
    same = {name for name in here if name not in OWN}
    assert {name: there.to_json()[name] for name in same} == {name: here[name] for name in same}
    assert client.question(there.trace_id).answer == there


@ONE_KIND
def test_a_measured_scene_says_what_is_in_it(client: AnyClient, sample: str) -> None:
    scene = client.scenes.get(sample)
    assert (scene.state, scene.frames, scene.scale) == ("ready", 24, "metric")
    sofa = next(item for item in scene.objects if item.label == "sofa")
    assert sorted(sofa.size_m) == pytest.approx(sorted(SOFA["box"]["extent_m"]), abs=0.15)
    assert sample in [item.id for item in client.scenes.list()]
    assert client.scenes.samples() == ["living_room"]
    assert Image.open(io.BytesIO(client.scenes.artifact(sample, "map.png"))).format == "PNG"


def test_events_come_once_each_over_a_stream_that_breaks(
    client: AnyClient, way: BreakingWay, sample: str
) -> None:
    way.breaks(download=[900, 700, 2500, 1200])
    before = way.broken
    events = list(client.stream(sample, "How far is the sofa from the tv?"))
    assert way.broken > before
    way.breaks()
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Answered)
    assert events == list(client.follow(events[0].run))
    assert [event.stage for event in events if isinstance(event, StageDone)][:2] == ["load", "formalise"]
    assert any("m" in claim for event in events if isinstance(event, ToolEnded) for claim in event.claims)
    distance = TRUTH["surface_distances_m"]["1-6"]
    assert events[-1].answer.low <= distance <= events[-1].answer.high


@pytest.mark.parametrize("carried", [1, 700])
def test_an_answer_that_was_lost_on_the_way_is_not_asked_for_twice(
    client: AnyClient, way: BreakingWay, sample: str, carried: int
) -> None:
    before = questions_of(way, sample)
    way.breaks(download=[carried, carried])
    assert client.ask(sample, QUESTION).unit == "m"
    assert questions_of(way, sample) == before + 1


def test_a_folder_arrives_over_a_connection_that_breaks(
    client: AnyClient, way: BreakingWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "RESUMABLE_BYTES", 1)
    monkeypatch.setattr(uploading, "CHUNK_BYTES", 400_000)
    way.breaks(upload=[300_000, 120_000, 900_000, 5_000], download=[400])
    before, told = way.broken, []
    scene = client.scenes.upload(SAMPLE, "den", progress=lambda *bytes: told.append(bytes))
    assert way.broken >= before + 4
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1] > scene.bytes
    scene = client.scenes.wait_until_ready(scene, timeout_s=60)
    files = [file for file in SAMPLE.rglob("*") if file.is_file()]
    assert (scene.name, scene.bytes) == ("den", sum(file.stat().st_size for file in files))
    assert client.ask(scene, QUESTION).value == pytest.approx(2.0, abs=0.1)
    client.scenes.delete(scene)
    with pytest.raises(NotFoundError):
        client.scenes.get(scene)


@pytest.mark.parametrize("kind", ["AsyncClient"], indirect=True)
def test_a_folder_arrives_as_a_form(client: AnyClient, way: BreakingWay) -> None:
    before = {scene.id for scene in client.scenes.list()}
    way.breaks(upload=[500_000], download=[1])
    scene = client.scenes.wait_until_ready(client.scenes.upload(SAMPLE), timeout_s=60)
    assert (scene.name, scene.frames) == ("living_room", 24)
    assert {item.id for item in client.scenes.list()} - before == {scene.id}
    client.scenes.delete(scene)


def test_a_file_is_fetched_over_a_connection_that_breaks(
    client: AnyClient, way: BreakingWay, sample: str, tmp_path: Path
) -> None:
    whole = client.scenes.artifact(sample, "cloud.ply")
    way.breaks(download=[len(whole) // 3, len(whole) // 3])
    assert client.scenes.artifact(sample, "cloud.ply", tmp_path / "cloud.ply").read_bytes() == whole
    assert whole.startswith(b"ply")


@ONE_KIND
def test_regions_are_measured_however_they_are_marked(client: AnyClient, sample: str) -> None:
    pixels = np.asarray(Image.open(sorted((SAMPLE / "instances").iterdir())[0])) == SOFA["id"]
    rows, columns = np.nonzero(pixels)
    edges = (float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max()))
    for region in (Region(0, mask=MaskRuns.of(pixels)), Region(0, xyxy_px=edges)):
        answer = client.ask(sample, "How high is <region 1>?", regions=[region])
        assert answer.unit == "m"
        assert 0.3 < answer.value < 1.5


@ONE_KIND
def test_a_dialogue_goes_on(client: AnyClient, sample: str) -> None:
    dialogue = client.session(sample)
    dialogue.ask(QUESTION)
    answer = dialogue.ask("And how high is it?")
    assert answer.low <= SOFA["height_m"] <= answer.high
    first, second = dialogue.exchanges
    assert (first.question, first.objects) == (QUESTION, ("sofa-1",))
    assert second.question == "how high is sofa-1?"
    dialogue.delete()
    with pytest.raises(NotFoundError):
        dialogue.ask("And how wide is it?")


@ONE_KIND
def test_the_picture_of_an_answer_is_a_picture(client: AnyClient, sample: str, tmp_path: Path) -> None:
    answer = client.ask(sample, QUESTION)
    saved = client.picture(answer.trace_id, tmp_path / "sofa.png")
    with Image.open(saved) as picture:
        assert picture.format == "PNG"
        assert picture.width > 300


@ONE_KIND
def test_what_cannot_be_asked_or_uploaded_is_told_in_the_packages_errors(
    client: AnyClient, sample: str, tmp_path: Path
) -> None:
    with pytest.raises(QuestionError):
        client.ask(sample, "Why is there something rather than nothing?")
    with pytest.raises(InvalidValueError):
        client.ask(sample, QUESTION, profile="x" * 41)
    with pytest.raises(NotFoundError):
        client.ask("sc_00000000000000000000000000000000", QUESTION)
    (tmp_path / "photo.jpg").write_bytes(b"this is no picture")
    with pytest.raises(SourceError):
        client.scenes.upload(tmp_path / "photo.jpg")


@ONE_KIND
def test_single_experts_are_listed_and_called(client: AnyClient, sample: str) -> None:
    tools = {tool.name: tool for tool in client.tools()}
    assert tools["distance"].kind == "skill"
    assert {"a", "b"} <= set(tools["distance"].parameters["properties"])
    measured = client.call("distance", {"scene": "$scene", "a": "sofa", "b": "tv"}, scene=sample)
    (evidence,) = measured.evidence
    assert evidence["low"] <= TRUTH["surface_distances_m"]["1-6"] <= evidence["high"]
    assert measured.value == evidence["value"]
    (picture,) = client.call("top_down", {"scene": "$scene"}, scene=sample).pictures
    assert Image.open(io.BytesIO(picture)).format == "PNG"
    with pytest.raises(ToolArgumentError):
        client.call("distance", {"scene": "$scene", "a": 1}, scene=sample)
    with pytest.raises(NotFoundError):
        client.call("teleport")
