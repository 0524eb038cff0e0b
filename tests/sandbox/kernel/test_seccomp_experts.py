"""What strangers' experts need works behind their filter; what exploits begin with does not."""

import codecs
import ctypes
import errno
import fcntl
import mmap
import os
import pty
import socket
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.sandbox.kernel import seccomp, syscalls
from spatial_agent.tools.errors import SandboxUnavailableError

if not seccomp.available():
    pytest.skip("this kernel takes no system call filter", allow_module_level=True)

Outcomes = Callable[[str], dict[str, tuple[str | None, str]]]
Attempt = Callable[[Path], Iterator[None]]
Ready = Any

LIBC = ctypes.CDLL(None, use_errno=True)
BUFFER = ctypes.create_string_buffer(4096)
ADDRESS = ctypes.addressof(BUFFER)
NEW_MOUNTS, NEW_UTS, NEW_USER, NEW_NETWORK = 0x0002_0000, 0x0400_0000, 0x1000_0000, 0x4000_0000
RECURSIVE, PRIVATE = 0x4000, 0x4_0000
#: bpf(2): an array of one element of 4 bytes, with keys of 4 bytes.
ARRAY_MAP = struct.pack("IIII", 2, 4, 4, 1)
SIGCHLD = 17
# Looking up addresses loads this the first time.
codecs.lookup("idna")
AF_ALG, AF_VSOCK = 38, 40


def call(name: str, *arguments: int) -> int:
    return syscalls.call(name, *arguments)


def clone(flags: int) -> None:
    if (child := call("clone", flags | SIGCHLD, 0, 0, 0, 0)) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def clone3(_: Ready) -> None:
    arguments = (ctypes.c_uint64 * 11)(0, 0, 0, 0, SIGCHLD)
    if (child := call("clone3", ctypes.addressof(arguments), ctypes.sizeof(arguments))) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def filled(content: bytes, size: int = 0) -> int:
    """Return the address of bytes, with zeros behind them."""
    ctypes.memset(ADDRESS, 0, max(size, len(content) + 1))
    ctypes.memmove(ADDRESS, content, len(content))
    return ADDRESS


def key(_: Ready) -> None:
    at = filled(b"user\0key\0value")
    call("keyctl", 3, call("add_key", at, at + 5, at + 9, 5, ctypes.c_ulong(-2).value))


def handle(folder: Path) -> int:
    """Return the address of a handle of a folder, as name_to_handle_at fills it in."""
    path = ctypes.create_string_buffer(os.fsencode(folder))
    at = filled((128).to_bytes(4, "little"), 1024)
    call("name_to_handle_at", ctypes.c_ulong(-100).value, ctypes.addressof(path), at, at + 512, 0)
    return at


def copy_own_memory(_: Ready) -> None:
    source, target = ctypes.create_string_buffer(b"text"), ctypes.create_string_buffer(5)
    pieces = (ctypes.c_uint64 * 4)(ctypes.addressof(target), 5, ctypes.addressof(source), 5)
    at = ctypes.addressof(pieces)
    assert call("process_vm_readv", os.getpid(), at, 1, at + 16, 1, 0) == 5


def mount(kind: bytes, folder: Path) -> None:
    texts = [ctypes.create_string_buffer(text) for text in (b"none", os.fsencode(folder), kind)]
    call("unshare", NEW_MOUNTS)
    # What is mounted here must not appear in front of the wall.
    call("mount", 0, filled(b"/"), 0, RECURSIVE | PRIVATE, 0)
    call("mount", *(ctypes.addressof(text) for text in texts), 0, 0)


def a_file(folder: Path) -> Path:
    (folder / "file").write_text("text", encoding="utf-8")
    return folder / "file"


def a_terminal(folder: Path) -> int:
    """Open a terminal and make it that of this process."""
    os.setsid()
    return os.open(os.ttyname(pty.openpty()[1]), os.O_RDWR)


def type_into(terminal: int) -> None:
    fcntl.ioctl(terminal, 0x5412, b"x")


def type_into_by_a_larger_number(terminal: int) -> None:
    letter = ctypes.create_string_buffer(b"x")
    number = 16 if syscalls.running() is syscalls.X86_64 else 29
    if (
        LIBC.syscall(*map(ctypes.c_long, (number, terminal, 1 << 32 | 0x5412, ctypes.addressof(letter))))
        == -1
    ):
        raise OSError(ctypes.get_errno(), "ioctl")


