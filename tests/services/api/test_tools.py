"""Single experts over the API: a real service, a real web server, a room of which everything is known."""

import asyncio
import base64
import http.client
import io
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from spatial_agent.services.api import tools
from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.testing import serving_in_thread
from spatial_agent.services.calling import ToolOutcome
from spatial_agent.services.open_service import open_service
from spatial_agent.services.settings import Settings
from spatial_agent.services.store.ids import new_id
from spatial_agent.services.store.records import LOCAL_TENANT, Allowance, SceneRecord, Scope
from spatial_agent.tools.synthetic import SyntheticRoom, write_scan

ROOM = SyntheticRoom.example().resized(160, 120)


@dataclass
class Api:
    """A service that runs.

    Attributes:
        service: The service.
        http: A client that shows no key.
        scene: Id of the room as a scene.
        folder: Where the service keeps its things.
    """

    service: Service
    http: httpx.Client
    scene: str
    folder: Path

    def call(self, tool: str, scene: str | None = None, **arguments: object) -> httpx.Response:
        told = {"scene": self.scene if scene is None else scene, "arguments": arguments}
        return self.http.post(f"/v1/tools/{tool}", json=told)


def add_room(service: Service, tenant: str) -> str:
    """Put the scan of the room where an upload would have put it."""
    record = SceneRecord(new_id("sc"), tenant, "room", "room", 1, "ready", 0.0)
    write_scan(ROOM.frames(), service.scenes.artifacts_folder(record).parent / record.source)
    service.store.scenes.add(record)
    return record.id


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("service")
    config = ServiceConfig(port=0, folder=folder, web_page=False)
    service = open_service(config, replace(Settings(), database=None))
    with serving_in_thread(service) as url, httpx.Client(base_url=url, timeout=60) as http:
        yield Api(service, http, add_room(service, LOCAL_TENANT), folder)


def test_tools_are_listed_with_what_they_take_and_need(api: Api) -> None:
    listed = {tool["name"]: tool for tool in api.http.get("/v1/tools").json()["tools"]}

    assert listed["size"]["kind"] == "skill"
    assert listed["crop"]["kind"] == "expert"
    assert listed["crop"]["available"]
    assert not listed["mesh"]["available"]
    assert listed["instances.yolo"]["needs"][0].endswith("(AGPL-3.0)")
    for tool in listed.values():
        Draft202012Validator.check_schema(tool["parameters"])
    assert api.http.get("/v1/tools/size").json() == listed["size"]


def test_a_skill_is_called(api: Api) -> None:
    answer = api.call("size", of="table", dimension="height").json()
    (evidence,) = answer["evidence"]
    height_m = next(item for item in ROOM.objects if item.label == "table").box.extent_m[2]

    assert evidence["low"] <= height_m <= evidence["high"]
    assert answer["tool"] == "size"
    assert "±" in answer["text"]
    assert answer["seconds"] >= 0


def test_an_expert_gives_back_its_picture(api: Api) -> None:
    (picture,) = api.call("crop", frame="$frame/0", xyxy_px=[0, 0, 20, 10]).json()["pictures"]
    kind, _, data = picture.partition(",")

    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        assert shown.size == (21, 11)


def test_a_tool_about_no_scene_needs_none(api: Api) -> None:
    answer = api.http.post(
        "/v1/tools/sizes.typical", json={"arguments": {"of": "door", "dimension": "height"}}
    )

    assert 1.9 < answer.json()["value"] < 2.2


@pytest.mark.parametrize(
    ("tool", "body", "status", "kind"),
    [
        ("teleport", {}, 404, "not-found"),
        ("mesh", {}, 422, "invalid"),
        ("size", {"arguments": {"of": "table"}}, 422, "tool-argument"),
        ("size", {"scene": "SCENE", "arguments": {}}, 422, "tool-argument"),
        ("size", {"scene": "SCENE", "arguments": {"of": "unicorn"}}, 422, "no-such-object"),
        ("size", {"scene": "SCENE", "arguments": {"of": 3}}, 422, "tool-argument"),
        (
            "size",
            {"scene": "sc_00000000000000000000000000000000", "arguments": {"of": "x"}},
            404,
            "not-found",
        ),
        ("size", {"scene": "../../etc", "arguments": {"of": "x"}}, 422, "invalid"),
        ("size", {"scene": "SCENE", "arguments": {"of": "x"}, "path": "/etc/passwd"}, 422, "invalid"),
        ("crop", {"scene": "SCENE", "arguments": {"frame": "/etc/passwd"}}, 422, "tool-argument"),
        (
            "crop",
            {"scene": "SCENE", "arguments": {"frame": "$frame/999", "xyxy_px": [0, 0, 9, 9]}},
            422,
            "tool",
        ),
        ("depth.depth_pro", {"scene": "SCENE", "arguments": {"frame": "$frame/0"}}, 409, "missing-weights"),
    ],
)
def test_what_cannot_be_called_is_a_problem(
    api: Api, tool: str, body: dict[str, object], status: int, kind: str
) -> None:
    told = {name: api.scene if value == "SCENE" else value for name, value in body.items()}
    answer = api.http.post(f"/v1/tools/{tool}", json=told)

    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert kind in answer.json()["type"]
    assert str(api.folder) not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize("name", ["..", "%2e%2e%2fetc", "a" * 81, "size%00", "size/../../healthz"])
