"""Large scenes arrive whole over connections that break anywhere."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx
import pytest

from spatial_agent.services.sdk import NotFoundError, ProtocolError, QuotaError, UnreachableError, uploading
from spatial_agent.tools.errors import SourceError
from tests.services.sdk.conftest import AnyClient, FakeClock
from tests.services.sdk.fakes import SCENE, problem, scene

Connect = Callable[..., AnyClient]
UPLOAD = "up_0123456789abcdef"
PATH = f"/v1/uploads/{UPLOAD}"


class TusServer:
    """Takes uploads as tus 1.0.0 says, and scenes of them; breaks where a function says so.

    Attributes:
        breaks: Says of a chunk how many of its bytes arrive before the connection breaks, None for all; and
            whether only the reply is lost.
    """

    def __init__(self, breaks: Callable[[bytes], int | None] = lambda _: None) -> None:
        self.breaks = breaks
        self.received = bytearray()
        self.length = 0
        self.metadata = ""
        self.reference: dict[str, str] = {}
        self.requests: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.method)
        if request.url.path == "/v1/scenes":
            self.reference = json.loads(request.content)
            assert len(self.received) == self.length
            return httpx.Response(201, json=scene("queued"))
        assert request.headers["Tus-Resumable"] == "1.0.0"
        if request.url.path == "/v1/uploads":
            self.length = int(request.headers["Upload-Length"])
            self.metadata = request.headers["Upload-Metadata"]
            return httpx.Response(201, headers={"Location": f"http://elsewhere.example{PATH}"})
        assert request.url.path == PATH
        if request.method == "PATCH":
            return self._patched(request)
        return self._at(200)

    def _patched(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Content-Type"] == "application/offset+octet-stream"
        if int(request.headers["Upload-Offset"]) != len(self.received):
            return problem(409)
        arrived = self.breaks(request.content)
        self.received += request.content[:arrived]
        if arrived is not None:
            raise httpx.WriteError("broken pipe")
        return self._at(204)

    def _at(self, status: int) -> httpx.Response:
        return httpx.Response(status, headers={"Upload-Offset": str(len(self.received))})


@pytest.fixture(autouse=True)
def _small_uploads_are_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploading, "RESUMABLE_BYTES", 1000)
    monkeypatch.setattr(uploading, "CHUNK_BYTES", 700)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "walk.mp4"
    path.write_bytes(Random(7).randbytes(10_000))
    return path


@pytest.mark.parametrize("seed", range(8))
def test_a_file_arrives_whole_however_often_it_breaks(connect: Connect, video: Path, seed: int) -> None:
    chance = Random(seed)
    server = TusServer(lambda chunk: chance.randint(1, len(chunk)) if chance.random() < 0.5 else None)
    told: list[tuple[int, int]] = []
    uploaded = connect(server).scenes.upload(
        video, profile="open", progress=lambda *bytes: told.append(bytes)
    )
    assert (uploaded.id, uploaded.state) == (SCENE, "queued")
    assert bytes(server.received) == video.read_bytes()
    assert server.reference == {"upload": UPLOAD, "name": "walk.mp4", "profile": "open"}
    assert server.metadata == "filename d2Fsay5tcDQ="
    assert [total for _, total in told] == [10_000] * len(told)
    assert [sent for sent, _ in told] == sorted(sent for sent, _ in told)
    assert told[-1] == (10_000, 10_000)


def test_a_folder_arrives_as_an_archive(connect: Connect, tmp_path: Path) -> None:
    for number in range(9):
        (tmp_path / "den" / "color").mkdir(parents=True, exist_ok=True)
        (tmp_path / "den" / "color" / f"{number}.jpg").write_bytes(Random(number).randbytes(300))
    chance = Random(3)
    server = TusServer(lambda chunk: chance.randint(1, len(chunk)) if chance.random() < 0.5 else None)
    connect(server).scenes.upload(tmp_path / "den")
    with tarfile.open(fileobj=io.BytesIO(bytes(server.received))) as opened:
        assert opened.getnames() == [f"color/{number}.jpg" for number in range(9)]
    assert server.reference == {"upload": UPLOAD, "name": "den"}
    assert server.metadata == "filename ZGVuLnRhcg=="


def test_progress_starts_the_patience_anew(connect: Connect, video: Path, clock: FakeClock) -> None:
    server = TusServer(lambda chunk: 100 if len(chunk) > 100 else None)
    connect(server).scenes.upload(video)
    assert bytes(server.received) == video.read_bytes()
    assert len(clock.pauses) > 50
    assert max(clock.pauses) <= 0.5


def test_an_upload_without_progress_is_given_up(connect: Connect, video: Path, clock: FakeClock) -> None:
    with pytest.raises(UnreachableError):
        connect(TusServer(lambda _: 0)).scenes.upload(video)
    assert len(clock.pauses) == 5


def test_a_lost_reply_is_no_lost_chunk(connect: Connect, video: Path) -> None:
    server = TusServer(lambda chunk: len(chunk))
    connect(server).scenes.upload(video)
    assert bytes(server.received) == video.read_bytes()
    assert server.requests.count("PATCH") == 15


@pytest.mark.parametrize("status", [409, 423, 503])
def test_a_service_that_is_not_ready_for_more_is_asked_where_it_is(
    connect: Connect, video: Path, status: int
) -> None:
    server = TusServer()
    refusals = [problem(status)] * 3

    def answer(request: httpx.Request) -> httpx.Response:
        return refusals.pop() if request.method == "PATCH" and refusals else server(request)

    connect(answer).scenes.upload(video)
    assert bytes(server.received) == video.read_bytes()
    assert refusals == []


REFUSALS = {404: NotFoundError, 413: QuotaError}


@pytest.mark.parametrize("status", REFUSALS)
def test_a_refusal_in_the_middle_is_told(connect: Connect, video: Path, status: int) -> None:
    server = TusServer()

    def answer(request: httpx.Request) -> httpx.Response:
        return problem(status) if request.method == "PATCH" and server.received else server(request)

    with pytest.raises(REFUSALS[status]):
        connect(answer).scenes.upload(video)


@pytest.mark.parametrize("offset", ["", "-1", "many", "0", "701", "99999"])
def test_an_impossible_offset_is_told(connect: Connect, video: Path, offset: str) -> None:
    server = TusServer()

    def answer(request: httpx.Request) -> httpx.Response:
        wrong = httpx.Response(204, headers={"Upload-Offset": offset})
        return wrong if request.method == "PATCH" else server(request)

    with pytest.raises(ProtocolError, match="expected"):
        connect(answer).scenes.upload(video)


def test_a_file_that_shrinks_is_told(connect: Connect, video: Path) -> None:
    def shrink(_: bytes) -> None:
        video.write_bytes(b"short")

    with pytest.raises(SourceError, match="became shorter"):
        connect(TusServer(shrink)).scenes.upload(video)


def test_a_small_scene_is_one_request(connect: Connect, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" + b"x" * 500)
    seen: list[httpx.Request] = []
    replies = [problem(503), httpx.Response(201, json=scene("queued"))]

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return replies.pop(0)

    told: list[tuple[int, int]] = []
    connect(answer).scenes.upload(
        tmp_path / "photo.jpg", "my photo", progress=lambda *bytes: told.append(bytes)
    )
    first, second = seen
    assert first.content == second.content
    assert int(first.headers["Content-Length"]) == len(first.content) == told[-1][0] == told[-1][1]
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert b'filename="photo.jpg"' in first.content
    assert b"my photo" in first.content
