"""Column types and the clock that are the same on every database."""

import json
from typing import Any

from sqlalchemy import Dialect, Double, Text, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

#: Writes JSON; making one anew for every value takes as long as writing a small one.
_ENCODED = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
#: The SQL function that tells the time on SQLite, which has none with a useful resolution.
SQLITE_CLOCK = "spatial_agent_now"


class now(FunctionElement[float]):
    """The database's clock, seconds since 1970: the one clock of all servers that share it."""

    type = Double()
    inherit_cache = True


@compiles(now, "postgresql")
def _on_postgresql(element: now, compiler: SQLCompiler, **_: object) -> str:
    # Goes on during a transaction that had to wait, as now() does not, and still serves an index, as
    # clock_timestamp() does not.
    return "CAST(extract(epoch FROM statement_timestamp()) AS DOUBLE PRECISION)"


@compiles(now, "sqlite")
def _on_sqlite(element: now, compiler: SQLCompiler, **_: object) -> str:
    return f"{SQLITE_CLOCK}()"


class PlainText(TypeDecorator[str]):
    """Text from anywhere: characters that a database cannot hold are kept as the replacement character.

    These are NUL, which PostgreSQL refuses, and halves of surrogate pairs, which are no UTF-8. Something
    looked up under such a text is not found, rather than an error.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Return the text as it is kept."""
        if value is None or (value.isascii() and "\0" not in value):
            return value
        return value.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class PlainJson(TypeDecorator[Any]):
    """Plain JSON as text, which both databases give back as it came: order of keys, NUL and all.

    None is NULL, not the JSON ``null``.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ANN401 - JSON
        """Return the document as text; escaped beyond ASCII, so that no text is refused."""
        return None if value is None else _ENCODED(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ANN401 - JSON
        """Return the document."""
        return None if value is None else json.loads(value)
