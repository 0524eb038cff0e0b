"""Tables are brought up to date when a database is opened; servers that start at once wait for each other."""

from importlib.resources import as_file, files

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, func, select

from spatial_agent.tools.errors import ConfigurationError

#: Whoever upgrades a PostgreSQL database holds the advisory lock of this number.
LOCK = 0x5350_4147  # "SPAG"


def upgrade(engine: Engine) -> None:
    """Bring the tables of a database to the newest revision, in one transaction.

    Raises:
        ConfigurationError: If a newer version of this package has written to the database.
    """
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(LOCK)))
        else:
            connection.exec_driver_sql("BEGIN EXCLUSIVE")
        with as_file(files("spatial_agent.services.store.migrations")) as folder:
            _upgrade(connection, ScriptDirectory(str(folder)))


def _upgrade(connection: Connection, scripts: ScriptDirectory) -> None:
    context = MigrationContext.configure(connection)
    current = context.get_current_revision()
    _check_known(scripts, current)
    # The newest comes first.
    for revision in reversed(list(scripts.iterate_revisions("head", current or "base"))):
        with Operations.context(context):
            revision.module.upgrade()
        context.stamp(scripts, revision.revision)


def _check_known(scripts: ScriptDirectory, current: str | None) -> None:
    try:
        scripts.get_revisions(current or "base")
    except CommandError:
        raise ConfigurationError(
            "expected a database of this version of spatial-agent or of an older one, got revision"
            f" {current!r}; install the version that wrote it, or a newer one"
        ) from None
