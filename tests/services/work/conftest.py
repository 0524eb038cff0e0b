"""A real store on SQLite for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spatial_agent.services.store.store import Store


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'service.sqlite'}"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store.open(url) as opened:
        yield opened
