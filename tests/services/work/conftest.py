"""A real store for every test: SQLite, and PostgreSQL among the slow ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spatial_agent.services.store.store import Store
from tests.services.store.postgresql import PostgreSQL, postgresql_cluster


@pytest.fixture(scope="module")
def postgresql() -> Iterator[PostgreSQL]:
    with postgresql_cluster() as cluster, cluster.running() as running:
        yield running


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.sqlite'}"
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened
