import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.limits import allowed_hosts
from tests.services.api.prepared import Prepared, prepared

LIMITS = {"request_bytes": 20_000, "header_bytes": 4000, "body_seconds": 0.3}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    folder = tmp_path_factory.mktemp("service")
    with prepared(folder, limits=LIMITS, origins=["https://friend.example"]) as running:
        yield running


def raw(api: Prepared, *pieces: bytes) -> tuple[int, dict[str, object]]:
    """Send bytes as they are; return the status and the problem that came back."""
    where = urlsplit(api.url)
    with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
        for piece in pieces:
            connection.sendall(piece)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, received
    return int(head.split()[1]), json.loads(body)


class TestBodies:
    def test_a_body_that_says_it_is_too_large_is_not_read(self, api: Prepared) -> None:
        response = api.http.post("/v1/questions", content=b" " * 20_001)
        assert (response.status_code, response.json()["type"]) == (413, "urn:spatial-agent:problem:too-large")
        assert "20000 bytes" in response.json()["detail"]

    def test_nor_one_that_grows_piece_by_piece(self, api: Prepared) -> None:
        def pieces() -> Iterator[bytes]:
            for _ in range(30):
                yield b" " * 1000

        response = api.http.post(
            "/v1/questions", content=pieces(), headers={"Content-Type": "application/json"}
        )
        assert (response.status_code, response.json()["type"]) == (413, "urn:spatial-agent:problem:too-large")

    def test_a_body_that_stands_still_is_left(self, api: Prepared) -> None:
        began = time.monotonic()
        head = b"POST /v1/questions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        status, problem = raw(api, head + b"Content-Length: 100\r\n\r\n{")
        assert (status, problem["type"]) == (408, "urn:spatial-agent:problem:timed-out")
        assert 0.25 < time.monotonic() - began < 5

    def test_packed_bodies_are_refused(self, api: Prepared) -> None:
        response = api.http.post("/v1/questions", content=b"{}", headers={"Content-Encoding": "gzip"})
        assert (response.status_code, response.json()["type"][-10:]) == (415, "media-type")


class TestHeaders:
    def test_too_many_bytes_of_them(self, api: Prepared) -> None:
        for headers in ({"X-Long": "x" * 4001}, {f"X-{number}": "x" * 100 for number in range(50)}):
            response = api.http.get("/healthz", headers=headers)
            assert response.status_code == 431
            assert response.json()["type"].endswith(":headers-too-large")
        assert api.http.get("/healthz?" + "x" * 4001).status_code == 431

    def test_headers_without_end(self, api: Prepared) -> None:
        status, problem = raw(api, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"x" * 30_000)
        assert (status, problem["type"]) == (400, "urn:spatial-agent:problem:bad-request")

    @pytest.mark.parametrize(
        "nonsense",
        [
            b"hello there\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"POST /v1/questions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ],
    )
    def test_what_is_no_http(self, api: Prepared, nonsense: bytes) -> None:
        status, problem = raw(api, nonsense)
        assert (status, problem["status"]) == (400, 400)

    def test_a_request_that_never_comes_is_not_waited_for(self, api: Prepared) -> None:
        where = urlsplit(api.url)
        for start in (b"", b"GET / HTTP/1.1\r\nHost: loc"):
            with socket.create_connection((where.hostname, where.port), timeout=10) as connection:
                connection.sendall(start)
                assert connection.recv(100) == b""

    def test_ids_of_requests_are_kept_where_they_are_plain(self, api: Prepared) -> None:
        assert api.http.get("/healthz", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
        for strange in ("a b", "x" * 65, "<script>", ""):
            given = api.http.get("/healthz", headers={"X-Request-Id": strange}).headers["x-request-id"]
            assert given != strange
            assert len(given) == 16


class TestPlaces:
    def test_another_host_is_not_answered(self, api: Prepared) -> None:
        port = urlsplit(api.url).port
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "", "[::2]"):
            refused = api.http.get("/v1/questions", headers={"Host": host})
            assert (refused.status_code, refused.json()["type"][-11:]) == (421, "misdirected"), host
        for host in ("localhost", f"LOCALHOST:{port}", "127.0.0.1", f"[::1]:{port}"):
            assert api.http.get("/v1/questions", headers={"Host": host}).status_code == 200, host
        assert api.http.get("/healthz", headers={"Host": "10.0.0.7:8080"}).status_code == 200

    def test_pages_of_others_cannot_act(self, api: Prepared) -> None:
        body = {"scene": api.scene}
        for origin in ("https://evil.example", "null", "http://127.0.0.1:1"):
            refused = api.http.post("/v1/sessions", json=body, headers={"Origin": origin})
            assert (refused.status_code, refused.json()["type"][-9:]) == (403, "forbidden"), origin
        for origin in (api.url, "https://friend.example"):
            assert api.http.post("/v1/sessions", json=body, headers={"Origin": origin}).status_code == 201

    def test_only_listed_origins_may_read(self, api: Prepared) -> None:
        def allowed(origin: str) -> object:
            response = api.http.get("/healthz", headers={"Origin": origin})
            return response.headers.get("access-control-allow-origin", "none")

        assert allowed("https://friend.example") == "https://friend.example"
        assert allowed("https://evil.example") == "none"
        preflight = api.http.options(
            "/v1/questions",
            headers={
                "Origin": "https://friend.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,prefer,idempotency-key",
            },
        )
        assert preflight.status_code == 200
        assert "POST" in preflight.headers["access-control-allow-methods"]

    def test_by_default_no_origin_may_read(self, tmp_path: Path) -> None:
        with prepared(tmp_path) as plain:
            response = plain.http.get("/healthz", headers={"Origin": "https://friend.example"})
            assert "access-control-allow-origin" not in response.headers

    def test_which_hosts_a_service_answers_to(self) -> None:
        assert allowed_hosts(ServiceConfig()) == {"localhost", "127.0.0.1", "::1"}
        assert allowed_hosts(ServiceConfig(host="0.0.0.0")) == frozenset()
        assert allowed_hosts(ServiceConfig(host="0.0.0.0", hosts=["A.example"])) == {"a.example"}
        assert "a.example" in allowed_hosts(ServiceConfig(hosts=["a.example"]))


class TestManyAtOnce:
    def test_questions_at_the_same_time_are_all_answered(self, api: Prepared) -> None:
        from concurrent.futures import ThreadPoolExecutor

        def ask(number: int) -> httpx.Response:
            return api.ask(f"how far? {number}")

        with ThreadPoolExecutor(16) as clients:
            answers = list(clients.map(ask, range(64)))
        assert [answer.status_code for answer in answers] == [200] * 64
        assert len({answer.json()["id"] for answer in answers}) == 64
