"""What processes of one machine share without any file: System V and POSIX objects, and keys."""

import ctypes
import struct
from contextlib import suppress

from tests.sandbox.redteam.call_numbers import CALLS

_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmat.restype = ctypes.c_void_p
_libc.syscall.restype = ctypes.c_long
_IPC_CREAT, _IPC_RMID, _IPC_NOWAIT = 0o1000, 0, 0o4000
_SESSION_KEYRING = -3
_KEYCTL_INVALIDATE = 21
_SHARED_BYTES = 4096
_MESSAGE_BYTES = 128


class SharedObjects:
    """A segment of shared memory that holds a secret, a queue of each kind, and a key.

    Everybody may use them, as with much software.

    Args:
        secret: What the segment and the key hold.
        name: Name of the POSIX queue and of the key.
    """

    def __init__(self, secret: str, name: str) -> None:
        """Make them all; 0 or less stands for what this machine has not got."""
        self.name = name
        self.segment = _libc.shmget(0, _SHARED_BYTES, _IPC_CREAT | 0o666)
        self._address = ctypes.c_void_p(_libc.shmat(self.segment, None, 0))
        self._fill(secret.encode())
        self.queue = _libc.msgget(0, _IPC_CREAT | 0o666)
        self._posix_queue = self._open_queue()
        self.key = _libc.syscall(
            CALLS["add_key"], b"user", name.encode(), secret.encode(), len(secret), _SESSION_KEYRING
        )

    def _fill(self, secret: bytes) -> None:
        if self.segment >= 0 and self._address.value:
            ctypes.memmove(self._address.value, secret, len(secret))

    def _open_queue(self) -> int:
        attributes = struct.pack("8q", 0, 8, _MESSAGE_BYTES, 0, 0, 0, 0, 0)
        flags = 0o100 | 0o4000 | 2
        descriptor: int = _libc.syscall(CALLS["mq_open"], self.name[1:].encode(), flags, 0o666, attributes)
        with suppress(OSError):
            _libc.fchmod(descriptor, 0o666)
        return descriptor

    def received(self) -> list[bytes]:
        """Return what came into the queues since the last time."""
        found = []
        buffer = ctypes.create_string_buffer(_MESSAGE_BYTES + 8)
        while (count := _libc.msgrcv(self.queue, buffer, _MESSAGE_BYTES, 0, _IPC_NOWAIT)) >= 0:
            found.append(buffer.raw[8 : 8 + count])
        while (count := _libc.mq_receive(self._posix_queue, buffer, _MESSAGE_BYTES, None)) >= 0:
            found.append(buffer.raw[:count])
        return found

    def close(self) -> None:
        """Take them all away."""
        _libc.shmdt(self._address)
        _libc.shmctl(self.segment, _IPC_RMID, None)
        _libc.msgctl(self.queue, _IPC_RMID, None)
        _libc.mq_close(self._posix_queue)
        _libc.mq_unlink(self.name.encode())
        if self.key > 0:
            _libc.syscall(CALLS["keyctl"], _KEYCTL_INVALIDATE, self.key)
