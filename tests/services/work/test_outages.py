"""A store that goes away and comes back costs time, never a job; a job that another has is let go."""

import asyncio
import threading
from collections.abc import Sequence

import pytest

from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.records import LOCAL_TENANT, Job, JobState
from spatial_agent.services.store.store import Store
from spatial_agent.services.work import desk as desk_module
from spatial_agent.services.work import following, intake, store_calls, telling
from spatial_agent.services.work.desk import Done
from spatial_agent.services.work.job_runner import Tell
from tests.services.work.scripted import (
    ANSWER,
    PATIENCE_S,
    Gated,
    Outage,
    Scripted,
    at_once,
    ended,
    new_job,
    on_loop,
    told,
    until,
    working,
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "BEAT_S", 0.01)
    monkeypatch.setattr(intake, "POLL_S", 0.01)
    monkeypatch.setattr(following, "LOOK_S", 0.01)
    monkeypatch.setattr(telling, "WRITE_S", 0.01)
    monkeypatch.setattr(telling, "WRITE_AGAIN_S", 0.01)
    monkeypatch.setattr(store_calls, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(store_calls, "LONGEST_PAUSE_S", 0.02)


def test_a_job_outlives_an_outage_that_is_longer_than_its_lease(store: Store) -> None:
    gated, outage = Gated(), Outage(store)
    runner = Scripted(gated)

    async def test() -> None:
        async with working(store, runner, lease_s=0.05) as desk:
            job, _ = await desk.submit(new_job())
            await gated.begun.wait()
            outage.begin()
            assert gated.tell is not None
            gated.tell("stage", {"stage": "plan", "facts": {}})
            await asyncio.sleep(0.1)
            with pytest.raises(StoreUnavailableError):
                await desk.submit(new_job(1))
            gated.gate.set()
            await until(lambda: outage.refused > 20)
            outage.end()
            done = await ended(desk, job)
            assert (done.state, done.answer) == ("done", ANSWER)
            events = await told(desk, job)
            assert [event.kind for event in events][-2:] == ["stage", "answer"] or done.attempts > 1
            # It works as before.
            job, _ = await desk.submit(new_job(2))
            assert (await ended(desk, job)).state == "done"

    on_loop(test())


def test_what_ends_during_an_outage_is_written_down_after_it(store: Store) -> None:
    gated, outage = Gated(), Outage(store)
    runner = Scripted(gated)

    async def test() -> None:
        async with working(store, runner) as desk:
            job, _ = await desk.submit(new_job())
            await gated.begun.wait()
            followed = asyncio.create_task(told(desk, job))
            await until(lambda: len(store.events.after(job.id, None)) == 1)
            outage.begin()
            assert gated.tell is not None
            gated.tell("stage", {"stage": "plan", "facts": {}})
            gated.gate.set()
            await until(lambda: outage.refused > 10)
            assert not followed.done()
            outage.end()
            assert [event.kind for event in await followed] == ["started", "stage", "answer"]
            assert (await ended(desk, job)).attempts == 1
            assert store.events.after(job.id, None) == await followed

    on_loop(test())
    assert len(runner.ran) == 1


def test_an_outage_is_logged_once(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    outage = Outage(store)

    async def test() -> None:
        async with working(store, Scripted(at_once)):
            outage.begin()
            await until(lambda: outage.refused > 10)
            outage.end()
            await until(lambda: "is back" in caplog.text)

    on_loop(test())
    assert caplog.text.count("the store is away") == 1


def test_signs_of_life_do_not_wait_for_other_calls(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gated, go_on, renewed = Gated(), threading.Event(), threading.Event()
    counts, renew = store.jobs.counts, store.jobs.renew

    def slow_counts() -> dict[JobState, int]:
        assert go_on.wait(PATIENCE_S)
        return counts()

    def watched_renew(worker: str, ids: Sequence[str], lease_s: float) -> dict[str, bool]:
        held = renew(worker, ids, lease_s)
        renewed.set()
        return held

    async def test() -> None:
        async with working(store, Scripted(gated)) as desk:
            job, _ = await desk.submit(new_job())
            await gated.begun.wait()
            asked = [asyncio.create_task(desk.counts()) for _ in range(20)]
            await asyncio.sleep(0)
            monkeypatch.setattr(store.jobs, "renew", watched_renew)
            assert await asyncio.to_thread(renewed.wait, PATIENCE_S)
            assert not any(task.done() for task in asked)
            go_on.set()
            for found in await asyncio.gather(*asked):
                assert found["running"] == 1
            gated.gate.set()
            assert (await ended(desk, job)).state == "done"

    monkeypatch.setattr(store.jobs, "counts", slow_counts)
    on_loop(test())


def test_draining_ends_while_the_store_is_away(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    gated, outage = Gated(), Outage(store)

    async def test() -> None:
        async with working(store, Scripted(gated)) as desk:
            job, _ = await desk.submit(new_job())
            await gated.begun.wait()
            outage.begin()
            gated.gate.set()
            await until(lambda: outage.refused > 5)
            await desk.drain(0.01)
        outage.end()
        found = store.jobs.job(LOCAL_TENANT, job.id)
        assert found is not None
        # Its lease runs out, and the next server takes it up.
        assert found.state == "running"

    on_loop(test())
    assert "taken up anew" in caplog.text


def test_a_job_that_another_took_over_is_stopped_and_its_result_not_written(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = asyncio.Event()
    begun = asyncio.Event()

    async def until_stopped(job: Job, tell: Tell) -> Done:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return Done({"text": "of the first"})

    async def test() -> None:
        with Store.open(url) as other:
            async with working(store, Scripted(until_stopped), name="first", lease_s=0.05) as desk:
                outage = Outage(store)
                job, _ = await desk.submit(new_job())
                await begun.wait()
                followed = asyncio.create_task(told(desk, job))
                await until(lambda: len(other.events.after(job.id, None)) == 1)
                outage.begin()
                async with working(other, Scripted(at_once), name="second") as second:
                    assert (await ended(second, job)).attempts == 2
                outage.end()
                await stopped.wait()
                events = await followed
                assert [str(event.id) for event in events] == ["1.1", "2.1", "2.2"]
                assert events[-1].data == ANSWER
                assert other.events.after(job.id, None) == events

    on_loop(test())


def test_who_stood_still_for_longer_than_the_lease_begins_anew_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(*_: object) -> dict[str, bool]:
        raise StoreUnavailableError("expected a database that answers")

    monkeypatch.setattr(store.jobs, "renew", cannot)
    gate = asyncio.Event()

    async def second_time(job: Job, tell: Tell) -> Done:
        if job.attempts == 1:
            await asyncio.Event().wait()
        return Done({"text": f"of attempt {job.attempts}"})

    runner = Scripted(second_time)

    async def test() -> None:
        async with working(store, runner, lease_s=0.05) as desk:
            job, _ = await desk.submit(new_job())
            done = await ended(desk, job)
            assert done.answer == {"text": "of attempt 2"}
            assert [str(event.id) for event in await told(desk, job)][-2:] == ["2.1", "2.2"]
        gate.set()

    on_loop(test())
    assert len(runner.ran) == 2
    assert runner.most_at_once == 1


def test_a_job_whose_servers_all_die_is_given_up(store: Store) -> None:
    runner = Scripted(at_once)
    job, _ = store.jobs.submit(new_job())
    for number in range(3):
        assert store.jobs.claim(f"dead/{number}", 0.0) is not None

    async def test() -> None:
        async with working(store, runner) as desk:
            failed = await ended(desk, job)
            assert failed.state == "failed"
            assert failed.problem is not None
            assert failed.problem["type"] == "TakenUpTooOftenError"

    on_loop(test())
    assert runner.ran == []
