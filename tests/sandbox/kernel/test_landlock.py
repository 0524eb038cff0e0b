"""What Landlock takes away: each thing works without it and is refused with it, and what is named stays."""

import ctypes
import fcntl
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.sandbox.kernel import landlock
from spatial_agent.tools.errors import SandboxUnavailableError

ABI = landlock.abi_version()
if ABI == 0:
    pytest.skip("this kernel has no Landlock, or it is off", allow_module_level=True)

Outcomes = Callable[[str], dict[str, tuple[str | None, str]]]
Attempt = Callable[[Path], Iterator[None]]
Ready = Any

LIBC = ctypes.CDLL(None, use_errno=True)
TIOCGPTN = 0x80045430
# The walls are put up when the folder of the attempt is known, by what is prepared in it.
FOLDERS: list[Path] = []


def prepared(folder: Path) -> Path:
    """Three folders with a file, a program and a folder each: to read, to write, and neither."""
    for name in ("readable", "writable", "other"):
        (folder / name / "within").mkdir(parents=True)
        (folder / name / "file").write_text("text", encoding="utf-8")
        (folder / name / "program").write_text("#!/bin/true\n", encoding="utf-8")
        (folder / name / "program").chmod(0o755)
    (folder / "single").write_text("text", encoding="utf-8")
    (folder / "link").symlink_to(folder / "other" / "file")
    FOLDERS.append(folder)
    return folder


def restrict(**options: bool) -> Callable[[int, int], None]:
    def wall(_read: int, _write: int) -> None:
        (folder,) = FOLDERS
        readable = [folder / "readable", folder / "single", folder / "link" / "none", folder / "nothing"]
        system = [path for path in ("/bin", "/lib", "/lib64", "/usr") if Path(path).exists()]
        landlock.restrict(
            readable=[*readable, *system, "/dev/ptmx"], writable=[str(folder / "writable")], **options
        )

    return wall


def forbid_everything(_read: int, _write: int) -> None:
    landlock.restrict()


def write(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY))


