"""System call filters: which calls a process can still make, decided by the kernel before anything else.

Two filters. A program that a model wrote gets an allow-list: what computing in memory needs, reading one
pipe and writing another, and nothing else. A stranger's expert needs files, threads and devices and gets a
deny-list of what no expert has a use for and exploits of kernels begin with.

Both are classic BPF programs, put together here, that refuse with EPERM. They kill a process that calls by
another convention than its own (32-bit calls, x32), whose numbers mean other things. New calls that nobody
has judged do not exist for either (EPERM or ENOSYS). About two, uretprobe and uprobe on x86-64, newer kernels
ask no filter; they kill a process that calls them by hand.

Arguments are compared by their low 32 bits only, and that is exact: all arguments looked at are ints to the
kernel, or (protection and flags of mappings) words whose high half it does not look at. The high half of a
register that holds an int is undefined, so a filter that compared it would refuse calls at random in the
best case and be passed by setting a bit in the worst.
"""

import ctypes
import errno
import functools
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from spatial_agent.sandbox.kernel import syscalls
from spatial_agent.sandbox.kernel.syscalls import Architecture
from spatial_agent.tools.errors import SandboxUnavailableError

_SET_MODE_FILTER = 1
_GET_ACTION_AVAIL = 2
#: The filter is for every thread of the process, not the calling one alone.
_ALL_THREADS = 1

_KILL_PROCESS = 0x8000_0000
_ERROR = 0x0005_0000
_ALLOW = 0x7FFF_0000
_REFUSE = _ERROR | errno.EPERM
#: The C library takes it for an old kernel and does without the call.
_UNKNOWN = _ERROR | errno.ENOSYS

# Classic BPF: load a word of what is known about the call, mask it, jump, return.
_LOAD, _AND, _JUMP, _JUMP_EQUAL, _JUMP_GREATER, _JUMP_AT_LEAST, _RETURN = (
    0x20,
    0x54,
    0x05,
    0x15,
    0x25,
    0x35,
    0x06,
)
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_INSTRUCTION = struct.Struct("<HBBI")

_WORD = 0xFFFF_FFFF
_PROT_EXEC = 0x4
_MAP_TYPE, _MAP_PRIVATE, _MAP_ANONYMOUS, _MAP_HUGETLB = 0x0F, 0x02, 0x20, 0x4_0000
_MADV_DONTNEED, _MADV_FREE, _MADV_HUGEPAGE = 4, 8, 14
_FUTEX_WAIT, _FUTEX_WAKE, _FUTEX_WAIT_BITSET, _FUTEX_WAKE_BITSET = 0, 1, 9, 10
_FUTEX_OPTIONS = 128 | 256
_CLOCK_TAI = 11
_NEW_NAMESPACES = 0x7E02_0000
_AF_UNIX, _AF_INET, _AF_INET6 = 1, 2, 10
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C


@dataclass(frozen=True)
class Argument:
    """A condition on the low 32 bits of one argument of a call.

    Attributes:
        index: Which argument, from 0.
        values: What it has to be, once masked: one of these.
        mask: The bits that count.
        is_excluded: Whether it has to be none of ``values`` instead.
    """

    index: int
    values: tuple[int, ...]
    mask: int = _WORD
    is_excluded: bool = False


#: What becomes of a call: an action of the filter, or EPERM unless all conditions hold.
Rule = int | tuple[Argument, ...]

# Own clocks and those of the machine: numbers below zero are other processes' clocks and devices.
_A_CLOCK = (Argument(0, (*range(8), _CLOCK_TAI)),)