def test_names_that_no_tool_can_have_are_refused(api: Api, name: str) -> None:
    assert api.http.get(f"/v1/tools/{name}").status_code in (404, 405, 422)


def test_what_went_wrong_names_no_folder_of_the_server(api: Api) -> None:
    record = SceneRecord(new_id("sc"), LOCAL_TENANT, "damaged", "room", 1, "ready", 0.0)
    folder = write_scan(ROOM.frames(), api.service.scenes.artifacts_folder(record).parent / record.source)
    next(folder.rglob("*.png")).write_bytes(b"no picture")
    api.service.store.scenes.add(record)
    answer = api.call("size", scene=record.id, of="table")

    assert answer.status_code == 422
    assert "room/" in answer.json()["detail"]
    assert str(api.folder) not in answer.text


def test_leaving_cancels_the_call(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = threading.Event(), threading.Event()

    async def endless(*_: object, **__: object) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    monkeypatch.setattr(tools, "call_tool", endless)
    address = api.http.base_url
    leaving = http.client.HTTPConnection(address.host, address.port or 80, timeout=30)
    told = json.dumps({"scene": api.scene})
    leaving.request("POST", "/v1/tools/room", told, {"Content-Type": "application/json"})
    assert begun.wait(30)
    leaving.close()

    assert ended.wait(30)


def test_too_many_calls_are_told_to_come_back(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    async def slow(*_: object, **__: object) -> ToolOutcome:
        await asyncio.to_thread(go_on.wait, 30)
        return ToolOutcome("done", None, (), (), 0.0)

    monkeypatch.setattr(tools, "call_tool", slow)
    monkeypatch.setattr(tools, "MOST_WAITING", 1)
    app_places = tools.Places(1)
    monkeypatch.setattr(tools, "_places", lambda *_: app_places)
    statuses: list[int] = []

    def call() -> None:
        statuses.append(api.http.post("/v1/tools/room", json={"scene": api.scene}).status_code)
        # The first to be refused lets the others go on.
        if statuses[-1] == 429:
            go_on.set()

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(statuses) == [200, 200, 429]


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Api]:
    config = ServiceConfig(port=0, folder=tmp_path, web_page=False, keys_required=True)
    service = open_service(config, replace(Settings(), database=None))
    with serving_in_thread(service) as url, httpx.Client(base_url=url, timeout=60) as http:
        yield Api(service, http, add_room(service, "owner"), tmp_path)


def test_keys_tenants_and_quotas_hold(keyed: Api) -> None:
    def status(tenant: str, scope: Scope, **body: object) -> int:
        _, token = keyed.service.store.keys.create(
            tenant, scope, frozenset({scope}), Allowance(questions_per_day=2)
        )
        keyed.http.headers["Authorization"] = f"Bearer {token}"
        return keyed.http.post("/v1/tools/sizes.typical", json=body).status_code

    arguments = {"of": "door", "dimension": "height"}
    assert keyed.http.get("/v1/tools").status_code == 401
    assert status("owner", "ask", arguments=arguments) == 403
    assert status("owner", "tools", arguments=arguments, scene=keyed.scene) == 200
    # Of a scene of another tenant nobody learns that it is there.
    assert status("stranger", "tools", arguments=arguments, scene=keyed.scene) == 404
    assert status("other", "tools", arguments=arguments) == 200
    again = [keyed.http.post("/v1/tools/sizes.typical", json={"arguments": arguments}) for _ in range(2)]
    assert [answer.status_code for answer in again] == [200, 429]
    assert "quota" in again[1].json()["type"]
