"""What some machines switch off: an attack that rests on it cannot be shown there."""

import ctypes
import os
import resource
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.sandbox.redteam.call_numbers import CALLS

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_NEW_USER, _NEW_MOUNTS, _RECURSIVE_PRIVATE = 0x10000000, 0x20000, (1 << 14) | (1 << 18)
_SESSION_KEYRING = -3


def missing(facility: str) -> str | None:
    """Return why an attack that rests on a facility cannot be shown here, or None."""
    if not facility or _PROBES[facility]():
        return None
    return f"this machine has no {facility}, or it is switched off"


def _has_io_uring() -> bool:
    descriptor = _libc.syscall(CALLS["io_uring_setup"], 1, ctypes.create_string_buffer(120))
    if descriptor >= 0:
        os.close(descriptor)
    return _setting("kernel/io_uring_disabled", 0) == 0 and descriptor >= 0


def _has_keys() -> bool:
    return bool(_libc.syscall(CALLS["keyctl"], 0, _SESSION_KEYRING, 1) > 0)


def _has_user_namespaces() -> bool:
    if _setting("kernel/apparmor_restrict_unprivileged_userns", 0):
        return False
    pid = os.fork()
    if pid == 0:
        entered = _libc.unshare(_NEW_USER | _NEW_MOUNTS) == 0
        os._exit(0 if entered and _libc.mount(b"none", b"/", None, _RECURSIVE_PRIVATE, None) == 0 else 1)
    return os.waitpid(pid, 0)[1] == 0


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def _setting(name: str, default: int) -> int:
    try:
        return int(Path("/proc/sys", name).read_text())
    except (OSError, ValueError):
        return default


_PROBES: Mapping[str, Callable[[], bool]] = {
    "4 MB of memory that may be locked": lambda: resource.getrlimit(resource.RLIMIT_MEMLOCK)[0] >= 4 * 2**20,
    "IPv6": _has_ipv6,
    "POSIX message queues": lambda: Path("/proc/sys/fs/mqueue").exists(),
    "System V objects": lambda: Path("/proc/sysvipc").exists(),
    "TCP fast open": lambda: bool(_setting("net/ipv4/tcp_fastopen", 1) & 1),
    "io_uring": _has_io_uring,
    "key management": _has_keys,
    "performance counters for everybody": lambda: _setting("kernel/perf_event_paranoid", 4) <= 2,
    "user namespaces for everybody": _has_user_namespaces,
}
