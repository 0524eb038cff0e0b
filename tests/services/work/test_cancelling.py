"""A job is cancelled wherever it is, unless it has just ended; its events say the same as its state."""

import asyncio
import random
import threading
from collections.abc import Sequence

import pytest

from spatial_agent.services.store.records import LOCAL_TENANT, Job
from spatial_agent.services.store.store import Store
from spatial_agent.services.work import desk as desk_module
from spatial_agent.services.work import following
from spatial_agent.services.work.desk import Desk, Done
from spatial_agent.services.work.job_runner import Tell
from spatial_agent.tools.errors import ToolFailedError
from tests.services.work.scripted import (
    ANSWER,
    PATIENCE_S,
    Gated,
    Scripted,
    at_once,
    ended,
    new_job,
    on_loop,
    told,
    working,
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "BEAT_S", 0.01)
    monkeypatch.setattr(desk_module, "STOP_S", 0.05)
    monkeypatch.setattr(following, "LOOK_S", 0.01)


async def cancelled(desk: Desk, job: Job) -> Job:
    found = await desk.cancel(LOCAL_TENANT, job.id)
    assert found is not None
    return found


async def last_kind(desk: Desk, job: Job) -> str:
    return (await told(desk, job))[-1].kind


def test_a_job_that_waits_never_runs(store: Store) -> None:
    gated = Gated()
    runner = Scripted(gated)

    async def test() -> None:
        async with working(store, runner, workers=1) as desk:
            first, _ = await desk.submit(new_job(0))
            await gated.begun.wait()
            second, _ = await desk.submit(new_job(1))
            followed = asyncio.create_task(told(desk, second))
            assert (await cancelled(desk, second)).state == "cancelled"
            assert [event.kind for event in await followed] == ["cancelled"]
            gated.gate.set()
            assert (await ended(desk, first)).state == "done"
            assert (await ended(desk, second)).state == "cancelled"
        assert runner.ran == [first.id]

    on_loop(test())


def test_a_job_that_runs_is_stopped(store: Store) -> None:
    gated = Gated()
    runner = Scripted(gated)

    async def test() -> None:
        async with working(store, runner) as desk:
            job, _ = await desk.submit(new_job())
            await gated.begun.wait()
            found = await cancelled(desk, job)
            assert (found.state, found.cancelling) == ("running", True)
            assert (await ended(desk, job)).state == "cancelled"
            assert [event.kind for event in await told(desk, job)] == ["started", "cancelled"]
        assert runner.forgotten == [job.id]

    on_loop(test())


def test_a_job_that_has_ended_stays_as_it_is(store: Store) -> None:
    async def test() -> None:
        async with working(store, Scripted(at_once)) as desk:
            job, _ = await desk.submit(new_job())
            await ended(desk, job)
            found = await cancelled(desk, job)
            assert (found.state, found.cancelling, found.answer) == ("done", False, ANSWER)
            assert await last_kind(desk, job) == "answer"

    on_loop(test())


def test_a_job_at_another_server_is_stopped(store: Store, url: str) -> None:
    gated = Gated()

    async def test() -> None:
        with Store.open(url) as other:
            async with working(other, Scripted(gated), name="other") as worker:
                job, _ = await worker.submit(new_job())
                await gated.begun.wait()
                async with working(store, Scripted(at_once)) as desk:
                    assert (await cancelled(desk, job)).cancelling
                    assert (await ended(desk, job)).state == "cancelled"
                    assert await last_kind(desk, job) == "cancelled"

    on_loop(test())


def test_a_job_whose_server_died_while_it_was_being_cancelled_does_not_run_again(store: Store) -> None:
    runner = Scripted(at_once)
    job, _ = store.jobs.submit(new_job())
    assert store.jobs.claim("dead/1", 0.0) is not None
    assert store.jobs.cancel(LOCAL_TENANT, job.id) is not None

    async def test() -> None:
        async with working(store, runner) as desk:
            assert (await ended(desk, job)).state == "cancelled"
            assert await last_kind(desk, job) == "cancelled"

    on_loop(test())
    assert runner.ran == []


