"""Folders that are somebody's for as long as that process lives; the system frees them when it dies."""

import fcntl
import os
import shutil
from pathlib import Path

from spatial_agent.services.store.ids import new_id


class HeldFolder:
    """A new folder that is swept away once nobody holds it.

    Attributes:
        path: Where it is; whoever moves it away keeps it.
    """

    def __init__(self, parent: Path) -> None:
        """Make and hold a folder.

        Args:
            parent: Where to make it; made where it does not exist.
        """
        self._handle: int | None = None
        while self._handle is None:
            self.path = parent / new_id("in")
            self.path.mkdir(parents=True, mode=0o700)
            self._handle = _held(self.path)

    def release(self) -> None:
        """Hold it no longer."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


def remove_left(parent: Path, before: float) -> int:
    """Remove the folders that nobody holds, and return how many that were.

    Args:
        parent: Where they are.
        before: Where the file system knows no locks, those that changed last before this time are removed,
            seconds since 1970.
    """
    return sum(_removed(folder, before) for folder in parent.glob("*"))


def _held(folder: Path) -> int | None:
    """Return a handle that holds a new folder; None where others have begun to sweep it away."""
    handle = None
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        _lock(handle)
        if os.path.samestat(folder.stat(), os.fstat(handle)):
            return handle
    except (BlockingIOError, FileNotFoundError):
        pass
    if handle is not None:
        os.close(handle)
    return None


def _removed(folder: Path, before: float) -> bool:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        is_left = _lock(handle) or os.fstat(handle).st_mtime < before
    except BlockingIOError:
        return False
    else:
        if is_left:
            shutil.rmtree(folder, ignore_errors=True)
        return is_left
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    """Lock a folder; return False where the file system cannot.

    Raises:
        BlockingIOError: If somebody else has locked it.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True
