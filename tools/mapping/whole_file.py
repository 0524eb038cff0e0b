"""Files that appear whole or not at all, whoever else reads or writes the folder."""

import os
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file beside its place and move it there; an interrupted write leaves nothing behind.

    Args:
        path: Its place; folders above it are made.
        write: Writes the file to the path it is given, whose ending says nothing of its format.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
