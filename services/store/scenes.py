"""Uploaded scenes."""

from collections.abc import Mapping
from typing import Any, TypedDict, Unpack

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from spatial_agent.services.store.columns import now
from spatial_agent.services.store.database import Database
from spatial_agent.services.store.records import SceneRecord, SceneState
from spatial_agent.services.store.tables import jobs, scenes, sessions
from spatial_agent.tools.contract import Json

_FIELDS = [column for column in scenes.c if column.name != "used"]
_OWN = (scenes.c.tenant == bindparam("of_tenant")) & (scenes.c.id == bindparam("with_id"))
_SCENE = select(*_FIELDS).where(_OWN)
_LISTED = (
    select(*_FIELDS)
    .where(scenes.c.tenant == bindparam("of_tenant"))
    .order_by(scenes.c.created.desc(), scenes.c.id)
)
_UPDATE = update(scenes).where(_OWN).returning(*_FIELDS)
_REMOVE = delete(scenes).where(_OWN).returning(*_FIELDS)
_REMOVE_SESSIONS = delete(sessions).where(
    sessions.c.tenant == bindparam("of_tenant"), sessions.c.scene == bindparam("with_id")
)
_BYTES = select(func.coalesce(func.sum(scenes.c.bytes), 0)).where(scenes.c.tenant == bindparam("of_tenant"))
_UNFINISHED = select(jobs.c.id).where(
    jobs.c.tenant == scenes.c.tenant, jobs.c.scene == scenes.c.id, jobs.c.finished.is_(None)
)
_IDLE = (
    select(*_FIELDS).where(scenes.c.used < bindparam("before"), ~_UNFINISHED.exists()).order_by(scenes.c.used)
)

_LEFT = select(*_FIELDS).where(
    scenes.c.state == "queued", scenes.c.job.is_(None), scenes.c.created < bindparam("before")
)

_IS_IDLE = _IDLE.where(_OWN)


class SceneChanges(TypedDict, total=False):
    """What can change about a scene; see `SceneRecord`."""

    name: str
    source: str
    bytes: int
    state: SceneState
    job: str | None
    profile: str
    facts: Mapping[str, Json]
    problem: Mapping[str, Json] | None
    short_lived: bool


class SceneTable:
    """The scenes; their files are kept elsewhere."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def add(self, record: SceneRecord) -> None:
        """Keep a new scene."""
        with self._database.writing() as connection:
            connection.execute(insert(scenes).values(used=now()), vars(record))

    def scene(self, tenant: str, id: str) -> SceneRecord | None:
        """Return a scene of a tenant, or None."""
        with self._database.reading() as connection:
            row = connection.execute(_SCENE, {"of_tenant": tenant, "with_id": id}).one_or_none()
        return None if row is None else _record(row)

    def listed(self, tenant: str) -> list[SceneRecord]:
        """Return the scenes of a tenant, the newest first."""
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(_LISTED, {"of_tenant": tenant})]

    def update(self, tenant: str, id: str, **changes: Unpack[SceneChanges]) -> SceneRecord | None:
        """Change some fields of a scene, and return what it is now; None where there is none."""
        if not changes:
            return self.scene(tenant, id)
        given = {"of_tenant": tenant, "with_id": id, **changes}
        with self._database.writing() as connection:
            row = connection.execute(_UPDATE, given).one_or_none()
        return None if row is None else _record(row)

    def remove(self, tenant: str, id: str) -> SceneRecord | None:
        """Forget a scene and the dialogues about it, and return what it was; None where there is none."""
        given = {"of_tenant": tenant, "with_id": id}
        with self._database.writing() as connection:
            row = connection.execute(_REMOVE, given).one_or_none()
            if row is not None:
                connection.execute(_REMOVE_SESSIONS, given)
        return None if row is None else _record(row)

    def stored_bytes(self, tenant: str) -> int:
        """Return how many bytes the scenes of a tenant take."""
        with self._database.reading() as connection:
            return int(connection.execute(_BYTES, {"of_tenant": tenant}).scalar_one())

    def is_idle(self, record: SceneRecord, before: float) -> bool:
        """Return whether a scene is still there, and nobody asked about it since a time; see `idle_since`.

        Args:
            record: The scene.
            before: Seconds since 1970.
        """
        given = {"of_tenant": record.tenant, "with_id": record.id, "before": before}
        with self._database.reading() as connection:
            return connection.execute(_IS_IDLE, given).one_or_none() is not None

    def idle_since(self, before: float) -> list[SceneRecord]:
        """Return the scenes of all tenants that nobody asked about since a time, the longest idle first.

        Those with jobs that wait or run are not idle.

        Args:
            before: Seconds since 1970.
        """
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(_IDLE, {"before": before})]

    def left_unmeasured(self, before: float) -> list[SceneRecord]:
        """Return the scenes that came before a time and for which no job was ever handed in: its server died.

        Args:
            before: Seconds since 1970.
        """
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(_LEFT, {"before": before})]


def _record(row: Row[*tuple[Any, ...]]) -> SceneRecord:
    return SceneRecord(**row._mapping)
