"""What happened in each job."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from spatial_agent.services.store.database import Database
from spatial_agent.services.store.records import EventId, JobEvent
from spatial_agent.services.store.tables import events, in_state, jobs
from spatial_agent.tools.contract import Json

_HELD = (
    select(jobs.c.number, jobs.c.attempts)
    .where(
        jobs.c.id == bindparam("with_id"), jobs.c.worker == bindparam("by"), in_state(jobs.c.state, "running")
    )
    .with_for_update(read=True)
)
_AFTER = (
    select(
        events.c.attempt,
        events.c.number,
        events.c.kind,
        func.coalesce(events.c.data, jobs.c.answer, type_=events.c.data.type).label("data"),
    )
    .join_from(jobs, events)
    .where(
        jobs.c.id == bindparam("with_id"),
        tuple_(events.c.attempt, events.c.number) > tuple_(bindparam("attempt"), bindparam("last_number")),
    )
    .order_by(events.c.attempt, events.c.number)
)
_LATEST = (
    select(jobs.c.id, events.c.attempt, func.max(events.c.number))
    .join_from(jobs, events)
    .where(jobs.c.id.in_(bindparam("ids", expanding=True)))
    .group_by(jobs.c.id, events.c.attempt)
    .order_by(events.c.attempt)
)
_LAST_ATTEMPT = select(func.max(events.c.attempt)).where(events.c.job == bindparam("of_job"))
#: Writes events; those that are already there stay as they are.
_INSERT = {
    "sqlite": sqlite.insert(events).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(events).on_conflict_do_nothing(),
}


class EventTable:
    """The events of all jobs."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def append(self, worker: str, id: str, new: Sequence[JobEvent]) -> bool:
        """Keep what happened in a job; an event that is already there stays as it is.

        Args:
            worker: Who runs the job.
            id: Which job.
            new: What happened, of the attempt that runs.

        Returns:
            False where the job, or this attempt, is no longer that worker's; then nothing is kept.
        """
        with self._database.writing() as connection:
            held = connection.execute(_HELD, {"with_id": id, "by": worker}).one_or_none()
            if held is None or not all_of(held.attempts, new):
                return False
            add_events(connection, held.number, new)
        return True

    def after(self, id: str, after: EventId | None) -> list[JobEvent]:
        """Return what happened in a job after an event, in order; all where None."""
        last = after or EventId(0, 0)
        given = {"with_id": id, "attempt": last.attempt, "last_number": last.number}
        with self._database.reading() as connection:
            rows = connection.execute(_AFTER, given).all()
        return [JobEvent(EventId(row.attempt, row.number), row.kind, row.data) for row in rows]

    def latest(self, ids: Sequence[str]) -> dict[str, EventId]:
        """Return the last event of each of some jobs; those without events are left out."""
        with self._database.reading() as connection:
            rows = connection.execute(_LATEST, {"ids": list(ids)}).all()
        # Later attempts come later.
        return {id: EventId(attempt, number) for id, attempt, number in rows}


def all_of(attempt: int, some: Iterable[JobEvent]) -> bool:
    """Return whether events belong to an attempt."""
    return all(event.id.attempt == attempt for event in some)


def add_events(
    connection: Connection,
    job: int,
    new: Sequence[JobEvent],
    answer: Mapping[str, Json] | None = None,
) -> None:
    """Write events of a job.

    Args:
        connection: A transaction.
        job: Number of the job.
        new: The events.
        answer: What the job itself keeps as its answer: an event that says the same does not keep it again.
    """
    rows: list[dict[str, Any]] = [
        {
            "job": job,
            "attempt": event.id.attempt,
            "number": event.id.number,
            "kind": event.kind,
            "data": None if answer is not None and event.data == answer else event.data,
        }
        for event in new
    ]
    if rows:
        connection.execute(_INSERT[connection.dialect.name], rows)


def next_attempt(connection: Connection, job: int, attempts: int) -> int:
    """Return an attempt whose events come after all that anybody may have seen of a job."""
    return max(attempts, connection.execute(_LAST_ATTEMPT, {"of_job": job}).scalar() or 0) + 1
