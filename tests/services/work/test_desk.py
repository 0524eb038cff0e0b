"""Jobs are run once, in their order, and said what became of."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from spatial_agent.services.metrics import PrometheusMeter
from spatial_agent.services.store.errors import IdempotencyConflictError, QueueFullError
from spatial_agent.services.store.records import LOCAL_TENANT, Job, SessionRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.work import intake
from spatial_agent.services.work.desk import Done
from spatial_agent.services.work.job_metrics import JOB_METRICS
from spatial_agent.services.work.job_runner import Tell
from tests.services.work.scripted import (
    ANSWER,
    Gated,
    NoChairError,
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
def _never_look_without_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a job that nobody announces wait for ever: looking now and then would hide it."""
    monkeypatch.setattr(intake, "POLL_S", 3600.0)


def test_a_job_is_run_and_its_answer_kept(store: Store) -> None:
    runner = Scripted(at_once)

    async def test() -> None:
        async with working(store, runner) as desk:
            job, is_new = await desk.submit(new_job())
            assert is_new
            done = await ended(desk, job)
            assert (done.state, done.answer, done.attempts) == ("done", ANSWER, 1)
            assert (await desk.counts())["done"] == 1
            assert desk.running == 0

    on_loop(test())
    assert runner.forgotten == runner.ran != []


def test_its_events_begin_with_the_start_and_end_with_the_answer(store: Store) -> None:
    async def tells(job: Job, tell: Tell) -> Done:
        tell("started", {"run": "told by the runner"})
        tell("stage", {"stage": "plan", "facts": {}})
        tell("answer", {"text": "told by the runner"})
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(tells)) as desk:
            job, _ = await desk.submit(new_job())
            events = await told(desk, job)
            assert [(str(event.id), event.kind, event.data) for event in events] == [
                ("1.1", "started", {"run": job.id}),
                ("1.2", "stage", {"stage": "plan", "facts": {}}),
                ("1.3", "answer", ANSWER),
            ]
            assert store.events.after(job.id, None) == events

    on_loop(test())


def test_an_error_is_the_problem_of_a_failed_job(store: Store) -> None:
    async def fails(job: Job, tell: Tell) -> Done:
        raise NoChairError("expected a chair, found none")

    async def test() -> None:
        async with working(store, Scripted(fails)) as desk:
            job, _ = await desk.submit(new_job())
            failed = await ended(desk, job)
            assert failed.state == "failed"
            assert failed.problem is not None
            assert failed.problem["detail"] == "expected a chair, found none"
            assert [event.kind for event in await told(desk, job)] == ["started", "failed"]

    on_loop(test())


