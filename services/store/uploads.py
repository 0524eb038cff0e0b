"""Resumable uploads, and how much of each is here."""

from typing import Any

from sqlalchemy import Row, bindparam, delete, func, insert, select, update

from spatial_agent.services.store.database import Database
from spatial_agent.services.store.records import UploadRecord
from spatial_agent.services.store.tables import uploads

_OWN = (uploads.c.tenant == bindparam("of_tenant")) & (uploads.c.id == bindparam("with_id"))
_UPLOAD = select(uploads).where(_OWN)
_OLDER = select(uploads).where(uploads.c.created < bindparam("before")).order_by(uploads.c.created)
_ADVANCE = (
    update(uploads)
    .where(_OWN, uploads.c.offset == bindparam("from_offset"), uploads.c.length >= bindparam("to_offset"))
    .values(offset=bindparam("to_offset"))
    .returning(uploads.c.id)
)
_OF_TENANT = select(func.count(), func.coalesce(func.sum(uploads.c.length), 0)).where(
    uploads.c.tenant == bindparam("of_tenant")
)
_REMOVE = delete(uploads).where(_OWN).returning(uploads)


class UploadTable:
    """The uploads that have begun."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def add(self, record: UploadRecord) -> None:
        """Keep a new upload."""
        with self._database.writing() as connection:
            connection.execute(insert(uploads), vars(record))

    def upload(self, tenant: str, id: str) -> UploadRecord | None:
        """Return an upload of a tenant, or None."""
        with self._database.reading() as connection:
            row = connection.execute(_UPLOAD, {"of_tenant": tenant, "with_id": id}).one_or_none()
        return None if row is None else _record(row)

    def advance(self, tenant: str, id: str, from_offset: int, to_offset: int) -> bool:
        """Say that more of an upload is here.

        Args:
            tenant: Whose it is.
            id: Which one.
            from_offset: Bytes that were here before.
            to_offset: Bytes that are here now, its length at most.

        Returns:
            False where something else was here before: somebody else sent the same part.
        """
        given = {"of_tenant": tenant, "with_id": id, "from_offset": from_offset, "to_offset": to_offset}
        with self._database.writing() as connection:
            return connection.execute(_ADVANCE, given).one_or_none() is not None

    def remove(self, tenant: str, id: str) -> UploadRecord | None:
        """Forget an upload, and return what it was; None where there is none."""
        with self._database.writing() as connection:
            row = connection.execute(_REMOVE, {"of_tenant": tenant, "with_id": id}).one_or_none()
        return None if row is None else _record(row)

    def count(self, tenant: str) -> int:
        """Return how many uploads of a tenant have begun and are not removed."""
        return self._sums(tenant)[0]

    def reserved_bytes(self, tenant: str) -> int:
        """Return how many bytes the uploads of a tenant take once they are here."""
        return self._sums(tenant)[1]

    def _sums(self, tenant: str) -> tuple[int, int]:
        with self._database.reading() as connection:
            count, length = connection.execute(_OF_TENANT, {"of_tenant": tenant}).one()
        return count, int(length)

    def older_than(self, before: float) -> list[UploadRecord]:
        """Return the uploads of all tenants that began before a time, the oldest first."""
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(_OLDER, {"before": before})]


def _record(row: Row[*tuple[Any, ...]]) -> UploadRecord:
    return UploadRecord(**row._mapping)
