"""Any order of handing in, taking, losing, giving back, cancelling and ending jobs, against a dictionary."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import text

from spatial_agent.services.store.records import FINAL, EventId, JobEvent, JobState, NewJob, SessionRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.store.tables import metadata

WORKERS = ("north/1", "north/2", "south/1")
SESSIONS = ("se_1", "se_2")
LONG_S, OVER_S = 600.0, -1.0


@dataclass
class Known:
    """What must be true of a job."""

    number: int
    session: str | None
    priority: int
    state: JobState = "queued"
    worker: str | None = None
    is_lost: bool = False
    lost_at: int = 0
    attempts: int = 0
    is_unwanted: bool = False
    last_attempt: int = 0
    told: list[tuple[int, int]] = field(default_factory=list)

    def tell(self, attempt: int, number: int) -> None:
        if (attempt, number) not in self.told:
            self.told.append((attempt, number))

    def cancelled(self) -> None:
        self.state, self.worker, self.is_unwanted = "cancelled", None, False
        self.tell(max([self.attempts, *(attempt for attempt, _ in self.told)]) + 1, 1)


class LifeOfJobs(RuleBasedStateMachine):
    """Every rule does the same to the store and to the dictionary."""

    store: Store

    @initialize()
    def begin(self) -> None:
        with self.store.database.writing() as connection:
            for table in reversed(metadata.sorted_tables):
                connection.execute(text(f"DELETE FROM {table.name}"))
        for session in SESSIONS:
            self.store.sessions.add(SessionRecord(session, "ann", "sc_1", 1.0))
        self.known: dict[str, Known] = {}
        self.said: dict[str, list[str]] = {session: [] for session in SESSIONS}
        self.clock = 0

    def ids(self) -> list[str]:
        return [*self.known, "q_unknown"]

    @rule(session=st.sampled_from([None, *SESSIONS]), priority=st.integers(-2, 2))
    def submit(self, session: str | None, priority: int) -> None:
        job, _ = self.store.jobs.submit(NewJob("ann", "question", {}, "sc_1", session, priority))
        self.known[job.id] = Known(len(self.known), session, priority)

    def is_next(self, job: Known) -> bool:
        earlier = (other for other in self.known.values() if other.number < job.number)
        return job.session is None or not any(
            other.session == job.session and other.state not in FINAL for other in earlier
        )

    def expected_claim(self) -> str | None:
        while lost := [id for id, job in self.known.items() if job.state == "running" and job.is_lost]:
            first = min(lost, key=lambda id: self.known[id].lost_at)
            if not self.known[first].is_unwanted:
                return first
            # Taken up once more to be ended.
            self.known[first].attempts += 1
            self.known[first].cancelled()
        waiting = [id for id, job in self.known.items() if job.state == "queued" and self.is_next(job)]
        order = {id: (-self.known[id].priority, self.known[id].number) for id in waiting}
        return min(order, key=order.__getitem__, default=None)

    @rule(worker=st.sampled_from(WORKERS), is_lost=st.booleans())
    def claim(self, worker: str, is_lost: bool) -> None:
        expected = self.expected_claim()
        job = self.store.jobs.claim(worker, OVER_S if is_lost else LONG_S)
        assert (job.id if job else None) == expected
        self.claimed(expected, worker, is_lost)

    @rule(
        session=st.sampled_from([None, *SESSIONS]),
        priority=st.integers(-2, 2),
        worker=st.sampled_from(WORKERS),
        is_lost=st.booleans(),
    )
    def submit_and_claim(self, session: str | None, priority: int, worker: str, is_lost: bool) -> None:
        new = NewJob("ann", "question", {}, "sc_1", session, priority)
        job, is_new, claimed = self.store.jobs.submit_and_claim(worker, OVER_S if is_lost else LONG_S, new)
        assert is_new
        self.known[job.id] = Known(len(self.known), session, priority)
        expected = self.expected_claim()
        assert (claimed.id if claimed else None) == expected
        self.claimed(expected, worker, is_lost)

    def claimed(self, expected: str | None, worker: str, is_lost: bool) -> None:
        if expected is not None:
            known = self.known[expected]
            self.clock += 1
            known.state, known.worker, known.is_lost, known.lost_at = "running", worker, is_lost, self.clock
            known.attempts += 1

    def held(self, worker: str) -> dict[str, Known]:
        return {id: job for id, job in self.known.items() if (job.state, job.worker) == ("running", worker)}

    @rule(worker=st.sampled_from(WORKERS))
    def renew(self, worker: str) -> None:
        held = self.held(worker)
        renewed = self.store.jobs.renew(worker, self.ids(), LONG_S)
        assert renewed == {id: job.is_unwanted for id, job in held.items()}
        for job in held.values():
            job.is_lost = False

    @rule(data=st.data(), worker=st.sampled_from(WORKERS), number=st.integers(1, 3), late=st.booleans())
    def tell(self, data: st.DataObject, worker: str, number: int, late: bool) -> None:
        id = data.draw(st.sampled_from(self.ids()))
        job = self.held(worker).get(id)
        attempt = job.attempts - late if job else 1
        told = self.store.events.append(worker, id, [JobEvent(EventId(attempt, number), "stage", {})])
        assert told == (job is not None and not late)
        if job is not None and told:
            job.tell(attempt, number)

    @rule(data=st.data(), worker=st.sampled_from(WORKERS), state=st.sampled_from(sorted(FINAL)))
    def finish(self, data: st.DataObject, worker: str, state: JobState) -> None:
        id = data.draw(st.sampled_from(self.ids()))
        job = self.held(worker).get(id)
        attempt = job.attempts if job else 1
        number = max((last for of, last in job.told if of == attempt), default=0) + 1 if job else 1
        last = JobEvent(EventId(attempt, number), state, {})
        exchange = {"question": id}
        ended = self.store.jobs.finish(worker, id, state, events=[last], exchange=exchange)
        assert (ended is not None) == (job is not None)
        if job is not None:
            job.state, job.worker, job.is_unwanted = state, None, False
            job.tell(attempt, number)
            if job.session is not None:
                self.said[job.session].append(id)

    def give_back(self, jobs: list[Known], *, counts: bool) -> None:
        for job in jobs:
            if job.is_unwanted:
                job.cancelled()
            else:
                job.state, job.worker = "queued", None
                job.attempts -= not counts

    @rule(worker=st.sampled_from(WORKERS))
    def release(self, worker: str) -> None:
        self.store.jobs.release(worker, self.ids())
        self.give_back(list(self.held(worker).values()), counts=False)

    @rule()
    def abandon(self) -> None:
        gone = [job for worker in WORKERS[:2] for job in self.held(worker).values()]
        assert self.store.jobs.abandon_all("north/") == len(gone)
        self.give_back(gone, counts=True)

    @rule(data=st.data(), tenant=st.sampled_from(["ann", "ann", "bob"]))
    def cancel(self, data: st.DataObject, tenant: str) -> None:
        id = data.draw(st.sampled_from(self.ids()))
        job = self.store.jobs.cancel(tenant, id)
        known = self.known.get(id) if tenant == "ann" else None
        assert (job is None) == (known is None)
        if known is not None and known.state == "queued":
            known.cancelled()
        elif known is not None and known.state == "running":
            known.is_unwanted = True

    @rule()
    def drop(self) -> None:
        gone = {id for id, job in self.known.items() if job.state in FINAL}
        assert set(self.store.jobs.drop_finished(2.0**40)) == gone
        for id in gone:
            # Its number stays taken, so that order is kept.
            del self.known[id]
        for number, job in enumerate(self.known.values()):
            job.number = number

    @invariant()
    def the_store_says_what_the_dictionary_says(self) -> None:
        found = {job.id: job for job in self.store.jobs.listed("ann", most=1000)}
        assert list(found) == [*self.known][::-1]
        for id, known in self.known.items():
            job = found[id]
            assert (job.state, job.attempts, job.cancelling) == (
                known.state,
                known.attempts,
                known.is_unwanted,
            )
            assert (job.finished is not None) == (known.state in FINAL)
            told = [(event.id.attempt, event.id.number) for event in self.store.events.after(id, None)]
            assert told == sorted(known.told)
        counts = self.store.jobs.counts()
        assert counts == {state: sum(job.state == state for job in self.known.values()) for state in counts}

    @invariant()
    def dialogues_are_in_order(self) -> None:
        for session, said in self.said.items():
            kept = self.store.sessions.session("ann", session)
            assert kept is not None
            assert [exchange["question"] for exchange in kept.exchanges] == said


@pytest.fixture
def machine(store: Store) -> type[LifeOfJobs]:
    """The machine, on a store."""
    return type("OnThisStore", (LifeOfJobs,), {"store": store})


def test_jobs_live_as_in_the_model(machine: type[LifeOfJobs]) -> None:
    few = settings(max_examples=8, stateful_step_count=20, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=few)


@pytest.mark.slow
def test_jobs_live_as_in_the_model_for_long(machine: type[LifeOfJobs]) -> None:
    many = settings(max_examples=300, stateful_step_count=60, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=many)
