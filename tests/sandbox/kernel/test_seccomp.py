"""Each thing a program might try works without the filter for programs and is refused behind it."""

import ctypes
import fcntl
import mmap
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.sandbox.kernel import seccomp, syscalls

if not seccomp.available():
    pytest.skip("this kernel takes no system call filter", allow_module_level=True)

#: What an attempt makes ready in front of the wall: a descriptor, a socket, an address.
Ready = Any
Outcomes = Callable[[str], dict[str, tuple[str | None, str]]]

LIBC = ctypes.CDLL(None, use_errno=True)
PAGE = mmap.PAGESIZE
BUFFER = ctypes.create_string_buffer(4096)
ADDRESS = ctypes.addressof(BUFFER)
SLASH = ctypes.create_string_buffer(b"/")
RWX = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
ANONYMOUS = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
PERF_SOFTWARE_TASK_CLOCK = struct.pack("<IIQ96x", 1, 112, 1)


def checked(result: int) -> int:
    if result == -1:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


def call(name: str, *arguments: int) -> int:
    return syscalls.call(name, *arguments)


def libc(name: str, *arguments: int) -> int:
    return checked(getattr(LIBC, name)(*(ctypes.c_long(argument) for argument in arguments)))


def mapped(protection: int, flags: int, fd: int = -1) -> int:
    LIBC.mmap.restype = ctypes.c_long
    return checked(LIBC.mmap(None, ctypes.c_size_t(PAGE), protection, flags, fd, ctypes.c_long(0)))


def inode(folder: Path) -> int:
    (folder / "file").write_text("text", encoding="utf-8")
    return os.open(folder / "file", os.O_RDWR)


def fork(*_: Ready) -> None:
    if (child := os.fork()) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def start_thread(*_: Ready) -> None:
    # The C library turns what the kernel says into an exception without a number.
    try:
        threading.Thread(target=int).start()
    except RuntimeError as error:
        raise PermissionError(1, str(error)) from error


def perf_event(*_: Ready) -> int:
    attributes = ctypes.create_string_buffer(PERF_SOFTWARE_TASK_CLOCK, 112)
    struct.pack_into("<Q", attributes, 40, 1 << 5 | 1 << 6)  # neither the kernel's time nor the hypervisor's
    return call("perf_event_open", ctypes.addressof(attributes), 0, ctypes.c_ulong(-1).value, -1, 0)


def other_clock(*_: Ready) -> float:
    return time.clock_gettime((~os.getpid() << 3) | 2)


def nothing(folder: Path) -> Path:
    return folder


def opened(_: Path) -> int:
    return os.open("/dev/zero", os.O_RDWR)


def a_pipe(_: Path) -> tuple[int, int]:
    ends = os.pipe()
    os.write(ends[1], b"12345678")
    return ends


def connected(_: Path) -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    pair[1].send(b"12345678")
    return pair