def test_a_runner_that_does_not_stop_holds_nobody_up(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    gate = asyncio.Event()
    begun = asyncio.Event()

    async def ignores_cancellation(job: Job, tell: Tell) -> Done:
        begun.set()
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue
        return Done(ANSWER)

    runner = Scripted(ignores_cancellation)

    async def test() -> None:
        async with working(store, runner) as desk:
            job, _ = await desk.submit(new_job())
            await begun.wait()
            await cancelled(desk, job)
            assert (await ended(desk, job)).state == "cancelled"
            gate.set()
            # The one that was left alone ends too, and nobody listens.
            while runner.at_once:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert await last_kind(desk, job) == "cancelled"

    on_loop(test())
    assert "does not stop" in caplog.text


def test_a_runner_is_asked_to_stop_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "STOP_S", PATIENCE_S)
    begun, renewed, asked = asyncio.Event(), threading.Event(), list[str]()
    renew = store.jobs.renew

    def watched_renew(worker: str, ids: Sequence[str], lease_s: float) -> dict[str, bool]:
        held = renew(worker, ids, lease_s)
        if asked:
            renewed.set()
        return held

    async def cleans_up(job: Job, tell: Tell) -> Done:
        begun.set()
        while True:
            try:
                await (asyncio.to_thread(renewed.wait, PATIENCE_S) if asked else asyncio.Event().wait())
                await asyncio.sleep(0.03)
            except asyncio.CancelledError:
                asked.append(job.id)
            else:
                raise asyncio.CancelledError

    async def test() -> None:
        async with working(store, Scripted(cleans_up)) as desk:
            job, _ = await desk.submit(new_job())
            await begun.wait()
            await cancelled(desk, job)
            assert (await ended(desk, job)).state == "cancelled"
            assert asked == [job.id]

    monkeypatch.setattr(store.jobs, "renew", watched_renew)
    on_loop(test())


def test_an_error_on_being_cancelled_is_a_cancellation(store: Store) -> None:
    begun = asyncio.Event()

    async def fails_when_cancelled(job: Job, tell: Tell) -> Done:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ToolFailedError("expected to go on")

    async def test() -> None:
        async with working(store, Scripted(fails_when_cancelled)) as desk:
            job, _ = await desk.submit(new_job())
            await begun.wait()
            await cancelled(desk, job)
            assert (await ended(desk, job)).state == "cancelled"

    on_loop(test())


def test_work_that_gives_itself_up_is_a_failure(store: Store) -> None:
    async def gives_up(job: Job, tell: Tell) -> Done:
        raise asyncio.CancelledError

    async def test() -> None:
        async with working(store, Scripted(gives_up)) as desk:
            job, _ = await desk.submit(new_job())
            assert (await ended(desk, job)).state == "failed"

    on_loop(test())


def test_whenever_it_is_cancelled_a_job_ends_once(store: Store) -> None:
    chance = random.Random(7)

    async def turns(most: int) -> None:
        for _ in range(chance.randrange(most)):
            await asyncio.sleep(0)

    async def takes_a_moment(job: Job, tell: Tell) -> Done:
        # As long as a few calls of the store: about as long as a cancellation takes.
        for _ in range(chance.randrange(12)):
            await asyncio.to_thread(store.jobs.counts)
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(takes_a_moment)) as desk:

            async def one(number: int) -> str:
                job, _ = await desk.submit(new_job(number))
                if number % 4 == 0:
                    # Once it has begun, so that some end before.
                    await anext(desk.follow(LOCAL_TENANT, job.id))
                await turns(60)
                await cancelled(desk, job)
                over = await ended(desk, job)
                ends = [event for event in await told(desk, job) if event.kind in ("answer", "cancelled")]
                assert len(ends) == 1
                assert (over.state, ends[0].kind) in (("done", "answer"), ("cancelled", "cancelled"))
                assert (over.answer is not None) == (over.state == "done")
                assert not over.cancelling
                return over.state

            states = await asyncio.gather(*(one(number) for number in range(100)))
            assert set(states) == {"done", "cancelled"}

    on_loop(test())
