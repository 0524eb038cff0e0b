"""What pages, strangers and tenants could do to a service: each was tried, and is held."""

import json
import logging
import socket
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from spatial_agent.agent.memory import Dialogue, resolve_followup
from spatial_agent.agent.planner.grammar import parse
from spatial_agent.agent.situation import Exchange
from spatial_agent.services.api.chat_prompts import read_prompt
from spatial_agent.services.api.logs import JsonLines, TextLines
from spatial_agent.tools.errors import QuestionError
from tests.services.api.prepared import Prepared, prepared
from tests.services.api.test_keys import Tenant, tenant
from tests.services.tenants import ROUTES, Things, path_of

#: Far more than any answer takes, far less than what was held up before.
SOON_S = 5.0


@pytest.fixture(scope="module")
def open_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """A service on this machine that asks for no key."""
    with prepared(tmp_path_factory.mktemp("open")) as running:
        yield running


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with prepared(tmp_path_factory.mktemp("closed"), keys_required=True) as running:
        yield running


def raw(api: Prepared, *lines: str, body: bytes = b"") -> bytes:
    """Send bytes as they are, and return what comes back until the end of the headers, or nothing."""
    address = urlsplit(api.url)
    head = "\r\n".join([lines[0], *lines[1:], "", ""]).replace("HERE", address.netloc)
    with socket.create_connection((address.hostname, address.port), timeout=SOON_S) as connection:
        connection.sendall(head.encode("latin-1") + body)
        came = b""
        while b"\r\n\r\n" not in came and (piece := connection.recv(65536)):
            came += piece
        return came


def status_of(came: bytes) -> int:
    return int(came.split(b" ", 2)[1])


class TestStrangers:
    """Who has no key costs nothing but the refusal."""

    @pytest.mark.parametrize(
        "route", [route for route, call in ROUTES.items() if call.scopes and route[0] in ("POST", "PATCH")]
    )
    def test_no_body_is_read_before_the_key(self, api: Prepared, route: tuple[str, str]) -> None:
        path = path_of(route[1], Things())
        kind = "application/offset+octet-stream" if route[0] == "PATCH" else "application/json"
        came = raw(
            api,
            f"{route[0]} {path} HTTP/1.1",
            "Host: HERE",
            f"Content-Type: {kind}",
            "Tus-Resumable: 1.0.0",
            "Content-Length: 30000000",
        )
        assert status_of(came) == 401

    def test_a_refused_key_is_counted_once_and_the_rate_too(self, api: Prepared) -> None:
        """Looking at the key before the body takes nothing of its rate twice."""
        few = tenant(api, "few", requests_per_minute=3)
        sent = [few.ask(question=f"how far? {number}").status_code for number in range(4)]
        assert sent == [200, 200, 200, 429]


