"""Who leaves, is turned away or has no key: against the real service, whose jobs do what a test says."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from spatial_agent.agent.events import Started
from spatial_agent.services.sdk import (
    AsyncClient,
    AuthenticationError,
    NotFoundError,
    QuotaError,
    UnavailableError,
    WaitTimeoutError,
)
from spatial_agent.services.store.records import SCOPES, Allowance
from spatial_agent.tools.errors import NoSuchObjectError, StoppedError
from tests.services.api.prepared import Prepared, prepared
from tests.services.sdk.conftest import AnyClient, FakeClock, opened

PATIENCE_S = 20.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Prepared]:
    with prepared(tmp_path) as service:
        yield service


@pytest.fixture
def client(kind: str, service: Prepared) -> Iterator[AnyClient]:
    with ExitStack() as stack:
        yield stack.enter_context(opened(kind, service.url, None))


def cancelled(service: Prepared) -> list[str]:
    """Ids of the jobs that were cancelled as they ran, once there is one."""
    until = threading.Event()
    for _ in range(int(PATIENCE_S / 0.01)):
        if service.doing.cancelled:
            break
        until.wait(0.01)
    return service.doing.cancelled


def test_an_interrupted_loop_cancels_the_question(client: AnyClient, service: Prepared) -> None:
    events = client.stream(service.scene, "wait for me")
    assert isinstance(next(events), Started)
    events.close()
    (job,) = cancelled(service)
    with pytest.raises(StoppedError):
        client.wait(job)
    assert client.question(job).state == "cancelled"


def test_who_no_longer_waits_cancels_the_question(client: AnyClient, service: Prepared) -> None:
    with pytest.raises(WaitTimeoutError):
        client.ask(service.scene, "wait for me", timeout_s=0.3)
    assert len(cancelled(service)) == 1


def test_a_task_that_is_cancelled_cancels_its_question(service: Prepared) -> None:
    async def leave() -> None:
        async with AsyncClient(service.url) as client:
            task = asyncio.create_task(client.ask(service.scene, "wait for me"))
            await asyncio.to_thread(service.doing.begun.wait, PATIENCE_S)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(leave())
    assert len(cancelled(service)) == 1


def test_a_scope_that_is_cancelled_cancels_its_question(service: Prepared) -> None:
    async def leave() -> bool:
        async with AsyncClient(service.url) as client:
            with anyio.move_on_after(PATIENCE_S) as scope:
                async for _ in client.stream(service.scene, "wait for me"):
                    scope.cancel()
            return scope.cancelled_caught

    assert anyio.run(leave)
    assert len(cancelled(service)) == 1


def test_many_questions_are_under_way_at_once(service: Prepared) -> None:
    async def ask_all() -> list[float]:
        async with AsyncClient(service.url) as client:
            asked = [client.ask(service.scene, f"how far is thing {number}?") for number in range(40)]
            return [answer.value for answer in await asyncio.gather(*asked)]

    assert asyncio.run(ask_all()) == [2.5] * 40


def test_what_was_submitted_is_waited_for_followed_and_cancelled(
    client: AnyClient, service: Prepared
) -> None:
    first = client.submit(service.scene, "wait, how far?", options=["A. 2 m", "B. 3 m"])
    assert (first.state in ("queued", "running"), first.options) == (True, ("A. 2 m", "B. 3 m"))
    others = [client.submit(service.scene, "wait for the others") for _ in range(3)]
    assert client.cancel(others[-1]).state == "cancelled"
    with pytest.raises(WaitTimeoutError):
        client.wait(first, timeout_s=0.3)
    assert service.doing.cancelled == []
    service.doing.released.set()
    assert client.wait(first).value == 2.5
    assert client.cancel(first).state == "done"
    assert [type(event).__name__ for event in client.follow(others[0])] == [
        "Started",
        "StageDone",
        "StageDone",
        "Answered",
    ]


def test_what_fails_is_the_error_it_was(client: AnyClient, service: Prepared) -> None:
    with pytest.raises(NoSuchObjectError, match="there is no piano") as told:
        client.ask(service.scene, "fail")
    assert told.value.suggestions == ("sofa", "table")
    with pytest.raises(NoSuchObjectError):
        list(client.stream(service.scene, "fail"))


def test_a_draining_service_is_asked_again_when_it_says(
    kind: str, service: Prepared, clock: FakeClock
) -> None:
    service.service.phase = "draining"
    with opened(kind, service.url, None, clock=clock) as client:
        with pytest.raises(UnavailableError) as told:
            client.ask(service.scene, "how far?")
        assert told.value.status == 503
        assert len(clock.pauses) == 5
        assert min(clock.pauses) >= (told.value.retry_after_s or 99)
        service.service.phase = "ok"
        assert client.ask(service.scene, "how far?").value == 2.5


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Prepared]:
    """A service that asks for keys."""
    with prepared(tmp_path, keys_required=True) as service:
        yield service


def key_of(service: Prepared, tenant: str, scopes: tuple[str, ...] = SCOPES, **allowed: int) -> str:
    made = service.service.store.keys.create(tenant, "mine", frozenset(scopes), Allowance(**allowed))  # type: ignore[arg-type]
    return made[1]


def test_a_key_opens_what_is_its_tenants_alone(kind: str, guarded: Prepared) -> None:
    mine, theirs = guarded.add_scene("me"), guarded.add_scene("them")
    with opened(kind, guarded.url, key_of(guarded, "me")) as client:
        assert client.ask(mine, "how far?").unit == "m"
        with pytest.raises(NotFoundError):
            client.ask(theirs, "how far?")
    with opened(kind, guarded.url, key_of(guarded, "me", ("read",))) as client:
        with pytest.raises(AuthenticationError) as told:
            client.ask(mine, "how far?")
        assert told.value.status == 403
    for key in (None, "sa_0000_wrong"):
        with opened(kind, guarded.url, key) as client, pytest.raises(AuthenticationError) as told:
            client.ask(mine, "how far?")
        assert told.value.status == 401


def test_a_quota_is_told_with_its_end(kind: str, guarded: Prepared, clock: FakeClock) -> None:
    mine = guarded.add_scene("me")
    with opened(kind, guarded.url, key_of(guarded, "me", questions_per_day=1), clock=clock) as client:
        client.ask(mine, "how far?")
        with pytest.raises(QuotaError) as told:
            client.ask(mine, "how far?")
    assert told.value.status == 429
    assert told.value.retry_after_s is not None
    assert 0 < told.value.retry_after_s <= 86_401


def test_a_pause_beyond_all_patience_is_told_at_once(kind: str, guarded: Prepared, clock: FakeClock) -> None:
    mine = guarded.add_scene("me")
    key = key_of(guarded, "me", requests_per_minute=1)
    with opened(kind, guarded.url, key, clock=clock) as client:
        client.ask(mine, "how far?")
        with pytest.raises(QuotaError) as told:
            client.ask(mine, "how far?")
    assert told.value.retry_after_s is not None
    assert 30 < told.value.retry_after_s <= 61
    assert clock.pauses == []