def test_an_error_nobody_expected_fails_that_job_alone(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async def breaks(job: Job, tell: Tell) -> Done:
        if job.new.request["number"] == 0:
            raise ZeroDivisionError
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(breaks)) as desk:
            jobs = [(await desk.submit(new_job(number)))[0] for number in range(2)]
            assert [(await ended(desk, job)).state for job in jobs] == ["failed", "done"]

    on_loop(test())
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_cannot_be_kept_fails_its_job(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async def answers_a_set(job: Job, tell: Tell) -> Done:
        return Done({"text": {1, 2}})

    async def test() -> None:
        async with working(store, Scripted(answers_a_set)) as desk:
            job, _ = await desk.submit(new_job())
            assert (await ended(desk, job)).state == "failed"
            assert [event.kind for event in await told(desk, job)][-1] == "failed"

    on_loop(test())
    assert "TypeError" in caplog.text


def test_no_more_jobs_run_at_a_time_than_may(store: Store) -> None:
    async def yields(job: Job, tell: Tell) -> Done:
        await asyncio.sleep(0)
        return Done(ANSWER)

    runner = Scripted(yields)

    async def test() -> None:
        async with working(store, runner, workers=3) as desk:
            jobs = [(await desk.submit(new_job(number)))[0] for number in range(30)]
            at_once = await asyncio.gather(*(desk.submit(new_job(number)) for number in range(30)))
            jobs += [job for job, _ in at_once]
            assert {(await ended(desk, job)).state for job in jobs} == {"done"}

    on_loop(test())
    assert len(set(runner.ran)) == len(runner.ran) == 60
    assert 1 <= runner.most_at_once <= 3


def test_what_waits_is_taken_up_by_priority(store: Store) -> None:
    gated, order = Gated(), list[object]()

    async def in_order(job: Job, tell: Tell) -> Done:
        order.append(job.new.request["number"])
        return await gated(job, tell)

    async def test() -> None:
        async with working(store, Scripted(in_order), workers=1) as desk:
            await desk.submit(new_job(0))
            await gated.begun.wait()
            jobs = [(await desk.submit(new_job(n, priority=n % 2)))[0] for n in range(1, 5)]
            gated.gate.set()
            for job in jobs:
                await ended(desk, job)

    on_loop(test())
    assert order == [0, 1, 3, 2, 4]


def test_jobs_of_a_dialogue_run_one_after_the_other_and_are_remembered(store: Store) -> None:
    seen = list[object]()

    async def remembers(job: Job, tell: Tell) -> Done:
        session = await asyncio.to_thread(store.sessions.session, LOCAL_TENANT, "d_talk0001")
        assert session is not None
        seen.append([exchange["question"] for exchange in session.exchanges])
        return Done(ANSWER, {"question": job.new.request["number"], "answer": "", "objects": []})

    async def test() -> None:
        store.sessions.add(SessionRecord("d_talk0001", LOCAL_TENANT, "s_room0001", 1.0))
        async with working(store, runner, workers=4) as desk:
            jobs = [(await desk.submit(new_job(n, session="d_talk0001")))[0] for n in range(4)]
            for job in jobs:
                assert (await ended(desk, job)).state == "done"

    runner = Scripted(remembers)
    on_loop(test())
    assert seen == [[], [0], [0, 1], [0, 1, 2]]
    assert runner.most_at_once == 1


def test_several_desks_share_the_work_and_none_does_it_twice(store: Store, url: str) -> None:
    async def yields(job: Job, tell: Tell) -> Done:
        await asyncio.sleep(0.001)
        return Done(ANSWER)

    runners = [Scripted(yields), Scripted(yields)]

    async def test() -> None:
        async with AsyncExitStack() as stack:
            other = stack.enter_context(Store.open(url))
            first = await stack.enter_async_context(working(store, runners[0], name="first"))
            jobs = [(await first.submit(new_job(number)))[0] for number in range(40)]
            await stack.enter_async_context(working(other, runners[1], name="second"))
            for job in jobs:
                assert (await ended(first, job)).attempts == 1

    on_loop(test())
    ran = runners[0].ran + runners[1].ran
    assert len(ran) == len(set(ran)) == 40
    assert runners[0].ran
    assert runners[1].ran


def test_a_job_handed_in_twice_under_one_key_is_one(store: Store) -> None:
    async def test() -> None:
        async with working(store, Scripted(at_once)) as desk:
            first, _ = await desk.submit(new_job(), idempotency_key="k", fingerprint="f")
            again, is_new = await desk.submit(new_job(), idempotency_key="k", fingerprint="f")
            assert (again.id, is_new) == (first.id, False)
            with pytest.raises(IdempotencyConflictError):
                await desk.submit(new_job(1), idempotency_key="k", fingerprint="g")

    on_loop(test())


def test_a_tenant_may_not_have_more_jobs_than_it_may(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated)) as desk:
            for number in range(2):
                await desk.submit(new_job(number), most_of_tenant=2)
            with pytest.raises(QueueFullError):
                await desk.submit(new_job(3), most_of_tenant=2)
            gated.gate.set()

    on_loop(test())


def test_nobody_waits_for_or_follows_or_cancels_the_job_of_another(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated)) as desk:
            job, _ = await desk.submit(new_job())
            assert await desk.wait("another", job.id, 0.0) is None
            await gated.begun.wait()
            assert await desk.wait("another", job.id, 60.0) is None
            assert await desk.cancel("another", job.id) is None
            assert [event async for event in desk.follow("another", job.id)] == []
            gated.gate.set()
            assert (await ended(desk, job)).state == "done"

    on_loop(test())


def test_waiting_ends_when_its_time_is_over(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated)) as desk:
            job, _ = await desk.submit(new_job())
            found = await desk.wait(job.new.tenant, job.id, 0.02)
            assert found is not None
            assert found.state in ("queued", "running")
            gated.gate.set()
            assert (await ended(desk, job)).state == "done"

    on_loop(test())


def test_what_became_of_jobs_is_counted(store: Store) -> None:
    meter = PrometheusMeter(metrics=JOB_METRICS)

    async def test() -> None:
        async with working(store, Scripted(at_once), meter=meter) as desk:
            await ended(desk, (await desk.submit(new_job()))[0])
            await until(lambda: desk.running == 0)

    on_loop(test())
    shown = meter.exposition().decode()
    assert 'spatial_agent_jobs_total{kind="question",outcome="done"} 1.0' in shown
    assert 'spatial_agent_jobs_running{kind="question"} 0.0' in shown
    assert 'spatial_agent_job_seconds_count{kind="question"} 1.0' in shown
    assert 'spatial_agent_job_wait_seconds_count{kind="question"} 1.0' in shown
