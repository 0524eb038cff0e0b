"""Files that are memory, handed to another process: what is in them is passed on without a copy.

A request is written and sealed before it is sent. For an answer the asker lends an empty file of a fixed
size, and seals it before looking at it: from then on nobody can change what was checked.
"""

import fcntl
import mmap
import os
from collections.abc import Sequence

from spatial_agent.sandbox.wire import Part, payload_size
from spatial_agent.tools.errors import WireError

#: Largest payload that is copied instead of mapped: a mapping keeps a descriptor for as long as it is used.
COPIED_BYTES = 2**20
_SIZE_SEALS = fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK
_ALL_SEALS = fcntl.F_SEAL_WRITE | _SIZE_SEALS | fcntl.F_SEAL_SEAL


def sealed_file(parts: Sequence[Part]) -> int:
    """Return the descriptor of a new file with these contents that nobody can change any more."""
    descriptor = empty_file(payload_size(parts))
    try:
        write_parts(descriptor, parts)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _ALL_SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def empty_file(size: int) -> int:
    """Return the descriptor of a new file of zeros; it takes no memory before it is written to."""
    descriptor = os.memfd_create("payload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    return descriptor


def write_parts(descriptor: int, parts: Sequence[Part]) -> int:
    """Write contents to the start of a file and return their size, in bytes.

    Raises:
        WireError: If the file is too small for them.
    """
    size, room = payload_size(parts), os.fstat(descriptor).st_size
    if size > room:
        raise WireError(f"payload: expected at most {room} bytes, got {size}; send smaller arrays")
    # Through a mapping, since a limit on the size of files holds for writing.
    with mmap.mmap(descriptor, size) as target:
        position = 0
        for part in parts:
            end = position + (part.nbytes if isinstance(part, memoryview) else len(part))
            target[position:end] = part
            position = end
    return size


def seal(descriptor: int, size: int) -> None:
    """Cut a file that somebody else may have written to off at a size, and make it unchangeable.

    Raises:
        WireError: If somebody still holds on to it, or has changed it otherwise.
    """
    try:
        if os.fstat(descriptor).st_size < size:
            raise WireError(f"payload: {size} bytes are announced, the file is shorter")
        os.ftruncate(descriptor, size)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _ALL_SEALS)
    except OSError as error:
        raise WireError(f"payload: its file cannot be sealed ({error})") from error
    # Between the two calls its size could still be changed.
    check_sealed(descriptor, size)


def check_sealed(descriptor: int, size: int) -> None:
    """Make sure that a file has this size for good, and these contents.

    Raises:
        WireError: If it has not.
    """
    try:
        seals = fcntl.fcntl(descriptor, fcntl.F_GET_SEALS)
    except OSError as error:
        raise WireError(f"payload: expected a file of memory ({error})") from error
    if seals & _ALL_SEALS != _ALL_SEALS or os.fstat(descriptor).st_size != size:
        raise WireError("payload: its file is not sealed, or of another size than announced")


def contents(descriptor: int, size: int) -> memoryview:
    """Return what is in a sealed file; read-only, and valid after the descriptor is closed.

    Args:
        descriptor: The file.
        size: Its size, above 0, bytes.

    Raises:
        WireError: If it is not sealed or of another size.
    """
    check_sealed(descriptor, size)
    if size <= COPIED_BYTES:
        return memoryview(os.pread(descriptor, size, 0))
    # Private: kernels before 6.7 refuse to share a mapping of a sealed file even for reading.
    return memoryview(mmap.mmap(descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ))
