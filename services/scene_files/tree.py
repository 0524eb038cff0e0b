"""The files of one scene while they are written: every name, size and kind is checked as it comes."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import IO

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.content import (
    HEAD_BYTES,
    content_of,
    format_of,
    promised_by,
    usual_suffix,
)
from spatial_agent.services.scene_files.errors import QuotaExceededError, TooLargeError, UploadError
from spatial_agent.services.scene_files.names import NamesInUse, clean_name, in_words
from spatial_agent.services.scene_files.room import Room

MIB = 2**20
#: Text is read into memory many times its size. Poses of 20,000 frames take 10 MiB at most, a scan.json of as
#: many, written on many lines, less than 30.
MOST_TEXT_BYTES = {".json": 32 * MIB, ".txt": 16 * MIB, ".log": 16 * MIB}


class Tree:
    """A folder that is filled with the files of one scene.

    Attributes:
        folder: Where they are.
        formats: What each file is, by its name.
        left_out: How many files were not kept, since nothing here would open them.
    """

    def __init__(self, folder: Path, limits: Limits, room: Room) -> None:
        """Fill a new folder.

        Args:
            folder: Made here; nobody else writes to it.
            limits: What one file may bring.
            room: Counts what the scene takes.
        """
        folder.mkdir(parents=True)
        self.folder = folder
        self.formats: dict[PurePosixPath, str] = {}
        self.left_out = 0
        self.limits = limits
        self.room = room
        self._names = NamesInUse()

    def file(self, given: str) -> "TreeFile":
        """Return a file to write to.

        Args:
            given: What the upload calls it.

        Raises:
            UploadError: If the name cannot be taken, or is taken already.
            TooLargeError: If there are too many files.
        """
        name = clean_name(given)
        self.room.count_file()
        if name is not None:
            self._names.add(name)
        return TreeFile(self, name)

    def path(self, name: PurePosixPath) -> Path:
        """Return where a file is."""
        return self.folder / name

    def adopt(self, given: str, path: Path) -> None:
        """Put a file of this disk here too; it takes no further room, and stays where it is.

        Args:
            given: What the upload calls it.
            path: Where it is, on the same disk.

        Raises:
            UploadError: If the name cannot be taken.
            TooLargeError: If the file is too large.
        """
        with self.file(given) as file:
            file.adopt(path)

    def drop(self, name: PurePosixPath) -> None:
        """Remove a file that was written."""
        path = self.path(name)
        size = path.stat().st_size
        path.unlink()
        self.room.give_back(size)
        self.formats.pop(name, None)

    def settle(self) -> None:
        """Keep what readers open, refuse what is not what its name promises, leave out the rest.

        A file that came alone gets the suffix of its content where its name promises something else.

        Raises:
            UploadError: If a file is not what its name promises, or nothing is left.
        """
        if len(self.formats) == 1:
            self._name_by_content(*self.formats)
        for name, form in list(self.formats.items()):
            if promised_by(name) == "foreign":
                self.drop(name)
                self.left_out += 1
            else:
                self._check(name, form)
        if not self.formats:
            raise UploadError(
                "expected pictures, a video, a scan or a scene file; got nothing that could be opened as one"
            )

    def _name_by_content(self, name: PurePosixPath) -> None:
        form = self.formats[name]
        content, promised = content_of(form), promised_by(name)
        takes_suffix = content in ("picture", "video") or (form == "JSON" and promised == "foreign")
        if takes_suffix and promised != content:
            fitting = name.with_name(f"{name.name[:200]}{usual_suffix(form)}")
            self.path(name).rename(self.path(fitting))
            self.formats = {fitting: form}
        elif content == "foreign":
            raise UploadError(f"{in_words(str(name))}: {EXPECTED}, got {_in_words(form)}")

    def _check(self, name: PurePosixPath, form: str) -> None:
        promised, content = promised_by(name), content_of(form)
        if promised != content:
            raise UploadError(
                f"{in_words(str(name))}: its name promises {_article(promised)}, its content is "
                f"{_in_words(form)}; send the right file"
            )
        size, most = self.path(name).stat().st_size, MOST_TEXT_BYTES.get(name.suffix.lower())
        if most is not None and size > most:
            raise TooLargeError(
                f"{in_words(str(name))}: expected a text file of at most {most // MIB} MiB, "
                f"got {size / MIB:.1f} MiB"
            )


class TreeFile:
    """One file that is being written; to be closed by whoever opened it (it is a context manager).

    Attributes:
        name: Where it goes, or None if it is left out.
        size: Bytes so far.
    """

    def __init__(self, tree: Tree, name: PurePosixPath | None) -> None:
        """Write to a tree; the file is made with the first byte."""
        self.name = name
        self.size = 0
        self._tree = tree
        self._head = b""
        self._file: IO[bytes] | None = None
        self._is_there = False

    def write(self, data: bytes) -> None:
        """Append bytes.

        Raises:
            TooLargeError: If the file or the scene becomes too large.
            QuotaExceededError: If there is no room left, for the tenant or on the disk.
        """
        if len(self._head) < HEAD_BYTES:
            self._head = (self._head + data)[:HEAD_BYTES]
        self._count(len(data))
        if self.name is not None:
            with disk_errors():
                self._open(self.name).write(data)

    def adopt(self, path: Path) -> None:
        """Let this file, which has no bytes yet, be one that is on this disk already.

        Raises:
            TooLargeError: If it is too large.
            UploadError: If a file of this name would be left out.
        """
        if self.name is None:
            raise UploadError(f"{EXPECTED}; got a hidden file")
        with path.open("rb") as file:
            self._head = file.read(HEAD_BYTES)
        self._count(path.stat().st_size)
        target = self._tree.path(self.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, target)
        except OSError:
            # Some disks have no links.
            with disk_errors():
                shutil.copyfile(path, target)
        self._is_there = True

    def _count(self, count: int) -> None:
        self.size += count
        limits = self._tree.limits
        # Archives are held to what is in them.
        most = limits.upload_bytes if content_of(format_of(self._head)) == "archive" else limits.file_bytes
        if self.size > most:
            raise TooLargeError(
                f"{in_words(str(self.name))}: expected at most {most / MIB:.1f} MiB in one file, got more"
            )
        # What is left out counts too: nobody sends it without end.
        self._tree.room.take(count)

    def close(self) -> None:
        """Finish the file."""
        with disk_errors():
            if self.name is not None and self._file is None and not self._is_there:
                self._open(self.name)
            if self._file is not None:
                self._file.close()
        if self.name is None:
            self._tree.left_out += 1
        else:
            self._tree.formats[self.name] = format_of(self._head)

    def _open(self, name: PurePosixPath) -> IO[bytes]:
        if self._file is None:
            path = self._tree.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb")
        return self._file

    def __enter__(self) -> "TreeFile":
        """Return the file itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, traceback: TracebackType | None
    ) -> None:
        """Finish the file; where something went wrong only close it."""
        if kind is None:
            self.close()
        elif self._file is not None:
            self._file.close()


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn a full disk into an error of this package."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise QuotaExceededError("the disk of the service is full; try again later") from error


EXPECTED = "expected a picture (PNG, JPEG, WebP, TIFF, PPM, BMP), a video, an archive or a scene file"


def _article(content: str) -> str:
    return "text" if content == "text" else f"a {content}"


def _in_words(form: str) -> str:
    if form == "HEIF":
        return "HEIF, which is not read here: export it as JPEG"
    return {"unknown": "of an unknown kind", "empty": "nothing: it is empty"}.get(form, form)
