"""Files with a few bytes changed: they are taken, or refused in words; nothing else happens."""

import asyncio
import struct
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.services.scene_files.archives import unpack
from spatial_agent.services.scene_files.errors import UploadError
from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.scene_files.room import InFlight, Room
from spatial_agent.services.scene_files.tree import Tree
from spatial_agent.services.store.store import Store
from spatial_agent.tools.errors import SourceError
from tests.services.scene_files.conftest import LIMITS
from tests.services.scene_files.making import everything_below, parts, picture, scan, tarred, zipped

ARCHIVES = {
    "ZIP": zipped(scan()),
    "tar": tarred(scan()),
    "gzip": tarred(scan(), packed=True),
}
PICTURES = {form: picture(form) for form in ("PNG", "JPEG", "WEBP", "TIFF", "PPM", "BMP")}
CHANGES = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=6)


def changed(content: bytes, changes: list[tuple[float, int]]) -> bytes:
    """Return a file with bytes changed, more often where its headers are."""
    damaged = bytearray(content)
    for place, value in changes:
        damaged[int(place**3 * len(damaged))] = value
    return bytes(damaged)


@settings(max_examples=150)
@given(form=st.sampled_from(sorted(ARCHIVES)), changes=CHANGES, cut=st.floats(0.5, 1))
def test_archives(
    tmp_path_factory: pytest.TempPathFactory, form: str, changes: list[tuple[float, int]], cut: float
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    whole = changed(ARCHIVES[form], changes)
    (folder / "packed").write_bytes(whole[: int(len(whole) * cut)])
    tree = Tree(folder / "tree", LIMITS, Room(LIMITS, InFlight(), "tenant", None))
    with suppress(UploadError):
        unpack(folder / "packed", form, tree)
    assert {path.name for path in folder.iterdir()} == {"packed", "tree"}
    assert all(not path.is_symlink() for path in folder.rglob("*"))


@settings(max_examples=60)
@given(form=st.sampled_from(sorted(PICTURES)), changes=CHANGES)
def test_pictures(
    tmp_path_factory: pytest.TempPathFactory,
    opened_store: Store,
    form: str,
    changes: list[tuple[float, int]],
) -> None:
    files = SceneFiles(tmp_path_factory.mktemp("damaged"), opened_store, LIMITS)
    receive_and_remove(files, changed(PICTURES[form], changes))


def receive_and_remove(files: SceneFiles, content: bytes) -> None:
    said = ""
    try:
        record = asyncio.run(files.receive("tenant", None, parts([("a.jpg", content)])))
        asyncio.run(files.remove(record))
    except SourceError as error:
        said = str(error)
    assert str(files.root) not in said
    assert everything_below(files.root) in ([], ["incoming"])


@pytest.mark.parametrize(
    ("kind", "count", "value"),
    [
        (3, 1, b"\0\6\0\0"),
        # Two numbers, a text, a fraction by zero, a place far behind the end, a kind that there is not.
        (3, 2, b"\0\1\0\2"),
        (2, 4, b"up!\0"),
        (5, 1, b"\0\0\0\1"),
        (12, 2**31, b"\xff\xff\xff\xff"),
        (99, 1, b"\0\0\0\0"),
    ],
)
def test_tags_that_make_no_sense(files: SceneFiles, kind: int, count: int, value: bytes) -> None:
    """Cameras, and others, write all sorts of things into the orientation."""
    entry = struct.pack(">HHHI", 1, 274, kind, count) + value
    tags = b"Exif\0\0MM\0*" + struct.pack(">I", 8) + entry + bytes(4)
    jpeg = PICTURES["JPEG"]
    receive_and_remove(files, jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(tags) + 2) + tags + jpeg[2:])


def test_the_files_before_the_damage_are_sound(tmp_path: Path) -> None:
    """What is changed above is taken as it is."""
    for form, content in ARCHIVES.items():
        folder = tmp_path / form
        folder.mkdir()
        (folder / "packed").write_bytes(content)
        tree = Tree(folder / "tree", LIMITS, Room(LIMITS, InFlight(), "tenant", None))
        unpack(folder / "packed", form, tree)
        assert len(tree.formats) == len(scan())
