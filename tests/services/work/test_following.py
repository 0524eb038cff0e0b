"""Followers see every event once and in order, wherever and however often the job runs."""

import asyncio
import threading

import pytest

from spatial_agent.services.store.records import LOCAL_TENANT, EventId, Job, JobEvent
from spatial_agent.services.store.store import Store
from spatial_agent.services.work import following
from spatial_agent.services.work.desk import Done
from spatial_agent.services.work.feed import KEPT, START, Feed
from spatial_agent.services.work.following import Following
from spatial_agent.services.work.job_runner import Tell
from spatial_agent.services.work.store_calls import StoreCalls
from tests.services.work.scripted import (
    ANSWER,
    Gated,
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
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LOOK_S", 0.01)


def kinds(events: list[JobEvent]) -> list[str]:
    return [event.kind for event in events]


def test_who_comes_late_sees_what_was_and_then_what_is(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated)) as desk:
            job, _ = await desk.submit(new_job())
            await gated.begun.wait()
            assert gated.tell is not None
            gated.tell("stage", {"stage": "load", "facts": {}})
            await until(lambda: len(store.events.after(job.id, None)) == 2)
            seen: list[JobEvent] = []
            async for event in desk.follow(LOCAL_TENANT, job.id):
                seen.append(event)
                if len(seen) == 2:
                    gated.tell("stage", {"stage": "plan", "facts": {}})
                if len(seen) == 3:
                    gated.gate.set()
            assert kinds(seen) == ["started", "stage", "stage", "answer"]
            assert seen == store.events.after(job.id, None)

    on_loop(test())


def test_live_events_do_not_wait_for_the_store(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated)) as desk:
            job, _ = await desk.submit(new_job())
            await gated.begun.wait()
            events = desk.follow(LOCAL_TENANT, job.id)
            assert (await anext(events)).kind == "started"
            assert gated.tell is not None
            gated.tell("stage", {"stage": "load", "facts": {}})
            assert (await anext(events)).kind == "stage"
            assert kinds(store.events.after(job.id, EventId(1, 1))) == []
            gated.gate.set()
            assert [event.kind async for event in events] == ["answer"]

    on_loop(test())


def test_following_goes_on_after_the_place_that_was_seen_last(store: Store) -> None:
    async def tells(job: Job, tell: Tell) -> Done:
        for number in range(5):
            tell("stage", {"stage": "plan", "facts": {"number": number}})
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(tells)) as desk:
            job, _ = await desk.submit(new_job())
            events = await told(desk, job)
            assert len(events) == 7
            for place, event in enumerate(events):
                assert await told(desk, job, event.id) == events[place + 1 :]

    on_loop(test())


def test_a_follower_slower_than_the_job_misses_nothing(store: Store) -> None:
    many = 3 * KEPT

    async def tells_much(job: Job, tell: Tell) -> Done:
        for number in range(many):
            tell("stage", {"stage": "plan", "facts": {"number": number}})
            if not number % 50:
                await asyncio.sleep(0.01)
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(tells_much)) as desk:
            job, _ = await desk.submit(new_job())
            events = desk.follow(LOCAL_TENANT, job.id)
            seen = [await anext(events)]
            await ended(desk, job)
            seen += [event async for event in events]
            numbers = [event.data["facts"] for event in seen if event.kind == "stage"]
            assert numbers == [{"number": number} for number in range(many)]
            assert [event.id.number for event in seen] == list(range(1, many + 3))

    on_loop(test())


def test_what_is_kept_of_a_job_in_memory_is_bounded() -> None:
    async def test() -> None:
        feed = Feed()
        feed.begin(START)
        for number in range(1, 10 * KEPT):
            feed.publish(JobEvent(EventId(1, number), "stage", {}))
            feed.wrote(EventId(1, number))
        assert feed.after(START) is None
        assert feed.floor is not None
        kept = feed.after(feed.floor)
        assert kept is not None
        assert [event.id.number for event in kept] == list(range(9 * KEPT, 10 * KEPT))

    on_loop(test())


def test_who_leaves_leaves_nothing_behind(store: Store) -> None:
    async def test() -> None:
        calls = StoreCalls(1, "test")
        desk = Following(store, calls)
        job, _ = store.jobs.submit(new_job())
        events = desk.follow(LOCAL_TENANT, job.id, None)
        waiting = asyncio.ensure_future(anext(events))
        await until(lambda: len(desk.feeds) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: len(desk.feeds) == 0)
        await calls.close()

    on_loop(test())


