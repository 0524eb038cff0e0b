"""Jobs: handed in, taken up, ended, listed, dropped."""

import json
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spatial_agent.services.store.errors import IdempotencyConflictError, QueueFullError
from spatial_agent.services.store.records import EventId, Job, JobEvent, NewJob, SessionRecord
from spatial_agent.services.store.store import Store
from spatial_agent.tools.errors import InvalidValueError

LONG_S, OVER_S = 600.0, -1.0


def question(
    tenant: str = "ann", *, session: str | None = None, priority: int = 0, scene: str = "sc_1"
) -> NewJob:
    return NewJob(tenant, "question", {"question": "How wide is the bed?"}, scene, session, priority)


def submitted(store: Store, new: NewJob) -> Job:
    job, is_new = store.jobs.submit(new)
    assert is_new
    return job


def event(attempt: int, number: int, kind: str = "stage", **data: object) -> JobEvent:
    return JobEvent(EventId(attempt, number), kind, data)


def claimed(store: Store, worker: str = "w1", lease_s: float = LONG_S) -> Job:
    job = store.jobs.claim(worker, lease_s)
    assert job is not None
    return job


def test_a_job_that_is_handed_in_waits(store: Store) -> None:
    new = NewJob("ann", "question", {"question": "?", "n": [1, {"x": None}]}, "sc_1", "se_1", 3, "k1", "r1")
    before = time.time()
    job = submitted(store, new)
    assert before <= job.created <= time.time()
    assert job == Job(job.id, new, "queued", job.created)
    assert store.jobs.job("ann", job.id) == job


def test_ids_are_of_the_form_that_requests_may_name(store: Store) -> None:
    jobs = [submitted(store, question()), submitted(store, NewJob("ann", "scene", {}, "sc_1"))]
    prefixes = [job.id.partition("_")[0] for job in jobs]
    assert prefixes == ["q", "m"]
    assert all(len(job.id) == 34 and job.id[2:].isalnum() and job.id.islower() for job in jobs)


def test_a_job_is_no_other_tenants(store: Store) -> None:
    job = submitted(store, question("ann"))
    assert store.jobs.job("bob", job.id) is None
    assert store.jobs.cancel("bob", job.id) is None
    assert store.jobs.listed("bob") == []
    assert store.jobs.listed("ann", before=submitted(store, question("bob")).id) == []
    assert store.jobs.job("ann", job.id) == job


def test_the_same_idempotency_key_is_the_same_job(store: Store) -> None:
    first, is_new = store.jobs.submit(question(), idempotency_key="k", fingerprint="f")
    again, is_new_again = store.jobs.submit(question(), idempotency_key="k", fingerprint="f")
    other, is_other_new = store.jobs.submit(question("bob"), idempotency_key="k", fingerprint="g")
    assert (is_new, is_new_again, is_other_new) == (True, False, True)
    assert first == again
    assert other.id != first.id


def test_an_idempotency_key_gives_the_job_as_it_is_by_now(store: Store) -> None:
    job, _ = store.jobs.submit(question(), idempotency_key="k")
    claimed(store)
    store.jobs.finish("w1", job.id, "done", answer={"text": "2 m"})
    assert store.jobs.submit(question(), idempotency_key="k")[0] == store.jobs.job("ann", job.id)


def test_an_idempotency_key_is_not_good_for_another_request(store: Store) -> None:
    store.jobs.submit(question(), idempotency_key="k", fingerprint="f")
    with pytest.raises(IdempotencyConflictError, match="'k'"):
        store.jobs.submit(question(), idempotency_key="k", fingerprint="g")
    assert store.jobs.counts()["queued"] == 1


def test_no_more_jobs_wait_than_may(store: Store) -> None:
    submitted(store, question("bob"))
    claimed(store)
    for _ in range(2):
        store.jobs.submit(question(), most_queued=2)
    with pytest.raises(QueueFullError, match="fewer than 2 jobs that wait"):
        store.jobs.submit(question(), most_queued=2)
    assert store.jobs.counts() == {"queued": 2, "running": 1, "done": 0, "failed": 0, "cancelled": 0}


def test_a_tenant_has_no_more_jobs_than_it_may(store: Store) -> None:
    first = submitted(store, question())
    claimed(store)
    submitted(store, question("bob"))
    store.jobs.submit(question(), most_of_tenant=2)
    with pytest.raises(QueueFullError, match="fewer than 2 jobs of yours"):
        store.jobs.submit(question(), most_of_tenant=2)
    store.jobs.finish("w1", first.id, "failed", problem={"title": "no"})
    store.jobs.submit(question(), most_of_tenant=2)