def create(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def run(path: Path) -> None:
    if (child := os.fork()) == 0:
        try:
            os.execv(path, [str(path)])
        except OSError as error:
            os._exit(error.errno or 255)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        raise OSError(code, os.strerror(code))


def bind_unix(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def make_device(path: Path) -> None:
    os.mknod(path, 0o20666, os.makedev(1, 3))


def rename(target: Path) -> None:
    os.rename(target.parents[1] / "writable" / "file", target)


def link(target: Path) -> None:
    os.link(target.parents[1] / "writable" / "file", target)


#: What is done to a path below one of the three folders: name -> path there, what is done, where it works.
WITH_PATHS: dict[str, tuple[str, Callable[[Path], object], set[str]]] = {
    "read": ("file", lambda path: path.read_bytes(), {"readable", "writable"}),
    "list": ("", os.listdir, {"readable", "writable"}),
    "list below": ("within", os.listdir, {"readable", "writable"}),
    "run": ("program", run, {"readable"}),
    "write": ("file", write, {"writable"}),
    "truncate": ("file", lambda path: os.truncate(path, 0), {"writable"}),
    "create": ("new", create, {"writable"}),
    "create below": ("within/new", create, {"writable"}),
    "unlink": ("file", os.unlink, {"writable"}),
    "remove a folder": ("within", os.rmdir, {"writable"}),
    "make a folder": ("new", os.mkdir, {"writable"}),
    "make a link": ("new", lambda path: os.symlink("/", path), {"writable"}),
    "make a pipe": ("new", os.mkfifo, {"writable"}),
    "make a socket": ("new", bind_unix, {"writable"}),
    "rename into": ("new", rename, {"writable"}),
    "link into": ("new", link, {"writable"}),
}


def with_path(name: str, where: str) -> Attempt:
    path, act, _ = WITH_PATHS[name]

    def steps(folder: Path) -> Iterator[None]:
        target = prepared(folder) / where / path
        yield
        act(target)

    steps.__name__ = f"{where}: {name}"
    return steps


def listening(family: int, address: tuple[str, int] | str) -> socket.socket:
    server = socket.socket(family)
    server.bind(address)
    server.listen()
    return server


def connect(server: socket.socket) -> None:
    with socket.socket(server.family) as client:
        client.connect(server.getsockname())


def a_process(folder: Path) -> int:
    """Start one that ends with this one, and holds nothing of it."""
    prepared(folder)
    ends = os.pipe()
    if (child := os.fork()) == 0:
        os.dup2(ends[0], 0)
        os.closerange(1, 256)
        os.read(0, 1)
        os._exit(0)
    return child


def number_of_terminal(_: Path) -> None:
    with open("/dev/ptmx", "rb", buffering=0) as terminal:
        fcntl.ioctl(terminal, TIOCGPTN, b"1234")


def listening_here(folder: Path) -> socket.socket:
    prepared(folder)
    return listening(socket.AF_INET, ("127.0.0.1", 0))


def listening_without_a_path(folder: Path) -> socket.socket:
    return listening(socket.AF_UNIX, f"\0{prepared(folder)}")


def inside(name: str) -> Callable[[Path], Path]:
    return lambda folder: prepared(folder) / name


def open_folder(folder: Path) -> int:
    return os.open(prepared(folder) / "other", os.O_RDONLY)


#: Everything else: name -> what is made ready, what is tried, and since which ABI it is refused.
OTHERS: dict[str, tuple[Callable[[Path], Ready], Callable[[Ready], object], int]] = {
    "write a file that is readable alone": (inside("single"), write, 1),
    "through a link": (inside("link"), Path.read_bytes, 1),
    "through dots": (inside("readable/../other/file"), Path.read_bytes, 1),
    "the folder above": (prepared, os.listdir, 1),
    "beneath an open folder": (open_folder, lambda fd: os.open("file", os.O_RDONLY, dir_fd=fd), 1),
    "a process's status": (prepared, lambda _: os.open("/proc/self/status", os.O_RDONLY), 1),
    "a device's ioctl": (prepared, number_of_terminal, 5),
    "bind TCP": (prepared, lambda _: listening(socket.AF_INET, ("127.0.0.1", 0)), 4),
    "connect TCP": (listening_here, connect, 4),
    "connect without a path": (listening_without_a_path, connect, 6),
    "signal": (a_process, lambda child: os.kill(child, 0), 6),
    "make a device": (inside("writable/new"), make_device, 1),
}
NETWORK = {"bind TCP", "connect TCP"}
SCOPED = {"connect without a path", "signal"}
#: What is tried again where the caller leaves some of it open.
CHOSEN = sorted(NETWORK | SCOPED | {"the folder above"})


def other(name: str) -> Attempt:
    prepare, act, _ = OTHERS[name]

    def steps(folder: Path) -> Iterator[None]:
        ready = prepare(folder)
        yield
        act(ready)

    steps.__name__ = name
    return steps


def read_alone(folder: Path) -> Iterator[None]:
    prepared(folder)
    yield
    assert (folder / "single").read_bytes() == b"text"


def reads_what_is_open(_: Path) -> Iterator[None]:
    with open("/dev/zero", "rb", buffering=0) as zeros:
        yield
        assert zeros.read(3) == b"\0\0\0"
        with pytest.raises(PermissionError):
            os.open("/dev/zero", os.O_RDONLY)


def descriptors() -> list[int]:
    return [fd for fd in range(256) if is_open(fd)]


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def leaves_nothing_open(folder: Path) -> Iterator[None]:
    prepared(folder)
    before = descriptors()
    yield
    assert descriptors() == before


def other_threads_keep_what_they_have(folder: Path) -> Iterator[None]:
    prepared(folder)
    go, found = threading.Event(), list[bytes]()

    def read() -> None:
        go.wait()
        found.append((folder / "other" / "file").read_bytes())

    thread = threading.Thread(target=read)
    thread.start()
    yield
    with pytest.raises(PermissionError):
        (folder / "other" / "file").read_bytes()
    go.set()
    thread.join()
    assert found == [b"text"]


def started_threads_and_processes_have_no_more(folder: Path) -> Iterator[None]:
    prepared(folder)
    refused = list[str]()

    def read() -> None:
        try:
            (folder / "other" / "file").read_bytes()
        except PermissionError as error:
            refused.append(str(error))

    yield
    thread = threading.Thread(target=read)
    thread.start()
    thread.join()
    assert len(refused) == 1
    ran = subprocess.run(["cat", folder / "other" / "file"], capture_output=True, text=True)
    assert "Permission denied" in ran.stderr


def only_tightens(folder: Path) -> Iterator[None]:
    prepared(folder)
    yield
    landlock.restrict(readable=[folder])
    assert (folder / "readable" / "file").read_bytes() == b"text"
    for path in (folder / "other" / "file", folder / "writable" / "new"):
        with pytest.raises(PermissionError):
            os.open(path, os.O_RDWR | os.O_CREAT)


def gains_no_privileges(folder: Path) -> Iterator[None]:
    prepared(folder)
    yield
    assert LIBC.prctl(39, 0, 0, 0, 0) == 1


def says_what_cannot_be_named(folder: Path) -> Iterator[None]:
    (prepared(folder) / "loop").symlink_to(folder / "loop")
    with pytest.raises(SandboxUnavailableError, match="loop"):
        landlock.restrict(readable=[folder / "loop"])
    yield


EVERY_PATH = [with_path(name, where) for name in WITH_PATHS for where in ("readable", "writable", "other")]
REFUSED = {
    "restricted": [*EVERY_PATH, *(other(name) for name in OTHERS)],
    "network": [other(name) for name in CHOSEN],
    "unscoped": [other(name) for name in CHOSEN],
    "everything": [with_path(name, "writable") for name in WITH_PATHS],
}
WORKS: dict[str, list[Attempt]] = {
    "restricted": [
        *(read_alone, leaves_nothing_open, other_threads_keep_what_they_have, only_tightens),
        *(started_threads_and_processes_have_no_more, gains_no_privileges, says_what_cannot_be_named),
    ],
    "network": [],
    "unscoped": [],
    "everything": [reads_what_is_open],
}
WALLS = {
    "restricted": restrict(),
    "network": restrict(network=True),
    "unscoped": restrict(scoped=False),
    "everything": forbid_everything,
}


@pytest.mark.parametrize("name", WITH_PATHS)
@pytest.mark.parametrize("where", ["readable", "writable", "other"])
def test_what_is_named_stays_and_the_rest_goes(name: str, where: str, outcomes: Outcomes) -> None:
    before, behind = outcomes("restricted")[f"{where}: {name}"]
    assert before == "done"
    stays = where in WITH_PATHS[name][2] or (name == "truncate" and ABI < 3)
    assert behind == ("done" if stays else "EACCES")


@pytest.mark.parametrize("name", WITH_PATHS)
def test_without_a_path_everything_goes(name: str, outcomes: Outcomes) -> None:
    stays = name == "truncate" and ABI < 3
    assert outcomes("everything")[f"writable: {name}"] == ("done", "done" if stays else "EACCES")


@pytest.mark.parametrize("name", OTHERS)
def test_the_rest_of_the_machine_goes(name: str, user: str, outcomes: Outcomes) -> None:
    if name == "make a device" and user != "root":
        pytest.skip("only root makes devices")
    before, behind = outcomes("restricted")[name]
    assert (before, behind) == ("done", expected(name, kept=set()))


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize(("wall", "kept"), [("network", NETWORK), ("unscoped", SCOPED)])
def test_a_caller_can_leave_some_of_it(name: str, wall: str, kept: set[str], outcomes: Outcomes) -> None:
    before, behind = outcomes(wall)[name]
    assert (before, behind) == ("done", expected(name, kept=kept))


def expected(name: str, *, kept: set[str]) -> str:
    if name in kept or OTHERS[name][2] > ABI:
        return "done"
    return "EPERM" if name in SCOPED else "EACCES"


@pytest.mark.parametrize(
    ("wall", "check"), [(wall, check.__name__) for wall, checks in WORKS.items() for check in checks]
)
def test_behind_the_wall_it(wall: str, check: str, outcomes: Outcomes) -> None:
    assert outcomes(wall)[check] == (None, "done")
