"""The whole service killed at any moment: no question is lost, none is answered twice, no work is done again.

The service is the command ``spatial-agent serve`` in a process of its own, asked over HTTP by the SDK. What
its expert did is counted by a ledger that the expert itself writes; what is kept is read without any code of
ours.
"""

import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from spatial_agent.agent.events import Answered
from spatial_agent.services.sdk import Client, Retries, uploading
from tests.services.killing import REQUESTS, WORKERS, Kill, crashing
from tests.services.scene_files.making import picture
from tests.services.server_nursery import Nursery, nursery
from tests.services.store.postgresql import postgresql_cluster

MIB = 2**20


@pytest.fixture(scope="module")
def servers() -> Iterator[Nursery]:
    with nursery() as servers:
        yield servers


@pytest.mark.parametrize(
    ("questions", "kills"), [(8, 3), pytest.param(100, 20, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_killed_at_random_moments_every_question_is_answered_once(
    servers: Nursery, tmp_path: Path, questions: int, kills: int
) -> None:
    chance = random.Random(questions)
    is_fresh = kills > 3
    died: list[Kill] = []
    with crashing(servers, tmp_path, seed=questions) as here, here.client() as client:
        server = here.start(is_fresh=is_fresh)
        here.front.lead_to(server.port())
        scene = client.scenes.wait_until_ready(client.scenes.upload(here.instruments.room)).id
        here.model.may_conclude.clear()
        here.hand_in(client, scene, range(questions))
        here.model.may_conclude.set()
        for turn in range(kills):
            if turn % 5 == 3:
                # While it starts, whatever it is just doing then.
                delay_s = chance.uniform(0.0, 3.0)
            else:
                here.front.lead_to(server.port())
                share = REQUESTS * (questions - len(here.seen())) // (2 * (kills - turn))
                here.model.wait_for(here.model.requests + chance.randint(1, max(1, share)), most_s=2.0)
                delay_s = chance.uniform(0.0, 0.06)
            died.append(here.kill(server, delay_s))
            server = here.start(is_fresh=is_fresh)
        here.front.lead_to(server.port())
        here.wait_for_all(client)
        server.kill()
        here.check(died)
        assert sum(bool(kill.running) for kill in died) > kills / 2, "most kills interrupted nothing"


@pytest.mark.slow
def test_what_a_server_had_that_is_gone_for_good_is_taken_over_by_another(
    servers: Nursery, tmp_path: Path
) -> None:
    questions = 30
    with (
        postgresql_cluster() as cluster,
        cluster.running() as database,
        crashing(servers, tmp_path, seed=2, database=database.new_database(), lease_s=2.0) as here,
        here.client() as client,
    ):
        first = here.start()
        here.front.lead_to(first.port())
        scene = client.scenes.wait_until_ready(client.scenes.upload(here.instruments.room)).id
        here.model.may_conclude.clear()
        here.hand_in(client, scene, range(questions))
        second = here.start()
        here.front.lead_to(second.port())
        # All that both can take up is taken up, and has been measured.
        assert here.model.wait_for(2 * WORKERS * (REQUESTS - 1))
        ours = {number for _, number, process in here.instruments.ledger() if process == first.process}
        died = here.kill(first, 0.0)
        here.model.may_conclude.set()
        here.wait_for_all(client)
        second.kill()
        here.check([died])
        assert len(ours) == WORKERS
        assert len(died.running) == 2 * WORKERS


class Recorded(httpx.HTTPTransport):
    """Remembers the ids of events as they come over the wire."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = super().handle_request(request)
        if request.url.path.endswith("/events"):
            response.stream = Lines(response.stream, self.ids)
        return response


class Lines(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream | httpx.AsyncByteStream, ids: list[str]) -> None:
        assert isinstance(stream, httpx.SyncByteStream)
        self._stream, self._ids, self._rest = stream, ids, b""

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._stream:
            *lines, self._rest = (self._rest + piece).split(b"\n")
            found = [line.partition(b":")[2].strip() for line in lines if line.startswith(b"id:")]
            self._ids += [id.decode() for id in found]
            yield piece

    def close(self) -> None:
        self._stream.close()


def test_events_followed_over_a_restart_come_once_each_and_in_order(servers: Nursery, tmp_path: Path) -> None:
    wire = Recorded()
    retries = Retries(attempts=60, first_s=0.05, most_s=0.5)
    with (
        crashing(servers, tmp_path, seed=1) as here,
        Client(here.front.url, retries=retries, transport=wire) as client,
        ThreadPoolExecutor(1) as follower,
    ):
        server = here.start()
        here.front.lead_to(server.port())
        scene = client.scenes.upload(here.instruments.room)
        here.model.may_conclude.clear()
        here.hand_in(client, scene.id, range(1))
        [id] = here.numbers
        following = follower.submit(lambda: list(client.follow(id)))
        assert here.model.wait_for(REQUESTS - 1)
        died = here.kill(server, 0.0)
        before = len(wire.ids)
        here.model.may_conclude.set()
        server = here.start()
        here.front.lead_to(server.port())
        events = following.result(60)
        server.kill()
        places = [tuple(map(int, place.split("."))) for place in wire.ids]
        assert places == sorted(set(places))
        assert len(places) == len(events) > before > 0
        assert set(here.kept.told(id)) <= set(wire.ids)
        assert [event for event in events if isinstance(event, Answered)] == events[-1:]
        here.check([died])


@pytest.mark.slow
class TestUploads:
    def test_what_was_half_received_is_gone(self, servers: Nursery, tmp_path: Path) -> None:
        with crashing(servers, tmp_path, seed=3) as here, here.client() as client:
            incoming = here.folder / "kept" / "scenes" / "incoming"
            server = here.start()
            with half_sent(server.port()):
                until(lambda: any(path.is_file() for path in incoming.rglob("*")))
                server.kill()
            assert [path for path in incoming.rglob("*") if path.is_file()]
            server = here.start()
            here.front.lead_to(server.port())
            until(lambda: not list(incoming.iterdir()))
            assert client.scenes.list() == []
            server.kill()

    def test_a_resumable_upload_goes_on(
        self, servers: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(uploading, "RESUMABLE_BYTES", 1)
        monkeypatch.setattr(uploading, "CHUNK_BYTES", 3 * MIB)
        pictures = tmp_path / "pictures"
        pictures.mkdir()
        for number in range(3):
            (pictures / f"{number}.png").write_bytes(picture(size=(1024, 768), seed=number))
        sent: list[int] = []
        with crashing(servers, tmp_path, seed=4) as here, here.client() as client:
            running = [here.start()]
            here.front.lead_to(running[0].port())

            def killed_in_between(bytes_sent: int, _: int) -> None:
                sent.append(bytes_sent)
                if bytes_sent and len(running) == 1:
                    running[0].kill()
                    running.append(here.start())
                    here.front.lead_to(running[1].port())

            scene = client.scenes.upload(pictures, progress=killed_in_between)
            running[1].kill()
            assert sent == sorted(sent)
            files = here.folder / "kept" / "scenes" / scene.id / "files"
            arrived = {path.name: path.read_bytes() for path in files.rglob("*.png")}
            assert arrived == {path.name: path.read_bytes() for path in pictures.iterdir()}


@contextmanager
def half_sent(port: int) -> Iterator[None]:
    """Begin to send a picture, and hold on in the middle."""
    head = (
        f"POST /v1/scenes HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {8 * MIB}\r\n"
        "Content-Type: multipart/form-data; boundary=part\r\n\r\n--part\r\n"
        'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    )
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head.encode() + picture() + bytes(4 * MIB))
        yield


def until(condition: Callable[[], bool]) -> None:
    """Look until something is so."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