def test_a_full_queue_still_knows_a_job_by_its_key(store: Store) -> None:
    job, _ = store.jobs.submit(question(), idempotency_key="k", most_queued=1)
    assert store.jobs.submit(question(), idempotency_key="k", most_queued=1) == (job, False)


def test_jobs_are_taken_by_priority_then_by_age(store: Store) -> None:
    low, high, low_too, high_too = (submitted(store, question(priority=p)) for p in (-1, 2, -1, 2))
    order = [claimed(store).id for _ in range(4)]
    assert order == [high.id, high_too.id, low.id, low_too.id]
    assert store.jobs.claim("w1", LONG_S) is None


def test_a_job_that_is_taken_runs(store: Store) -> None:
    job = submitted(store, question())
    running = claimed(store)
    assert running.started is not None
    assert running == Job(job.id, job.new, "running", job.created, started=running.started, attempts=1)
    assert store.jobs.job("ann", job.id) == running


def test_a_session_is_answered_in_order_one_after_the_other(store: Store) -> None:
    first = submitted(store, question(session="se_1"))
    second = submitted(store, question(session="se_1", priority=9))
    other = submitted(store, question(session="se_2"))
    assert claimed(store).id == first.id
    assert claimed(store).id == other.id
    assert store.jobs.claim("w2", LONG_S) is None
    store.jobs.finish("w1", first.id, "done", answer={})
    assert claimed(store).id == second.id


def test_a_session_goes_on_after_a_job_that_was_cancelled(store: Store) -> None:
    first, second = (submitted(store, question(session="se_1")) for _ in range(2))
    store.jobs.cancel("ann", first.id)
    assert claimed(store).id == second.id


def test_a_lease_that_ran_out_is_taken_first(store: Store) -> None:
    lost = submitted(store, question(priority=-5))
    claimed(store, "w1", OVER_S)
    submitted(store, question(priority=5))
    again = claimed(store, "w2")
    assert (again.id, again.attempts) == (lost.id, 2)


def test_whoever_lost_a_job_can_write_nothing_of_it(store: Store) -> None:
    job = submitted(store, question())
    claimed(store, "w1", OVER_S)
    claimed(store, "w2")
    assert not store.events.append("w1", job.id, [event(1, 1)])
    assert not store.jobs.finish("w1", job.id, "done", answer={"text": "1 m"}, events=[event(1, 1, "answer")])
    assert store.jobs.renew("w1", [job.id], LONG_S) == {}
    store.jobs.release("w1", [job.id])
    running = store.jobs.job("ann", job.id)
    assert running is not None
    assert (running.state, running.attempts) == ("running", 2)
    assert store.events.after(job.id, None) == []


def test_a_worker_that_took_its_own_job_anew_writes_only_for_the_newer_attempt(store: Store) -> None:
    job = submitted(store, question())
    claimed(store, "w1", OVER_S)
    claimed(store, "w1")
    assert not store.events.append("w1", job.id, [event(1, 1)])
    assert not store.jobs.finish("w1", job.id, "done", answer={}, events=[event(1, 2, "answer")])
    assert store.jobs.finish("w1", job.id, "done", answer={}, events=[event(2, 1, "answer")])


def test_a_lease_is_renewed_even_late_where_nobody_took_the_job(store: Store) -> None:
    mine, other = (submitted(store, question()) for _ in range(2))
    claimed(store, "w1", OVER_S)
    assert store.jobs.renew("w1", [mine.id, other.id, "q_unknown"], LONG_S) == {mine.id: False}
    assert claimed(store, "w2").id == other.id
    assert store.jobs.claim("w2", LONG_S) is None


def test_a_job_ends_with_its_answer_events_and_exchange(store: Store) -> None:
    store.sessions.add(SessionRecord("se_1", "ann", "sc_1", 1.0, ({"question": "earlier"},)))
    job = submitted(store, question(session="se_1"))
    claimed(store)
    store.events.append("w1", job.id, [event(1, 1, "started")])
    answer = {"text": "2.0 m", "value": 2.0}
    last = event(1, 2, "answer", **answer)
    assert store.jobs.finish("w1", job.id, "done", answer=answer, events=[last], exchange={"question": "now"})
    done = store.jobs.job("ann", job.id)
    assert done is not None
    assert done.finished is not None
    assert done.started is not None
    assert done.started <= done.finished <= time.time()
    assert (done.state, done.answer, done.problem) == ("done", answer, None)
    assert store.events.after(job.id, None) == [event(1, 1, "started"), last]
    dialogue = store.sessions.session("ann", "se_1")
    assert dialogue is not None
    assert dialogue.exchanges == ({"question": "earlier"}, {"question": "now"})


