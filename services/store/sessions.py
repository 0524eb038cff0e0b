"""Dialogues about scenes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from spatial_agent.services.store.database import Database
from spatial_agent.services.store.records import SessionRecord
from spatial_agent.services.store.tables import exchanges, sessions
from spatial_agent.tools.contract import Json

_OWN = (sessions.c.tenant == bindparam("of_tenant")) & (sessions.c.id == bindparam("with_id"))
_SESSION = select(sessions).where(_OWN)
_LISTED = (
    select(sessions)
    .where(sessions.c.tenant == bindparam("of_tenant"))
    .order_by(sessions.c.created.desc(), sessions.c.id)
)
_COUNT = select(func.count()).where(sessions.c.tenant == bindparam("of_tenant"))
_REMOVE = delete(sessions).where(_OWN).returning(sessions)
_EXCHANGES = (
    select(exchanges.c.session, exchanges.c.data)
    .where(exchanges.c.session.in_(bindparam("ids", expanding=True)))
    .order_by(exchanges.c.number)
)
_IS_THERE = select(sessions.c.id).where(sessions.c.id == bindparam("with_id")).with_for_update(key_share=True)


class SessionTable:
    """The dialogues, with what was asked and answered in each."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def add(self, record: SessionRecord) -> None:
        """Keep a new dialogue."""
        row = {"id": record.id, "tenant": record.tenant, "scene": record.scene, "created": record.created}
        with self._database.writing() as connection:
            connection.execute(insert(sessions), row)
            if record.exchanges:
                said = [{"session": record.id, "data": exchange} for exchange in record.exchanges]
                connection.execute(insert(exchanges), said)

    def session(self, tenant: str, id: str) -> SessionRecord | None:
        """Return a dialogue of a tenant, or None."""
        with self._database.reading() as connection:
            rows = connection.execute(_SESSION, {"of_tenant": tenant, "with_id": id}).all()
            return next(iter(_records(connection, rows)), None)

    def listed(self, tenant: str) -> list[SessionRecord]:
        """Return the dialogues of a tenant, the newest first."""
        with self._database.reading() as connection:
            return _records(connection, connection.execute(_LISTED, {"of_tenant": tenant}).all())

    def count(self, tenant: str) -> int:
        """Return how many dialogues a tenant has."""
        with self._database.reading() as connection:
            return connection.execute(_COUNT, {"of_tenant": tenant}).scalar_one()

    def remove(self, tenant: str, id: str) -> SessionRecord | None:
        """Forget a dialogue, and return what it was; None where there is none."""
        with self._database.writing() as connection:
            found = connection.execute(_SESSION, {"of_tenant": tenant, "with_id": id}).all()
            record = next(iter(_records(connection, found)), None)
            connection.execute(_REMOVE, {"of_tenant": tenant, "with_id": id})
        return record


def add_exchange(connection: Connection, session: str, exchange: Mapping[str, Json]) -> None:
    """Append to a dialogue what was asked and answered; nothing where the dialogue is gone."""
    if connection.execute(_IS_THERE, {"with_id": session}).one_or_none() is not None:
        connection.execute(insert(exchanges), {"session": session, "data": exchange})


def _records(connection: Connection, rows: Iterable[Row[*tuple[Any, ...]]]) -> list[SessionRecord]:
    found = [row._mapping for row in rows]
    said = defaultdict(list)
    if found:
        for session, data in connection.execute(_EXCHANGES, {"ids": [row["id"] for row in found]}):
            said[session].append(data)
    return [SessionRecord(**row, exchanges=tuple(said[row["id"]])) for row in found]
