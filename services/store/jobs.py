"""The jobs: handed in, taken up, ended, and looked at."""

from collections.abc import Mapping, Sequence
from typing import TypedDict, Unpack, get_args

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    union_all,
    update,
)

from spatial_agent.services.store import claims
from spatial_agent.services.store.columns import now
from spatial_agent.services.store.database import Database
from spatial_agent.services.store.errors import IdempotencyConflictError, QueueFullError
from spatial_agent.services.store.events import add_events, all_of
from spatial_agent.services.store.ids import new_id
from spatial_agent.services.store.job_rows import FIELDS, job_of, row_of
from spatial_agent.services.store.records import FINAL, Job, JobEvent, JobKind, JobState, NewJob
from spatial_agent.services.store.sessions import add_exchange
from spatial_agent.services.store.tables import in_state, jobs, scenes
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import InvalidValueError

#: What the ids of jobs begin with.
PREFIXES: dict[JobKind, str] = {"question": "q", "scene": "m"}
#: A scene counts as used anew only after so many seconds: most questions then write nothing to its row.
USE_STEP_S = 60.0
#: Finished jobs that are dropped in one transaction, so that others can write in between.
DROPPED_AT_ONCE = 500

_OF_TENANT = jobs.c.tenant == bindparam("of_tenant")
_OWN = _OF_TENANT & (jobs.c.id == bindparam("with_id"))
_SUBMIT = (
    insert(jobs).values(state="queued", created=now(), attempts=0, cancelling=False).returning(jobs.c.created)
)
_USE_SCENE = (
    update(scenes)
    .where(
        scenes.c.id == bindparam("with_id"),
        scenes.c.tenant == bindparam("of_tenant"),
        scenes.c.used < now() - USE_STEP_S,
    )
    .values(used=now())
)
_FIRST = select(jobs.c.fingerprint, *FIELDS).where(
    _OF_TENANT, jobs.c.idempotency_key == bindparam("known_by")
)
_JOB = select(*FIELDS).where(_OWN)
_LOCKED = select(jobs.c.number, jobs.c.state).where(_OWN).with_for_update()
_WANT_CANCELLED = update(jobs).where(jobs.c.number == bindparam("with_number")).values(cancelling=True)
_FINISH = (
    update(jobs)
    .where(
        jobs.c.id == bindparam("with_id"),
        jobs.c.worker == bindparam("by"),
        in_state(jobs.c.state, "running"),
        jobs.c.attempts == func.coalesce(bindparam("attempt", type_=Integer), jobs.c.attempts),
    )
    .values(finished=now(), worker=None, leased_until=None, cancelling=False)
    .returning(jobs.c.number, jobs.c.session, jobs.c.finished)
)
# Each part is answered by an index of its own.
_COUNTS = union_all(
    *(
        select(jobs.c.state, func.count().label("jobs")).where(condition).group_by(jobs.c.state)
        for condition in (
            in_state(jobs.c.state, "queued"),
            in_state(jobs.c.state, "running"),
            jobs.c.finished.is_not(None),
        )
    )
)
_DROP = (
    delete(jobs)
    .where(
        jobs.c.number.in_(
            select(jobs.c.number)
            .where(in_state(jobs.c.state, *sorted(FINAL)), jobs.c.finished < bindparam("before"))
            .limit(DROPPED_AT_ONCE)
        )
    )
    .returning(jobs.c.id)
)


def _counted(condition: ColumnElement[bool]) -> Select[int]:
    some = select(literal(1)).where(condition).limit(bindparam("most")).subquery()
    return select(func.count()).select_from(some)


_QUEUED = _counted(in_state(jobs.c.state, "queued"))
_UNFINISHED = _counted(_OF_TENANT & jobs.c.finished.is_(None))


class Terms(TypedDict, total=False):
    """What a job is handed in under.

    Attributes:
        idempotency_key: What the caller knows it by: the same key again gives the job that is there.
        fingerprint: Of the request; what comes with the same key has to have the same one.
        most_queued: Jobs of all tenants that may wait. Tenants that hand in at the same moment may exceed
            it by as many as they are, on PostgreSQL.
        most_of_tenant: Jobs of this tenant that may wait or run.
    """

    idempotency_key: str | None
    fingerprint: str
    most_queued: int | None
    most_of_tenant: int | None


