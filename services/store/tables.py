"""The tables of the store; the migrations bring a database to what is written here."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    literal_column,
)

from spatial_agent.services.store.columns import PlainJson, PlainText
from spatial_agent.services.store.records import JobState

metadata = MetaData()

#: A number that the database gives out; SQLite does so for INTEGER alone.
Numbered = BigInteger().with_variant(Integer(), "sqlite")


def in_state(state: ColumnElement[str], *states: JobState) -> ColumnElement[bool]:
    """Return the condition that a job is in one of some states.

    The states are part of the statement: with bound ones no planner knows that a partial index serves.
    """
    names: list[ColumnElement[str]] = [literal_column(f"'{name}'", PlainText) for name in states]
    return state == names[0] if len(names) == 1 else state.in_(names)


def _index(name: str, *columns: ColumnElement[object], where: ColumnElement[bool]) -> Index:
    return Index(name, *columns, sqlite_where=where, postgresql_where=where)


jobs = Table(
    "jobs",
    metadata,
    # In the order in which they came: ids say nothing of it.
    Column("number", Numbered, primary_key=True),
    Column("id", PlainText, nullable=False, unique=True),
    Column("tenant", PlainText, nullable=False),
    Column("kind", PlainText, nullable=False),
    Column("request", PlainJson, nullable=False),
    Column("scene", PlainText, nullable=False),
    Column("session", PlainText),
    Column("priority", Integer, nullable=False),
    Column("key", PlainText),
    Column("request_id", PlainText, nullable=False),
    Column("idempotency_key", PlainText),
    Column("fingerprint", PlainText, nullable=False),
    Column("state", PlainText, nullable=False),
    Column("created", Double, nullable=False),
    Column("started", Double),
    Column("finished", Double),
    Column("attempts", Integer, nullable=False),
    Column("worker", PlainText),
    Column("leased_until", Double),
    Column("cancelling", Boolean, nullable=False),
    Column("answer", PlainJson),
    Column("problem", PlainJson),
    # Each job leaves several dead rows behind, which would be cleaned up only once they were a fifth of all.
    postgresql_with={"autovacuum_vacuum_scale_factor": 0.01},
)

# Partial ones, so that what has ended costs nothing to those who look for the next job. SQLite keeps no
# statistics here, and PostgreSQL's are old when a queue has just grown: so no other index serves where one of
# the first two should, and that of the unfinished ones ends in what it is limited to, because SQLite rather
# takes an index that answers a question whole.
_index("jobs_queued", jobs.c.priority.desc(), jobs.c.number, where=in_state(jobs.c.state, "queued"))
_index("jobs_running", jobs.c.leased_until, where=in_state(jobs.c.state, "running"))
_index(
    "jobs_unfinished",
    jobs.c.tenant,
    jobs.c.session,
    jobs.c.number,
    jobs.c.finished,
    where=jobs.c.finished.is_(None),
)
_index("jobs_finished", jobs.c.state, jobs.c.finished, where=jobs.c.finished.is_not(None))
_index("jobs_of_session", jobs.c.tenant, jobs.c.session, jobs.c.number, where=jobs.c.session.is_not(None))
_index(
    "jobs_by_idempotency_key",
    jobs.c.tenant,
    jobs.c.idempotency_key,
    where=jobs.c.idempotency_key.is_not(None),
).unique = True
Index("jobs_of_tenant", jobs.c.tenant, jobs.c.number)
Index("jobs_of_scene", jobs.c.tenant, jobs.c.scene, jobs.c.number)

events = Table(
    "events",
    metadata,
    Column("job", Numbered, ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", PlainText, nullable=False),
    # NULL where it is the job's answer, which is kept once, with the job.
    Column("data", PlainJson),
)

scenes = Table(
    "scenes",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("tenant", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("source", PlainText, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("state", PlainText, nullable=False),
    Column("created", Double, nullable=False),
    Column("used", Double, nullable=False),
    Column("job", PlainText),
    Column("profile", PlainText, nullable=False),
    Column("facts", PlainJson, nullable=False),
    Column("problem", PlainJson),
    Column("short_lived", Boolean, nullable=False),
)
Index("scenes_of_tenant", scenes.c.tenant)
Index("scenes_by_use", scenes.c.used)

sessions = Table(
    "sessions",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("tenant", PlainText, nullable=False),
    Column("scene", PlainText, nullable=False),
    Column("created", Double, nullable=False),
)
Index("sessions_of_tenant", sessions.c.tenant)
Index("sessions_of_scene", sessions.c.scene)

exchanges = Table(
    "exchanges",
    metadata,
    Column("number", Numbered, primary_key=True),
    Column("session", PlainText, ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("data", PlainJson, nullable=False),
)
Index("exchanges_of_session", exchanges.c.session, exchanges.c.number)

keys = Table(
    "keys",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("tenant", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("scopes", PlainJson, nullable=False),
    Column("allowance", PlainJson, nullable=False),
    Column("created", Double, nullable=False),
    Column("expires", Double),
    Column("revoked", Double),
    Column("digest", PlainText, nullable=False),
    # The secret before the last rotation, for as long as both are good.
    Column("old_digest", PlainText),
    Column("old_until", Double),
)

usage = Table(
    "usage",
    metadata,
    Column("key", PlainText, primary_key=True),
    Column("day", PlainText, primary_key=True),
    Column("used", BigInteger, nullable=False),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", PlainText, primary_key=True),
    Column("tenant", PlainText, nullable=False),
    Column("name", PlainText, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("created", Double, nullable=False),
)
Index("uploads_by_age", uploads.c.created)
Index("uploads_of_tenant", uploads.c.tenant)
