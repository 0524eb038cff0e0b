"""A folder of files that does not outgrow its limit, shared by any number of processes."""

import os
import time
from pathlib import Path
from threading import Lock

from spatial_agent.tools.whole_file import write_whole

#: Share of the limit that may be written before the folder is looked through again.
SLACK = 1 / 16
#: What a process that died left half written is removed when this old.
STALE_S = 3600.0


class BoundedFolder:
    """Files that appear whole or not at all; the least recently used go first when there are too many.

    Attributes:
        folder: Where they are; made on first use.
        suffixes: Endings of the files it looks after; others are left alone.
        limit_bytes: Size it is kept to; each process may exceed it by a sixteenth before it looks.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...], limit_bytes: int) -> None:
        """Use `folder`, which need not exist yet."""
        self.folder = folder
        self.suffixes = suffixes
        self.limit_bytes = limit_bytes
        self._lock = Lock()
        # Nobody knows what is there before the first look.
        self._may_write = 0.0

    def read(self, name: str) -> bytes | None:
        """Return what a file holds and count it as used now, or None where there is none."""
        path = self.folder / name
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        return data

    def write(self, name: str, data: bytes) -> None:
        """Put a file in place, then make room if need be; the file itself stays, however large."""
        path = self.folder / name
        write_whole(path, lambda partial: partial.write_bytes(data))
        with self._lock:
            self._may_write -= len(data)
            if self._may_write < 0:
                self._may_write = self._make_room(keep=path)

    def use(self, name: str) -> bool:
        """Count a file as used now; return whether there is one."""
        try:
            os.utime(self.folder / name)
        except OSError:
            return False
        return True

    def remove(self, name: str) -> None:
        """Remove a file that may be gone already."""
        (self.folder / name).unlink(missing_ok=True)

    def _make_room(self, keep: Path) -> float:
        """Remove the oldest files beyond the limit; return how much may be written before the next look."""
        found = sorted(self._files())
        total = sum(size for _, size, _ in found)
        for _, size, path in found:
            if total <= self.limit_bytes:
                break
            if path != keep:
                path.unlink(missing_ok=True)
                total -= size
        return min(self.limit_bytes - total, self.limit_bytes * SLACK)

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for entry in os.scandir(self.folder):
            try:
                status = entry.stat()
            except FileNotFoundError:
                continue
            if entry.name.endswith(self.suffixes):
                found.append((status.st_mtime, status.st_size, Path(entry.path)))
            elif _is_partial(entry.name) and time.time() - status.st_mtime > STALE_S:
                Path(entry.path).unlink(missing_ok=True)
        return found


def _is_partial(name: str) -> bool:
    return name.startswith(".") and name.endswith(".partial")
