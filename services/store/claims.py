"""How a job goes from the queue to a worker, and from there to its end or back.

A worker holds a job for as long as it renews its lease; whose lease has run out loses it to the next who
claims. Each function is part of the transaction of a connection.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, bindparam, func, literal, or_, select, update

from spatial_agent.services.store.columns import now
from spatial_agent.services.store.events import add_events, next_attempt
from spatial_agent.services.store.job_rows import FIELDS, job_of
from spatial_agent.services.store.records import EventId, Job, JobEvent
from spatial_agent.services.store.tables import in_state, jobs

_NUMBER = jobs.c.number == bindparam("with_number")
_RUNNING = in_state(jobs.c.state, "running")
_earlier = jobs.alias("earlier")
#: A dialogue is answered in the order in which it was asked.
_IS_NEXT_OF_SESSION = or_(
    jobs.c.session.is_(None),
    ~select(literal(1))
    .where(
        _earlier.c.tenant == jobs.c.tenant,
        _earlier.c.session == jobs.c.session,
        _earlier.c.number < jobs.c.number,
        _earlier.c.finished.is_(None),
    )
    .correlate(jobs)
    .exists(),
)


def _first(condition: ColumnElement[bool], *order: ColumnElement[Any]) -> Select[int]:
    # What another claims at this moment is passed over, not waited for.
    found = select(jobs.c.number).where(condition).order_by(*order).limit(1)
    return found.with_for_update(skip_locked=True)


_NEXT = select(
    func.coalesce(
        _first(_RUNNING & (jobs.c.leased_until < now()), jobs.c.leased_until).scalar_subquery(),
        _first(
            in_state(jobs.c.state, "queued") & _IS_NEXT_OF_SESSION, jobs.c.priority.desc(), jobs.c.number
        ).scalar_subquery(),
    )
)
_TAKE_NEXT = (
    update(jobs)
    .where(jobs.c.number == _NEXT.scalar_subquery())
    .values(
        state="running",
        worker=bindparam("by"),
        leased_until=now() + bindparam("lease_s"),
        started=now(),
        attempts=jobs.c.attempts + 1,
    )
    .returning(jobs.c.number, *FIELDS)
)
_RENEW = (
    update(jobs)
    .where(jobs.c.worker == bindparam("by"), jobs.c.id.in_(bindparam("ids", expanding=True)), _RUNNING)
    .values(leased_until=now() + bindparam("lease_s"))
    .returning(jobs.c.id, jobs.c.cancelling)
)
_HELD = select(jobs.c.number, jobs.c.cancelling).where(_RUNNING).with_for_update()
_HELD_OF = _HELD.where(jobs.c.worker == bindparam("by"), jobs.c.id.in_(bindparam("ids", expanding=True)))
_HELD_BY = _HELD.where(func.substr(jobs.c.worker, 1, func.length(bindparam("prefix"))) == bindparam("prefix"))
_NO_WORKER = {"worker": None, "leased_until": None}
_REQUEUE = (
    update(jobs)
    .where(_NUMBER)
    .values(state="queued", attempts=jobs.c.attempts - bindparam("uncounted"), **_NO_WORKER)
)
_END_CANCELLED = (
    update(jobs)
    .where(_NUMBER)
    .values(state="cancelled", finished=now(), cancelling=False, **_NO_WORKER)
    .returning(jobs.c.attempts)
)


def claim(connection: Connection, worker: str, lease_s: float) -> Job | None:
    """Take the next job for a worker; None where none can be taken."""
    given = {"by": worker, "lease_s": lease_s}
    while (row := connection.execute(_TAKE_NEXT, given).one_or_none()) is not None:
        if not row.cancelling:
            return job_of(row)
        # Whoever ran it died before it could give up.
        end_cancelled(connection, row.number)
    return None


def renew(connection: Connection, worker: str, ids: Sequence[str], lease_s: float) -> dict[str, bool]:
    """Lengthen a worker's leases; return which jobs it still has, and whether each is to be cancelled."""
    given = {"by": worker, "ids": list(ids), "lease_s": lease_s}
    return {row.id: row.cancelling for row in connection.execute(_RENEW, given)}


def release(connection: Connection, worker: str, ids: Sequence[str]) -> None:
    """Put jobs of a worker back into the queue, as if it had not taken them."""
    _back(connection, connection.execute(_HELD_OF, {"by": worker, "ids": list(ids)}).all(), uncounted=1)


def abandon(connection: Connection, prefix: str) -> int:
    """Put the jobs of all workers whose names begin so back into the queue; return how many."""
    held = connection.execute(_HELD_BY, {"prefix": prefix}).all()
    _back(connection, held, uncounted=0)
    return len(held)


def _back(connection: Connection, held: Sequence[Row[int, bool]], *, uncounted: int) -> None:
    for number, cancelling in held:
        if cancelling:
            end_cancelled(connection, number)
        else:
            connection.execute(_REQUEUE, {"with_number": number, "uncounted": uncounted})


def end_cancelled(connection: Connection, number: int) -> None:
    """Cancel a job that nobody runs, and write the event that ends it."""
    attempts = connection.execute(_END_CANCELLED, {"with_number": number}).scalar_one()
    last = JobEvent(EventId(next_attempt(connection, number, attempts), 1), "cancelled", {})
    add_events(connection, number, [last])