class TestWhatBodiesHold:
    @pytest.mark.parametrize("unit", [b"{},", b"[],", b"0,", b'{"a":[', b"[" * 60 + b"]" * 60 + b","])
    def test_json_of_millions_of_values_is_refused_before_it_is_read(
        self, api: Prepared, unit: bytes
    ) -> None:
        somebody = tenant(api, "values")
        body = b'{"question": "how far?", "scene": [' + unit * (3_000_000 // len(unit)) + b"0]}"
        headers = {"Content-Type": "application/json"}
        begun = time.perf_counter()
        refused = somebody.request("POST", "/v1/questions", content=body * 3, headers=headers)
        assert refused.status_code in (400, 413)
        assert time.perf_counter() - begun < 1.0

    def test_a_name_that_comes_twice_is_refused(self, api: Prepared) -> None:
        somebody = tenant(api, "twice")
        body = f'{{"question": "how far?", "scene": "sc_{"0" * 32}", "scene": "{somebody.scene}"}}'
        headers = {"Content-Type": "application/json"}
        assert somebody.request("POST", "/v1/questions", content=body, headers=headers).status_code == 400

    def test_two_ways_to_say_where_a_body_ends_are_refused(self, api: Prepared) -> None:
        came = raw(
            api,
            "POST /v1/questions HTTP/1.1",
            "Host: HERE",
            "Content-Length: 5",
            "Transfer-Encoding: chunked",
            body=b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        assert status_of(came) == 400
        assert b"connection: close" in came.lower()


class TestPagesInABrowser:
    """Pages of others, in the browser of whoever runs a service that asks for no key."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": ""},
            {"Origin": "http://["},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    @pytest.mark.parametrize(
        "route", [route for route, call in ROUTES.items() if route[0] in ("POST", "PATCH", "DELETE")]
    )
    def test_change_nothing(
        self, open_api: Prepared, route: tuple[str, str], headers: dict[str, str]
    ) -> None:
        method, template = route
        path = path_of(template, Things(scene=open_api.scene))
        options = dict(ROUTES[route].options(Things(scene=open_api.scene)))
        options["headers"] = options.get("headers", {}) | headers
        assert open_api.http.request(method, path, **options).status_code == 403

    @pytest.mark.parametrize(
        "kind", ["text/plain", "application/x-www-form-urlencoded", "", "multipart/form-data; boundary=x"]
    )
    def test_json_under_another_name_is_not_read(self, open_api: Prepared, kind: str) -> None:
        body = json.dumps({"question": "how far?", "scene": open_api.scene})
        headers = {"Content-Type": kind}
        refused = open_api.http.post("/v1/questions", content=body, headers=headers)
        assert refused.status_code in (400, 415)

    def test_the_page_of_the_service_itself_may(self, open_api: Prepared) -> None:
        headers = {"Origin": open_api.url, "Sec-Fetch-Site": "same-origin"}
        assert open_api.ask(headers=headers).status_code == 200

    @pytest.mark.parametrize("path", [path for _, path in ROUTES if path.startswith("/v1")])
    def test_reach_nothing_under_a_name_of_their_own(self, open_api: Prepared, path: str) -> None:
        for host in ("evil.example", "127.0.0.1.evil.example", "localhost:1@evil", "[::1", "[::1]x", ""):
            came = raw(open_api, f"GET {path_of(path, Things())} HTTP/1.1", f"Host: {host}")
            assert status_of(came) in (400, 421), host

    def test_nothing_is_kept_or_embedded_elsewhere(self, open_api: Prepared) -> None:
        for path in (
            "/v1/scenes",
            "/v1/questions",
            f"/v1/scenes/{open_api.scene}",
            "/v1/nothing",
            "/metrics",
        ):
            headers = open_api.http.get(path).headers
            assert headers["cache-control"] == "no-store"
            assert headers["cross-origin-resource-policy"] == "same-origin"
            assert headers["x-content-type-options"] == "nosniff"
            assert "access-control-allow-origin" not in headers

    def test_no_web_socket_is_opened(self, open_api: Prepared) -> None:
        came = raw(
            open_api,
            "GET /v1/scenes HTTP/1.1",
            "Host: HERE",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        assert status_of(came) != 101


#: What a pattern could try again and again at every place.
SLOW = {
    "spaces": " " * 8000,
    "lines": "\n" * 8000,
    "spaces inside": "how far is the sofa" + " " * 7900 + "x",
    "spaces behind a form": "ANSWER:" + " " * 7900,
    "politeness": "please " * 1100,
    "leads": "and so then ok " * 500,
    "articles": "the " * 2000,
    "forms": "how far is the " * 530,
    "ofs": "how far is " + "the left of the " * 490,
    "choices": "which is closer to the a, the b or the c " * 190,
    "letters": "(A) x " * 1300,
    "options": "\n".join("A. x" for _ in range(1600)),
    "tags": "<" * 8000,
    "quotes": '"' * 8000,
    "signs": "-" * 8000,
    "digits": "1" * 8000,
}


@pytest.mark.parametrize("text", SLOW.values(), ids=SLOW)
def test_no_question_takes_long_to_read(text: str) -> None:
    """Patterns are matched while nothing else of the process runs."""
    before = Dialogue((Exchange("How far is the sofa from the table?", "2 m"),))
    begun = time.process_time()
    read_prompt(text, text)
    for read in (parse, lambda asked: resolve_followup(asked, before)):
        try:
            read(text)
        except QuestionError:
            continue
    assert time.process_time() - begun < 0.7


class TestLogs:
    HOSTILE = "\x1b[2J\x1b]0;owned\x07\n12:00:00 info request status=200 tenant=operator\r\x9b31m\u202e"

    def record(self) -> logging.LogRecord:
        try:
            raise ValueError(self.HOSTILE)
        except ValueError as error:
            told = (type(error), error, error.__traceback__)
        record = logging.LogRecord(
            "spatial_agent.api", logging.ERROR, "x.py", 1, "failed: %s", (self.HOSTILE,), told
        )
        record.fields = {"path": self.HOSTILE}
        return record

    def test_lines_for_people_cannot_be_forged(self) -> None:
        lines = TextLines().format(self.record()).splitlines()
        assert all(line.isprintable() for line in lines)
        # Whatever follows the first line is set apart from what begins one.
        assert all(line.startswith("    ") for line in lines[1:])

    def test_lines_of_json_stay_one_line(self) -> None:
        line = JsonLines().format(self.record())
        assert line.isascii()
        assert line.isprintable()
        assert json.loads(line)["path"] == self.HOSTILE


def test_nobody_else_on_the_machine_reads_what_is_kept(tmp_path: Path) -> None:
    from spatial_agent.services.api.config import ServiceConfig
    from spatial_agent.services.open_service import open_service
    from spatial_agent.services.settings import Settings

    folder, cache = tmp_path / "service", tmp_path / "cache"
    service = open_service(
        ServiceConfig(folder=folder), Settings(cache_folder=cache, database=None, model="none")
    )
    service.store.close()
    assert service.slot is not None
    service.slot.close()
    for place in (folder, cache / "scenes", cache / "results"):
        assert stat.S_IMODE(place.stat().st_mode) & 0o077 == 0, place


class TestOneTenantAgainstTheOthers:
    def test_pictures_that_take_long_keep_nobody_waiting(self, api: Prepared) -> None:
        """Frames are decoded one at a time: who asks for many waits for them alone."""
        greedy, other = tenant(api, "greedy"), tenant(api, "waits")
        scene = api.add_scene("greedy", facts={"kind": "images", "frames": 100})
        folder = api.service.folders[0] / scene / "scan"
        folder.mkdir(parents=True)
        ask = threading.Barrier(41)

        def asked(number: int) -> None:
            ask.wait(SOON_S)
            greedy.request("GET", f"/v1/scenes/{scene}/artifacts/frames/{number}.jpg")

        threads = [threading.Thread(target=asked, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        with api.service.scenes.artifacts._opening:
            ask.wait(SOON_S)
            time.sleep(0.3)
            begun = time.perf_counter()
            assert other.request("GET", "/v1/questions", timeout=SOON_S).status_code == 200
            assert time.perf_counter() - begun < SOON_S
        for thread in threads:
            thread.join(SOON_S)

    def test_dialogues_are_not_without_number(self, api: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
        from spatial_agent.services.api import sessions

        monkeypatch.setattr(sessions, "MOST_SESSIONS", 3)
        somebody = tenant(api, "talks")
        begun = [somebody.request("POST", "/v1/sessions", json={"scene": somebody.scene}) for _ in range(4)]
        assert [made.status_code for made in begun] == [201, 201, 201, 429]
        somebody.request("DELETE", f"/v1/sessions/{begun[0].json()['id']}")
        again = somebody.request("POST", "/v1/sessions", json={"scene": somebody.scene})
        assert again.status_code == 201


def secret_of(somebody: Tenant) -> str:
    return somebody.token.split("_", 2)[2]


def test_a_key_is_in_no_log_number_or_error(api: Prepared, caplog: pytest.LogCaptureFixture) -> None:
    somebody = tenant(api, "secretive")
    with caplog.at_level(logging.DEBUG):
        paths = ("/v1/questions", "/v1/nothing", "/metrics", "/v1/scenes/sc_1", "/v1/tools")
        told = [somebody.request("GET", path).text for path in paths]
        told.append(somebody.ask(question="crash").text)
        told.append(somebody.request("POST", "/v1/questions", content=b"{").text)
    records = [JsonLines().format(record) for record in caplog.records]
    everything = [*told, *records, repr(api.service), repr(api.service.store)]
    assert any("secretive" in text for text in records)
    assert not [text for text in everything if secret_of(somebody) in text]
