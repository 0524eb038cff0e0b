"""Files that appear whole or not at all, whoever else reads or writes the folder."""

import os
import threading
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there; an interrupted write leaves nothing behind.

    Args:
        path: Its place; folders above it are made.
        write: Writes the file to the path it is given, whose ending says nothing of its format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Threads of one process may write the same file at once, as processes may.
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
