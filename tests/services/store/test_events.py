"""What happened in a job: in order, once, and without keeping an answer twice."""

from sqlalchemy import text

from spatial_agent.services.store.records import EventId, JobEvent, NewJob
from spatial_agent.services.store.store import Store

NEW = NewJob("ann", "question", {}, "sc_1")


def running(store: Store, worker: str = "w1", lease_s: float = 600.0) -> str:
    job, _ = store.jobs.submit(NEW)
    claimed = store.jobs.claim(worker, lease_s)
    assert claimed is not None
    assert claimed.id == job.id
    return job.id


def event(attempt: int, number: int, kind: str = "stage", **data: object) -> JobEvent:
    return JobEvent(EventId(attempt, number), kind, data)


def test_events_come_back_in_order_from_any_place(store: Store) -> None:
    id = running(store, lease_s=-1.0)
    first = [event(1, number, "token", text=f"{number} m") for number in range(1, 12)]
    assert store.events.append("w1", id, first[:6])
    assert store.events.append("w1", id, first[6:])
    store.jobs.claim("w2", 600.0)
    second = [event(2, 1, "started"), event(2, 2)]
    assert store.events.append("w2", id, second)
    assert store.events.after(id, None) == first + second
    assert store.events.after(id, EventId(1, 9)) == first[9:] + second
    assert store.events.after(id, EventId(1, 99)) == second
    assert store.events.after(id, EventId(2, 2)) == []


def test_an_event_that_is_written_again_is_there_once(store: Store) -> None:
    id = running(store)
    assert store.events.append("w1", id, [event(1, 1)])
    assert store.events.append("w1", id, [event(1, 1, "other"), event(1, 2)])
    assert store.events.after(id, None) == [event(1, 1), event(1, 2)]


def test_only_the_worker_of_a_running_job_tells_of_it(store: Store) -> None:
    id = running(store)
    assert not store.events.append("w2", id, [event(1, 1)])
    assert not store.events.append("w1", "q_unknown", [event(1, 1)])
    store.jobs.finish("w1", id, "done", answer={})
    assert not store.events.append("w1", id, [event(1, 1)])
    assert store.events.after(id, None) == []


def test_the_latest_event_of_each_job_is_known(store: Store) -> None:
    one, two, silent = (running(store) for _ in range(3))
    store.events.append("w1", one, [event(1, number) for number in range(1, 12)])
    store.events.append("w1", two, [event(1, 7)])
    store.jobs.abandon_all("w1")
    again = store.jobs.claim("w1", 600.0)
    assert again is not None
    assert again.id == one
    store.events.append("w1", one, [event(2, 3)])
    wanted = [one, two, silent, "q_unknown"]
    assert store.events.latest(wanted) == {one: EventId(2, 3), two: EventId(1, 7)}
    assert store.events.latest([]) == {}


def test_an_answer_is_kept_once_and_still_told(store: Store) -> None:
    id = running(store)
    answer = {"text": "2 m " * 1000}
    store.jobs.finish("w1", id, "done", answer=answer, events=[event(1, 1), event(1, 2, "answer", **answer)])
    with store.database.reading() as connection:
        kept = connection.execute(text("SELECT data FROM events ORDER BY number")).scalars().all()
    assert kept == ["{}", None]
    assert store.events.after(id, None) == [event(1, 1), event(1, 2, "answer", **answer)]


def test_a_job_that_waits_is_cancelled_at_once(store: Store) -> None:
    job, _ = store.jobs.submit(NEW)
    cancelled = store.jobs.cancel("ann", job.id)
    assert cancelled is not None
    assert (cancelled.state, cancelled.cancelling, cancelled.attempts) == ("cancelled", False, 0)
    assert cancelled.finished is not None
    assert store.events.after(job.id, None) == [event(1, 1, "cancelled")]
    assert store.jobs.claim("w1", 600.0) is None
    assert store.jobs.cancel("ann", job.id) == cancelled


def test_a_job_that_runs_is_asked_to_end(store: Store) -> None:
    id = running(store)
    asked = store.jobs.cancel("ann", id)
    assert asked is not None
    assert (asked.state, asked.cancelling) == ("running", True)
    assert store.jobs.renew("w1", [id], 600.0) == {id: True}
    assert store.jobs.finish("w1", id, "cancelled", events=[event(1, 1, "cancelled")])
    ended = store.jobs.job("ann", id)
    assert ended is not None
    assert (ended.state, ended.cancelling) == ("cancelled", False)


def test_a_job_whose_worker_died_while_it_was_cancelled_does_not_run_again(store: Store) -> None:
    id = running(store, lease_s=-1.0)
    store.events.append("w1", id, [event(1, 1), event(1, 2)])
    store.jobs.cancel("ann", id)
    assert store.jobs.claim("w2", 600.0) is None
    assert store.events.after(id, None) == [event(1, 1), event(1, 2), event(3, 1, "cancelled")]


def test_a_job_that_is_handed_back_while_it_was_cancelled_ends(store: Store) -> None:
    released, abandoned = running(store), running(store)
    store.events.append("w1", released, [event(1, 5)])
    for id in (released, abandoned):
        store.jobs.cancel("ann", id)
    store.jobs.release("w1", [released])
    store.jobs.abandon_all("w")
    assert store.jobs.counts()["cancelled"] == 2
    assert store.events.after(released, EventId(1, 5)) == [event(2, 1, "cancelled")]


def test_the_event_that_cancels_comes_after_all_that_was_told_before(store: Store) -> None:
    id = running(store)
    store.events.append("w1", id, [event(1, 1)])
    store.jobs.release("w1", [id])
    store.jobs.cancel("ann", id)
    assert store.events.after(id, EventId(1, 99)) == [event(2, 1, "cancelled")]