def test_many_follow_one_job(store: Store) -> None:
    gated = Gated()

    async def test() -> None:
        async with working(store, Scripted(gated)) as desk:
            job, _ = await desk.submit(new_job())
            followers = [asyncio.create_task(told(desk, job)) for _ in range(50)]
            await gated.begun.wait()
            gated.gate.set()
            for events in await asyncio.gather(*followers):
                assert kinds(events) == ["started", "answer"]

    on_loop(test())


def test_a_job_of_another_server_is_followed_and_waited_for(store: Store, url: str) -> None:
    gated = Gated()

    async def test() -> None:
        with Store.open(url) as other:
            async with working(other, Scripted(gated), name="other") as worker:
                job, _ = await worker.submit(new_job())
                await gated.begun.wait()
                async with working(store, Scripted(at_once)) as desk:
                    followed = asyncio.create_task(told(desk, job))
                    waited = asyncio.create_task(ended(desk, job))
                    assert gated.tell is not None
                    gated.tell("stage", {"stage": "load", "facts": {}})
                    await until(lambda: len(store.events.after(job.id, None)) == 2)
                    gated.gate.set()
                    assert kinds(await followed) == ["started", "stage", "answer"]
                    assert (await waited).answer == ANSWER

    on_loop(test())


def test_a_job_whose_server_died_is_followed_into_its_next_attempt(store: Store) -> None:
    job, _ = store.jobs.submit(new_job())
    claimed = store.jobs.claim("dead/1", 0.0)
    assert claimed is not None
    told_before = [JobEvent(EventId(1, number), "stage", {"number": number}) for number in (1, 2)]
    assert store.events.append("dead/1", job.id, told_before)

    async def test() -> None:
        async with working(store, Scripted(at_once)) as desk:
            events = await told(desk, job)
            assert [str(event.id) for event in events] == ["1.1", "1.2", "2.1", "2.2"]
            assert kinds(events) == ["stage", "stage", "started", "answer"]
            assert await told(desk, job, EventId(1, 2)) == events[2:]
            assert (await ended(desk, job)).attempts == 2

    on_loop(test())


def test_what_a_server_of_the_same_name_left_is_taken_up_at_once(store: Store) -> None:
    job, _ = store.jobs.submit(new_job())
    assert store.jobs.claim("here/12345678", 3600.0) is not None

    async def test() -> None:
        async with working(store, Scripted(at_once), name="here") as desk:
            assert (await ended(desk, job)).attempts == 2

    on_loop(test())


def test_pieces_of_text_are_told_together_and_none_is_lost(store: Store) -> None:
    pieces = [f"{number} " for number in range(2000)]

    async def writes(job: Job, tell: Tell) -> Done:
        for piece in pieces[:1000]:
            tell("token", {"text": piece})
        tell("stage", {"stage": "compose", "facts": {}})
        for piece in pieces[1000:]:
            tell("token", {"text": piece})
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(writes)) as desk:
            job, _ = await desk.submit(new_job())
            events = await told(desk, job)
            assert kinds(events) == ["started", "token", "stage", "token", "answer"]
            assert events[1].data == {"text": "".join(pieces[:1000])}
            assert events[3].data == {"text": "".join(pieces[1000:])}

    on_loop(test())


def test_other_threads_may_tell(store: Store) -> None:
    many = 500

    async def tells_from_a_thread(job: Job, tell: Tell) -> Done:
        def work() -> None:
            for number in range(many):
                tell("stage", {"stage": "plan", "facts": {"number": number}})

        thread = threading.Thread(target=work)
        thread.start()
        await asyncio.to_thread(thread.join)
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(tells_from_a_thread)) as desk:
            job, _ = await desk.submit(new_job())
            events = await told(desk, job)
            numbers = [event.data["facts"] for event in events[1:-1]]
            assert numbers == [{"number": number} for number in range(many)]

    on_loop(test())


def test_what_is_told_after_the_end_is_left_out(store: Store) -> None:
    kept: list[Tell] = []

    async def keeps(job: Job, tell: Tell) -> Done:
        kept.append(tell)
        return Done(ANSWER)

    async def test() -> None:
        async with working(store, Scripted(keeps)) as desk:
            job, _ = await desk.submit(new_job())
            await ended(desk, job)
            kept[0]("stage", {"stage": "plan", "facts": {}})
            await asyncio.sleep(0)
            assert kinds(await told(desk, job)) == ["started", "answer"]

    on_loop(test())
    kept[0]("stage", {"stage": "plan", "facts": {}})