def test_a_job_ends_once(store: Store) -> None:
    job = submitted(store, question())
    claimed(store)
    assert store.jobs.finish("w1", job.id, "failed", problem={"title": "no"}, events=[event(1, 1, "failed")])
    assert not store.jobs.finish("w1", job.id, "done", answer={"text": "2 m"})
    ended = store.jobs.job("ann", job.id)
    assert ended is not None
    assert (ended.state, ended.problem, ended.answer) == ("failed", {"title": "no"}, None)


def test_a_job_ends_although_its_session_is_gone(store: Store) -> None:
    job = submitted(store, question(session="se_gone"))
    claimed(store)
    assert store.jobs.finish("w1", job.id, "done", answer={}, exchange={"question": "now"})


def test_a_job_ends_in_a_final_state(store: Store) -> None:
    job = submitted(store, question())
    claimed(store)
    with pytest.raises(InvalidValueError, match="got 'queued'"):
        store.jobs.finish("w1", job.id, "queued")


def test_what_cannot_be_kept_whole_is_not_kept_at_all(store: Store) -> None:
    job = submitted(store, question())
    claimed(store)
    bad = JobEvent(EventId(1, 1), "answer", {"value": float("nan")})
    with pytest.raises(Exception, match="JSON compliant"):
        store.jobs.finish("w1", job.id, "done", answer={}, events=[bad])
    running = store.jobs.job("ann", job.id)
    assert running is not None
    assert running.state == "running"


def test_a_job_that_is_handed_back_waits_as_before(store: Store) -> None:
    job = submitted(store, question())
    claimed(store)
    store.jobs.release("w1", [job.id])
    waiting = store.jobs.job("ann", job.id)
    assert waiting is not None
    assert (waiting.state, waiting.attempts) == ("queued", 0)
    assert claimed(store, "w2").attempts == 1


def test_jobs_of_servers_that_are_gone_wait_again_at_once(store: Store) -> None:
    ran = [submitted(store, question()) for _ in range(2)]
    claimed(store, "host%/1")
    claimed(store, "host%/2")
    submitted(store, question())
    other = claimed(store, "hostx/1")
    assert store.jobs.abandon_all("host%/") == 2
    assert [claimed(store, "w").id for _ in range(2)] == [job.id for job in ran]
    assert [job.state for job in (store.jobs.job("ann", other.id),) if job] == ["running"]


def test_jobs_are_listed_from_the_newest_in_pages(store: Store) -> None:
    ids = [submitted(store, question()).id for _ in range(5)][::-1]
    first = store.jobs.listed("ann", most=2)
    rest = store.jobs.listed("ann", most=10, before=first[-1].id)
    assert [job.id for job in first + rest] == ids
    assert store.jobs.listed("ann", before="q_unknown") == []


def test_jobs_are_listed_by_what_they_are(store: Store) -> None:
    first = submitted(store, question(session="se_1"))
    second = submitted(store, question(scene="sc_2"))
    third = submitted(store, NewJob("ann", "scene", {}, "sc_2"))
    claimed(store)
    jobs = store.jobs

    def listed(**wanted: str) -> list[str]:
        return [job.id for job in jobs.listed("ann", **wanted)]  # type: ignore[arg-type]

    assert listed(session="se_1") == [first.id]
    assert listed(scene="sc_2") == [third.id, second.id]
    assert listed(kind="question") == [second.id, first.id]
    assert listed(state="running") == [first.id]
    assert listed(state="queued", scene="sc_2", kind="scene") == [third.id]


def test_finished_jobs_are_dropped_with_their_events(store: Store) -> None:
    done, cancelled, running, waiting = (submitted(store, question()) for _ in range(4))
    claimed(store)
    store.jobs.finish("w1", done.id, "done", answer={}, events=[event(1, 1, "answer")])
    store.jobs.cancel("ann", cancelled.id)
    assert claimed(store).id == running.id
    assert store.jobs.drop_finished(time.time() - 60) == []
    assert sorted(store.jobs.drop_finished(time.time() + 60)) == sorted([done.id, cancelled.id])
    assert [job.id for job in store.jobs.listed("ann")] == [waiting.id, running.id]
    assert store.events.after(done.id, None) == store.events.after(cancelled.id, None) == []


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(st.characters(exclude_categories=()), max_size=20))
def test_any_text_comes_back_in_documents_and_harms_nothing_elsewhere(store: Store, text: str) -> None:
    new = NewJob("ann", "question", {"question": text, text: [text]}, text, request_id=text)
    job = submitted(store, new)
    kept = store.jobs.job("ann", job.id)
    assert kept is not None
    assert kept.new.request == json.loads(json.dumps(new.request))
    assert store.jobs.job(text, text) is None
    assert store.jobs.job("ann", text) is None
    assert store.keys.find(text) is None
    assert [found.id for found in store.jobs.listed("ann", scene=text, most=1)] == [job.id]
