"""Run what a test module attempts in processes of their own, in front of a wall and behind it.

``python behind_walls.py MODULE WALL USER`` loads the test module MODULE and takes from it

- ``WALLS[WALL]``: what puts the wall up, given a descriptor to read from and one to write to;
- ``REFUSED[WALL]``: attempts to run twice, in front of the wall and behind it;
- ``WORKS[WALL]``: attempts to run behind it only.

An attempt is a generator function: what comes before its ``yield`` is prepared in front of the wall. It is
given an empty folder that anyone may write to. USER is root, nobody (root gives itself up) or self.

Prints JSON: name of the attempt -> what came of it in front of the wall (None where that was not tried) and
behind it: "done", the name of the error number, the signal that ended it, or any other exception.
"""

import errno
import importlib.util
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

Attempt = Callable[[Path], Iterator[None]]
Wall = Callable[[int, int], None]

NOBODY = 65534
#: A process that got further than it should must not take the machine with it, nor wait for ever.
MEMORY_BYTES = 4 * 2**30
LIMIT_S = 60


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def outcome(attempt: Attempt, wall: Wall | None, user: str) -> str:
    """Run an attempt in a child and say what came of it."""
    report_read, report_write = os.pipe()
    nothing_read, nothing_write = os.pipe()
    folder = Path(tempfile.mkdtemp(prefix="wall-"))
    folder.chmod(0o777)
    child = os.fork()
    if child == 0:
        try:
            os.write(report_write, in_child(attempt, wall, user, folder, nothing_read, report_write).encode())
        finally:
            os._exit(0)
    os.close(report_write)
    with os.fdopen(report_read, "rb") as report:
        text = report.read().decode()
    _, status = os.waitpid(child, 0)
    os.close(nothing_read)
    os.close(nothing_write)
    shutil.rmtree(folder)
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else text


def in_child(
    attempt: Attempt, wall: Wall | None, user: str, folder: Path, read_fd: int, write_fd: int
) -> str:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(LIMIT_S)
    if user == "nobody":
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    try:
        steps = attempt(folder)
        next(steps)
        if wall is not None:
            wall(read_fd, write_fd)
        for _ in steps:
            return "more than one yield"
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return "done"


def main() -> None:
    path, name, user = sys.argv[1:]
    module = load(Path(path))
    wall = module.WALLS[name]
    found: dict[str, tuple[str | None, str]] = {}
    for attempt in module.REFUSED[name]:
        found[attempt.__name__] = (outcome(attempt, None, user), outcome(attempt, wall, user))
    for attempt in module.WORKS[name]:
        found[attempt.__name__] = (None, outcome(attempt, wall, user))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
