"""A server that goes lets its jobs end, gives back what does not, and keeps nobody waiting."""

import asyncio
import threading
from typing import Unpack

import pytest

from spatial_agent.services.store.jobs import Terms
from spatial_agent.services.store.records import LOCAL_TENANT, EventId, Job, NewJob
from spatial_agent.services.store.store import Store
from spatial_agent.services.work import desk as desk_module
from spatial_agent.services.work.desk import Done
from spatial_agent.services.work.job_runner import Tell
from spatial_agent.tools.errors import StoppedError
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
    monkeypatch.setattr(desk_module, "STOP_S", 0.05)


def state(store: Store, job: Job) -> tuple[str, int]:
    found = store.jobs.job(LOCAL_TENANT, job.id)
    assert found is not None
    return found.state, found.attempts


def test_running_jobs_end_and_others_wait_for_another_server(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated), workers=1) as desk:
            runs, _ = await desk.submit(new_job(0))
            await gated.begun.wait()
            waits, _ = await desk.submit(new_job(1))
            drained = asyncio.create_task(desk.drain(PATIENCE_S))
            await asyncio.sleep(0)
            assert desk.is_draining
            late, _ = await desk.submit(new_job(2))
            gated.gate.set()
            await drained
            assert state(store, runs) == ("done", 1)
            assert state(store, waits) == state(store, late) == ("queued", 0)

    on_loop(test())


def test_what_does_not_end_in_time_is_given_back_and_done_by_the_next(store: Store) -> None:
    gated, runner = Gated(), Scripted(at_once)

    async def test() -> None:
        async with working(store, Scripted(gated), name="first") as desk:
            job, _ = await desk.submit(new_job())
            await gated.begun.wait()
            assert gated.tell is not None
            gated.tell("stage", {"stage": "plan", "facts": {}})
            followed = asyncio.create_task(told(desk, job))
            waited = asyncio.create_task(desk.wait(LOCAL_TENANT, job.id, PATIENCE_S))
            await asyncio.sleep(0)
            await desk.drain(0.01)
            assert [event.kind for event in await followed] == ["started", "stage"]
            found = await waited
            assert found is not None
            assert found.finished is None
        assert state(store, job) == ("queued", 0)
        async with working(store, runner, name="second") as desk:
            assert (await ended(desk, job)).state == "done"
            events = await told(desk, job)
            assert [event.kind for event in events] == ["started", "stage", "started", "answer"]
            assert [event.id for event in events] == [EventId(1, number) for number in (1, 2, 3, 4)]
            assert await told(desk, job, EventId(1, 2)) == events[2:]

    on_loop(test())
    assert runner.ran


def test_a_job_that_ignores_its_cancellation_is_given_back(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
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
            await desk.drain(0.0)
            assert state(store, job) == ("queued", 0)
            gate.set()
            while runner.at_once:
                await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert state(store, job) == ("queued", 0)

    on_loop(test())
    assert "does not stop" in caplog.text


def test_a_job_that_is_claimed_at_the_last_moment_is_given_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, go_on = threading.Event(), threading.Event()
    claim = store.jobs.claim

    def slow_claim(worker: str, lease_s: float) -> Job | None:
        job = claim(worker, lease_s)
        if job is not None:
            claimed.set()
            assert go_on.wait(PATIENCE_S)
        return job

    monkeypatch.setattr(store.jobs, "claim", slow_claim)
    runner = Scripted(at_once)
    job, _ = store.jobs.submit(new_job())

    async def test() -> None:
        async with working(store, runner) as desk:
            assert await asyncio.to_thread(claimed.wait, PATIENCE_S)
            drained = asyncio.create_task(desk.drain(PATIENCE_S))
            await asyncio.sleep(0)
            go_on.set()
            await drained
            assert state(store, job) == ("queued", 0)

    on_loop(test())
    assert runner.ran == []


def test_a_job_that_is_handed_in_at_the_last_moment_is_given_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, go_on = threading.Event(), threading.Event()
    submit_and_claim = store.jobs.submit_and_claim

    def slow(
        worker: str, lease_s: float, new: NewJob, **terms: Unpack[Terms]
    ) -> tuple[Job, bool, Job | None]:
        done = submit_and_claim(worker, lease_s, new, **terms)
        written.set()
        assert go_on.wait(PATIENCE_S)
        return done

    monkeypatch.setattr(store.jobs, "submit_and_claim", slow)
    runner = Scripted(at_once)

    async def test() -> None:
        async with working(store, runner) as desk:
            submitting = asyncio.create_task(desk.submit(new_job()))
            assert await asyncio.to_thread(written.wait, PATIENCE_S)
            # Who hands it in does not wait for the end.
            submitting.cancel()
            drained = asyncio.create_task(desk.drain(PATIENCE_S))
            await asyncio.sleep(0)
            go_on.set()
            await drained
            (job,) = store.jobs.listed(LOCAL_TENANT)
            assert state(store, job) == ("queued", 0)

    on_loop(test())
    assert runner.ran == []


def test_a_cancellation_that_does_not_stop_a_job_in_time_still_holds(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(desk_module, "STOP_S", PATIENCE_S)
    gate, begun = asyncio.Event(), asyncio.Event()

    async def stops_late(job: Job, tell: Tell) -> Done:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await gate.wait()
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(stops_late)) as desk:
            job, _ = await desk.submit(new_job())
            await begun.wait()
            await desk.cancel(LOCAL_TENANT, job.id)
            drained = asyncio.create_task(desk.drain(PATIENCE_S))
            await asyncio.sleep(0)
            gate.set()
            await drained
            assert state(store, job) == ("cancelled", 1)

    on_loop(test())


def test_draining_again_ends_with_the_first(store: Store) -> None:
    async def test() -> None:
        async with working(store, Scripted(at_once)) as desk:
            await asyncio.gather(desk.drain(0.0), desk.drain(PATIENCE_S))
            await desk.drain(0.0)
            with pytest.raises(StoppedError):
                await desk.submit(new_job())
            with pytest.raises(StoppedError):
                await desk.counts()

    on_loop(test())


def test_whoever_follows_a_job_that_waits_is_sent_home(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated), workers=1) as desk:
            await desk.submit(new_job(0))
            await gated.begun.wait()
            job, _ = await desk.submit(new_job(1))
            followed = asyncio.create_task(told(desk, job))
            await asyncio.sleep(0.01)
            gated.gate.set()
            await desk.drain(PATIENCE_S)
            assert await followed == []

    on_loop(test())


def test_a_slow_follower_still_hears_how_a_job_ended(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated), workers=1) as desk:
            job, _ = await desk.submit(new_job())
            events = desk.follow(LOCAL_TENANT, job.id)
            assert (await anext(events)).kind == "started"
            gated.gate.set()
            await desk.drain(PATIENCE_S)
            assert [event.kind async for event in events] == ["answer"]

    on_loop(test())
