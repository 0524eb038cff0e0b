"""Frames over the two pipes of a session's process, from the parent's side; nothing blocks the loop."""

import asyncio
import os
from collections import deque

from spatial_agent.sandbox.wire import FrameReader

CHUNK_BYTES = 2**18


class StreamEndedError(Exception):
    """The other side closed its pipe: the process is gone or going."""


class FrameStream:
    """Reads and writes frames; used from one task at a time.

    Args:
        read_fd: Non-blocking pipe frames come from.
        write_fd: Non-blocking pipe frames go to.
        limit_bytes: Longest frame that is taken.
    """

    def __init__(self, read_fd: int, write_fd: int, limit_bytes: int) -> None:
        """Read nothing yet."""
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._reader = FrameReader(limit_bytes)
        self._frames: deque[bytes] = deque()
        #: Bytes that came in, for whoever counts them.
        self.received_bytes = 0

    async def send(self, frame: bytes) -> None:
        """Write a whole frame.

        Raises:
            StreamEndedError: If nobody reads any more.
        """
        rest = memoryview(frame)
        while rest:
            try:
                rest = rest[os.write(self._write_fd, rest) :]
            except BlockingIOError:
                await writable(self._write_fd)
            except OSError as error:
                raise StreamEndedError(str(error)) from error

    async def receive(self) -> bytes:
        """Return the payload of the next frame.

        Raises:
            StreamEndedError: If the other side has closed its pipe.
            WireError: If it announces more than the limit.
        """
        while not self._frames:
            try:
                data = os.read(self._read_fd, CHUNK_BYTES)
            except BlockingIOError:
                await readable(self._read_fd)
                continue
            if not data:
                raise StreamEndedError("the pipe was closed")
            self.received_bytes += len(data)
            self._frames.extend(self._reader.feed(data))
            # A child that never stops sending must not keep the loop from looking at its limits.
            await asyncio.sleep(0)
        return self._frames.popleft()


async def readable(descriptor: int) -> None:
    """Wait until there is something to read, or the other side is closed."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_reader(descriptor, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_reader(descriptor)


async def writable(descriptor: int) -> None:
    """Wait until there is room to write, or the other side is closed."""
    loop = asyncio.get_running_loop()
    ready = loop.create_future()
    loop.add_writer(descriptor, _wake, ready)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _wake(ready: "asyncio.Future[None]") -> None:
    if not ready.done():
        ready.set_result(None)
