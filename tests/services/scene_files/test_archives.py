"""Archives that strangers made: what is in them comes out, and nothing else happens."""

import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.archives import BoundedReads, unpack
from spatial_agent.services.scene_files.errors import TooLargeError, UploadError
from spatial_agent.services.scene_files.room import InFlight, Room
from spatial_agent.services.scene_files.tree import Tree
from tests.services.scene_files.conftest import LIMITS, MIB
from tests.services.scene_files.making import everything_below, quoting_bomb, tarred, zipped

FILES = {"scan/a.txt": b"one", "scan/depth/b.txt": b"two" * 1000, "scan/empty.txt": b""}


def unpacked(tmp_path: Path, content: bytes, form: str, limits: Limits = LIMITS) -> dict[str, bytes]:
    """Unpack an archive, and return what came out by name."""
    packed = tmp_path / "packed"
    packed.write_bytes(content)
    tree = Tree(tmp_path / "tree", limits, Room(limits, InFlight(), "tenant", None))
    unpack(packed, form, tree)
    assert everything_below(tmp_path) == sorted(
        ["packed", "tree", *(f"tree/{name}" for name in everything_below(tree.folder))]
    )
    return {
        path.relative_to(tree.folder).as_posix(): path.read_bytes()
        for path in tree.folder.rglob("*")
        if path.is_file()
    }


def refused(tmp_path: Path, content: bytes, form: str, limits: Limits = LIMITS) -> UploadError:
    """Unpack an archive that is refused, having written little and nothing outside."""
    with pytest.raises(UploadError) as caught:
        unpacked(tmp_path, content, form, limits)
    written = sum(path.stat().st_size for path in (tmp_path / "tree").rglob("*") if path.is_file())
    assert written <= 17 * MIB
    assert {path.name for path in tmp_path.iterdir()} == {"packed", "tree"}
    return caught.value


@pytest.mark.parametrize(
    ("form", "pack"),
    [
        ("ZIP", zipped),
        ("ZIP", lambda files: zipped(files, zipfile.ZIP_STORED)),
        ("tar", tarred),
        ("gzip", lambda files: tarred(files, packed=True)),
    ],
)
def test_everything_in_an_archive_comes_out_and_nothing_is_left_behind(
    tmp_path: Path, form: str, pack: Callable[[dict[str, bytes]], bytes]
) -> None:
    assert unpacked(tmp_path, pack(FILES), form) == FILES


def test_folders_and_litter_come_to_nothing(tmp_path: Path) -> None:
    folder = tarfile.TarInfo("scan/empty")
    folder.type = tarfile.DIRTYPE
    assert unpacked(tmp_path, tarred({"scan/a.txt": b"1", "scan/._a.txt": b"2"}, folder), "tar") == {
        "scan/a.txt": b"1"
    }


def test_what_deflates_a_thousandfold_is_refused(tmp_path: Path) -> None:
    error = refused(tmp_path, zipped({"a.png": bytes(40 * MIB)}), "ZIP", Limits(decompression_ratio=200))
    assert isinstance(error, TooLargeError)
    assert "200 times" in str(error)


def test_a_packed_tar_that_inflates_a_thousandfold_is_refused(tmp_path: Path) -> None:
    packed = gzip.compress(bytes(40 * MIB))
    assert isinstance(refused(tmp_path, packed, "gzip", Limits()), TooLargeError)


def test_the_ratio_counts_all_files_together(tmp_path: Path) -> None:
    many = {f"{number}.png": bytes(MIB) for number in range(40)}
    assert "times its size" in str(refused(tmp_path, zipped(many), "ZIP", Limits()))


def test_files_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    bomb = quoting_bomb(60, MIB)
    with zipfile.ZipFile(io.BytesIO(bomb)) as archive:
        assert sum(entry.file_size for entry in archive.infolist()) > 5_000 * len(bomb)
    refused(tmp_path, bomb, "ZIP", Limits())


def test_no_more_files_come_out_than_allowed(tmp_path: Path) -> None:
    content = {f"{number}.txt": b"x" for number in range(LIMITS.files + 1)}
    for number, (form, packed) in enumerate((("ZIP", zipped(content)), ("tar", tarred(content)))):
        place = tmp_path / str(number)
        place.mkdir()
        assert "at most 50 files" in str(refused(place, packed, form))


def test_folders_count_as_files_do(tmp_path: Path) -> None:
    folders = zipped({f"{number}/": b"" for number in range(LIMITS.files + 1)})
    assert "at most 50 files" in str(refused(tmp_path, folders, "ZIP"))


def test_one_file_and_all_files_are_held_to_their_limits(tmp_path: Path) -> None:
    roomy = LIMITS.model_copy(update={"decompression_ratio": 10_000})
    one, all_of_them = tmp_path / "one", tmp_path / "all"
    one.mkdir()
    all_of_them.mkdir()
    assert "4.0 MiB in one file" in str(refused(one, zipped({"a.png": bytes(5 * MIB)}), "ZIP", roomy))
    content = {f"{number}.png": bytes(3 * MIB) for number in range(3)}
    assert "in one scene" in str(refused(all_of_them, zipped(content), "ZIP", roomy))


