"""A store in each kind of database."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from spatial_agent.services.store.store import Store
from spatial_agent.services.store.tables import metadata
from tests.services.store.postgresql import PostgreSQL, postgresql_cluster


@pytest.fixture(scope="session")
def _cluster() -> Iterator[PostgreSQL]:
    with postgresql_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def postgresql(_cluster: PostgreSQL) -> Iterator[PostgreSQL]:
    """A PostgreSQL server; other modules count processes, so that it ends with this one."""
    with _cluster.running() as running:
        yield running


@pytest.fixture(scope="module")
def postgresql_store(postgresql: PostgreSQL) -> Iterator[Store]:
    """A store that the tests of a module share."""
    with Store.open(postgresql.new_database()) as store:
        yield store


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    if request.param == "sqlite":
        with Store.open(f"sqlite:///{tmp_path / 'store.sqlite'}") as made:
            yield made
        return
    shared: Store = request.getfixturevalue("postgresql_store")
    with shared.database.writing() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY CASCADE"))
    yield shared


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()
