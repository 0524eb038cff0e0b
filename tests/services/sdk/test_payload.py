"""Bodies of uploads are what they would be if they were made at once."""

import io
import tarfile
from collections.abc import AsyncGenerator
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers, UploadFile
from starlette.formparsers import MultiPartParser

from spatial_agent.services.sdk.payload import Payload, SourceFile, archive, multipart, source_files
from spatial_agent.tools.errors import SourceError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scan with the names that scans have, and some that they should not have."""
    root = tmp_path_factory.mktemp("scans") / "den"
    contents = {
        "scan.json": b"{}",
        "color/0001.jpg": b"\xff\xd8" + b"picture" * 999,
        "color/0002.jpg": b"",
        "depth/0001.png": bytes(range(256)) * 5,
        f"notes/{'long name ' * 20}.txt": b"long",
        'odd/qu"ote; name="x".txt': b"quoted",
        "odd/größe.txt": "größe".encode(),
        ".DS_Store": b"hidden",
        ".git/config": b"hidden",
    }
    for name, content in contents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def visible(folder: Path) -> dict[str, bytes]:
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    return {name: file.read_bytes() for name, file in files.items() if not name.startswith(".")}


@given(
    contents=st.lists(st.binary(max_size=40), max_size=6),
    offset=st.integers(0, 300),
    most=st.integers(0, 300),
)
def test_any_part_is_read_as_of_the_whole(contents: list[bytes], offset: int, most: int) -> None:
    whole = b"".join(contents)
    payload = Payload(contents)
    assert payload.length == len(whole)
    assert payload.read(offset, most) == whole[offset : offset + most]
    assert b"".join(payload.pieces(offset)) == whole[offset:]


def test_an_archive_holds_the_folder_wherever_it_is_read_from(folder: Path) -> None:
    payload = archive(source_files([folder]))
    whole = b"".join(payload.pieces())
    assert len(whole) == payload.length
    with tarfile.open(fileobj=io.BytesIO(whole)) as opened:
        members = {member.name: opened.extractfile(member) for member in opened}
        assert {name: file.read() for name, file in members.items() if file} == visible(folder)
    again = archive(source_files([folder]))
    for start in range(0, payload.length, 777):
        assert again.read(start, 777) == whole[start : start + 777]


def test_a_form_is_read_by_servers_as_it_was_meant(folder: Path) -> None:
    content_type, payload = multipart(source_files([folder]), {"name": "Größe", "profile": "open"})

    async def parsed() -> tuple[dict[str, bytes], dict[str, str]]:
        async def stream() -> AsyncGenerator[bytes, None]:
            for piece in payload.pieces():
                yield piece

        form = await MultiPartParser(Headers({"content-type": content_type}), stream()).parse()
        items = form.multi_items()
        files = {str(item.filename): await item.read() for _, item in items if isinstance(item, UploadFile)}
        await form.close()
        return files, {name: item for name, item in items if isinstance(item, str)}

    files, fields = anyio.run(parsed)
    assert fields == {"name": "Größe", "profile": "open"}
    assert {name.replace("%22", '"'): content for name, content in files.items()} == visible(folder)


def test_single_files_go_by_their_own_names(folder: Path) -> None:
    files = source_files([folder / "scan.json", folder / "color" / "0001.jpg"])
    assert [file.name for file in files] == ["scan.json", "0001.jpg"]
    with pytest.raises(SourceError, match="two called '0001.jpg'"):
        source_files([folder / "color" / "0001.jpg", folder / "color" / ".." / "color" / "0001.jpg"])


def test_links_to_folders_are_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "scan").mkdir()
    (tmp_path / "scan" / "here.txt").write_bytes(b"here")
    (tmp_path / "scan" / "round").symlink_to(tmp_path)
    assert [file.name for file in source_files([tmp_path / "scan"])] == ["here.txt"]


def test_nothing_to_upload_is_told(tmp_path: Path) -> None:
    for wrong in ([], [tmp_path], [tmp_path / "absent"]):
        with pytest.raises(SourceError, match="expected"):
            source_files(wrong)


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path: Path) -> None:
    growing = tmp_path / "video.mp4"
    growing.write_bytes(b"x" * 100)
    (file,) = source_files([growing])
    growing.write_bytes(b"x" * 150)
    assert len(Payload([file]).read(0, 1000)) == 100
    growing.write_bytes(b"x" * 50)
    with pytest.raises(SourceError, match="became shorter"):
        Payload([file]).read(0, 1000)
    growing.unlink()
    with pytest.raises(SourceError, match="cannot be read"):
        Payload([SourceFile("video.mp4", growing, 100)]).read(0, 1)
