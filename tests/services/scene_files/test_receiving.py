"""Receiving scenes: whole or not at all, within their limits, by their content."""

import asyncio
import errno
import fcntl
import json
import os
import time
import tracemalloc
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.errors import QuotaExceededError, TooLargeError, UploadError
from spatial_agent.services.scene_files.folder import SceneFiles
from spatial_agent.services.store.records import SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.tools.errors import SourceError
from tests.services.scene_files.conftest import MIB
from tests.services.scene_files.making import (
    Part,
    everything_below,
    parts,
    picture,
    png_claiming,
    scan,
    tarred,
    zipped,
)

TENANT = "tenant"


def receive(files: SceneFiles, sent: Mapping[str, bytes], *, most_bytes: int | None = None) -> SceneRecord:
    return asyncio.run(files.receive(TENANT, None, parts(sent.items()), most_bytes=most_bytes))


def stored(files: SceneFiles, record: SceneRecord) -> dict[str, bytes]:
    """Return the files of a scene by name."""
    folder = files.root / record.id / "files"
    return {
        name: (folder / name).read_bytes() for name in everything_below(folder) if (folder / name).is_file()
    }


def assert_nothing_kept(files: SceneFiles, store: Store) -> None:
    assert store.scenes.listed(TENANT) == []
    assert [name for name in everything_below(files.root) if name != "incoming"] == []
    assert files.in_flight_bytes(TENANT) == 0


def test_the_files_of_a_scan_are_kept_as_they_are(files: SceneFiles, store: Store) -> None:
    sent = scan()
    record = receive(files, {f"my room/{name}": content for name, content in sent.items()})
    assert stored(files, record) == {f"my room/{name}": content for name, content in sent.items()}
    assert files.source(record) == files.root / record.id / "files" / "my room"
    assert (record.name, record.state, record.bytes) == (
        "my room",
        "queued",
        sum(len(content) for content in sent.values()),
    )
    assert record.facts["frames"] == 1
    assert store.scenes.listed(TENANT) == [record]
    assert everything_below(files.root / "incoming") == []
    assert files.in_flight_bytes(TENANT) == 0


@pytest.mark.parametrize("form", ["zip", "tar", "tar.gz"])
def test_an_archive_is_the_scene_in_it(files: SceneFiles, form: str) -> None:
    sent = {f"export/room/{number}.png": picture(seed=number) for number in range(3)}
    packed = zipped(sent) if form == "zip" else tarred(sent, packed=form == "tar.gz")
    # Archives are told by their content.
    record = receive(files, {"download": packed})
    assert stored(files, record) == sent
    assert files.source(record).name == "room"


@pytest.mark.parametrize(
    ("name", "form", "kept"),
    [
        ("photo", "PNG", "photo.png"),
        ("IMG_1.HEIC", "JPEG", "IMG_1.HEIC.jpg"),
        ("clip.mp4", "WEBP", "clip.mp4.webp"),
        ("a.jpg", "PNG", "a.jpg"),
    ],
)
def test_a_picture_is_one_whatever_it_is_called(files: SceneFiles, name: str, form: str, kept: str) -> None:
    content = picture(form)
    record = receive(files, {name: content})
    assert stored(files, record) == {kept: content}
    assert record.facts["kind"] == "image"


def test_several_pictures_are_frames_in_the_order_of_their_numbers(files: SceneFiles) -> None:
    sent = {f"{number}.png": picture(seed=number) for number in (10, 9, 1)}
    record = receive(files, sent)
    assert (record.facts["kind"], record.facts["frames"]) == ("folder of images", 3)


def test_a_scene_file_is_a_scene(files: SceneFiles) -> None:
    document = {"format": "spatial-agent/scene@1", "scale": "metric", "up": [0, 0, 1], "objects": []}
    record = receive(files, {"boxes": json.dumps(document).encode()})
    assert files.source(record).suffix == ".json"
    assert record.facts["kind"] == "scene"


def test_a_sample_is_copied_and_the_tenants_own(files: SceneFiles) -> None:
    record = asyncio.run(files.from_sample(TENANT, "living_room", "Sample"))
    source = Path(__file__).parents[3] / "examples" / "scans" / "living_room"
    assert everything_below(files.source(record)) == everything_below(source)
    assert record.facts["frames"] == len(list((source / "color").iterdir()))
    with pytest.raises(UploadError, match="living_room"):
        asyncio.run(files.from_sample(TENANT, "../living_room"))