class JobTable:
    """The jobs of all tenants; every time is the database's."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def submit(self, new: NewJob, **terms: Unpack[Terms]) -> tuple[Job, bool]:
        """Hand in a job.

        Args:
            new: The job.
            terms: What it is handed in under.

        Returns:
            The job, and whether it is new.

        Raises:
            IdempotencyConflictError: If the key came with another request before.
            QueueFullError: If as many jobs as may are there.
        """
        with self._database.writing() as connection:
            return self._submit(connection, new, terms)

    def submit_and_claim(
        self, worker: str, lease_s: float, new: NewJob, **terms: Unpack[Terms]
    ) -> tuple[Job, bool, Job | None]:
        """Hand in a job and take up the next one, which may be another: both or neither.

        Args:
            worker: See `claim`.
            lease_s: See `claim`.
            new: The job.
            terms: What it is handed in under.

        Returns:
            The job, whether it is new, and what was taken up.

        Raises:
            IdempotencyConflictError: If the key came with another request before.
            QueueFullError: If as many jobs as may are there.
        """
        if new.session is None:
            # One comes and one is taken up, so that no more wait than before.
            terms = Terms(**terms | {"most_queued": None})
        with self._database.writing() as connection:
            job, is_new = self._submit(connection, new, terms)
            return job, is_new, claims.claim(connection, worker, lease_s)

    def _submit(self, connection: Connection, new: NewJob, terms: Terms) -> tuple[Job, bool]:
        key, fingerprint = terms.get("idempotency_key"), terms.get("fingerprint", "")
        # One after the other, so that limits hold and the numbers of a dialogue grow as it does.
        self._database.serialize(connection, f"submit {new.tenant}")
        first = _first(connection, new.tenant, key, fingerprint)
        if first is not None:
            return first, False
        _check_room(connection, new.tenant, terms.get("most_queued"), terms.get("most_of_tenant"))
        id = new_id(PREFIXES[new.kind])
        known_by = {"id": id, "idempotency_key": key, "fingerprint": fingerprint}
        created = connection.execute(_SUBMIT, row_of(new) | known_by).scalar_one()
        connection.execute(_USE_SCENE, {"with_id": new.scene, "of_tenant": new.tenant})
        return Job(id, new, "queued", created), True

    def job(self, tenant: str, id: str) -> Job | None:
        """Return a job of a tenant, or None."""
        with self._database.reading() as connection:
            row = connection.execute(_JOB, {"of_tenant": tenant, "with_id": id}).one_or_none()
        return None if row is None else job_of(row)

    def listed(
        self,
        tenant: str,
        *,
        state: JobState | None = None,
        scene: str | None = None,
        session: str | None = None,
        kind: JobKind | None = None,
        before: str | None = None,
        most: int = 50,
    ) -> list[Job]:
        """Return jobs of a tenant, the newest first.

        Args:
            tenant: Whose.
            state: Only those in this state.
            scene: Only those about this scene.
            session: Only those of this dialogue.
            kind: Only those of this kind.
            before: Only those handed in before the job with this id.
            most: As many at most.
        """
        wanted = {"state": state, "scene": scene, "session": session, "kind": kind}
        conditions = [jobs.c[name] == value for name, value in wanted.items() if value is not None]
        if before is not None:
            place = select(jobs.c.number).where(jobs.c.tenant == tenant, jobs.c.id == before)
            conditions.append(jobs.c.number < place.scalar_subquery())
        found = select(*FIELDS).where(jobs.c.tenant == tenant, *conditions)
        with self._database.reading() as connection:
            return [
                job_of(row) for row in connection.execute(found.order_by(jobs.c.number.desc()).limit(most))
            ]

    def claim(self, worker: str, lease_s: float) -> Job | None:
        """Take up the next job: one whose lease ran out, else that of the highest priority, else the oldest.

        Jobs of one session are taken up in their order, each after the one before has ended.

        Args:
            worker: Who takes it.
            lease_s: How long it is that worker's without a `renew`, seconds.

        Returns:
            The job, which runs now; None where there is nothing to do.
        """
        with self._database.writing() as connection:
            return claims.claim(connection, worker, lease_s)

    def renew(self, worker: str, ids: Sequence[str], lease_s: float) -> dict[str, bool]:
        """Keep jobs for longer.

        Args:
            worker: Who runs them.
            ids: Which jobs.
            lease_s: How long from now, seconds.

        Returns:
            For each that is still that worker's, whether somebody wants it cancelled.
        """
        with self._database.writing() as connection:
            return claims.renew(connection, worker, ids, lease_s)

    def finish(
        self,
        worker: str,
        id: str,
        state: JobState,
        *,
        answer: Mapping[str, Json] | None = None,
        problem: Mapping[str, Json] | None = None,
        events: Sequence[JobEvent] = (),
        exchange: Mapping[str, Json] | None = None,
    ) -> float | None:
        """End a job: its state, its last events and the exchange of its session are written together.

        Args:
            worker: Who ran it.
            id: Which job.
            state: A final one.
            answer: What came of it.
            problem: Why it failed.
            events: What happened last, of the attempt that runs.
            exchange: What its session remembers.

        Returns:
            When it ended, seconds since 1970; None where the job, or this attempt, is no longer that
            worker's: then nothing is written.

        Raises:
            InvalidValueError: If the state is not final.
        """
        if state not in FINAL:
            raise InvalidValueError(f"expected a final state ({', '.join(sorted(FINAL))}), got {state!r}")
        attempt = events[-1].id.attempt if events else None
        if attempt is not None and not all_of(attempt, events):
            return None
        given = {"with_id": id, "by": worker, "attempt": attempt}
        written = {"state": state, "answer": answer, "problem": problem}
        with self._database.writing() as connection:
            ended = connection.execute(_FINISH, given | written).one_or_none()
            if ended is None:
                return None
            add_events(connection, ended.number, events, answer)
            if exchange is not None and ended.session is not None:
                add_exchange(connection, ended.session, exchange)
        finished: float = ended.finished
        return finished

    def release(self, worker: str, ids: Sequence[str]) -> None:
        """Put jobs back into the queue; the attempt does not count. Those to be cancelled are cancelled."""
        with self._database.writing() as connection:
            claims.release(connection, worker, ids)

    def abandon_all(self, worker_prefix: str) -> int:
        """Put back whatever workers that are gone were running, at once rather than when leases run out.

        Args:
            worker_prefix: What the names of these workers begin with.

        Returns:
            How many jobs they were running.
        """
        with self._database.writing() as connection:
            return claims.abandon(connection, worker_prefix)

    def cancel(self, tenant: str, id: str) -> Job | None:
        """Cancel a job that waits, or ask for it of one that runs; what has ended stays as it is.

        Returns:
            The job as it is then; None where there is none.
        """
        given = {"of_tenant": tenant, "with_id": id}
        with self._database.writing() as connection:
            found = connection.execute(_LOCKED, given).one_or_none()
            if found is None:
                return None
            if found.state == "queued":
                claims.end_cancelled(connection, found.number)
            elif found.state == "running":
                connection.execute(_WANT_CANCELLED, {"with_number": found.number})
            return job_of(connection.execute(_JOB, given).one())

    def counts(self) -> dict[JobState, int]:
        """Return how many jobs are in each state."""
        with self._database.reading() as connection:
            found = {row.state: row.jobs for row in connection.execute(_COUNTS)}
        return {state: found.get(state, 0) for state in get_args(JobState)}

    def drop_finished(self, before: float) -> list[str]:
        """Forget jobs that ended before a time, and their events.

        Args:
            before: Seconds since 1970.

        Returns:
            Their ids.
        """
        dropped: list[str] = []
        while some := self._drop_some(before):
            dropped += some
        return dropped

    def _drop_some(self, before: float) -> list[str]:
        with self._database.writing() as connection:
            return list(connection.execute(_DROP, {"before": before}).scalars())


def _first(connection: Connection, tenant: str, key: str | None, fingerprint: str) -> Job | None:
    if key is None:
        return None
    row = connection.execute(_FIRST, {"of_tenant": tenant, "known_by": key}).one_or_none()
    if row is None:
        return None
    if row.fingerprint != fingerprint:
        raise IdempotencyConflictError(
            f"expected the request that first came with the idempotency key {key!r}, got another one; give"
            " each request a key of its own"
        )
    return job_of(row)


def _check_room(
    connection: Connection, tenant: str, most_queued: int | None, most_of_tenant: int | None
) -> None:
    for statement, most, whose in (
        (_QUEUED, most_queued, "jobs that wait"),
        (_UNFINISHED, most_of_tenant, "jobs of yours that wait or run"),
    ):
        if most is not None:
            there = connection.execute(statement, {"most": most, "of_tenant": tenant}).scalar_one()
            if there >= most:
                raise QueueFullError(f"expected fewer than {most} {whose}, got {there}; try again later")
