"""API keys: what is kept of them, who they let in, and for how long."""

import hashlib
import re
import time

import pytest
from sqlalchemy import text

from spatial_agent.services.store.errors import UnknownKeyError
from spatial_agent.services.store.records import SCOPES, Allowance, KeyRecord
from spatial_agent.services.store.store import Store
from spatial_agent.tools.errors import InvalidValueError


def test_a_key_is_found_by_its_token(store: Store) -> None:
    allowance = Allowance(requests_per_minute=5, priority=3)
    record, token = store.keys.create("ann", "laptop", ["read", "ask"], allowance, expires=2**33)
    assert re.fullmatch(rf"sa_{record.id}_[\w-]{{43}}", token)
    assert record == KeyRecord(
        record.id, "ann", "laptop", frozenset({"read", "ask"}), allowance, record.created, 2**33
    )
    assert abs(record.created - time.time()) < 60
    assert store.keys.find(token) == record
    assert store.keys.listed() == [record]


def test_of_a_secret_only_the_digest_is_kept(store: Store) -> None:
    _, token = store.keys.create("ann", "laptop", SCOPES)
    secret = token.split("_", 2)[2]
    with store.database.reading() as connection:
        row = connection.execute(text("SELECT * FROM keys")).one()
    assert hashlib.sha256(secret.encode()).hexdigest() in row
    assert not [value for value in row if secret in str(value)]


def test_no_other_token_is_a_key(store: Store) -> None:
    _, token = store.keys.create("ann", "laptop", SCOPES)
    others = ["", "sa_", "sa__", token[:-1], token + "A", token[3:], "sk" + token[2:], token + "\0"]
    others += [token.rpartition("_")[0], token.swapcase(), token[:-1] + chr(ord(token[-1]) ^ 1), "\ud800"]
    assert [other for other in others if store.keys.find(other) is not None] == []


def test_a_secret_is_not_good_for_another_key(store: Store) -> None:
    one, token = store.keys.create("ann", "laptop", SCOPES)
    other, _ = store.keys.create("bob", "laptop", SCOPES)
    assert store.keys.find(token.replace(one.id, other.id)) is None


def test_a_key_ends(store: Store) -> None:
    _, ended = store.keys.create("ann", "old", SCOPES, expires=time.time() - 1)
    record, revoked = store.keys.create("ann", "lost", SCOPES)
    assert store.keys.revoke(record.id)
    assert not store.keys.revoke(record.id)
    assert not store.keys.revoke("unknown")
    assert store.keys.find(ended) is None
    assert store.keys.find(revoked) is None
    assert [key.revoked is None for key in store.keys.listed()] == [True, False]


def test_a_rotated_key_has_another_secret(store: Store) -> None:
    record, old = store.keys.create("ann", "laptop", SCOPES)
    same, new = store.keys.rotate(record.id)
    assert same == record
    assert store.keys.find(new) == record
    assert store.keys.find(old) is None


def test_the_secret_before_stays_good_for_as_long_as_said(store: Store) -> None:
    record, first = store.keys.create("ann", "laptop", SCOPES)
    _, second = store.keys.rotate(record.id, overlap_s=600.0)
    assert store.keys.find(first) == store.keys.find(second) == record
    _, third = store.keys.rotate(record.id, overlap_s=600.0)
    assert store.keys.find(first) is None
    assert store.keys.find(second) == store.keys.find(third) == record
    store.keys.revoke(record.id)
    assert store.keys.find(second) is store.keys.find(third) is None


def test_a_key_that_ended_is_not_rotated(store: Store) -> None:
    record, _ = store.keys.create("ann", "laptop", SCOPES)
    store.keys.revoke(record.id)
    for id in (record.id, "unknown"):
        with pytest.raises(UnknownKeyError, match=id):
            store.keys.rotate(id)


def test_a_key_is_for_what_there_is(store: Store) -> None:
    with pytest.raises(InvalidValueError, match="root"):
        store.keys.create("ann", "laptop", ["read", "root"])  # type: ignore[list-item]
    with pytest.raises(InvalidValueError, match="tenant"):
        store.keys.create("", "laptop", ["read"])
