"""The C library, for the system calls Python has no function for."""

import ctypes
import os

_library = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call by its number.

    Args:
        number: Its number on this architecture.
        arguments: Numbers, and addresses as numbers, bytes or None.

    Raises:
        OSError: If the kernel refuses.
    """
    prepared = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return checked(int(_library.syscall(ctypes.c_long(number), *prepared)), f"system call {number}")


def call(name: str, *arguments: "int | bytes | ctypes.Array[ctypes.c_uint32] | None") -> int:
    """Call a function of the C library that returns -1 on failure.

    Args:
        name: Its name.
        arguments: Numbers, bytes, and arrays, which it may write to.

    Raises:
        OSError: If it fails.
    """
    prepared = [ctypes.c_long(item) if isinstance(item, int) else item for item in arguments]
    return checked(int(getattr(_library, name)(*prepared)), name)


def checked(result: int, what: str) -> int:
    """Return a result of the C library, or raise what its -1 stands for."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