_COMPUTING: Mapping[str, Rule] = {
    # Memory: its own, not shared, not of files, not from the machine's few huge pages, never executable.
    "mmap": (
        Argument(2, (0,), mask=_PROT_EXEC),
        Argument(3, (_MAP_PRIVATE | _MAP_ANONYMOUS,), mask=_MAP_TYPE | _MAP_ANONYMOUS | _MAP_HUGETLB),
    ),
    "munmap": (),
    "mprotect": (Argument(2, (0,), mask=_PROT_EXEC),),
    "mremap": (),
    "brk": (),
    "madvise": (Argument(2, (_MADV_DONTNEED, _MADV_FREE, _MADV_HUGEPAGE)),),
    # Locks; those that inherit priorities are left out, they have been a way into the kernel.
    "futex": (
        Argument(
            1,
            (_FUTEX_WAIT, _FUTEX_WAKE, _FUTEX_WAIT_BITSET, _FUTEX_WAKE_BITSET),
            mask=_WORD & ~_FUTEX_OPTIONS,
        ),
    ),
    "sched_yield": (),
    # Time, where the C library cannot tell it without the kernel.
    "clock_gettime": _A_CLOCK,
    "clock_getres": _A_CLOCK,
    "clock_nanosleep": _A_CLOCK,
    "nanosleep": (),
    "gettimeofday": (),
    "time": (),
    "getrandom": (),
    "getpid": (),
    "gettid": (),
    # Coming back from the parent's interrupt, and ending.
    "rt_sigreturn": (),
    "restart_syscall": (),
    "exit": (),
    "exit_group": (),
}

_REFUSED = (
    # File systems and what a process sees of them.
    *("mount", "umount2", "pivot_root", "chroot", "mount_setattr", "open_tree", "move_mount"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "quotactl", "quotactl_fd", "swapon", "swapoff"),
    # Files by handle, past the folders that lead to them; watching those of others.
    *("name_to_handle_at", "open_by_handle_at", "fanotify_init"),
    # Other namespaces.
    *("unshare", "setns"),
    # Other processes.
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_getfd"),
    # Memory that belongs to no process, and so counts against no limit of one.
    *("shmget", "shmat", "msgget", "semget", "memfd_create", "memfd_secret"),
    # Keys, which belong to the user and not to the namespace.
    *("add_key", "request_key", "keyctl"),
    # Large, and where the holes have been.
    *("bpf", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "perf_event_open"),
    *("lookup_dcookie", "modify_ldt", "uselib", "personality"),
    # The machine itself.
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "syslog"),
    *("acct", "vhangup", "iopl", "ioperm", "sethostname", "setdomainname"),
    *("settimeofday", "clock_settime", "clock_adjtime", "adjtimex"),
)

_EXPERT: Mapping[str, Rule] = {
    **dict.fromkeys(_REFUSED, _REFUSE),
    # Its flags lie in memory, where a filter cannot look; the C library falls back to clone.
    "clone3": _UNKNOWN,
    "clone": (Argument(0, (0,), mask=_NEW_NAMESPACES),),
    # Networks the namespace has, or has not; the other families are kernels' back doors.
    "socket": (Argument(0, (_AF_UNIX, _AF_INET, _AF_INET6)),),
    "socketpair": (Argument(0, (_AF_UNIX, _AF_INET, _AF_INET6)),),
    # Typing into the terminal that others read from.
    "ioctl": (Argument(1, (_TIOCSTI, _TIOCLINUX), is_excluded=True),),
}

#: All a program can still call; reading and writing on one pipe each, and some with conditions.
ALLOWED: tuple[str, ...] = ("read", "write", *_COMPUTING)
#: What an expert can no longer call; ``clone``, ``socket``, ``socketpair`` and ``ioctl`` only in part.
DENIED: tuple[str, ...] = tuple(_EXPERT)


def available() -> bool:
    """Return whether this kernel takes such filters, and this processor's calls are known."""
    action = ctypes.c_uint32(_KILL_PROCESS)
    try:
        syscalls.call("seccomp", _GET_ACTION_AVAIL, 0, ctypes.addressof(action))
    except OSError:
        return False
    return True


def install_allow_list(read_fd: int, write_fd: int) -> None:
    """Leave this process, all threads of it, nothing but computing and two pipes, for good.

    Everything that is not in `ALLOWED` fails with EPERM: no file, no descriptor made or closed, no process,
    no thread, no signal. Whatever is to be imported, opened, closed or handled has to be so before.

    Args:
        read_fd: The only descriptor it can read from.
        write_fd: The only descriptor it can write to.

    Raises:
        SandboxUnavailableError: If the kernel refuses the filter.
    """
    _install(own_allow_list(read_fd, write_fd))


@functools.cache
def own_allow_list(read_fd: int, write_fd: int) -> bytes:
    """Return the filter of programs on this machine; it is put together once, also for those forked later.

    Raises:
        SandboxUnavailableError: If this processor's calls are not known.
    """
    return allow_list(_running(), read_fd, write_fd)


