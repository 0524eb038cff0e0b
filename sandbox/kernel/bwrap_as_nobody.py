"""What root starts in bubblewrap's place: gives up root, and becomes bubblewrap as an ordinary user.

A process that root started stays the system's root to the kernel whatever number it has in its own user
namespace: it could write most of ``/proc/sys``, and no limit of processes holds it. A user who owns nothing
does not get past folders such as ``/root``; in a mount namespace of its own those are replaced by empty ones
that hold what was chosen and nothing else.

Run as ``python -I -S bwrap_as_nobody.py START STOP COMMAND...``: it imports nothing but the standard library.
"""

import ctypes
import os
import sys
from pathlib import Path

NOBODY = 65534
_NEW_MOUNTS = 0x00020000
_BIND, _RECURSIVE, _PRIVATE = 1 << 12, 1 << 14, 1 << 18
_OTHERS_ENTER, _OTHERS_READ = 0o001, 0o004


def main(arguments: list[str]) -> None:
    """Become nobody and become bubblewrap.

    Args:
        arguments: Where, in the command, its options of two values start and stop; then the command.
    """
    start, stop, command = int(arguments[0]), int(arguments[1]), arguments[2:]
    options = zip(*[iter(command[start:stop])] * 3, strict=True)
    sources = {Path(source) for option, source, _ in options if option != "--symlink"}
    try:
        _let_others_reach({path for source in sources if source.exists() for path in _spellings(source)})
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        sys.exit(f"giving up root: {error}; start it as an ordinary user")
    os.execv(command[0], command)


def _spellings(source: Path) -> set[Path]:
    """Return a path as it is given, and without any links; refuse what only root may read."""
    real = source.resolve()
    wanted = _OTHERS_READ | (_OTHERS_ENTER if real.is_dir() else 0)
    if real.stat().st_mode & wanted != wanted:
        sys.exit(f"{real} is for root only, and this runs as nobody: chmod -R o+rX {real}")
    return {source.absolute(), real}


def _let_others_reach(paths: set[Path]) -> None:
    """Put empty folders in the place of those that others may not enter, with these paths in them.

    Raises:
        OSError: If this root may not mount.
    """
    closed = {folder for folder in (_closed_above(path) for path in paths) if folder is not None}
    if not closed:
        return
    inside = sorted(path for path in paths if _closed_above(path) is not None)
    library = ctypes.CDLL(None, use_errno=True)
    _checked(library.unshare(_NEW_MOUNTS))
    _checked(library.mount(None, b"/", None, ctypes.c_ulong(_RECURSIVE | _PRIVATE), None))
    kept = [(path, os.open(path, os.O_PATH), path.is_dir()) for path in inside]
    for folder in closed:
        _checked(library.mount(b"none", os.fsencode(folder), b"tmpfs", ctypes.c_ulong(0), b"mode=0755"))
    for path, descriptor, is_folder in kept:
        _make_place(path, is_folder)
        source = f"/proc/self/fd/{descriptor}".encode()
        _checked(library.mount(source, os.fsencode(path), None, ctypes.c_ulong(_BIND | _RECURSIVE), None))
        os.close(descriptor)


def _closed_above(path: Path) -> Path | None:
    """Return the outermost folder above a path that others may not enter, or None."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & _OTHERS_ENTER:
            return folder.resolve()
    return None


def _make_place(path: Path, is_folder: bool) -> None:
    os.umask(0o022)
    if is_folder:
        path.mkdir(parents=True, exist_ok=True)
    elif not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"mount namespace: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
