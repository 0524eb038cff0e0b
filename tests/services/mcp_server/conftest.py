"""A room of which everything is known, in a folder that may be opened."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatial_agent.tools.synthetic import SyntheticRoom, write_scan
from tests.services.mcp_server.serving import SECRET, Served, new_server


@pytest.fixture(scope="session")
def room() -> SyntheticRoom:
    return SyntheticRoom.example().resized(160, 120)


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory, room: SyntheticRoom) -> Iterator[Path]:
    top = tmp_path_factory.mktemp("mcp")
    (top / "outside").mkdir()
    (top / "outside" / "secret.txt").write_text(SECRET)
    write_scan(room.frames(), top / "scans" / "room")
    yield top / "scans"
    shutil.rmtree(top)


@pytest.fixture
def served(root: Path, room: SyntheticRoom) -> Served:
    return Served(new_server(root), root, room)
