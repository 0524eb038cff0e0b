"""Unpacking archives that strangers made: nothing leaves the folder, nothing grows beyond its limits.

What an archive says of its own sizes is not believed: bytes are counted as they come out. The library that
reads tar files takes headers of any size into memory, the one for zip files the whole table of contents, so
both read through `BoundedReads`.
"""

import gzip
import io
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.errors import TooLargeError, UploadError
from spatial_agent.services.scene_files.names import in_words
from spatial_agent.services.scene_files.tree import MIB, Tree, disk_errors

BLOCK_BYTES = MIB // 4
#: Bytes of a zip file's table of contents for each file that a scene may have: 46 and a long name.
ENTRY_BYTES = 512
#: A tar file's header for one file, long name and extensions included.
MOST_TAR_HEADER_BYTES = MIB
#: What a tar file adds to each file: headers, and zeros up to whole blocks.
ENTRY_OVERHEAD_BYTES = 2048
#: Small archives may exceed the ratio: a few empty depth images are harmless.
HARMLESS_BYTES = 16 * MIB
#: Deflate alone: the other decompressors of the zip library cannot be told how much to give at a time.
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
ENCRYPTED = 0x1

Stopped = Callable[[], bool]


def unpack(packed: Path, form: str, tree: Tree, stopped: Stopped = lambda: False) -> None:
    """Unpack an archive into a tree.

    Args:
        packed: The archive.
        form: Its format: ``"ZIP"``, ``"gzip"`` (a packed tar) or ``"tar"``.
        tree: Where its files go.
        stopped: Asked between blocks whether nobody waits for it any more.

    Raises:
        UploadError: If it is damaged, or holds links, devices, or names that lead elsewhere.
        TooLargeError: If it unpacks to more than allowed.
    """
    with _readable():
        if form == "ZIP":
            _unpack_zip(packed, tree, stopped)
        elif form == "tar":
            _unpack_tar(packed, tree, stopped)
        else:
            # The library reads packed tar files in one go only by taking headers of any size into memory.
            inner = packed.with_suffix(".inner")
            try:
                _gunzip(packed, inner, tree.limits, stopped)
                _unpack_tar(inner, tree, stopped)
            finally:
                inner.unlink(missing_ok=True)


class Ratio:
    """How much comes out of an archive, against what went in."""

    def __init__(self, packed: Path, limits: Limits) -> None:
        """Begin with nothing."""
        self._most = limits.decompression_ratio
        self._most_bytes = max(packed.stat().st_size * self._most, HARMLESS_BYTES)
        self._bytes = 0

    def count(self, count: int) -> None:
        """Count unpacked bytes.

        Raises:
            TooLargeError: If there are more than the packed ones allow.
        """
        self._bytes += count
        if self._bytes > self._most_bytes:
            raise TooLargeError(
                f"expected an archive that unpacks to at most {self._most} times its size, got more; "
                "send the files themselves"
            )


class BoundedReads(io.FileIO):
    """A file of which nobody can read much at once."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        """Open a file for reading.

        Args:
            path: The file.
            most_bytes: The most that one call may ask for.
        """
        super().__init__(path)
        self._most_bytes = most_bytes

    def read(self, size: int | None = -1, /) -> bytes:
        """Read bytes.

        Raises:
            TooLargeError: If more are asked for than allowed.
        """
        asked = os.fstat(self.fileno()).st_size - self.tell() if size is None or size < 0 else size
        if asked > self._most_bytes:
            raise TooLargeError(
                f"the archive's headers or table of contents take more than {self._most_bytes / MIB:.1f} "
                "MiB; expected fewer files with shorter names"
            )
        return super().read(size) or b""


@contextmanager
def _readable() -> Iterator[None]:
    """Turn every way in which an archive can be damaged into an `UploadError`."""
    try:
        yield
    except UploadError:
        raise
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise UploadError(f"the archive is damaged or truncated ({error}); pack it again") from error
    # What the libraries let through of headers that make no sense.
    except (ValueError, NotImplementedError, RecursionError, OverflowError, LookupError) as error:
        raise UploadError(f"the archive is damaged ({type(error).__name__}); pack it again") from error


def _unpack_zip(packed: Path, tree: Tree, stopped: Stopped) -> None:
    ratio = Ratio(packed, tree.limits)
    most_bytes = max(tree.limits.files * ENTRY_BYTES, BLOCK_BYTES)
    with BoundedReads(packed, most_bytes) as file, zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            _check_zip_entry(entry)
            if entry.is_dir():
                tree.room.count_file()
            else:
                with archive.open(entry) as source:
                    _copy(source, entry.orig_filename, tree, ratio, stopped)


def _check_zip_entry(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _not_a_file(entry.orig_filename)
    if entry.flag_bits & ENCRYPTED:
        raise UploadError(f"{in_words(entry.orig_filename)}: expected an archive without a password")
    if entry.compress_type not in METHODS:
        raise UploadError(
            f"{in_words(entry.orig_filename)}: packed in a way that is not taken (method "
            f"{entry.compress_type}); pack it with deflate, or as .tar.gz"
        )


def _unpack_tar(packed: Path, tree: Tree, stopped: Stopped) -> None:
    ratio = Ratio(packed, tree.limits)
    with (
        BoundedReads(packed, MOST_TAR_HEADER_BYTES) as file,
        tarfile.open(fileobj=file, mode="r:", errorlevel=2) as archive,
    ):
        for member in _members(archive):
            if member.isdir():
                tree.room.count_file()
                continue
            source = archive.extractfile(member) if member.isreg() and not member.issparse() else None
            if source is None:
                raise _not_a_file(member.name)
            with source:
                _copy(source, member.name, tree, ratio, stopped)
        file.seek(archive.offset)
        # The library takes headers that make no sense, or are cut off, for the end, and needs none.
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise UploadError("the archive is damaged or truncated; pack it again")


def _members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    end = -1
    while (member := archive.next()) is not None:
        # Some versions of the library read negative sizes, and so the same header for ever.
        if member.size < 0 or member.offset <= end:
            raise UploadError("the archive is damaged (it goes back on itself); pack it again")
        end = member.offset
        yield member


def _gunzip(packed: Path, inner: Path, limits: Limits, stopped: Stopped) -> None:
    ratio = Ratio(packed, limits)
    most_bytes = limits.upload_bytes + limits.files * ENTRY_OVERHEAD_BYTES
    with gzip.open(packed) as source, inner.open("xb") as target:
        for block in _blocks(source, stopped):
            ratio.count(len(block))
            with disk_errors():
                target.write(block)
            if target.tell() > most_bytes:
                raise TooLargeError(
                    f"expected an archive of at most {limits.upload_bytes / MIB:.1f} MiB unpacked, got more"
                )


def _copy(source: IO[bytes], name: str, tree: Tree, ratio: Ratio, stopped: Stopped) -> None:
    with tree.file(name) as target:
        for block in _blocks(source, stopped):
            ratio.count(len(block))
            target.write(block)


def _blocks(source: IO[bytes] | gzip.GzipFile, stopped: Stopped) -> Iterator[bytes]:
    while block := source.read(BLOCK_BYTES):
        if stopped():
            raise UploadError("the upload was broken off")
        yield block


def _not_a_file(name: str) -> UploadError:
    return UploadError(f"{in_words(name)}: expected files and folders, got a link or device; pack it without")