@pytest.mark.parametrize("claimed", [3, 2**32 - 2])
def test_sizes_are_not_believed(tmp_path: Path, claimed: int) -> None:
    content = zipped({"a.txt": b"x" * 1000}, zipfile.ZIP_STORED)
    sizes = struct.pack("<II", 1000, 1000)
    assert content.count(sizes) == 2
    try:
        came = unpacked(tmp_path, content.replace(sizes, struct.pack("<II", 1000, claimed)), "ZIP")
    except UploadError:
        return
    assert len(came["a.txt"]) <= 1000


def test_a_check_sum_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    content = zipped({"a.txt": b"x" * 1000}, zipfile.ZIP_STORED)
    assert "damaged" in str(refused(tmp_path, content.replace(b"x" * 1000, b"y" * 1000), "ZIP"))


@pytest.mark.parametrize(
    "name",
    [
        "../a.png",
        "a/../../b.png",
        "/etc/cron.d/a.png",
        "C:\\a.png",
        "..\\a.png",
        "\\\\host\\a.png",
        "a\x01.png",
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    for number, (form, packed) in enumerate((("ZIP", zipped({name: b"1"})), ("tar", tarred({name: b"1"})))):
        place = tmp_path / str(number)
        place.mkdir()
        assert "rename it" in str(refused(place, packed, form))


def test_a_name_behind_which_another_hides_is_refused(tmp_path: Path) -> None:
    content = zipped({"a.png@.txt": b"1"}).replace(b"a.png@.txt", b"a.png\0.txt")
    refused(tmp_path, content, "ZIP")


def test_files_that_differ_in_case_alone_are_refused(tmp_path: Path) -> None:
    assert "every file once" in str(refused(tmp_path, zipped({"a.png": b"1", "A.png": b"2"}), "ZIP"))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
    ],
)
def test_links_and_devices_are_refused(tmp_path: Path, kind: bytes) -> None:
    member = tarfile.TarInfo("a.png")
    member.type, member.linkname = kind, "/etc/passwd"
    assert "link or device" in str(refused(tmp_path, tarred({"b.png": b"1"}, member), "tar"))


@pytest.mark.parametrize("mode", [0o120777, 0o020666, 0o060666, 0o010666, 0o140666])
def test_links_and_devices_in_zip_files_are_refused(tmp_path: Path, mode: int) -> None:
    entry = zipfile.ZipInfo("a.png")
    entry.external_attr = mode << 16
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    assert "link or device" in str(refused(tmp_path, written.getvalue(), "ZIP"))


def test_a_sparse_file_does_not_come_out_as_zeros(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a.png")
    member.pax_headers = {
        "GNU.sparse.map": "0,0",
        "GNU.sparse.size": str(2**40),
        "GNU.sparse.numblocks": "1",
    }
    assert "link or device" in str(refused(tmp_path, tarred({}, member), "tar"))


def test_a_header_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 8 * 2**30
    block = header.tobuf(tarfile.GNU_FORMAT)
    assert isinstance(refused(tmp_path, block + bytes(2 * MIB), "tar"), TooLargeError)


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [-512, -1024, -(2**40)])
def test_negative_sizes_do_not_go_on_for_ever(tmp_path: Path, kind: bytes, size: int) -> None:
    header = tarfile.TarInfo("a.png")
    header.type, header.size = kind, 0
    block = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" + size.to_bytes(11, "big", signed=True)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    refused(tmp_path, tarred({"b.png": b"1"})[:1024] + bytes(block) + bytes(1024), "tar")


def test_headers_about_headers_about_headers_are_refused(tmp_path: Path) -> None:
    header = tarfile.TarInfo("long")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 1
    block = header.tobuf(tarfile.GNU_FORMAT) + b"x" + bytes(511)
    refused(tmp_path, block * 3000, "tar")


@pytest.mark.parametrize("form", ["ZIP", "tar", "gzip"])
def test_archives_cut_off_anywhere_are_refused(tmp_path: Path, form: str) -> None:
    content = {f"{number}.txt": random.Random(number).randbytes(20_000) for number in range(4)}
    whole = zipped(content) if form == "ZIP" else tarred(content, packed=form == "gzip")
    for number, share in enumerate((0.2, 0.5, 0.8)):
        place = tmp_path / str(number)
        place.mkdir()
        refused(place, whole[: int(len(whole) * share)], form)


def test_what_follows_the_last_file_of_a_tar_must_make_sense(tmp_path: Path) -> None:
    whole = tarred({"a.txt": b"1", "b.txt": b"2"})
    assert "damaged" in str(refused(tmp_path, whole[:1024] + b"garbage!" * 64 + whole[1536:], "tar"))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_packing_that_cannot_be_bounded_are_refused(tmp_path: Path, method: int) -> None:
    assert "deflate" in str(refused(tmp_path, zipped({"a.txt": b"1"}, method), "ZIP"))


def test_archives_with_a_password_are_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.txt": b"1"}))
    for magic, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(magic) + offset] |= 1
    assert "password" in str(refused(tmp_path, bytes(content), "ZIP"))


def test_a_table_of_contents_is_not_read_at_any_size(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
    with BoundedReads(path, MIB) as bounded:
        assert len(bounded.read(MIB)) == MIB
        for size in (MIB + 1, 2**40, -1, None):
            with pytest.raises(TooLargeError):
                bounded.read(size)


def test_unpacking_stops_when_nobody_waits(tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(zipped({"a.txt": b"1"}))
    tree = Tree(tmp_path / "tree", LIMITS, Room(LIMITS, InFlight(), "tenant", None))
    with pytest.raises(UploadError, match="broken off"):
        unpack(packed, "ZIP", tree, lambda: True)
