"""Landlock: a process gives up the files, TCP ports and peers it does not need, for good.

What is given up is given up by the calling thread and everything it starts from then on; other threads of
the process keep what they have. So call this while there is one thread.

Landlock decides about opening, executing, creating, renaming, linking and removing. What is open already
stays usable. Looking at a file's metadata (stat, access), changing its mode, owner, times or extended
attributes, changing the working directory, and connecting to a unix socket that has a path are not among
what it decides about: an empty root, another user and the system call filter are for those.
"""

import ctypes
import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from spatial_agent.sandbox.kernel import syscalls
from spatial_agent.tools.errors import SandboxUnavailableError

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE = 1 << 0
_WRITE_FILE = 1 << 1
_READ_FILE = 1 << 2
_READ_DIR = 1 << 3
_REMOVE_DIR = 1 << 4
_REMOVE_FILE = 1 << 5
_MAKE_CHAR = 1 << 6
_MAKE_DIR = 1 << 7
_MAKE_REG = 1 << 8
_MAKE_SOCK = 1 << 9
_MAKE_FIFO = 1 << 10
_MAKE_BLOCK = 1 << 11
_MAKE_SYM = 1 << 12
_REFER = 1 << 13
_TRUNCATE = 1 << 14
_IOCTL_DEV = 1 << 15

_FIRST_RIGHTS = (1 << 13) - 1
#: Rights that came later -> the ABI that has them.
_LATER_RIGHTS = {_REFER: 2, _TRUNCATE: 3, _IOCTL_DEV: 5}
#: The only rights a rule about something that is no folder may give.
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV

_READING = _EXECUTE | _READ_FILE | _READ_DIR
# Not among them: executing what was written, and making device nodes, through which a process of root
# would reach whole disks.
_WRITING = (
    (_READ_FILE | _READ_DIR)
    | (_WRITE_FILE | _TRUNCATE | _IOCTL_DEV)
    | (_MAKE_DIR | _MAKE_REG | _MAKE_SOCK | _MAKE_FIFO | _MAKE_SYM)
    | (_REMOVE_DIR | _REMOVE_FILE | _REFER)
)

_BIND_TCP = 1 << 0
_CONNECT_TCP = 1 << 1
_TCP_ABI = 4

_SCOPE_ABSTRACT_UNIX_SOCKET = 1 << 0
_SCOPE_SIGNAL = 1 << 1
_SCOPE_ABI = 6


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi_version() -> int:
    """Return the version of the kernel's Landlock interface; 0 where there is none or it is off."""
    try:
        return syscalls.call("landlock_create_ruleset", 0, 0, _CREATE_RULESET_VERSION)
    except OSError:
        return 0


def restrict(
    *,
    readable: Sequence[Path | str] = (),
    writable: Sequence[Path | str] = (),
    network: bool = False,
    scoped: bool = True,
) -> None:
    """Let the calling thread, and all it starts from now on, touch nothing but what is named here.

    It holds from now on and can only be tightened, by calling this again. The thread can no longer gain
    privileges by executing either (no_new_privs).

    Without a path nothing at all can be opened. What an older kernel does not know is not held: truncating
    before ABI 3, TCP before ABI 4, ioctl on devices before ABI 5, scopes before ABI 6.

    Args:
        readable: Files and folders, with all below, to read and to execute. What is not there is skipped.
        writable: Files, devices and folders, with all below, to read, write, make, rename and remove, but
            not to execute, unless it is readable as well; device nodes cannot be made. What is not there is
            skipped, so make the folders first.
        network: Whether TCP ports may be bound and connected to.
        scoped: Whether abstract unix sockets and processes outside are out of reach: no connecting to the
            former, no signals to the latter.

    Raises:
        SandboxUnavailableError: If this kernel has no Landlock, or refuses; the thread may then be
            restricted in part and should not go on.
    """
    version = abi_version()
    if version == 0:
        raise SandboxUnavailableError(
            "expected a kernel with Landlock (Linux 5.13 or later, with landlock among its security "
            "modules), got one without: add lsm=landlock,... to its command line, or use another provider"
        )
    rights = _known_rights(version)
    try:
        syscalls.set_no_new_privileges()
        ruleset = _create_ruleset(version, rights, network=network, scoped=scoped)
        try:
            for paths, wanted in ((readable, _READING), (writable, _WRITING)):
                for path in paths:
                    _allow(ruleset, path, wanted & rights)
            syscalls.call("landlock_restrict_self", ruleset, 0)
        finally:
            os.close(ruleset)
    except OSError as error:
        raise SandboxUnavailableError(f"expected Landlock to restrict this thread, got {error}") from error


def _known_rights(version: int) -> int:
    later = (right for right, since in _LATER_RIGHTS.items() if version >= since)
    return _FIRST_RIGHTS | sum(later)


def _create_ruleset(version: int, rights: int, *, network: bool, scoped: bool) -> int:
    attributes = _RulesetAttributes(handled_access_fs=rights)
    size = _RulesetAttributes.handled_access_net.offset
    if version >= _TCP_ABI:
        size = _RulesetAttributes.scoped.offset
        attributes.handled_access_net = 0 if network else _BIND_TCP | _CONNECT_TCP
    if version >= _SCOPE_ABI:
        size = ctypes.sizeof(_RulesetAttributes)
        attributes.scoped = _SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL if scoped else 0
    return syscalls.call("landlock_create_ruleset", ctypes.addressof(attributes), size, 0)


def _allow(ruleset: int, path: Path | str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return
        raise
    try:
        if not stat.S_ISDIR(os.fstat(opened).st_mode):
            rights &= _FILE_RIGHTS
        rule = _PathBeneath(allowed_access=rights, parent_fd=opened)
        syscalls.call("landlock_add_rule", ruleset, _RULE_PATH_BENEATH, ctypes.addressof(rule), 0)
    finally:
        os.close(opened)
