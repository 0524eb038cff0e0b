"""Jobs, their events, scenes, sessions, keys, usage and uploads."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

NUMBERED = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""
    _jobs()
    _jobs_indexes()
    _events()
    _scenes()
    _sessions()
    _keys()
    _uploads()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("number", NUMBERED, primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("request", sa.Text, nullable=False),
        sa.Column("scene", sa.Text, nullable=False),
        sa.Column("session", sa.Text),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("key", sa.Text),
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("started", sa.Double),
        sa.Column("finished", sa.Double),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("leased_until", sa.Double),
        sa.Column("cancelling", sa.Boolean, nullable=False),
        sa.Column("answer", sa.Text),
        sa.Column("problem", sa.Text),
        postgresql_with={"autovacuum_vacuum_scale_factor": 0.01},
    )


def _partial(name: str, columns: list[str | sa.TextClause], where: str, *, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, "jobs", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def _jobs_indexes() -> None:
    _partial("jobs_queued", [sa.text("priority DESC"), "number"], "state = 'queued'")
    _partial("jobs_running", ["leased_until"], "state = 'running'")
    _partial("jobs_unfinished", ["tenant", "session", "number", "finished"], "finished IS NULL")
    _partial("jobs_finished", ["state", "finished"], "finished IS NOT NULL")
    _partial("jobs_of_session", ["tenant", "session", "number"], "session IS NOT NULL")
    _partial(
        "jobs_by_idempotency_key",
        ["tenant", "idempotency_key"],
        "idempotency_key IS NOT NULL",
        unique=True,
    )
    op.create_index("jobs_of_tenant", "jobs", ["tenant", "number"])
    op.create_index("jobs_of_scene", "jobs", ["tenant", "scene", "number"])


def _events() -> None:
    op.create_table(
        "events",
        sa.Column("job", NUMBERED, sa.ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("data", sa.Text),
    )


def _scenes() -> None:
    op.create_table(
        "scenes",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("used", sa.Double, nullable=False),
        sa.Column("job", sa.Text),
        sa.Column("profile", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("problem", sa.Text),
        sa.Column("short_lived", sa.Boolean, nullable=False),
    )
    op.create_index("scenes_of_tenant", "scenes", ["tenant"])
    op.create_index("scenes_by_use", "scenes", ["used"])


def _sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("scene", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_index("sessions_of_tenant", "sessions", ["tenant"])
    op.create_index("sessions_of_scene", "sessions", ["scene"])
    op.create_table(
        "exchanges",
        sa.Column("number", NUMBERED, primary_key=True),
        sa.Column("session", sa.Text, sa.ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("exchanges_of_session", "exchanges", ["session", "number"])


def _keys() -> None:
    op.create_table(
        "keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("allowance", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("expires", sa.Double),
        sa.Column("revoked", sa.Double),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("old_digest", sa.Text),
        sa.Column("old_until", sa.Double),
    )
    op.create_table(
        "usage",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("day", sa.Text, primary_key=True),
        sa.Column("used", sa.BigInteger, nullable=False),
    )


def _uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("tenant", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("length", sa.BigInteger, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
    )
    op.create_index("uploads_by_age", "uploads", ["created"])
    op.create_index("uploads_of_tenant", "uploads", ["tenant"])
