"""Who a process is and what it inherited: another user, no capability, no descriptor, nothing to gain."""

import ctypes
import os
import signal
from collections.abc import Collection
from contextlib import suppress

from spatial_agent.sandbox.kernel import syscalls
from spatial_agent.sandbox.kernel.libc import call

#: The user and group that own nothing.
NOBODY = 65534
_SET_PDEATHSIG, _SET_DUMPABLE = 1, 4
_CAPBSET_DROP, _CAPBSET_READ = 24, 23
_SET_SECUREBITS = 28
_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL = 47, 4
#: Root has no privileges, setting a user id changes none, none is kept, none is ambient; each locked.
_SECURE_BITS = 0b1110_1111
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_SETPCAP = 8
_SET_MEMORY_DENY_WRITE_EXECUTE, _REFUSE_EXECUTE_GAIN = 65, 1
_JOIN_NEW_SESSION_KEYRING = 1


def prctl(option: int, argument: int) -> int:
    """Call prctl with one argument.

    Raises:
        OSError: If the kernel refuses.
    """
    return call("prctl", option, argument, 0, 0, 0)


def give_up() -> None:
    """Become nobody, without a capability or key or new machine code, and make sure that it stays so.

    Raises:
        OSError: If the kernel refuses.
    """
    if has_capabilities():
        prctl(_SET_SECUREBITS, _SECURE_BITS)
    become_nobody()
    drop_capabilities()
    syscalls.set_no_new_privileges()
    # Kernels before 6.3 know nothing of the first, and containers may forbid the second.
    with suppress(OSError):
        prctl(_SET_MEMORY_DENY_WRITE_EXECUTE, _REFUSE_EXECUTE_GAIN)
    with suppress(OSError):
        syscalls.call("keyctl", _JOIN_NEW_SESSION_KEYRING, 0)
    # Nobody looks into this process, not even one of the same user.
    prctl(_SET_DUMPABLE, 0)


def become_nobody() -> None:
    """Change from root to the user that owns nothing; without effect where this process is not root."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    # Changing the user took away what a process may do with its own entries in /proc.
    prctl(_SET_DUMPABLE, 1)


def has_capabilities() -> bool:
    """Return whether this process may change its own capabilities."""
    sets = (ctypes.c_uint32 * 6)()
    call("capget", _header(), sets)
    return bool(sets[0] >> _CAP_SETPCAP & 1)


def drop_capabilities() -> None:
    """Give up every capability, in every set, for good.

    Raises:
        OSError: If the kernel refuses.
    """
    capability = 0
    while has_capabilities() and _is_bound(capability):
        prctl(_CAPBSET_DROP, capability)
        capability += 1
    prctl(_CAP_AMBIENT, _CAP_AMBIENT_CLEAR_ALL)
    nothing = (ctypes.c_uint32 * 6)()
    call("capset", _header(), nothing)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends."""
    prctl(_SET_PDEATHSIG, signal.SIGKILL)


def keep_only(descriptors: Collection[int]) -> None:
    """Close every descriptor but these."""
    start = 0
    for kept in sorted(descriptors):
        if start < kept:  # an empty range would be taken for everything
            os.closerange(start, kept)
        start = kept + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))


def _header() -> "ctypes.Array[ctypes.c_uint32]":
    return (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)


def _is_bound(capability: int) -> bool:
    try:
        return prctl(_CAPBSET_READ, capability) >= 0
    except OSError:
        return False
