"""Where the state of a run is kept, so that a question survives a crash."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from langgraph.checkpoint.sqlite import SqliteSaver

from spatial_agent.tools.errors import ConfigurationError

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig
    from langgraph.checkpoint.base import (
        ChannelVersions,
        Checkpoint,
        CheckpointMetadata,
        CheckpointTuple,
    )
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

Given = ParamSpec("Given")
Result = TypeVar("Result")

#: A saver uses one connection at a time; another holds the lock while its tables are made.
CONNECTIONS = 2
#: How long a server may take to let us in, and one that makes the tables to do so, seconds.
PATIENCE_S = 15.0
#: Whoever makes the tables holds the advisory lock of this number.
LOCK = 0x4348_4B50  # "CHKP"


class OneThreadSaver(SqliteSaver):
    """Checkpoints in an SQLite file, which a thread of its own reads and writes.

    What a step keeps is one errand for that thread. langgraph's asynchronous saver sends it on one for every
    statement and cursor, which takes longer than the writing.
    """

    def __init__(self, connection: sqlite3.Connection, thread: ThreadPoolExecutor) -> None:
        """Take a connection that may be used from another thread, and that thread."""
        super().__init__(connection)
        self._thread = thread

    async def aget_tuple(self, config: "RunnableConfig") -> "CheckpointTuple | None":
        """Return a checkpoint; the last one of a run where it names none."""
        return await self.called(self.get_tuple, config)

    async def aput(
        self,
        config: "RunnableConfig",
        checkpoint: "Checkpoint",
        metadata: "CheckpointMetadata",
        new_versions: "ChannelVersions",
    ) -> "RunnableConfig":
        """Keep a checkpoint."""
        return await self.called(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: "RunnableConfig", writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a step has come to, before the checkpoint after it."""
        await self.called(self.put_writes, config, writes, task_id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Drop what is kept of a run."""
        await self.called(self.delete_thread, thread_id)

    async def called(
        self, call: Callable[Given, Result], *arguments: Given.args, **_: Given.kwargs
    ) -> Result:
        """Return what a call comes to in the thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *arguments)


@asynccontextmanager
async def sqlite_checkpoints(path: Path) -> AsyncIterator[OneThreadSaver]:
    """Open (or create) the checkpoint database at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        closing(sqlite3.connect(path, check_same_thread=False)) as connection,
        ThreadPoolExecutor(1, thread_name_prefix="checkpoints") as thread,
    ):
        saver = OneThreadSaver(connection, thread)
        await saver.called(saver.setup)
        # With a write-ahead log this survives a crash of the program; only a power cut can lose the
        # last steps, and then the run starts again a step earlier.
        await saver.called(connection.execute, "PRAGMA synchronous=NORMAL")
        yield saver


@asynccontextmanager
async def postgres_checkpoints(url: str) -> AsyncIterator["AsyncPostgresSaver"]:
    """Open the checkpoints of a PostgreSQL database, which several servers may share.

    Args:
        url: Such as ``"postgresql://USER:PASSWORD@HOST/NAME"``.

    Raises:
        ConfigurationError: If the database cannot be reached, or lets nobody make tables.
    """
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg import Error
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool, PoolTimeout

    pool: AsyncConnectionPool[AsyncConnection[dict[str, Any]]] = AsyncConnectionPool(
        url.replace("postgresql+psycopg://", "postgresql://", 1),
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
        min_size=1,
        max_size=CONNECTIONS,
        timeout=PATIENCE_S,
        configure=_configure,
        check=AsyncConnectionPool.check_connection,
        open=False,
    )
    saver = AsyncPostgresSaver(pool)
    async with pool:
        try:
            await _make_tables(pool, saver)
        except (Error, PoolTimeout, TimeoutError) as error:
            # The URL may hold a password.
            raise ConfigurationError(
                f"expected a PostgreSQL database that answers and lets us make tables, got {error}"
            ) from error
        yield saver


async def _configure(connection: "AsyncConnection[dict[str, Any]]") -> None:
    # As on SQLite: a power cut can lose the last steps, and then the run starts again a step earlier.
    await connection.execute("SET synchronous_commit TO off")


async def _make_tables(
    pool: "AsyncConnectionPool[AsyncConnection[dict[str, Any]]]", saver: "AsyncPostgresSaver"
) -> None:
    async with pool.connection() as connection, asyncio.timeout(PATIENCE_S):
        # Asked for again and again: indexes are made beside other transactions, for which PostgreSQL waits
        # until all that have begun before have ended, and so for whoever waits for a lock.
        while not await _tried(connection, "pg_try_advisory_lock"):
            await asyncio.sleep(0.05)
        try:
            await saver.setup()
        finally:
            await _tried(connection, "pg_advisory_unlock")


async def _tried(connection: "AsyncConnection[dict[str, Any]]", function: str) -> bool:
    from psycopg.sql import SQL, Identifier

    asked = SQL("SELECT {}(%s) AS is_done").format(Identifier(function))
    row = await (await connection.execute(asked, (LOCK,))).fetchone()
    return row is not None and bool(row["is_done"])
