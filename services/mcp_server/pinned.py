"""Sources as they were when they were checked: under names of their own that nobody else can make into links.

Scans are read again and again, long after the question began. What is read is therefore not the path that
was asked for, but a second name of the very files that were found there: a hard link in a private folder, or
a copy where the folder lies on another file system.
"""

import fcntl
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath
from threading import Lock

from spatial_agent.services.mcp_server.allowed_folders import AllowedFolders, Place
from spatial_agent.tools.errors import SourceError

#: Bytes that may be copied where files cannot be linked, in the life of a server.
MOST_COPIED_BYTES = 16 * 2**30
_COPIED_AT_ONCE = 2**20


class PinnedSources:
    """Gives sources private names. Safe to use from several threads."""

    def __init__(self, folder: Path, *, most_copied_bytes: int = MOST_COPIED_BYTES) -> None:
        """Pin nothing yet.

        Args:
            folder: Where the names are; nobody else may write there.
            most_copied_bytes: Bytes that may be copied in all, where files cannot be linked.
        """
        self._folder = folder
        self._left_bytes = most_copied_bytes
        self._pinned: dict[tuple[Path, str], Path] = {}
        self._lock = Lock()

    @property
    def folders(self) -> tuple[Path, ...]:
        """The private folders in which the names are, for taking them out of what is told."""
        with self._lock:
            return tuple(path.parent for path in self._pinned.values())

    def pin(self, allowed: AllowedFolders, place: Place) -> Path:
        """Return a path under which the files of a place can be opened by name.

        The same files give the same path; changed ones another.

        Raises:
            SourceError: If they cannot be opened, or a link among them leads outside.
        """
        with self._lock:
            key = (place.path, _signature(allowed, place))
            if key not in self._pinned:
                self._pinned[key] = self._pin(allowed, place)
            return self._pinned[key]

    def _pin(self, allowed: AllowedFolders, place: Place) -> Path:
        own = self._folder / str(len(self._pinned)) / (place.name or "scan")
        shutil.rmtree(own.parent, ignore_errors=True)
        own.parent.mkdir(parents=True)

        def take(folder: int, name: str, found: os.stat_result, relative: PurePath) -> None:
            target = own / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            self._take(folder, name, target)

        allowed.walk(place, take)
        if not own.exists():
            own.mkdir()
        return own

    def _take(self, folder: int, name: str, target: Path) -> None:
        """Give a regular file a second name; whatever has its place by now is refused unless it is one."""
        try:
            os.link(name, target, src_dir_fd=folder, follow_symlinks=False)
        except OSError:
            # Another file system, or one without links, or a file of somebody else.
            self._copy(folder, name, target)
            return
        if not stat.S_ISREG(target.lstat().st_mode):
            target.unlink()
            raise SourceError(f"{name}: was replaced while it was opened; ask again")

    def _copy(self, folder: int, name: str, target: Path) -> None:
        # Without waiting: a pipe that has taken the place of the file would block for ever.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(name, flags, dir_fd=folder), "rb") as source, target.open("xb") as copy:
            if not stat.S_ISREG(os.fstat(source.fileno()).st_mode):
                raise SourceError(f"{name}: was replaced while it was opened; ask again")
            while piece := source.read(_COPIED_AT_ONCE):
                self._left_bytes -= len(piece)
                if self._left_bytes < 0:
                    raise SourceError(
                        f"{name}: too much would have to be copied; put the cache (SPATIAL_AGENT_CACHE) on "
                        "the file system of the scans"
                    )
                copy.write(piece)


@contextmanager
def private_folder(parent: Path) -> Iterator[Path]:
    """Make a folder of this process alone, and remove it at the end; those of dead processes go, too.

    Args:
        parent: Where; made if it is not there.
    """
    parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    own = parent / secrets.token_hex(8)
    with (parent / ".lock").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        for other in parent.iterdir():
            if other.is_dir():
                _remove_if_dead(other)
        own.mkdir(mode=0o700)
        living = (own / ".living").open("a")
        fcntl.flock(living, fcntl.LOCK_EX)
    try:
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        living.close()


def _remove_if_dead(folder: Path) -> None:
    """Remove the folder of a process that holds its lock no more."""
    with (folder / ".living").open("a") as living:
        try:
            fcntl.flock(living, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        shutil.rmtree(folder, ignore_errors=True)


def _signature(allowed: AllowedFolders, place: Place) -> str:
    """Return a text that changes when a file of a place does, without reading any."""
    digest = hashlib.sha256()

    def take(folder: int, name: str, found: os.stat_result, relative: PurePath) -> None:
        known = (str(relative), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        digest.update(repr(known).encode())

    allowed.walk(place, take)
    return digest.hexdigest()