def nothing(folder: Path) -> Path:
    return folder


Case = tuple[Callable[[Path], Ready], Callable[[Ready], object]]
#: What is refused, whoever tries: name -> what is made ready, and what is tried.
ANYONE: dict[str, Case] = {
    "unshare": (nothing, lambda _: call("unshare", NEW_USER)),
    "unshare nothing": (nothing, lambda _: call("unshare", 0)),
    "clone into a namespace": (nothing, lambda _: clone(NEW_USER | NEW_NETWORK)),
    "trace": (nothing, lambda _: call("ptrace", 0, 0, 0, 0)),
    "read memory of a process": (nothing, copy_own_memory),
    "compare processes": (nothing, lambda _: call("kcmp", os.getpid(), os.getpid(), 0, 0, 0)),
    "take a descriptor": (
        lambda _: os.pidfd_open(os.getpid()),
        lambda fd: call("pidfd_getfd", fd, fd, 0),
    ),
    "keyring": (nothing, lambda _: call("keyctl", 0, ctypes.c_ulong(-3).value, 1)),
    "key": (nothing, key),
    "shared memory": (nothing, lambda _: call("shmget", 0, 4096, 0o600)),
    "messages": (nothing, lambda _: call("msgget", 0, 0o600)),
    "semaphores": (nothing, lambda _: call("semget", 0, 1, 0o600)),
    "nameless file": (nothing, lambda _: call("memfd_create", filled(b"file"), 0)),
    "io_uring": (nothing, lambda _: call("io_uring_setup", 2, filled(b"", 120))),
    "userfaultfd": (nothing, lambda _: call("userfaultfd", 1)),
    "name by handle": (nothing, handle),
    "personality": (nothing, lambda _: call("personality", 0)),
    "netlink": (nothing, lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "vsock": (nothing, lambda _: socket.socket(AF_VSOCK)),
    "crypto": (nothing, lambda _: socket.socket(AF_ALG, socket.SOCK_SEQPACKET)),
}
#: What only root could do without the filter.
ROOT: dict[str, Case] = {
    "mount": (nothing, lambda folder: mount(b"tmpfs", folder)),
    "open a file system": (nothing, lambda _: call("fsopen", filled(b"tmpfs"), 0)),
    "join a namespace": (lambda _: os.open("/proc/self/ns/net", 0), lambda fd: call("setns", fd, 0)),
    "open by handle": (
        lambda folder: (os.open(folder, os.O_RDONLY), handle(folder)),
        lambda ready: call("open_by_handle_at", ready[0], ready[1], 0),
    ),
    "change root": (nothing, os.chroot),
    "read the kernel's log": (nothing, lambda _: call("syslog", 10, 0, 0)),
    "name the machine": (lambda _: call("unshare", NEW_UTS), lambda _: call("sethostname", filled(b"x"), 1)),
    "watch all files": (nothing, lambda _: call("fanotify_init", 0, 0)),
    "packets": (nothing, lambda _: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)),
    "make a map for kernel programs": (nothing, lambda _: call("bpf", 0, filled(ARRAY_MAP, 72), 72)),
    "type into the terminal": (a_terminal, type_into),
    "type into the terminal by a larger number": (a_terminal, type_into_by_a_larger_number),
}
#: Kernels are built or set up without these; containers keep some from root as well.
MAY_BE_MISSING = {
    *("unshare", "unshare nothing", "clone into a namespace", "compare processes", "io_uring", "userfaultfd"),
    *("keyring", "key", "vsock", "crypto", "name by handle", *ROOT),
}


def files(folder: Path) -> None:
    a_file(folder)
    (folder / "new").mkdir()
    os.rename(folder / "file", folder / "new" / "file")
    with (
        open(folder / "new" / "file", "rb") as file,
        mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped,
    ):
        assert mapped[:] == b"text"
        fcntl.flock(file, fcntl.LOCK_EX)


