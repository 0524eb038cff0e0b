"""Bubblewrap: a program in namespaces of its own, over files that were chosen one by one.

What is started sees the interpreter, its packages, the system's libraries and what it is given, all of it
read-only; a small private ``/tmp``; no network, no other process, no environment. It belongs to nobody: where
root starts it, root is given up first.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from spatial_agent.sandbox.kernel import bwrap_as_nobody
from spatial_agent.sandbox.kernel.privileges import NOBODY

MIB = 2**20
#: Size of the private ``/tmp``, and of ``/dev/shm``, where nobody says otherwise, 2^20 bytes.
TMP_MB = 64
#: Wall time the trial may take, seconds.
_TRIAL_S = 20.0
_SYSTEM_LIBRARIES = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/local/lib")
#: How the dynamic linker finds libraries, and how Debian chooses among several of one kind.
_LINKER_FILES = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives")
#: The portions of this package that run inside; the others, and what lies beside them, stay out of sight.
_PORTIONS = ("spatial_agent.tools", "spatial_agent.sandbox")
_ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "LOGNAME": "nobody",
    "PATH": "/nonexistent",
    "PYTHONDONTWRITEBYTECODE": "1",
    "TMPDIR": "/tmp",
    "USER": "nobody",
}
_WALLS = (
    "--unshare-all",
    "--unshare-user",
    "--disable-userns",
    "--uid",
    str(NOBODY),
    "--gid",
    str(NOBODY),
    "--hostname",
    "sandbox",
    "--cap-drop",
    "ALL",
    "--new-session",
    "--die-with-parent",
    "--clearenv",
)
_INSTALL = "install it (apt-get install bubblewrap, dnf install bubblewrap)"
_ALLOW = (
    "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000, where "
    "there is AppArmor kernel.apparmor_restrict_unprivileged_userns=0; in a container a seccomp profile that "
    "lets unshare and mount through"
)


def find() -> Path | None:
    """Return where bubblewrap is, or None where it is not installed."""
    found = shutil.which("bwrap") or shutil.which("bwrap", path="/usr/bin:/usr/local/bin:/bin")
    return Path(found) if found else None


@cache
def why_not() -> str | None:
    """Return why nothing can be started behind bubblewrap here and what to do, or None where it can.

    An empty Python program is started once per process to know.
    """
    if not sys.platform.startswith("linux"):
        return f"bubblewrap needs Linux, this is {sys.platform}"
    if find() is None:
        return f"bubblewrap (bwrap) is not installed; {_INSTALL}"
    try:
        trial = subprocess.run(
            command([sys.executable, "-E", "-P", "-s", "-S", "-c", "pass"]),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap cannot be started ({error}); {_INSTALL} again"
    if trial.returncode == 0:
        return None
    said = trial.stderr.decode(errors="replace").strip()[:500] or f"exit status {trial.returncode}"
    if "nknown option" in said:
        return f"bubblewrap is older than 0.8 ({said}); {_INSTALL} in a newer version"
    return f"bubblewrap is there and cannot make its walls ({said}); {_ALLOW}"


def command(
    argv: Sequence[str],
    *,
    readable: Sequence[Path | str] = (),
    writable: Sequence[Path | str] = (),
    devices: Sequence[Path | str] = (),
    memory_tmp_mb: int = TMP_MB,
    environment: Mapping[str, str] | None = None,
) -> list[str]:
    """Return the command line that runs a program behind bubblewrap; descriptors given to it pass through.

    Args:
        argv: The program and its arguments; ``sys.executable`` is there, other programs are not.
        readable: Files and folders it may read beside the interpreter, its packages and this one.
        writable: Folders and files it may write to as well.
        devices: Device nodes it may use, such as ``/dev/nvidia0``.
        memory_tmp_mb: Room in its ``/tmp``, which is memory, and again in ``/dev/shm``, 2^20 bytes.
        environment: Variables it sees beside ``HOME``, ``PATH`` and the like, none of which is its caller's.
    """
    size = str(memory_tmp_mb * MIB)
    head = [
        str(find() or "bwrap"),
        *_WALLS,
        *("--proc", "/proc", "--tmpfs", "/proc/sys", "--remount-ro", "/proc/sys"),
        *("--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm", "--size", size, "--tmpfs", "/tmp"),
    ]
    places = [
        *_system(),
        *_links(Path(sys.executable)),
        *_bound("--ro-bind", outermost([*_interpreter(), *map(Path, readable)])),
        *_bound("--bind", map(Path, writable)),
        *_bound("--dev-bind", map(Path, devices)),
    ]
    variables = {**_ENVIRONMENT, **(environment or {})}
    tail = [
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp"),
        *(word for name, value in variables.items() for word in ("--setenv", name, value)),
    ]
    return [*_as_nobody(len(head), len(places)), *head, *places, *tail, "--", *argv]


def gpu_devices() -> list[Path]:
    """Return the device nodes that networks on an NVIDIA GPU need; empty where there is none."""
    nodes = (*Path("/dev").glob("nvidia*"), *Path("/dev/nvidia-caps").glob("*"))
    return sorted(node for node in nodes if node.is_char_device())


def site_folders() -> list[Path]:
    """Return the folders of ``sys.path`` that distributions are installed into.

    A project's own folder, the current one and whatever holds a home are never among them.
    """
    given = [Path(entry) for entry in sys.path if entry]
    return [folder for folder in given if _is_site(folder)]


def outermost(paths: Iterable[Path]) -> list[Path]:
    """Return those of some paths that are there and lie inside none of the others, as they are spelt."""
    there = sorted({path.absolute() for path in paths if path.exists()})
    kept: list[Path] = []
    for path in there:
        if not any(path.is_relative_to(outer) for outer in kept):
            kept.append(path)
    return kept


def _as_nobody(start: int, length: int) -> list[str]:
    """Return what stands before the command where root starts it."""
    if os.geteuid() != 0:
        return []
    return [sys.executable, "-I", "-S", bwrap_as_nobody.__file__, str(start), str(start + length)]


def _is_site(folder: Path) -> bool:
    if not folder.is_dir() or folder.resolve() == Path.cwd() or _holds_a_home(folder):
        return False
    return any(folder.glob("*.dist-info"))


def _holds_a_home(folder: Path) -> bool:
    return Path(os.path.expanduser("~")).resolve().is_relative_to(folder.resolve())


def _interpreter() -> Iterator[Path]:
    """Yield what the running interpreter consists of, and the portions of this package that run inside."""
    for prefix in (sys.prefix, sys.base_prefix, sys.base_exec_prefix):
        yield from (Path(prefix, name) for name in ("lib", "lib64", "pyvenv.cfg"))
    paths = sysconfig.get_paths()
    yield from (Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    libraries = sysconfig.get_config_var("LIBDIR")
    if libraries:
        yield Path(libraries)
    yield from site_folders()
    for portion in _PORTIONS:
        spec = importlib.util.find_spec(portion)
        yield from map(Path, (spec and spec.submodule_search_locations) or ())


def _links(executable: Path) -> Iterator[str]:
    """Yield what puts an executable in its place, by way of the links that lead to it.

    The file behind them stays where it is: it may look for its libraries beside itself.
    """
    while executable.is_symlink():
        target = os.readlink(executable)
        yield from ("--symlink", target, str(executable))
        executable = executable.parent / target
    yield from ("--ro-bind", str(executable), str(executable))


def _system() -> Iterator[str]:
    for path in map(Path, _SYSTEM_LIBRARIES):
        if path.is_symlink():
            yield from ("--symlink", os.readlink(path), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    for path in map(Path, _LINKER_FILES):
        yield from ("--ro-bind-try", str(path), str(path))


def _bound(option: str, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from (option, str(path), str(path))
