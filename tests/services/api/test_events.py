import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from spatial_agent.services.api import waiting
from spatial_agent.services.api.server import ApiServer
from tests.services.api.prepared import Prepared, prepared

Event = tuple[str, str, dict[str, object]]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    with prepared(tmp_path_factory.mktemp("service")) as running:
        yield running


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    """Read server-sent events as the standard has it: fields up to an empty line."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
        elif "event" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


def events_of(api: Prepared, question: str, **headers: str) -> list[Event]:
    path = f"/v1/questions/{question}/events"
    with api.http.stream("GET", path, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-cache"
        return list(parsed(response.iter_lines()))


class TestFollowing:
    def test_what_happened_is_told_in_order_and_ends_with_the_answer(self, api: Prepared) -> None:
        asked = api.ask("how far?").json()
        events = events_of(api, asked["id"])
        assert [kind for _, kind, _ in events] == ["started", "stage", "stage", "answer"]
        places = [tuple(map(int, place.split("."))) for place, _, _ in events]
        assert places == sorted(set(places))
        assert {attempt for attempt, _ in places} == {1}
        assert events[1][2] == {"stage": "load", "facts": {"objects": 12}}
        assert events[-1][2] == asked["answer"]

    def test_it_goes_on_after_the_last_event_that_came(self, api: Prepared) -> None:
        asked = api.ask("how far?").json()["id"]
        events = events_of(api, asked)
        for number, (place, _, _) in enumerate(events, 1):
            assert events_of(api, asked, **{"Last-Event-ID": place}) == events[number:]
        assert events_of(api, asked, **{"Last-Event-ID": "7.1"}) == []

    def test_it_is_told_while_it_happens(self, api: Prepared) -> None:
        api.doing.released.clear()
        asked = api.ask("wait and see", wait=None).json()["id"]
        with api.http.stream("GET", f"/v1/questions/{asked}/events") as response:
            events = parsed(response.iter_lines())
            assert [next(events)[1], next(events)[1]] == ["started", "stage"]
            api.doing.released.set()
            assert [kind for _, kind, _ in events] == ["stage", "answer"]

    def test_failures_and_cancellations_end_it_too(self, api: Prepared) -> None:
        failed = events_of(api, api.ask("fail").json()["id"])[-1]
        assert failed[1] == "failed"
        assert str(failed[2]["type"]).endswith(":no-such-object")
        api.doing.released.clear()
        asked = api.ask("wait for the end", wait=None).json()["id"]
        api.http.delete(f"/v1/questions/{asked}")
        assert events_of(api, asked)[-1][1] == "cancelled"
        api.doing.released.set()

    @pytest.mark.parametrize("place", ["1", "1.x", "0.1", "-1.2", "1.2.3", "1." + "9" * 30])
    def test_places_that_are_none_are_refused(self, api: Prepared, place: str) -> None:
        asked = api.ask("how far?").json()["id"]
        response = api.http.get(f"/v1/questions/{asked}/events", headers={"Last-Event-ID": place})
        assert response.status_code == 400
        assert response.json()["type"].endswith(":bad-request")

    def test_of_what_is_not_there_nothing_is_told(self, api: Prepared) -> None:
        missing = api.http.get("/v1/questions/q_00000000000000000000000000000000/events")
        assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")

    def test_while_nothing_happens_the_connection_is_kept(
        self, api: Prepared, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("fastapi.routing._PING_INTERVAL", 0.02)
        api.doing.released.clear()
        asked = api.ask("wait long", wait=None).json()["id"]
        with api.http.stream("GET", f"/v1/questions/{asked}/events") as response:
            comments = (line for line in response.iter_lines() if line.startswith(":"))
            assert next(comments) == ": ping"
            api.doing.released.set()
        assert events_of(api, asked)[-1][1] == "answer"

    def test_followers_that_leave_are_forgotten(self, api: Prepared) -> None:
        api.doing.released.clear()
        asked = api.ask("wait for nobody", wait=None).json()["id"]
        path = f"/v1/questions/{asked}/events"
        with httpx.Client(base_url=api.url) as leaving, leaving.stream("GET", path) as response:
            next(response.iter_lines())
        api.doing.released.set()
        assert events_of(api, asked)[-1][1] == "answer"


class TestTheEndOfTheService:
    def test_running_questions_finish_and_followers_hear_of_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        servers = remembered_servers(monkeypatch)
        with (
            prepared(tmp_path, work={"drain_seconds": 20.0, "workers": 1}) as api,
            ThreadPoolExecutor() as pool,
        ):
            running = api.ask("wait to the end", wait=None).json()["id"]
            queued = api.ask("how far?", wait=None).json()["id"]
            arrived = counted(monkeypatch, api, "wait", "follow")
            following = pool.submit(events_of, api, running)
            awaited = pool.submit(api.http.get, f"/v1/questions/{queued}", headers={"Prefer": "wait=60"})
            assert arrived.acquire(timeout=10)
            assert arrived.acquire(timeout=10)
            servers[0].should_exit = True
            until_draining(api)
            refused = api.ask("one more", wait=None)
            assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (503, "draining")
            assert int(refused.headers["retry-after"]) > 0
            assert api.http.get("/healthz").json()["status"] == "ok"
            api.doing.released.set()
            assert following.result(20)[-1][1] == "answer"
            assert (awaited.result(20).status_code, awaited.result().json()["state"]) == (200, "queued")
        with prepared(tmp_path) as again:
            done = again.http.get(f"/v1/questions/{queued}", headers={"Prefer": "wait=20"}).json()
            assert (done["state"], done["attempts"]) == ("done", 1)

    def test_what_has_happened_by_then_is_told_and_nothing_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(waiting, "LAST_S", 0.05)

        async def told() -> list[int]:
            leaving = asyncio.Event()

            async def items() -> AsyncIterator[int]:
                yield 1
                leaving.set()
                await asyncio.sleep(0.001)
                yield 2
                await asyncio.Event().wait()

            return [item async for item in waiting.until_leaving(items(), leaving)]

        assert asyncio.run(told()) == [1, 2]


def remembered_servers(monkeypatch: pytest.MonkeyPatch) -> list[ApiServer]:
    servers: list[ApiServer] = []
    begin = ApiServer.__init__

    def remembered(self: ApiServer, *args: Any) -> None:  # noqa: ANN401
        begin(self, *args)
        servers.append(self)

    monkeypatch.setattr(ApiServer, "__init__", remembered)
    return servers


def counted(monkeypatch: pytest.MonkeyPatch, api: Prepared, *names: str) -> threading.Semaphore:
    """Return what is released whenever one of these methods of the desk is called."""
    calls = threading.Semaphore(0)

    def counting(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:  # noqa: ANN401
            calls.release()
            return method(*args)

        return call

    for name in names:
        monkeypatch.setattr(api.service.desk, name, counting(getattr(api.service.desk, name)))
    return calls


def until_draining(api: Prepared) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        ready = api.http.get("/readyz")
        if ready.status_code == 503:
            assert ready.json()["status"] == "draining"
            return
    raise AssertionError("it was still ready after 10 s")
