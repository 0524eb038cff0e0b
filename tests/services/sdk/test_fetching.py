"""Files come whole over connections that break, and are there only once they are whole."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx
import pytest

from spatial_agent.services.sdk import NotFoundError, ProtocolError, UnreachableError, fetching
from tests.services.sdk.conftest import AnyClient, Body
from tests.services.sdk.fakes import QUESTION, SCENE, problem

Connect = Callable[..., AnyClient]
CLOUD = Random(1).randbytes(5_000)
LOST = httpx.ReadError("reset")


class FileServer:
    """Serves a file with ranges (RFC 9110), 1000 bytes before each connection breaks.

    Attributes:
        ranges: What was asked for.
    """

    def __init__(self, *versions: tuple[str, bytes], has_ranges: bool = True, breaks: int = 99) -> None:
        self.versions = list(versions)
        self.has_ranges = has_ranges
        self.breaks = breaks
        self.ranges: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        tag, content = self.versions.pop(0) if len(self.versions) > 1 else self.versions[0]
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        headers, status, start = {"ETag": tag}, 200, 0
        if asked and self.has_ranges and request.headers["If-Range"] == tag:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.breaks -= 1
        pieces: list[bytes | Exception] = [content[start:]]
        if len(content) - start > 1000 and self.breaks >= 0:
            pieces = [content[start : start + 600], content[start + 600 : start + 1000], LOST]
        return httpx.Response(status, headers=headers, stream=Body(pieces))


def test_a_file_is_fetched_from_where_it_broke(connect: Connect, tmp_path: Path) -> None:
    server = FileServer(('"v1"', CLOUD))
    client = connect(server)
    assert client.scenes.artifact(SCENE, "cloud.ply") == CLOUD
    assert server.ranges == [None, "bytes=1000-", "bytes=2000-", "bytes=3000-", "bytes=4000-"]
    target = tmp_path / "cloud.ply"
    assert client.scenes.artifact(SCENE, "cloud.ply", target) == target
    assert target.read_bytes() == CLOUD
    assert [path.name for path in tmp_path.iterdir()] == ["cloud.ply"]


def test_another_version_of_a_file_is_fetched_anew(connect: Connect) -> None:
    other = CLOUD[:600][::-1]
    server = FileServer(('"v1"', CLOUD), ('"v2"', other))
    assert connect(server).scenes.artifact(SCENE, "cloud.ply") == other


@pytest.mark.parametrize("tag", ['"v1"', 'W/"v1"', ""])
def test_a_service_without_ranges_is_asked_for_the_whole(connect: Connect, tag: str) -> None:
    server = FileServer((tag, CLOUD), has_ranges=False, breaks=2)
    assert connect(server).scenes.artifact(SCENE, "cloud.ply") == CLOUD


def test_another_part_than_asked_for_is_told(connect: Connect) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "Range" not in request.headers:
            return httpx.Response(200, headers={"ETag": '"v1"'}, stream=Body([CLOUD[:1000], LOST]))
        return httpx.Response(206, headers={"Content-Range": "bytes 0-4999/5000"}, content=CLOUD)

    with pytest.raises(ProtocolError, match="from byte 1000 on"):
        connect(answer).scenes.artifact(SCENE, "cloud.ply")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (lambda _: problem(404), NotFoundError),
        (lambda _: httpx.Response(200, stream=Body([b"x" * 900, LOST])), UnreachableError),
    ],
)
def test_nothing_is_left_of_what_did_not_come(
    connect: Connect,
    tmp_path: Path,
    answer: Callable[[httpx.Request], httpx.Response],
    error: type[Exception],
) -> None:
    target = tmp_path / "map.png"
    target.write_bytes(b"the one before")
    with pytest.raises(error):
        connect(answer).scenes.artifact(SCENE, "map.png", target)
    assert target.read_bytes() == b"the one before"
    assert [path.name for path in tmp_path.iterdir()] == ["map.png"]


def test_what_is_too_large_for_memory_goes_to_a_file(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "MOST_IN_MEMORY", 4_000)
    client = connect(lambda _: httpx.Response(200, content=CLOUD))
    with pytest.raises(ProtocolError, match="give a path"):
        client.scenes.artifact(SCENE, "cloud.ply")
    assert client.scenes.artifact(SCENE, "cloud.ply", tmp_path / "cloud.ply").read_bytes() == CLOUD


def test_pictures_of_answers_come_the_same_way(connect: Connect) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == f"/v1/questions/{QUESTION}/picture.png"
        return httpx.Response(200, content=b"\x89PNG")

    assert connect(answer).picture(QUESTION) == b"\x89PNG"
