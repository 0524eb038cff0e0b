"""Where the state of a run is kept, so that a question survives a crash."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


@asynccontextmanager
async def sqlite_checkpoints(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """Open (or create) the checkpoint database at `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver:
        await saver.setup()
        # With a write-ahead log this survives a crash of the program; only a power cut can lose the
        # last steps, and then the run starts again a step earlier.
        await saver.conn.execute("PRAGMA synchronous=NORMAL")
        yield saver