def threads(_: Path) -> None:
    found = list[int]()
    workers = [threading.Thread(target=found.append, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == [0, 1, 2, 3]


def processes(_: Path) -> None:
    assert subprocess.run(["echo", "text"], capture_output=True, check=True).stdout == b"text\n"
    if (child := os.fork()) == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    clone(0)


def children_are_held_too(_: Path) -> None:
    done = subprocess.run(["unshare", "--user", "true"], capture_output=True, text=True)
    assert "Operation not permitted" in done.stderr


def networks_of_the_namespace(_: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        one.send(b"x")
    for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6):
        socket.socket(family, socket.SOCK_DGRAM).close()
    left, right = socket.socketpair()
    left.close()
    right.close()


def compiled_code(_: Path) -> None:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def other_ioctls(_: Path) -> None:
    ends = os.pipe()
    os.write(ends[1], b"12345")
    assert fcntl.ioctl(ends[0], 0x541B, b"    ")[:1] == b"\x05"


def newer_calls_do_not_exist(_: Path) -> None:
    """No number that nobody has judged gets through; on the way there, the filter is known to be up."""
    with pytest.raises(PermissionError):
        call("unshare", 0)
    for number in (*range(451, 600), 10_000):
        assert LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6) == -1
        assert ctypes.get_errno() == errno.ENOSYS, number


def arrays_are_shared_by_descriptor(_: Path) -> Iterator[None]:
    """As a parent hands them over: the memory is made in front of the wall, received and mapped behind it."""
    memory = os.memfd_create("array")
    os.ftruncate(memory, 4096)
    left, right = socket.socketpair()
    socket.send_fds(left, [b"x"], [memory])
    yield
    received = socket.recv_fds(right, 1, 1)[1][0]
    with mmap.mmap(memory, 4096) as ours, mmap.mmap(received, 4096) as theirs:
        ours[0] = 7
        assert theirs[0] == 7


def threads_that_run_already_are_held(_: Path) -> Iterator[None]:
    go, refused = threading.Event(), list[OSError]()

    def leave() -> None:
        go.wait()
        try:
            call("unshare", 0)
        except PermissionError as error:
            refused.append(error)

    thread = threading.Thread(target=leave)
    thread.start()
    yield
    go.set()
    thread.join()
    assert len(refused) == 1


def a_thread_with_another_filter_is_an_error(_: Path) -> Iterator[None]:
    """A filter that holds some threads only would hold none."""
    has_one, go = threading.Event(), threading.Event()

    def restrict_itself() -> None:
        # struct sock_fprog of one instruction, which allows everything.
        allow = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0x7FFF0000))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(allow)))
        call("seccomp", 1, 0, ctypes.addressof(program))
        has_one.set()
        go.wait()

    yield
    thread = threading.Thread(target=restrict_itself)
    thread.start()
    has_one.wait()
    with pytest.raises(SandboxUnavailableError, match=f"got thread {thread.native_id} with another"):
        seccomp.install_deny_list()
    go.set()
    thread.join()


def tried(name: str, case: Case) -> Attempt:
    prepare, act = case

    def steps(folder: Path) -> Iterator[None]:
        ready = prepare(folder)
        yield
        act(ready)

    steps.__name__ = name
    return steps


CHECKS = (
    *(files, threads, processes, children_are_held_too, networks_of_the_namespace),
    *(compiled_code, other_ioctls, newer_calls_do_not_exist),
)
REFUSED = {
    "expert": [
        *(tried(name, case) for name, case in (ANYONE | ROOT).items()),
        tried("clone3", (nothing, clone3)),
    ]
}
PREPARED = (
    *(arrays_are_shared_by_descriptor, threads_that_run_already_are_held),
    a_thread_with_another_filter_is_an_error,
)
WORKS = {"expert": [*(tried(check.__name__, (nothing, check)) for check in CHECKS), *PREPARED]}
WALLS: dict[str, Callable[[int, int], None]] = {"expert": lambda _read, _write: seccomp.install_deny_list()}


@pytest.mark.parametrize("name", ANYONE | ROOT)
def test_an_expert_cannot(name: str, user: str, outcomes: Outcomes) -> None:
    if name in ROOT and user != "root":
        pytest.skip("only root could")
    before, behind = outcomes("expert")[name]
    assert behind == "EPERM"
    if before != "done" and name in MAY_BE_MISSING:
        pytest.skip(f"not to be had here without the filter either: {before}")
    assert before == "done"


def test_the_c_library_is_told_that_there_is_no_clone3(outcomes: Outcomes) -> None:
    assert outcomes("expert")["clone3"] == ("done", "ENOSYS")


@pytest.mark.parametrize(
    "name", [*(check.__name__ for check in CHECKS), *(check.__name__ for check in PREPARED)]
)
def test_behind_the_filter(name: str, outcomes: Outcomes) -> None:
    assert outcomes("expert")[name] == (None, "done")
