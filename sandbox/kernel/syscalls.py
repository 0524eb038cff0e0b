"""Numbers of Linux system calls, and a way to make one by its name.

The numbers are those of the kernel's own headers: ``asm/unistd_64.h`` for x86-64, and for 64-bit ARM
``asm-generic/unistd.h``, which it uses. Only little-endian 64-bit processes are known here.
"""

import errno
import functools
import os
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from spatial_agent.sandbox.kernel import libc

#: Name of each call -> its number on x86-64 and on 64-bit ARM; None where there is no such call.
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "acct": (163, 89),
    "add_key": (248, 217),
    "adjtimex": (159, 171),
    "bpf": (321, 280),
    "brk": (12, 214),
    "chroot": (161, 51),
    "clock_adjtime": (305, 266),
    "clock_getres": (229, 114),
    "clock_gettime": (228, 113),
    "clock_nanosleep": (230, 115),
    "clock_settime": (227, 112),
    "clone": (56, 220),
    "clone3": (435, 435),
    "delete_module": (176, 106),
    "exit": (60, 93),
    "exit_group": (231, 94),
    "fanotify_init": (300, 262),
    "finit_module": (313, 273),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fsopen": (430, 430),
    "fspick": (433, 433),
    "futex": (202, 98),
    "getpid": (39, 172),
    "getrandom": (318, 278),
    "gettid": (186, 178),
    "gettimeofday": (96, 169),
    "init_module": (175, 105),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_uring_setup": (425, 425),
    "ioctl": (16, 29),
    "ioperm": (173, None),
    "iopl": (172, None),
    "kcmp": (312, 272),
    "kexec_file_load": (320, 294),
    "kexec_load": (246, 104),
    "keyctl": (250, 219),
    "landlock_add_rule": (445, 445),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
    "lookup_dcookie": (212, 18),
    "madvise": (28, 233),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "mmap": (9, 222),
    "modify_ldt": (154, None),
    "mount": (165, 40),
    "mount_setattr": (442, 442),
    "move_mount": (429, 429),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "msgget": (68, 186),
    "munmap": (11, 215),
    "name_to_handle_at": (303, 264),
    "nanosleep": (35, 101),
    "open_by_handle_at": (304, 265),
    "open_tree": (428, 428),
    "perf_event_open": (298, 241),
    "personality": (135, 92),
    "pidfd_getfd": (438, 438),
    "pivot_root": (155, 41),
    "prctl": (157, 167),
    "process_madvise": (440, 440),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "ptrace": (101, 117),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "read": (0, 63),
    "reboot": (169, 142),
    "request_key": (249, 218),
    "restart_syscall": (219, 128),
    "rt_sigreturn": (15, 139),
    "sched_yield": (24, 124),
    "seccomp": (317, 277),
    "semget": (64, 190),
    "setdomainname": (171, 162),
    "sethostname": (170, 161),
    "setns": (308, 268),
    "settimeofday": (164, 170),
    "shmat": (30, 196),
    "shmget": (29, 194),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "swapoff": (168, 225),
    "swapon": (167, 224),
    "syslog": (103, 116),
    "time": (201, None),
    "umount2": (166, 39),
    "unshare": (272, 97),
    "uselib": (134, None),
    "userfaultfd": (323, 282),
    "vhangup": (153, 58),
    "write": (1, 64),
}

_PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True)
class Architecture:
    """How one kind of processor counts its system calls.

    Attributes:
        name: What ``uname`` calls it.
        audit: What the kernel calls it towards filters (``AUDIT_ARCH_...``).
        numbers: Number of each known call.
        last: Highest number there was when the numbers were written down; higher ones are newer calls.
        foreign: From this number on calls follow another convention (x32 on x86-64), or None.
    """

    name: str
    audit: int
    numbers: Mapping[str, int]
    last: int
    foreign: int | None = None


X86_64 = Architecture(
    name="x86_64",
    audit=0xC000003E,
    numbers={name: number for name, (number, _) in _NUMBERS.items()},
    last=450,
    foreign=0x4000_0000,
)
AARCH64 = Architecture(
    name="aarch64",
    audit=0xC00000B7,
    numbers={name: number for name, (_, number) in _NUMBERS.items() if number is not None},
    last=450,
)


@functools.cache
def running() -> Architecture | None:
    """Return the architecture of this process, or None where its calls are not known here."""
    if not sys.platform.startswith("linux") or struct.calcsize("P") != 8:
        return None
    machine = os.uname().machine
    return next((known for known in (X86_64, AARCH64) if known.name == machine), None)


def call(name: str, *arguments: int) -> int:
    """Make a system call.

    Args:
        name: A call that `Architecture.numbers` has.
        arguments: At most six; addresses as integers, of objects the caller keeps alive.

    Returns:
        What the kernel returned.

    Raises:
        OSError: With the kernel's error number; ENOSYS on an architecture that is not known here.
    """
    architecture = running()
    number = architecture.numbers.get(name) if architecture else None
    if number is None:
        raise OSError(errno.ENOSYS, f"{name}: no system call of this name on this machine")
    return libc.syscall(number, *arguments)


def set_no_new_privileges() -> None:
    """See to it that no program this thread starts gains privileges by being started; it stays so for good.

    Raises:
        OSError: If the kernel is too old to know this.
    """
    call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
