"""What every command of the command line does with errors: one line for people, one code for scripts."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

import typer

from spatial_agent.prompts.untrusted import printable
from spatial_agent.tools.errors import (
    ConfigurationError,
    InvalidValueError,
    QuestionError,
    SourceError,
    SpatialAgentError,
)

#: What `pip` installs a missing package with.
EXTRAS = {
    "alembic": "serve",
    "fastapi": "serve",
    "httpx": "client",
    "mcp": "mcp",
    "prometheus_client": "serve",
    "psycopg": "postgres",
    "python_multipart": "serve",
    "sqlalchemy": "serve",
    "uvicorn": "serve",
}


class Exit(IntEnum):
    """What the exit code says."""

    ANSWERED = 0
    USAGE = 2
    ABSTAINED = 3
    BAD_INPUT = 4
    EXPERT_FAILED = 5
    INTERRUPTED = 130


def exit_code(error: SpatialAgentError) -> Exit:
    """Return the exit code of an error: by who must act."""
    if isinstance(error, QuestionError | ConfigurationError):
        return Exit.USAGE
    if isinstance(error, SourceError | InvalidValueError):
        return Exit.BAD_INPUT
    return Exit.EXPERT_FAILED


@contextmanager
def reported_errors() -> Iterator[None]:
    """Print an error of this package as one line, and leave with its exit code."""
    try:
        yield
    except KeyboardInterrupt:
        print("interrupted; nothing half-written was left", file=sys.stderr)
        raise typer.Exit(Exit.INTERRUPTED) from None
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            raise
        print(
            f"error: this needs {error.name}: pip install 'spatial-reasoning-agent[{extra}]'", file=sys.stderr
        )
        raise typer.Exit(Exit.USAGE) from None
    except SpatialAgentError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        raise typer.Exit(exit_code(error)) from None
