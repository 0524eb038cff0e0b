"""The database of the store: SQLite in a file, or PostgreSQL."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any

from sqlalchemy import URL, Connection, Engine, bindparam, create_engine, event, func, make_url, select
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from spatial_agent.services.store.columns import SQLITE_CLOCK, PlainText
from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.upgrading import upgrade
from spatial_agent.tools.errors import ConfigurationError

_ADVISORY_LOCK = select(
    func.pg_advisory_xact_lock(func.hashtextextended(bindparam("name", type_=PlainText), 0))
)

EXPECTED = "expected sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"
#: How long a statement waits for another process that writes to the same SQLite file, seconds.
BUSY_S = 30.0
#: A server that is gone is found out: within seconds when connecting, half a minute on an open connection.
POSTGRESQL_OPTIONS = {
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "application_name": "spatial-agent",
}


class Database:
    """An opened database; safe to use from several threads.

    Attributes:
        engine: Where connections come from.
    """

    def __init__(self, engine: Engine) -> None:
        """Take an engine whose database has all tables; `open` makes one."""
        self.engine = engine
        # SQLite has one writer at a time, and lets the others sleep longer than they need to.
        self._turn = Lock() if self.is_sqlite else None

    @classmethod
    def open(cls, url: str) -> "Database":
        """Open a database, and bring its tables up to date; an SQLite file is made where there is none.

        Args:
            url: ``"sqlite:///PATH"`` (a fourth slash for an absolute path) or
                ``"postgresql://USER:PASSWORD@HOST/NAME"``.

        Raises:
            ConfigurationError: If it is another kind of URL, or the database was written by a newer version.
            StoreUnavailableError: If the database cannot be reached.
        """
        parsed = _parse(url)
        engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)
        try:
            # Also what is no database, takes no such option, or lets nobody make tables.
            with _reachable(engine.url, wrong=DatabaseError):
                upgrade(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def __repr__(self) -> str:
        """Name the database without its password."""
        return f"Database({_shown(self.engine.url)!r})"

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite, which only processes of one machine share."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Lend a connection to read with.

        Raises:
            StoreUnavailableError: If the database cannot be reached.
        """
        with _reachable(self.engine.url), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Lend a connection to write with: all of the block is written, or nothing.

        Raises:
            StoreUnavailableError: If the database cannot be reached, or others write to it for too long.
        """
        turn: AbstractContextManager[object] = self._turn or nullcontext()
        with _reachable(self.engine.url), turn, self.engine.begin() as connection:
            if self.is_sqlite:
                # One that began by reading would be refused its writes where another wrote in between.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection

    def serialize(self, connection: Connection, name: str) -> None:
        """Let no two transactions that name the same go on side by side, until the end of this one."""
        if not self.is_sqlite:  # which has one writer anyway
            connection.execute(_ADVISORY_LOCK, {"name": name})


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Its text may hold a password, so that it is not repeated.
        raise ConfigurationError(f"{EXPECTED}, got something that is no URL of a database") from None
    if parsed.drivername in ("postgresql", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername == "sqlite" and parsed.database and not parsed.database.startswith((":", "file:")):
        return parsed
    raise ConfigurationError(f"{EXPECTED}, got {_shown(parsed)!r}")


def _shown(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def _reachable(url: URL, *, wrong: type[DatabaseError] = OperationalError) -> Iterator[None]:
    try:
        yield
    except (wrong, InterfaceError, PoolTimeoutError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
        raise StoreUnavailableError(
            f"expected a database at {_shown(url)} that answers, got {reason!r}; see that it runs and lets"
            " this user in"
        ) from error


def _sqlite(url: URL) -> Engine:
    path = Path(url.database or "")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Others on this machine need not read what was asked.
        path.touch(mode=0o600)
    except OSError as error:
        raise StoreUnavailableError(
            f"expected a file {path} that can be written, {error.strerror}"
        ) from error
    arguments = {"timeout": BUSY_S, "check_same_thread": False, "isolation_level": None}
    engine = create_engine(url, hide_parameters=True, connect_args=arguments, max_overflow=-1)
    event.listen(engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, record: object) -> None:
    assert isinstance(connection, sqlite3.Connection)
    connection.create_function(SQLITE_CLOCK, 0, time.time)
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    # Readers and one writer at a time do not wait for one another. Two processes that make the same file at
    # once are refused without waiting; whichever comes second finds it done.
    patience = time.monotonic() + BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > patience:
                raise
            time.sleep(0.01)
        else:
            return


def _postgresql(url: URL) -> Engine:
    options: dict[str, Any] = {
        name: value for name, value in POSTGRESQL_OPTIONS.items() if name not in url.query
    }
    return create_engine(
        url, hide_parameters=True, connect_args=options, pool_size=8, max_overflow=24, pool_pre_ping=True
    )