def install_deny_list() -> None:
    """Take from this process, all threads of it and all it starts, what no expert needs, for good.

    Raises:
        SandboxUnavailableError: If the kernel refuses the filter.
    """
    _install(deny_list(_running()))


def allow_list(architecture: Architecture, read_fd: int, write_fd: int) -> bytes:
    """Return the filter of programs.

    Args:
        architecture: Whose calls it knows.
        read_fd: The only descriptor to read from.
        write_fd: The only descriptor to write to.

    Returns:
        Instructions of classic BPF, 8 bytes each.
    """
    rules: Mapping[str, Rule] = {
        "read": (Argument(0, (read_fd,)),),
        "write": (Argument(0, (write_fd,)),),
        **_COMPUTING,
        "clone3": _UNKNOWN,
    }
    return _assemble(architecture, rules) + _return(_REFUSE)


def deny_list(architecture: Architecture) -> bytes:
    """Return the filter of experts, as `allow_list` does."""
    newer = _instruction(_JUMP_GREATER, architecture.last, 0, 1) + _return(_UNKNOWN)
    return _assemble(architecture, _EXPERT) + newer + _return(_ALLOW)


def _assemble(architecture: Architecture, rules: Mapping[str, Rule]) -> bytes:
    """Return the rules without an end; at the end the number of the call is still loaded."""
    parts = [
        _instruction(_LOAD, _ARCHITECTURE_AT),
        _instruction(_JUMP_EQUAL, architecture.audit, 1, 0) + _return(_KILL_PROCESS),
        _instruction(_LOAD, _NUMBER_AT),
    ]
    if architecture.foreign is not None:
        parts.append(_instruction(_JUMP_AT_LEAST, architecture.foreign, 0, 1) + _return(_KILL_PROCESS))
    for name, rule in rules.items():
        number = architecture.numbers.get(name)
        if number is not None:
            body = _return(rule) if isinstance(rule, int) else _conditions(rule)
            parts.append(_instruction(_JUMP_EQUAL, number, 0, len(body) // _INSTRUCTION.size) + body)
    return b"".join(parts)


def _conditions(arguments: tuple[Argument, ...]) -> bytes:
    return b"".join(_condition(argument) for argument in arguments) + _return(_ALLOW)


def _condition(argument: Argument) -> bytes:
    """Return what refuses unless the condition holds, and goes on behind its end where it does."""
    # Little-endian: the low half comes first.
    parts = [_instruction(_LOAD, _ARGUMENTS_AT + 8 * argument.index)]
    if argument.mask != _WORD:
        parts.append(_instruction(_AND, argument.mask))
    # A comparison that holds leads to the second instruction after the last one: behind the refusal that
    # follows them, or, where something is excluded, onto it.
    count = len(argument.values)
    parts += [_instruction(_JUMP_EQUAL, value, count - at, 0) for at, value in enumerate(argument.values)]
    if argument.is_excluded:
        parts.append(_instruction(_JUMP, 1))
    return b"".join(parts) + _return(_REFUSE)


def _return(action: int) -> bytes:
    return _instruction(_RETURN, action)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return _INSTRUCTION.pack(code, if_true, if_false, value)


def _running() -> Architecture:
    architecture = syscalls.running()
    if architecture is None:
        raise SandboxUnavailableError(
            "expected a 64-bit process on x86_64 or aarch64 Linux, whose system calls are known, got another "
            "machine: use the bubblewrap provider"
        )
    return architecture


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _install(instructions: bytes) -> None:
    kept = ctypes.create_string_buffer(instructions, len(instructions))
    program = _Program(len(instructions) // _INSTRUCTION.size, ctypes.addressof(kept))
    try:
        syscalls.set_no_new_privileges()
        thread = syscalls.call("seccomp", _SET_MODE_FILTER, _ALL_THREADS, ctypes.addressof(program))
    except OSError as error:
        raise SandboxUnavailableError(
            f"expected the kernel to take a system call filter, got {error}"
        ) from error
    if thread:
        raise SandboxUnavailableError(
            f"expected one filter for all threads, got thread {thread} with another: install it before "
            f"threads are started"
        )
