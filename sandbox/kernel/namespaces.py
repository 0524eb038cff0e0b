"""A world of its own for a process: no network, no other processes, an empty root, other users.

What is entered holds for the calling process and whatever it starts. Entering needs one thread only.
"""

import os
from contextlib import suppress
from pathlib import Path

from spatial_agent.sandbox.kernel.libc import call

NEW_MOUNTS = 0x00020000
NEW_CGROUP = 0x02000000
NEW_HOST_NAME = 0x04000000
NEW_IPC = 0x08000000
NEW_USERS = 0x10000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000
_ALL = NEW_MOUNTS | NEW_CGROUP | NEW_HOST_NAME | NEW_IPC | NEW_PIDS | NEW_NETWORK

_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 1, 2, 4, 8
_MS_REC, _MS_PRIVATE = 1 << 14, 1 << 18
_MNT_DETACH = 2
#: Any folder that every system has; the empty root is mounted over it, out of everybody else's sight.
_SPOT = b"/proc"


def enter(inner_id: int) -> None:
    """Enter new namespaces of every kind as an ordinary user or root; children get the new process numbers.

    Args:
        inner_id: Number by which this user and group are known inside.

    Raises:
        OSError: If the kernel, or a container's rules, do not allow it.
    """
    outer_user, outer_group = os.geteuid(), os.getegid()
    call("unshare", _ALL | NEW_USERS)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{inner_id} {outer_user} 1")
    _write("/proc/self/gid_map", f"{inner_id} {outer_group} 1")
    # No further user namespace, where a program would have every privilege over its own.
    _write("/proc/sys/user/max_user_namespaces", "0")


def enter_as_root() -> None:
    """Enter new namespaces of every kind but users, where user namespaces are forbidden.

    Raises:
        OSError: If this process may not.
    """
    call("unshare", _ALL)


def keep_mounts_apart() -> None:
    """Make sure that what is mounted here, or called, is so for nobody else; without effect unless root."""
    with suppress(PermissionError):
        call("unshare", NEW_MOUNTS | NEW_HOST_NAME)
        call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)


def number_children_anew(own: int) -> None:
    """Have the next child be the first process of a numbering of its own, where it sees nobody else.

    Args:
        own: Descriptor of this process's own numbering (``/proc/self/ns/pid``).

    Raises:
        OSError: If the kernel refuses.
    """
    # What was asked for the child before stands in the way of asking again.
    call("setns", own, NEW_PIDS)
    call("unshare", NEW_PIDS)


def own_ipc() -> None:
    """Leave the shared memory, semaphores and queues of others behind."""
    call("unshare", NEW_IPC)


def empty_root() -> None:
    """Replace the root by an empty folder nobody can write to; needs a mount namespace of its own.

    Raises:
        OSError: If the kernel refuses.
    """
    call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    flags = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
    call("mount", b"empty", _SPOT, b"tmpfs", flags, b"mode=0555,nr_inodes=1")
    os.chdir(_SPOT)
    call("pivot_root", b".", b".")
    call("umount2", b".", _MNT_DETACH)
    os.chdir("/")


def _write(path: str, text: str) -> None:
    Path(path).write_text(text, encoding="ascii")