def test_what_nothing_opens_is_left_out_and_counted(files: SceneFiles) -> None:
    litter = {".DS_Store": b"\0", "__MACOSX/x": b"\0", "mesh.ply": b"ply\n", "README.md": b"# hi"}
    record = receive(files, {"a.png": picture()} | litter)
    assert stored(files, record).keys() == {"a.png"}
    assert record.facts["left_out"] == 4


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({}, "nothing that could be opened"),
        ({"notes.md": b"# hello"}, "nothing that could be opened"),
        ({"notes": b'{"a": 1}'}, "spatial-agent/scene@1"),
        ({"a.png": b""}, "it is empty"),
        ({"a.png": picture(), "b.png": b"hello"}, "its content is text"),
        ({"a.png": picture(), "b.txt": picture()}, "its content is PNG"),
        ({"a.exe": b"MZ\x90\0" * 100}, "of an unknown kind"),
        ({"a.jpg": b"\0\0\0\x18ftypheic" + bytes(100)}, "export it as JPEG"),
        ({"a.zip": zipped(scan()), "b.png": picture()}, "archive among other files"),
        ({"a.zip": zipped({"b.zip": zipped(scan())})}, "nothing that could be opened"),
        ({"a.gz": b"\x1f\x8b\x08" + bytes(100)}, "damaged"),
        ({"../a.png": picture()}, "leads upwards"),
        ({"a.png": picture(), "A.png": picture()}, "every file once"),
        # Lists that decoders of video would follow to other files.
        ({"a.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n"}, "its content is text"),
        ({"a.mp4": b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"}, "its content is text"),
        ({"a.png": picture()[:-20]}, "truncated"),
        ({"a.png": picture()[:60]}, "truncated"),
        ({"a.jpg": picture("JPEG")[:-2]}, "truncated"),
        ({"a.jpg": picture("JPEG")[:300]}, "truncated|damaged"),
    ],
)
def test_what_is_not_taken_leaves_nothing(
    files: SceneFiles, store: Store, sent: dict[str, bytes], why: str
) -> None:
    with pytest.raises(SourceError, match=why) as caught:
        receive(files, sent)
    assert str(files.root) not in str(caught.value)
    assert_nothing_kept(files, store)


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ({"a.png": png_claiming(2000, 501)}, "1.0 million pixels"),
        ({"a.png": png_claiming(100_000, 100_000)}, "pixels"),
        ({"a.png": png_claiming(2**31 - 1, 2**31 - 1)}, "too large|pixels"),
        ({f"{number}.png": picture(seed=number) for number in range(31)}, "30 frames"),
        ({f"{number}.md": b"x" for number in range(51)}, "50 files"),
        ({"a.bmp": b"BM" + bytes(5 * MIB)}, "4.0 MiB in one file"),
        ({f"{number}.bmp": b"BM" + bytes(3 * MIB) for number in range(3)}, "in one scene"),
        ({".hidden": bytes(5 * MIB)}, "in one file"),
    ],
)
def test_limits_hold(files: SceneFiles, store: Store, sent: dict[str, bytes], why: str) -> None:
    with pytest.raises(SourceError, match=why):
        receive(files, sent)
    assert_nothing_kept(files, store)


def test_text_of_megabytes_is_refused(tmp_path: Path, store: Store) -> None:
    files = SceneFiles(tmp_path / "roomy", store, Limits())
    with pytest.raises(TooLargeError, match="text file of at most 16 MiB"):
        receive(files, {"rgb.txt": b"0 " * (9 * MIB), "depth.txt": b"0 a.png"})


def test_a_picture_with_something_behind_its_end_is_whole(files: SceneFiles) -> None:
    receive(files, {"motion.jpg": picture("JPEG") + b"\0\0\0\x18ftypmp42" + bytes(500)})


@pytest.mark.parametrize("after", [0, 1, 100_000])
def test_nothing_is_kept_of_a_broken_connection(files: SceneFiles, store: Store, after: int) -> None:
    class BrokenError(Exception):
        pass

    async def pieces() -> AsyncIterator[bytes]:
        yield picture(size=(400, 300))[:after]
        raise BrokenError

    async def broken() -> AsyncIterator[Part]:
        yield "a.png", pieces()

    with pytest.raises(BrokenError):
        asyncio.run(files.receive(TENANT, None, broken()))
    assert_nothing_kept(files, store)


def test_nothing_is_kept_of_a_cancelled_request(files: SceneFiles, store: Store) -> None:
    async def cancelled() -> None:
        arrived = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield picture() + bytes(2 * MIB)
            arrived.set()
            await asyncio.Event().wait()

        async def hanging() -> AsyncIterator[Part]:
            yield "a.png", pieces()

        task = asyncio.create_task(files.receive(TENANT, None, hanging()))
        await arrived.wait()
        assert everything_below(files.root / "incoming") != []
        assert files.in_flight_bytes(TENANT) > 2 * MIB
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert_nothing_kept(files, store)


