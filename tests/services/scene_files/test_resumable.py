"""Resumable uploads: what came is kept, nothing is written twice, and nobody else's."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.services.scene_files import resumable
from spatial_agent.services.scene_files.errors import (
    QuotaExceededError,
    TooLargeError,
    UploadConflictError,
    UploadError,
)
from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.scene_files.resumable import NoSuchUploadError
from spatial_agent.services.store.records import UploadRecord
from spatial_agent.services.store.store import Store
from tests.services.scene_files.conftest import LIMITS, MIB
from tests.services.scene_files.making import everything_below, picture, zipped

TENANT = "tenant"
FILES = {f"{number}.png": picture(seed=number) for number in range(3)}
CONTENT = zipped(FILES)


class BrokenError(Exception):
    """The connection broke."""


async def pieces(content: bytes, *, size: int = 700, breaks: bool = False) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
    if breaks:
        raise BrokenError


def append(files: SceneFiles, record: UploadRecord, offset: int, content: bytes) -> UploadRecord:
    return asyncio.run(files.uploads.append(TENANT, record.id, offset, pieces(content)))


def test_a_file_in_pieces_is_the_scene_of_the_whole(files: SceneFiles, store: Store) -> None:
    begun = files.uploads.begin(TENANT, "room.zip", len(CONTENT), None)
    assert append(files, begun, 0, CONTENT[:1000]).offset == 1000
    with pytest.raises(UploadConflictError, match="1000 of"):
        asyncio.run(files.from_upload(TENANT, begun.id))
    assert append(files, begun, 1000, CONTENT[1000:]).offset == len(CONTENT)
    record = asyncio.run(files.from_upload(TENANT, begun.id, "My room"))
    folder = files.root / record.id / "files"
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES
    assert record.name == "My room"
    assert store.uploads.upload(TENANT, begun.id) is None
    assert everything_below(files.root / "uploads") == []
    with pytest.raises(NoSuchUploadError):
        asyncio.run(files.from_upload(TENANT, begun.id))


@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, len(CONTENT)), max_size=6), breaks=st.lists(st.booleans(), min_size=8))
def test_broken_connections_lose_nothing(
    tmp_path_factory: pytest.TempPathFactory, opened_store: Store, cuts: list[int], breaks: list[bool]
) -> None:
    """The whole file arrives however often, and wherever, connections break."""
    files = SceneFiles(tmp_path_factory.mktemp("broken"), opened_store, LIMITS)
    begun = files.uploads.begin(TENANT, "room.zip", len(CONTENT), None)
    ends = [*sorted(cuts), len(CONTENT)]
    for end, is_broken in zip(ends, breaks, strict=False):
        offset = files.uploads.upload(TENANT, begun.id).offset
        sent = pieces(CONTENT[offset:end], breaks=is_broken)
        try:
            asyncio.run(files.uploads.append(TENANT, begun.id, offset, sent))
        except BrokenError:
            assert is_broken
        assert files.uploads.upload(TENANT, begun.id).offset == end
    assert (files.root / "uploads" / begun.id).read_bytes() == CONTENT
    files.uploads.remove(TENANT, begun.id)


@pytest.mark.parametrize("offset", [0, 999, 1001, 2**40])
def test_a_piece_that_does_not_fit_is_refused(files: SceneFiles, offset: int) -> None:
    begun = files.uploads.begin(TENANT, "room.zip", len(CONTENT), None)
    append(files, begun, 0, CONTENT[:1000])
    with pytest.raises(UploadConflictError, match="from byte 1000"):
        append(files, begun, offset, b"x")
    assert (files.root / "uploads" / begun.id).read_bytes() == CONTENT[:1000]


def test_nothing_goes_beyond_the_length(files: SceneFiles) -> None:
    begun = files.uploads.begin(TENANT, "a.png", 1000, None)
    with pytest.raises(TooLargeError, match="1000 bytes in all"):
        append(files, begun, 0, bytes(5 * MIB))
    assert (files.root / "uploads" / begun.id).stat().st_size <= 1000


def test_one_request_at_a_time_writes(files: SceneFiles) -> None:
    begun = files.uploads.begin(TENANT, "room.zip", len(CONTENT), None)

    async def both() -> None:
        arrived, may_go = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield CONTENT[:1000]
            arrived.set()
            await may_go.wait()
            yield CONTENT[1000:]

        first = asyncio.create_task(files.uploads.append(TENANT, begun.id, 0, slow()))
        await arrived.wait()
        with pytest.raises(UploadConflictError, match="held by another"):
            await files.uploads.append(TENANT, begun.id, 0, pieces(bytes(len(CONTENT))))
        with pytest.raises(UploadConflictError, match="held by another"):
            await files.from_upload(TENANT, begun.id)
        may_go.set()
        await first

    asyncio.run(both())
    assert (files.root / "uploads" / begun.id).read_bytes() == CONTENT


def test_what_a_dead_server_wrote_and_did_not_remember_is_written_over(files: SceneFiles) -> None:
    begun = files.uploads.begin(TENANT, "room.zip", len(CONTENT), None)
    append(files, begun, 0, CONTENT[:1000])
    with (files.root / "uploads" / begun.id).open("ab") as file:
        file.write(b"garbage")
    append(files, begun, 1000, CONTENT[1000:])
    assert (files.root / "uploads" / begun.id).read_bytes() == CONTENT


def test_uploads_are_their_tenants_own(files: SceneFiles) -> None:
    begun = files.uploads.begin(TENANT, "a.png", 10, None)
    for steal in (
        lambda: asyncio.run(files.uploads.append("other", begun.id, 0, pieces(b"x"))),
        lambda: asyncio.run(files.from_upload("other", begun.id)),
        lambda: files.uploads.upload("other", begun.id),
    ):
        with pytest.raises(NoSuchUploadError):
            steal()
    assert not files.uploads.remove("other", begun.id)
    assert files.uploads.upload(TENANT, begun.id) == begun


@pytest.mark.parametrize("upload_id", ["up_x", "../service.sqlite", "/etc/passwd", ""])
def test_there_are_no_uploads_but_those_begun(files: SceneFiles, upload_id: str) -> None:
    with pytest.raises(NoSuchUploadError):
        asyncio.run(files.uploads.append(TENANT, upload_id, 0, pieces(b"x")))


@pytest.mark.parametrize("name", ["../a.png", "/etc/a.png", "a\0b", "", ".hidden"])
def test_names_are_checked_before_anything_is_sent(files: SceneFiles, name: str) -> None:
    with pytest.raises(UploadError):
        files.uploads.begin(TENANT, name, 10, None)


def test_uploads_count_against_what_a_tenant_may_store(files: SceneFiles) -> None:
    with pytest.raises(TooLargeError):
        files.uploads.begin(TENANT, "a.png", LIMITS.upload_bytes + 1, None)
    with pytest.raises(QuotaExceededError):
        files.uploads.begin(TENANT, "a.png", 100, 99)
    files.uploads.begin(TENANT, "a.png", 60, files.left_bytes(TENANT, 100))
    assert files.left_bytes(TENANT, 100) == 40
    assert files.left_bytes("other", 100) == 100


def test_an_upload_counts_once_while_it_becomes_a_scene(files: SceneFiles) -> None:
    content = picture()
    begun = files.uploads.begin(TENANT, "a.png", len(content), len(content))
    append(files, begun, 0, content)
    record = asyncio.run(files.from_upload(TENANT, begun.id, most_bytes=len(content)))
    assert record.bytes == len(content)
    assert files.left_bytes(TENANT, len(content)) == 0


def test_an_upload_that_is_no_scene_stays_until_it_is_ended(files: SceneFiles) -> None:
    begun = files.uploads.begin(TENANT, "a.png", 4, None)
    append(files, begun, 0, b"MZ\0\0")
    with pytest.raises(UploadError, match="unknown kind"):
        asyncio.run(files.from_upload(TENANT, begun.id))
    assert (files.root / "uploads" / begun.id).read_bytes() == b"MZ\0\0"
    assert files.uploads.remove(TENANT, begun.id)


def test_a_tenant_has_only_so_many(files: SceneFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumable, "MOST_UPLOADS", 2)
    for _ in range(2):
        files.uploads.begin(TENANT, "a.png", 1, None)
    with pytest.raises(QuotaExceededError, match="at most 2 uploads"):
        files.uploads.begin(TENANT, "a.png", 1, None)
    files.uploads.begin("other", "a.png", 1, None)


def test_unfinished_uploads_end_in_time(files: SceneFiles) -> None:
    begun = files.uploads.begin(TENANT, "a.png", 10, None)
    assert files.uploads.expires(begun) == pytest.approx(time.time() + LIMITS.upload_hours * 3600, abs=60)
    assert files.remove_stale(begun.created + 23 * 3600) == 0
    assert files.remove_stale(begun.created + 25 * 3600) == 1
    assert everything_below(files.root / "uploads") == []
    with pytest.raises(NoSuchUploadError):
        append(files, begun, 0, b"x")


def test_a_full_disk_is_said_to_be_full(files: SceneFiles, tmp_path: Path) -> None:
    begun = files.uploads.begin(TENANT, "a.png", 10, None)
    path = files.root / "uploads" / begun.id
    path.unlink()
    # The device on which there is never room.
    path.symlink_to("/dev/full")
    with pytest.raises(QuotaExceededError, match="disk of the service is full"):
        append(files, begun, 0, b"0123456789")
    assert files.uploads.upload(TENANT, begun.id).offset == 0
