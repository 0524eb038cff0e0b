"""A service's files of scenes, below a folder of the test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.store.store import Store

MIB = 2**20
#: Small enough to reach in a test.
LIMITS = Limits(
    upload_bytes=8 * MIB,
    file_bytes=4 * MIB,
    files=50,
    decompression_ratio=20,
    pixels=1_000_000,
    frames=30,
    video_seconds=60,
)


@pytest.fixture
def limits() -> Limits:
    return LIMITS


@pytest.fixture(scope="module")
def opened_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    opened = Store.open(f"sqlite:///{tmp_path_factory.mktemp('store') / 'service.sqlite'}")
    yield opened
    opened.close()


@pytest.fixture
def store(opened_store: Store) -> Iterator[Store]:
    """An empty store; opening one takes longer than most tests."""
    yield opened_store
    for tenant in ("tenant", "other"):
        for record in opened_store.scenes.listed(tenant):
            opened_store.scenes.remove(tenant, record.id)
    for upload in opened_store.uploads.older_than(1e12):
        opened_store.uploads.remove(upload.tenant, upload.id)


@pytest.fixture
def files(tmp_path: Path, store: Store, limits: Limits) -> SceneFiles:
    return SceneFiles(tmp_path / "scenes", store, limits)
