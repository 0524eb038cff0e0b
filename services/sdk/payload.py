"""Bodies of uploads: made of files as they are read, never whole in memory, readable from any place."""

import secrets
import tarfile
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from spatial_agent.tools.errors import SourceError

#: Bytes that are read of a file at a time, and that go out at once.
PIECE_BYTES = 2**18
TAR_BLOCK = 512


@dataclass(frozen=True)
class SourceFile:
    """A file that is uploaded.

    Attributes:
        name: What the service calls it: relative, with ``/``.
        path: Where it is here.
        size: Its bytes when it was found.
    """

    name: str
    path: Path
    size: int


class Payload:
    """Bytes in memory and files, one after the other.

    Attributes:
        length: Bytes in all.
    """

    def __init__(self, parts: Sequence[bytes | SourceFile]) -> None:
        """Line up what it consists of."""
        self._parts = [part for part in parts if _size(part)]
        self._ends = list(accumulate(map(_size, self._parts)))
        self.length = self._ends[-1] if self._ends else 0

    def read(self, offset: int, most: int) -> bytes:
        """Return the bytes from an offset: as many as asked for, fewer only at the end.

        Raises:
            SourceError: If a file is no longer what it was.
        """
        pieces = []
        for piece in self._single_pieces(offset):
            pieces.append(piece[:most])
            most -= len(pieces[-1])
            if not most:
                break
        return b"".join(pieces)

    def pieces(self, offset: int = 0) -> Iterator[bytes]:
        """Yield the bytes from an offset on, what is small together.

        Raises:
            SourceError: If a file is no longer what it was.
        """
        held, size = [], 0
        for piece in self._single_pieces(offset):
            held.append(piece)
            size += len(piece)
            if size >= PIECE_BYTES:
                yield b"".join(held)
                held, size = [], 0
        if held:
            yield b"".join(held)

    def _single_pieces(self, offset: int) -> Iterator[bytes]:
        first = bisect_right(self._ends, offset)
        for index in range(first, len(self._parts)):
            part = self._parts[index]
            skipped = max(0, offset - (self._ends[index] - _size(part)))
            if isinstance(part, bytes):
                yield part[skipped:]
            else:
                yield from _contents(part, skipped)


def multipart(files: Sequence[SourceFile], fields: Mapping[str, str]) -> tuple[str, Payload]:
    """Return the content type and the body of a form with files, all in the field ``files``."""
    boundary = secrets.token_hex(16)
    parts: list[bytes | SourceFile] = []
    for name, value in fields.items():
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'
        parts.append(f"{head}{value}\r\n".encode())
    for file in files:
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{_quoted(file.name)}"'
        )
        parts += [f"{head}\r\nContent-Type: application/octet-stream\r\n\r\n".encode(), file, b"\r\n"]
    parts.append(f"--{boundary}--\r\n".encode())
    return f"multipart/form-data; boundary={boundary}", Payload(parts)


def archive(files: Sequence[SourceFile]) -> Payload:
    """Return files as one tar archive; the same files give the same bytes, wherever it is read from."""
    parts: list[bytes | SourceFile] = []
    for file in files:
        member = tarfile.TarInfo(file.name)
        member.size = file.size
        padding = b"\0" * (-file.size % TAR_BLOCK)
        parts += [member.tobuf(tarfile.PAX_FORMAT), file, padding]
    parts.append(b"\0" * (2 * TAR_BLOCK))
    return Payload(parts)


def source_files(paths: Sequence[Path]) -> list[SourceFile]:
    """Return the files of a folder under their names within it, or single files under their own names.

    Hidden files and folders are left out; links to folders are not followed.

    Raises:
        SourceError: If there is none, one cannot be read, or two have the same name.
    """
    found: dict[str, SourceFile] = {}
    for path in paths:
        for file in _files_at(path):
            if file.name in found:
                raise SourceError(f"expected files of different names, got two called {file.name!r}")
            found[file.name] = file
    if not found:
        raise SourceError(
            f"expected files to upload, found none in {', '.join(map(str, paths)) or 'nothing'}"
        )
    return list(found.values())


def _files_at(path: Path) -> list[SourceFile]:
    try:
        if path.is_file():
            return [SourceFile(path.name, path, path.stat().st_size)]
        if not path.is_dir():
            raise SourceError(f"{path}: expected a file or folder to upload, found neither")
        names = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*"))
        return [
            SourceFile(name, file, file.stat().st_size)
            for name, file in names
            if file.is_file() and not any(part.startswith(".") for part in name.split("/"))
        ]
    except OSError as error:
        raise SourceError(f"{path}: cannot be read, {error.strerror}") from error


def _contents(file: SourceFile, skipped: int) -> Iterator[bytes]:
    left = file.size - skipped
    try:
        with file.path.open("rb") as opened:
            opened.seek(skipped)
            while left and (piece := opened.read(min(PIECE_BYTES, left))):
                left -= len(piece)
                yield piece
    except OSError as error:
        raise SourceError(f"{file.path}: cannot be read, {error.strerror}") from error
    if left:
        raise SourceError(f"{file.path}: expected {file.size} bytes, it became shorter while it was uploaded")


def _size(part: bytes | SourceFile) -> int:
    return len(part) if isinstance(part, bytes) else part.size


def _quoted(name: str) -> str:
    """Return a file name as browsers write it in a form."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
