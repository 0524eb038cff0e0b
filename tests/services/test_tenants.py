"""Tenants of one service never see, change, count or name each other's things; keys do what they may."""

import json
import re
from collections.abc import Iterator
from typing import Any, get_args

import httpx
import pytest

from spatial_agent.services.store.records import Scope
from tests.services.api.chatting import frame, pictures, words
from tests.services.api.uploading import Person, Uploading, uploading
from tests.services.scene_files.making import picture
from tests.services.tenants import NOTHING, ROUTES, Things, first_frames, path_of, send, settle

EVERY = frozenset(get_args(Scope))
KEYED = [route for route, call in ROUTES.items() if call.scopes]
NAMING = [route for route, call in ROUTES.items() if call.names]
WITH_SCOPE = [(route, scope) for route in KEYED for scope in sorted(ROUTES[route].scopes)]
Route = tuple[str, str]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Uploading]:
    with uploading(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture(scope="module")
def anna(api: Uploading) -> Person:
    return api.person("anna-of-the-house")


@pytest.fixture(scope="module")
def hers(anna: Person) -> Things:
    return settle(anna, "annas room")


@pytest.fixture(scope="module")
def mallory(api: Uploading) -> Person:
    return api.person("mallory")


def as_told(response: httpx.Response, things: Things) -> tuple[int, str]:
    """Return a refusal without what differs between any two: the ids of things and of the request."""
    text = response.text
    for id in things.ids:
        text = text.replace(id, "ID")
    return response.status_code, re.sub(r'"instance": "[^"]*"', "", text)


class TestEveryRoute:
    def test_stands_in_the_table(self, api: Uploading) -> None:
        document = api.http.get("/openapi.json").json()
        there = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
        assert there == set(ROUTES)

    def test_needs_a_key_where_the_document_says_so(self, api: Uploading) -> None:
        document = api.http.get("/openapi.json").json()
        for (method, path), call in ROUTES.items():
            assert bool(call.scopes) == bool(document["paths"][path][method.lower()].get("security")), path

    @pytest.mark.parametrize("route", KEYED, ids=" ".join)
    def test_refuses_who_has_no_key(self, api: Uploading, hers: Things, route: Route) -> None:
        assert send(Person(api.http, "none"), route, hers).status_code == 401

    @pytest.mark.parametrize(("route", "scope"), WITH_SCOPE, ids=lambda part: "".join(part))
    def test_refuses_keys_without_a_scope(
        self, api: Uploading, hers: Things, route: Route, scope: Scope
    ) -> None:
        without = api.person("anna-of-the-house", *(EVERY - {scope}))
        assert send(without, route, hers).status_code == 403

    @pytest.mark.parametrize("route", KEYED, ids=" ".join)
    def test_takes_keys_with_the_scopes_it_needs(self, api: Uploading, route: Route) -> None:
        enough = api.person("somebody-else", *ROUTES[route].scopes)
        assert send(enough, route, NOTHING).status_code not in (401, 403)

    @pytest.mark.parametrize("route", NAMING, ids=" ".join)
    def test_has_not_what_another_tenant_has(self, mallory: Person, hers: Things, route: Route) -> None:
        refused = send(mallory, route, hers)
        assert refused.status_code == 404
        assert as_told(refused, hers) == as_told(send(mallory, route, NOTHING), NOTHING)

    @pytest.mark.parametrize("route", [("GET", path) for method, path in NAMING if method == "GET"])
    def test_has_what_its_tenant_has(self, anna: Person, hers: Things, route: Route) -> None:
        """After all that was tried on it: nothing was changed, and the paths above are the right ones."""
        assert send(anna, route, hers).status_code == 200

    def test_lists_nothing_of_another_tenant(self, mallory: Person, hers: Things) -> None:
        for route in ROUTES:
            if route[0] == "GET" and route not in NAMING:
                told = send(mallory, route, hers)
                assert told.status_code == 200
                assert not [id for id in hers.ids if id in told.text], route
                assert "anna" not in told.text, route


class TestThingsOfOthersInside:
    """Another tenant's ids where a request names a second thing."""

    def test_lists_are_not_filtered_by_them(self, mallory: Person, hers: Things) -> None:
        for name, id in (("scene", hers.scene), ("session", hers.session), ("before", hers.question)):
            told = mallory.request("GET", "/v1/questions", params={name: id})
            assert told.json() == {"questions": [], "next": None}

    def test_no_question_goes_on_from_their_dialogue(self, mallory: Person, hers: Things) -> None:
        theirs = {"question": "and the table?", "session": hers.session}
        assert mallory.request("POST", "/v1/questions", json=theirs).status_code == 404
        known = mallory.request("GET", "/v1/questions").json()
        assert hers.session not in json.dumps(known)

    def test_an_idempotency_key_is_each_tenants_own(self, api: Uploading, anna: Person, hers: Things) -> None:
        mallory = api.person("mallory-repeats")
        body = {"question": "How wide is the sofa?", "scene": hers.scene}
        headers = {"Idempotency-Key": "the-same", "Prefer": "wait=60"}
        first = anna.request("POST", "/v1/questions", json=body, headers=headers)
        assert first.json()["state"] == "done"
        assert mallory.request("POST", "/v1/questions", json=body, headers=headers).status_code == 404
        made = {
            person.upload({"dot.png": picture()}, headers={"Idempotency-Key": "one"}).json()["id"]
            for person in (anna, mallory)
        }
        assert len(made) == 2

    def test_parts_that_no_document_lists_are_kept_apart_too(
        self, api: Uploading, anna: Person, mallory: Person, hers: Things
    ) -> None:
        path = f"/v1/scenes/{hers.scene}/artifacts/map.png"
        assert anna.request("HEAD", path).status_code == 200
        assert mallory.request("HEAD", path).status_code == 404
        assert api.http.head(path).status_code == 401

    def test_the_same_pictures_are_another_scene(self, api: Uploading, anna: Person) -> None:
        body = {
            "model": "spatial-agent/recorded",
            "messages": [{"role": "user", "content": [*pictures(frame(70)), words("How far is the sofa?")]}],
        }
        mallory = api.person("mallory-chats")
        told = [
            person.request("POST", "/v1/chat/completions", json=body).json() for person in (anna, mallory)
        ]
        links = [answer["spatial_links"] for answer in told]
        assert links[0]["scene"] != links[1]["scene"]
        for link in links[0].values():
            assert mallory.request("GET", link).status_code == 404

    def test_the_same_scan_tells_nothing_of_who_sent_it_before(self, api: Uploading, hers: Things) -> None:
        """What is measured is kept by content; names, ids and answers are not."""
        mallory = api.person("mallory-copies")
        files = {f"copy/{name}": content for name, content in first_frames().items()}
        scene = mallory.upload(files).json()["id"]
        seen = json.dumps(mallory.measured(scene))
        asked = mallory.request(
            "POST",
            "/v1/questions",
            json={"question": "How tall is the sofa?", "scene": scene},
            headers={"Prefer": "wait=60"},
        ).json()
        trace = mallory.request("GET", f"/v1/questions/{asked['id']}/trace").text
        for text in (seen, json.dumps(asked), trace):
            assert not [id for id in hers.ids if id in text]
            assert "anna" not in text


class TestWhatIsToldOfAll:
    def test_numbers_name_no_tenant_key_scene_or_path(
        self, api: Uploading, anna: Person, hers: Things
    ) -> None:
        told = api.person("operator", "metrics").request("GET", "/metrics").text
        assert "spatial_agent_http_requests_total" in told
        keys = [record.id for record in api.service.store.keys.listed()]
        for word in (*hers.ids, *keys, "anna", "mallory", anna.token, str(api.folder), "/v1/scenes/sc_"):
            assert word not in told

    def test_nothing_that_is_made_up_becomes_a_label(self, api: Uploading, mallory: Person) -> None:
        operator = api.person("operator", "metrics")
        lines = []
        for first in (0, 100, 200):
            for number in range(first, first + 20):
                mallory.request(f"MADEUP{number}", f"/v1/made/up/{number}")
                mallory.request("GET", f"/v1/tools/made-up-{number}")
                mallory.request("GET", f"/v1/models/made-up/{number}")
            lines.append(len(operator.request("GET", "/metrics").text.splitlines()))
        # What was not there before gets a series at its first time (asking for numbers, too), and no more.
        assert lines[1] == lines[2]

    def test_openapi_and_health_tell_a_stranger_nothing_of_the_machine(
        self, api: Uploading, hers: Things
    ) -> None:
        for path in ("/openapi.json", "/healthz", "/readyz"):
            told = api.http.get(path).text
            for word in (str(api.folder), "anna", *hers.ids, "sqlite", "/home", "/work"):
                assert word not in told

    def test_two_scenes_of_one_tenant_are_told_apart_by_paths(self, hers: Things) -> None:
        """The table's templates are filled: a test of the table itself."""
        paths = {path_of(path, hers) for _, path in ROUTES}
        assert not [path for path in paths if "{" in path]


def test_the_store_filters_by_tenant_everywhere(api: Uploading, hers: Things) -> None:
    """Below the routes: whoever asks the tables for another tenant's ids gets nothing."""
    store: Any = api.service.store
    for found in (
        store.jobs.job("mallory", hers.question),
        store.jobs.cancel("mallory", hers.question),
        store.scenes.scene("mallory", hers.scene),
        store.scenes.update("mallory", hers.scene, name="mine"),
        store.scenes.remove("mallory", hers.scene),
        store.sessions.session("mallory", hers.session),
        store.sessions.remove("mallory", hers.session),
        store.uploads.upload("mallory", hers.upload),
        store.uploads.remove("mallory", hers.upload),
    ):
        assert found is None
    assert not store.uploads.advance("mallory", hers.upload, 4, 8)
    assert store.scenes.scene("anna-of-the-house", hers.scene).name == "annas room of somebody"