#: What it is -> what is made ready in front of the wall, and what is tried behind it.
FILES: dict[str, tuple[Callable[[Path], Ready], Callable[[Ready], object]]] = {
    "open to read": (nothing, lambda _: os.open("/proc/self/status", os.O_RDONLY)),
    "open to write": (nothing, lambda folder: os.open(folder / "new", os.O_WRONLY | os.O_CREAT)),
    "open beneath": (lambda folder: os.open(folder, os.O_RDONLY), lambda fd: os.open(".", 0, dir_fd=fd)),
    "stat": (nothing, os.stat),
    "access": (nothing, lambda _: libc("access", ctypes.addressof(SLASH), os.R_OK)),
    "list": (nothing, os.listdir),
    "list what is open": (lambda folder: os.open(folder, os.O_RDONLY), os.listdir),
    "read a link": (nothing, lambda _: os.readlink("/proc/self/exe")),
    "make a folder": (nothing, lambda folder: os.mkdir(folder / "new")),
    "rename": (lambda folder: (inode(folder), folder)[1], lambda at: os.rename(at / "file", at / "new")),
    "unlink": (lambda folder: (inode(folder), folder)[1], lambda at: os.unlink(at / "file")),
    "make a link": (nothing, lambda folder: os.symlink("/", folder / "link")),
    "change a mode": (inode, lambda fd: os.fchmod(fd, 0o600)),
    "truncate": (inode, lambda fd: os.ftruncate(fd, 0)),
    "where am I": (nothing, lambda _: os.getcwd()),
    "go elsewhere": (nothing, os.chdir),
    "size of the file system": (nothing, os.statvfs),
    "memory as a file": (nothing, lambda _: os.memfd_create("x")),
    "watch files": (nothing, lambda _: libc("inotify_init1", 0)),
}
DESCRIPTORS: dict[str, tuple[Callable[[Path], Ready], Callable[[Ready], object]]] = {
    "read another": (opened, lambda fd: os.read(fd, 1)),
    "write another": (opened, lambda fd: os.write(fd, b"x")),
    "read at a place": (inode, lambda fd: os.pread(fd, 1, 0)),
    "read in pieces": (a_pipe, lambda ends: os.readv(ends[0], [bytearray(4)])),
    "write in pieces": (a_pipe, lambda ends: os.writev(ends[1], [b"x"])),
    "send a file": (lambda at: (inode(at), a_pipe(at)[1]), lambda fds: os.sendfile(fds[1], fds[0], 0, 1)),
    "splice": (lambda at: (a_pipe(at), a_pipe(at)), lambda p: libc("splice", p[0][0], 0, p[1][1], 0, 1, 0)),
    "close": (opened, os.close),
    "dup": (opened, os.dup),
    "dup over": (opened, lambda fd: os.dup2(fd, 100)),
    "fcntl": (opened, lambda fd: fcntl.fcntl(fd, fcntl.F_GETFD)),
    "ioctl": (a_pipe, lambda ends: fcntl.ioctl(ends[0], 0x541B, b"    ")),
    "fstat": (opened, os.fstat),
    "seek": (inode, lambda fd: os.lseek(fd, 1, os.SEEK_SET)),
    "pipe": (nothing, lambda _: os.pipe()),
    "poll": (a_pipe, lambda ends: select.select([ends[0]], [], [], 0)),
    "epoll": (nothing, lambda _: select.epoll()),
    "eventfd": (nothing, lambda _: libc("eventfd", 0, 0)),
    "timerfd": (nothing, lambda _: libc("timerfd_create", 1, 0)),
    "receive": (connected, lambda pair: pair[0].recv(1)),
    "send": (connected, lambda pair: pair[0].send(b"x")),
    "close a range": (nothing, lambda _: libc("close_range", 200, 300, 0)),
    "io_uring": (nothing, lambda _: call("io_uring_setup", 2, ADDRESS)),
    "userfaultfd": (nothing, lambda _: call("userfaultfd", 1)),
    "perf": (nothing, perf_event),
}
SOCKETS: dict[str, tuple[Callable[[Path], Ready], Callable[[Ready], object]]] = {
    "unix": (nothing, lambda _: socket.socket(socket.AF_UNIX)),
    "internet": (nothing, lambda _: socket.socket(socket.AF_INET)),
    "internet 6": (nothing, lambda _: socket.socket(socket.AF_INET6)),
    "datagrams": (nothing, lambda _: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)),
    "netlink": (nothing, lambda _: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)),
    "pair": (nothing, lambda _: socket.socketpair()),
}
MEMORY: dict[str, tuple[Callable[[Path], Ready], Callable[[Ready], object]]] = {
    "executable": (nothing, lambda _: mapped(RWX, ANONYMOUS)),
    "make executable": (
        lambda _: mapped(mmap.PROT_READ, ANONYMOUS),
        lambda address: checked(LIBC.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), RWX)),
    ),
    "of a file": (inode, lambda fd: mapped(mmap.PROT_READ, mmap.MAP_PRIVATE, fd)),
    "shared with children": (nothing, lambda _: mapped(mmap.PROT_READ, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS)),
    "merged with others": (
        lambda _: mapped(mmap.PROT_READ, ANONYMOUS),
        lambda address: checked(LIBC.madvise(ctypes.c_void_p(address), ctypes.c_size_t(PAGE), 16)),
    ),
    "locked": (nothing, lambda _: libc("mlock", ADDRESS & -PAGE, PAGE)),
    "System V": (nothing, lambda _: libc("shmctl", libc("shmget", 0, PAGE, 0o600), 0, 0)),
    "semaphores": (nothing, lambda _: libc("semctl", libc("semget", 0, 1, 0o600), 0, 0)),
    "queues": (nothing, lambda _: libc("msgctl", libc("msgget", 0, 0o600), 0, 0)),
    "keys": (nothing, lambda _: call("keyctl", 0, -3, 1)),
}
PROCESSES: dict[str, tuple[Callable[[Path], Ready], Callable[[Ready], object]]] = {
    "fork": (nothing, fork),
    "run": (nothing, lambda _: subprocess.run(["/bin/true"], check=True)),
    "spawn": (nothing, lambda _: os.posix_spawn("/bin/true", ["true"], {})),
    "thread": (nothing, start_thread),
    "signal": (nothing, lambda _: os.kill(os.getpid(), 0)),
    "signal a thread": (nothing, lambda _: signal.pthread_kill(threading.get_ident(), 0)),
    "handle a signal": (nothing, lambda _: signal.signal(signal.SIGTERM, signal.SIG_IGN)),
    "block a signal": (nothing, lambda _: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})),
    "set a timer": (nothing, lambda _: signal.setitimer(signal.ITIMER_REAL, 50)),
    "name a process": (nothing, lambda _: libc("pidfd_open", os.getpid(), 0)),
    "trace": (nothing, lambda _: call("ptrace", 0, 0, 0, 0)),
    "read memory of": (nothing, lambda _: call("process_vm_readv", os.getpid(), 0, 0, 0, 0, 0)),
    "prctl": (nothing, lambda _: libc("prctl", 3, 0, 0, 0, 0)),
    "lift a limit": (nothing, lambda _: resource.prlimit(0, resource.RLIMIT_CORE, (0, 0))),
    "read a limit": (nothing, lambda _: resource.getrlimit(resource.RLIMIT_CORE)),
    "usage": (nothing, lambda _: resource.getrusage(resource.RUSAGE_SELF)),
    "choose processors": (nothing, lambda _: os.sched_setaffinity(0, os.sched_getaffinity(0))),
    "clock of another process": (nothing, other_clock),
    "name of the machine": (nothing, lambda _: os.uname()),
    "load of the machine": (lambda _: ADDRESS, lambda at: libc("sysinfo", at)),
    "new namespace": (nothing, lambda _: call("unshare", 0x1000_0000)),
    "personality": (nothing, lambda _: call("personality", 0)),
    "futex of inherited priority": (nothing, lambda _: call("futex", ADDRESS & -8, 6 | 128, 0, 0, 0, 0)),
    "another filter": (nothing, lambda _: call("seccomp", 2, 0, ADDRESS)),
    "another ruleset": (nothing, lambda _: call("landlock_create_ruleset", 0, 0, 1)),
}
GROUPS = {"files": FILES, "fds": DESCRIPTORS, "sockets": SOCKETS, "memory": MEMORY, "processes": PROCESSES}
CASES = {f"{group}: {name}": case for group, cases in GROUPS.items() for name, case in cases.items()}
#: Kernels are built or set up without these.
MAY_BE_MISSING = {
    *("fds: io_uring", "fds: userfaultfd", "fds: perf", "sockets: internet 6", "sockets: netlink"),
    *("memory: System V", "memory: semaphores", "memory: queues", "processes: new namespace"),
    *("processes: another ruleset", "memory: keys"),
}


def attempt(name: str) -> Callable[[Path], Iterator[None]]:
    prepare, act = CASES[name]

    def steps(folder: Path) -> Iterator[None]:
        ready = prepare(folder)
        yield
        act(ready)

    steps.__name__ = name
    return steps


REFUSED = {"program": [attempt(name) for name in CASES]}
WORKS: dict[str, list[Callable[[Path], Iterator[None]]]] = {"program": []}
WALLS = {"program": seccomp.install_allow_list}


@pytest.mark.parametrize("name", CASES)
def test_a_program_cannot(name: str, outcomes: Outcomes) -> None:
    before, behind = outcomes("program")[name]
    assert behind == "EPERM"
    if before != "done" and name in MAY_BE_MISSING:
        pytest.skip(f"not to be had here without the filter either: {before}")
    assert before == "done"