def test_a_tenant_stores_no_more_than_allowed(files: SceneFiles, store: Store) -> None:
    content = picture(size=(100, 100))
    receive(files, {"a.png": content}, most_bytes=2 * len(content) + 10)
    receive(files, {"a.png": content}, most_bytes=2 * len(content) + 10)
    with pytest.raises(QuotaExceededError, match="delete scenes"):
        receive(files, {"a.png": content}, most_bytes=2 * len(content) + 10)
    other = asyncio.run(files.receive("other", None, parts([("a.png", content)]), most_bytes=len(content)))
    assert other.bytes == len(content)
    assert store.scenes.stored_bytes(TENANT) == 2 * len(content)


def test_uploads_side_by_side_share_what_is_left(files: SceneFiles, store: Store) -> None:
    content = picture(size=(300, 300))

    async def all_at_once() -> list[SceneRecord | BaseException]:
        sending = [
            files.receive(TENANT, None, parts([("a.png", content)]), most_bytes=3 * len(content))
            for _ in range(8)
        ]
        return await asyncio.gather(*sending, return_exceptions=True)

    results = asyncio.run(all_at_once())
    kept = [result for result in results if isinstance(result, SceneRecord)]
    assert all(isinstance(result, SceneRecord | QuotaExceededError) for result in results)
    assert 1 <= len(kept) <= 3
    assert store.scenes.stored_bytes(TENANT) == len(kept) * len(content)
    assert files.in_flight_bytes(TENANT) == 0


def test_memory_does_not_grow_with_what_is_sent(tmp_path: Path, store: Store) -> None:
    files = SceneFiles(tmp_path / "roomy", store, Limits())
    block = bytes(64 * 1024)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"BM"
        for _ in range(1000):
            yield block

    async def one() -> AsyncIterator[Part]:
        yield "a.bmp", pieces()

    tracemalloc.start()
    try:
        with pytest.raises(SourceError):
            asyncio.run(files.receive(TENANT, None, one()))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * MIB


def test_pictures_of_a_chat_are_one_scene_however_often_they_come(files: SceneFiles, store: Store) -> None:
    sent = [(f"{number:05d}.png", picture(seed=number)) for number in range(3)]
    first = asyncio.run(files.from_pictures(TENANT, "sc_" + "a" * 32, sent))
    again = asyncio.run(files.from_pictures(TENANT, "sc_" + "a" * 32, sent))
    assert first == again == store.scenes.scene(TENANT, "sc_" + "a" * 32)
    assert (first.short_lived, first.state, first.facts["frames"]) == (True, "ready", 3)


def test_a_removed_scene_leaves_nothing(files: SceneFiles, store: Store) -> None:
    record = receive(files, {"a.png": picture()})
    assert asyncio.run(files.remove(record))
    assert_nothing_kept(files, store)
    assert not asyncio.run(files.remove(record))
    with pytest.raises(SourceError, match="gone"):
        files.source(record)


@pytest.mark.parametrize("source", ["../../service.sqlite", "/etc/passwd", "files/../../..", "files/nothing"])
def test_a_source_is_inside_its_scene(files: SceneFiles, source: str) -> None:
    record = receive(files, {"a.png": picture()})
    with pytest.raises(SourceError, match="upload it again"):
        files.source(replace(record, source=source))


def test_a_source_is_reached_without_links(files: SceneFiles, tmp_path: Path) -> None:
    record = receive(files, {"a.png": picture()})
    for link in ("files/link", "files/to/link"):
        there = files.root / record.id / link
        there.parent.mkdir(exist_ok=True)
        there.symlink_to(tmp_path, target_is_directory=True)
        for source in (link, f"{link}/."):
            with pytest.raises(SourceError, match="upload it again"):
                files.source(replace(record, source=source))
        (tmp_path / "below").mkdir(exist_ok=True)
        with pytest.raises(SourceError, match="upload it again"):
            files.source(replace(record, source=f"{link}/below"))


def test_what_a_dead_server_left_is_swept_away_and_not_what_another_receives(
    files: SceneFiles, store: Store
) -> None:
    kept = receive(files, {"a.png": picture()})
    incoming = files.root / "incoming"
    another = SceneFiles(files.root, store, files.limits)

    async def swept() -> None:
        async with another.receiving(TENANT) as receiver:
            left = incoming / "in_dead" / "received"
            left.mkdir(parents=True)
            (left / "a.png").write_bytes(b"half")
            assert files.remove_stale(time.time() + 1000 * 86_400) == 1
            assert everything_below(incoming) == [receiver.folders[-1].name]

    asyncio.run(swept())
    assert everything_below(incoming) == []
    assert stored(files, kept)


def test_where_folders_cannot_be_locked_only_old_ones_are_swept_away(
    files: SceneFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    left = files.root / "incoming" / "in_dead"
    left.mkdir(parents=True)
    assert receive(files, {"a.png": picture()}).state == "queued"
    assert files.remove_stale(time.time() + 23 * 3600) == 0
    assert files.remove_stale(time.time() + 25 * 3600) == 1
    assert not left.exists()
