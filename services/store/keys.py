"""API keys. Only a digest of each secret is kept.

A secret is 256 random bits, so that nobody finds it by trying: a hash that is slow on purpose, as for
passwords that people choose, would protect nothing more and cost every request tens of milliseconds.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import asdict, replace
from hmac import compare_digest
from typing import Any

from sqlalchemy import Row, bindparam, case, insert, null, select, update

from spatial_agent.services.store.columns import now
from spatial_agent.services.store.database import Database
from spatial_agent.services.store.errors import UnknownKeyError
from spatial_agent.services.store.records import SCOPES, Allowance, KeyRecord, Scope
from spatial_agent.services.store.tables import keys
from spatial_agent.tools.errors import InvalidValueError

PREFIX = "sa"
#: Random bytes of the public id of a key, and of its secret.
ID_BYTES, SECRET_BYTES = 8, 32

_FIELDS = [
    keys.c[name] for name in ("id", "tenant", "name", "scopes", "allowance", "created", "expires", "revoked")
]
_WITH_ID = keys.c.id == bindparam("with_id")
_CREATE = insert(keys).values(created=now()).returning(keys.c.created)
_LIVING = keys.c.revoked.is_(None) & (keys.c.expires.is_(None) | (keys.c.expires > now()))
_FIND = select(
    *_FIELDS,
    keys.c.digest,
    case((keys.c.old_until > now(), keys.c.old_digest), else_=null()).label("old_digest"),
).where(_WITH_ID, _LIVING)
_LISTED = select(*_FIELDS).order_by(keys.c.created, keys.c.id)
_ROTATE = (
    update(keys)
    .where(_WITH_ID, _LIVING)
    .values(
        old_digest=keys.c.digest,
        old_until=now() + bindparam("overlap_s"),
        digest=bindparam("new_digest"),
    )
    .returning(*_FIELDS)
)
_REVOKE = update(keys).where(_WITH_ID, keys.c.revoked.is_(None)).values(revoked=now()).returning(keys.c.id)


class KeyTable:
    """The API keys."""

    def __init__(self, database: Database) -> None:
        """Keep them in a database."""
        self._database = database

    def create(
        self,
        tenant: str,
        name: str,
        scopes: Collection[Scope],
        allowance: Allowance | None = None,
        expires: float | None = None,
    ) -> tuple[KeyRecord, str]:
        """Make a key.

        Args:
            tenant: Whose things it opens.
            name: What its owner calls it.
            scopes: What it may do.
            allowance: What it may use; the usual where None.
            expires: When it ends, seconds since 1970; never where None.

        Returns:
            The key, and its token ``"sa_<id>_<secret>"``, which nobody can read again.

        Raises:
            InvalidValueError: If a scope is unknown, or the tenant has no name.
        """
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not tenant:
            raise InvalidValueError(
                f"expected the name of a tenant and scopes of {', '.join(SCOPES)}, got {tenant!r} and"
                f" {', '.join(unknown) or 'no unknown scope'}"
            )
        allowance = allowance or Allowance()
        id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
        row = {
            "id": id,
            "tenant": tenant,
            "name": name,
            "scopes": sorted(scopes),
            "allowance": asdict(allowance),
            "expires": expires,
            "digest": _digest(secret),
        }
        with self._database.writing() as connection:
            created = connection.execute(_CREATE, row).scalar_one()
        record = KeyRecord(id, tenant, name, frozenset(scopes), allowance, created, expires)
        return record, _token(id, secret)

    def find(self, token: str) -> KeyRecord | None:
        """Return the key whose token it is; None where there is none, or it expired or was revoked.

        How long it takes says nothing of how much of a secret was right.
        """
        id, secret = _parts(token)
        with self._database.reading() as connection:
            row = connection.execute(_FIND, {"with_id": id}).one_or_none()
        given = _digest(secret)
        right = compare_digest(given, row.digest if row else "")
        right |= compare_digest(given, (row.old_digest or "") if row else "")
        return _record(row) if row is not None and right else None

    def listed(self) -> list[KeyRecord]:
        """Return all keys, the oldest first: expired and revoked ones too."""
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(_LISTED)]

    def rotate(self, id: str, overlap_s: float = 0.0) -> tuple[KeyRecord, str]:
        """Give a key another secret.

        Args:
            id: Which key.
            overlap_s: How long the secret before stays good beside it, seconds.

        Returns:
            The key, and its new token.

        Raises:
            UnknownKeyError: If there is no such key, or it expired or was revoked.
        """
        secret = secrets.token_urlsafe(SECRET_BYTES)
        given = {"with_id": id, "new_digest": _digest(secret), "overlap_s": overlap_s}
        with self._database.writing() as connection:
            row = connection.execute(_ROTATE, given).one_or_none()
        if row is None:
            raise UnknownKeyError(
                f"expected the id of a key that is good, got {id!r}; list the keys to see which there are"
            )
        return _record(row), _token(id, secret)

    def revoke(self, id: str) -> bool:
        """End a key for good; False where there is none that could be."""
        with self._database.writing() as connection:
            return connection.execute(_REVOKE, {"with_id": id}).one_or_none() is not None


def _token(id: str, secret: str) -> str:
    return f"{PREFIX}_{id}_{secret}"


def _parts(token: str) -> tuple[str, str]:
    prefix, _, rest = token.partition("_")
    id, _, secret = rest.partition("_")
    return (id, secret) if prefix == PREFIX else ("", "")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _record(row: Row[*tuple[Any, ...]]) -> KeyRecord:
    fields = {column.name: row._mapping[column.name] for column in _FIELDS}
    record = KeyRecord(**fields)
    return replace(record, scopes=frozenset(record.scopes), allowance=Allowance(**fields["allowance"]))
