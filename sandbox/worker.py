"""What runs in the process of a session: it reads cells from one pipe and writes what they say to another.

After its walls are up it reads, writes and computes, and nothing else: `preload` has imported before
whatever would be imported late.
"""

import fcntl
import os
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from spatial_agent.sandbox.interrupts import INTERRUPTS
from spatial_agent.sandbox.kernel import privileges
from spatial_agent.sandbox.messages import (
    BROKEN_FRAME,
    NO_MEMORY,
    READ_FD,
    WRITE_FD,
    Cell,
    Ready,
    Setup,
    ToChild,
    ToParent,
    from_parent,
    to_parent,
)
from spatial_agent.sandbox.preloading import import_everything
from spatial_agent.sandbox.program import ChannelEndError, Program
from spatial_agent.sandbox.wire import FrameReader
from spatial_agent.tools.errors import WireError

_READ_BYTES = 2**18
#: Longest message from the parent, whom the process of a session trusts.
_MESSAGE_BYTES = 2**31


class Channel:
    """Messages over two pipes; both ways block, and a program's interrupt never breaks a message.

    Args:
        read_fd: Where frames come out.
        write_fd: Where frames go in.
        limit_bytes: Longest message it takes.
    """

    def __init__(self, read_fd: int, write_fd: int, limit_bytes: int) -> None:
        """Start before the first message."""
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._frames = FrameReader(limit_bytes)
        self._payloads: deque[bytes] = deque()
        self._is_busy = False
        self._ended: int | None = None

    def send(self, message: ToParent) -> None:
        """Send a message.

        Raises:
            WireError: If it cannot be sent; nothing was.
            ChannelEndError: If nobody reads any more.
        """
        data = memoryview(to_parent(message))
        with self._alone(), INTERRUPTS.held():
            try:
                while data:
                    data = data[os.write(self._write_fd, data) :]
            except BrokenPipeError:
                self._end(0)
            except BaseException:
                # Half a frame may be out, and nothing after it would be understood.
                self._end(NO_MEMORY)

    def receive(self) -> ToChild:
        """Return the next message.

        Raises:
            ChannelEndError: With code 0 if the parent closed the pipe, else if its bytes are no message.
            MemoryError: If there is no room for its content.
        """
        with self._alone(), INTERRUPTS.held():
            try:
                while not self._payloads:
                    self._read()
                return from_parent(self._payloads.popleft())
            except WireError as error:
                if isinstance(error.__cause__, MemoryError):
                    raise MemoryError("a value from outside is too large") from None
                self._end(BROKEN_FRAME)

    def _read(self) -> None:
        try:
            data = os.read(self._read_fd, _READ_BYTES)
            self._payloads.extend(self._frames.feed(data))
        except MemoryError:
            self._end(NO_MEMORY)
        if not data:
            self._end(0)

    def _end(self, code: int) -> NoReturn:
        self._ended = code
        raise ChannelEndError(code) from None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One message at a time, whatever a program's destructors want to say in the middle of one."""
        if self._ended is not None:
            raise ChannelEndError(self._ended)
        if self._is_busy:
            raise RuntimeError("another message is on its way")
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False


def serve(channel: Channel) -> None:
    """Run the cells that come over a channel until its other end is closed.

    Raises:
        SystemExit: With `BROKEN_FRAME` if something came that is no message or not its turn, with
            `NO_MEMORY` if there was no room for a message.
    """
    INTERRUPTS.install()
    try:
        setup = channel.receive()
        if not isinstance(setup, Setup):
            raise ChannelEndError(BROKEN_FRAME)
        program = Program(setup, channel)
        channel.send(Ready())
        while True:
            cell = channel.receive()
            if not isinstance(cell, Cell):
                raise ChannelEndError(BROKEN_FRAME)
            channel.send(program.run(cell))
    except ChannelEndError as end:
        if end.code:
            raise
    except MemoryError:
        raise SystemExit(NO_MEMORY) from None


def preload() -> None:
    """Get ready to serve without ever opening a file again; listens to SIGINT from here on."""
    INTERRUPTS.install()
    import_everything()


def serve_to_end() -> NoReturn:
    """Serve the pipes of this process, and end it with the code that says how it went."""
    code: object = 1
    try:
        serve(Channel(READ_FD, WRITE_FD, _MESSAGE_BYTES))
        code = 0
    except SystemExit as end:
        code = end.code
    finally:
        # Nothing of what a program left behind, such as its destructors, runs at the end.
        os._exit(code if isinstance(code, int) else 1)


def take_pipes(read_fd: int, write_fd: int) -> None:
    """Give two pipes the numbers `READ_FD` and `WRITE_FD`, whatever they had, and close everything else."""
    high = [fcntl.fcntl(number, fcntl.F_DUPFD, WRITE_FD + 1) for number in (read_fd, write_fd)]
    os.dup2(high[0], READ_FD)
    os.dup2(high[1], WRITE_FD)
    privileges.keep_only({READ_FD, WRITE_FD})
