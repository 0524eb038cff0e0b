"""The process of a session, spoken to over real pipes: cells, interrupts, limits, and how it ends."""

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from spatial_agent.sandbox.environment import ProgramAnswer
from spatial_agent.sandbox.messages import (
    BROKEN_FRAME,
    NO_MEMORY,
    Call,
    Cell,
    Done,
    Failed,
    Fetched,
    Ready,
    Returned,
    Setup,
    Text,
    ToChild,
    ToParent,
    from_child,
    to_child,
)
from spatial_agent.sandbox.policy import IMPORTS
from spatial_agent.sandbox.wire import FrameReader
from spatial_agent.sandbox.worker import Channel, serve

#: After this a process that hangs is killed, so that no test does.
PATIENCE_S = 60.0
MEGA = 2**20
SETUP = Setup(tuple(IMPORTS), {"n": 7}, 20_000, 4 * MEGA, 2, True)
START = """
import sys
from spatial_agent.sandbox import worker
worker.take_pipes(*map(int, sys.argv[1:]))
worker.preload()
worker.serve_to_end()
"""
MODULE = ("-E", "-P", "-c", START)
#: Gives the two pipes each other's number before it serves.
SWAPPED = """
import fcntl, os, sys
from spatial_agent.sandbox import worker
read_fd, write_fd = (fcntl.fcntl(int(number), fcntl.F_DUPFD, 20) for number in sys.argv[1:])
os.dup2(read_fd, worker.WRITE_FD)
os.dup2(write_fd, worker.READ_FD)
worker.take_pipes(worker.WRITE_FD, worker.READ_FD)
worker.preload()
worker.serve_to_end()
"""


class Child:
    """A worker's process and the parent's ends of its pipes."""

    def __init__(self, *arguments: str) -> None:
        read_fd, self.to_child = os.pipe()
        self.from_child, write_fd = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, *arguments, str(read_fd), str(write_fd)],
            pass_fds=(read_fd, write_fd),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.close(read_fd)
        os.close(write_fd)
        self._frames = FrameReader(8 * MEGA)
        self._payloads: list[bytes] = []
        self._watch = threading.Timer(PATIENCE_S, self.process.kill)
        self._watch.start()

    def send(self, message: ToChild) -> None:
        self.send_bytes(to_child(message))

    def send_bytes(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.to_child, data) :]

    def receive(self) -> ToParent | None:
        while not self._payloads:
            data = os.read(self.from_child, MEGA)
            if not data:
                return None
            self._payloads += self._frames.feed(data)
        return from_child(self._payloads.pop(0))

    def run(self, source: str, on_text: Callable[[str], None] | None = None) -> tuple[str, Done]:
        """Run a cell without tools and return what it printed and how it ended."""
        self.send(Cell(source))
        printed = ""
        while isinstance(message := self.receive(), Text):
            printed += message.text
            if on_text is not None:
                on_text(message.text)
        assert isinstance(message, Done), message
        return printed, message

    def interrupt(self, _: str = "") -> None:
        self.process.send_signal(signal.SIGINT)

    def limit_memory(self, extra_bytes: int) -> None:
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            mapped = int(file.read().split()[0]) * resource.getpagesize()
        limit = mapped + extra_bytes
        resource.prlimit(self.process.pid, resource.RLIMIT_AS, (limit, limit))

    def hang_up(self) -> None:
        if self.to_child >= 0:
            os.close(self.to_child)
        self.to_child = -1

    def ending(self) -> tuple[int, bytes]:
        """Wait for its end and return its exit code and whatever it printed past its pipes."""
        said, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, said

    def close(self) -> None:
        self._watch.cancel()
        self.process.kill()
        self.process.communicate()
        self.hang_up()
        os.close(self.from_child)


@contextmanager
def started(*arguments: str) -> Iterator[Child]:
    child = Child(*arguments)
    try:
        child.send(SETUP)
        assert child.receive() == Ready()
        yield child
    finally:
        child.close()


@pytest.fixture
def child() -> Iterator[Child]:
    """One that the test may end."""
    with started(*MODULE) as child:
        yield child


@pytest.fixture(scope="module")
def lasting() -> Iterator[Child]:
    """One for all tests that leave it as it was."""
    with started(*MODULE) as child:
        yield child


@pytest.fixture
def own_interrupt() -> Iterator[None]:
    """Gives SIGINT back to the tests."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, handler)


def served(frames: bytes) -> object:
    """Return the exit code with which serving ends in this process."""
    read_fd, to_child = os.pipe()
    from_child, write_fd = os.pipe()
    try:
        os.write(to_child, frames)
        os.close(to_child)
        serve(Channel(read_fd, write_fd, 4 * MEGA))
    except SystemExit as end:
        return end.code
    finally:
        for descriptor in (read_fd, from_child, write_fd):
            os.close(descriptor)
    return 0


def test_cells_run_until_the_parent_hangs_up(child: Child) -> None:
    assert child.run("x = n * 6\nprint('out')\nx") == ("out\n42\n", Done(None, None, 0))
    assert child.run("answer(x, 'm')") == ("", Done(ProgramAnswer(42, "m"), None, 0))
    printed, done = child.run("print('é' * 20_000)")
    assert (len(printed), done.dropped_bytes) == (10_000, 20_001)
    child.hang_up()
    assert child.ending() == (0, b"")


def test_hanging_up_in_the_middle_of_a_cell_ends_it_quietly(child: Child) -> None:
    child.send(Cell("class A:\n    def __del__(self): print('late')\na = A()\ntools.distance(a='x')"))
    assert child.receive() == Call("distance", {"a": "x"})
    child.hang_up()
    assert child.ending() == (0, b"")


def test_nobody_who_reads_ends_it_quietly(child: Child) -> None:
    reader, child.from_child = child.from_child, os.open(os.devnull, os.O_RDONLY)
    os.close(reader)
    child.send(Cell("print('x')"))
    assert child.ending() == (0, b"")


@pytest.mark.usefixtures("own_interrupt")
@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (b"", 0),
        (to_child(SETUP), 0),
        (to_child(SETUP)[:-1], 0),
        (to_child(SETUP) + to_child(Cell("1")), 0),
        (b"\xff\xff\xff\xff", BROKEN_FRAME),
        (b"\x04\0\0\0\0\0\0\0", BROKEN_FRAME),
        (to_child(Cell("1")), BROKEN_FRAME),
        (to_child(SETUP) + to_child(SETUP), BROKEN_FRAME),
        (to_child(SETUP) + b"\x02\0\0\0{}", BROKEN_FRAME),
        (to_child(SETUP) + to_child(Fetched(1)), BROKEN_FRAME),
    ],
    ids=[
        *("nothing", "a setup", "half a setup", "a cell", "a length beyond all bounds", "no frame"),
        *("a cell first", "two setups", "no message", "an answer nobody asked for"),
    ],
)
def test_serving_ends_with_the_parent_or_with_what_makes_no_sense(frames: bytes, code: int) -> None:
    assert served(frames) == code


def test_a_reply_out_of_turn_is_no_exception_of_the_program(child: Child) -> None:
    child.send(Cell("try:\n    tools.distance(a='x')\nexcept Exception:\n    print('caught')"))
    assert isinstance(child.receive(), Call)
    child.send(Cell("1"))
    assert child.receive() is None
    assert child.ending()[0] == BROKEN_FRAME


def test_the_pipes_may_have_each_others_numbers() -> None:
    with started("-c", SWAPPED) as child:
        assert child.run("1 + 1") == ("2\n", Done(None, None, 0))


def test_an_interrupt_ends_the_cell_and_not_the_session(lasting: Child) -> None:
    for source in (
        "x = 1\nprint('go')\nwhile True:\n    x += 1",
        "import time\nprint('go')\ntime.sleep(100)",
    ):
        printed, done = lasting.run(source, lasting.interrupt)
        assert printed == "go\n"
        assert done.error is not None
        assert (done.error.kind, done.error.limit) == ("limit", "wall")
        assert "stopped: the cell ran out of time" in done.error.message
    assert lasting.run("x > 0")[0] == "True\n"


def test_interrupts_break_no_message(lasting: Child) -> None:
    for _ in range(20):
        printed, done = lasting.run(
            "for i in range(4_000):\n    print(i)\nwhile True:\n    pass", lasting.interrupt
        )
        assert done.error is not None
        assert done.error.limit == "wall"
        lines = printed.splitlines()
        assert lines == [str(number) for number in range(len(lines))]


def test_an_interrupt_between_cells_or_too_late_hits_nobody(lasting: Child) -> None:
    lasting.interrupt()
    assert lasting.run("print('still here')") == ("still here\n", Done(None, None, 0))


def test_an_interrupt_during_a_tool_call_waits_for_the_reply(lasting: Child) -> None:
    lasting.send(
        Cell("try:\n    tools.distance(a='x')\nexcept KeyboardInterrupt:\n    print('after')\n    raise")
    )
    assert isinstance(lasting.receive(), Call)
    lasting.interrupt()
    lasting.send(Failed("ToolFailedError", "too far"))
    assert lasting.receive() == Text("after\n")
    done = lasting.receive()
    assert isinstance(done, Done)
    assert done.error is not None
    assert done.error.limit == "wall"
    assert lasting.run("1")[0] == "1\n"


def test_a_program_that_goes_on_regardless_is_asked_only_once(lasting: Child) -> None:
    source = "try:\n    print('go')\n    while n: pass\nexcept BaseException:\n    print('no')\nprint('end')"
    asked = []

    def interrupt_twice(text: str) -> None:
        if text in ("go\n", "no\n"):
            asked.append(text)
            lasting.interrupt()

    assert lasting.run(source, interrupt_twice) == ("go\nno\nend\n", Done(None, None, 0))
    assert asked == ["go\n", "no\n"]


def test_what_is_said_deep_in_a_recursion_moves_no_limit(lasting: Child) -> None:
    deepest = "def deepest(n):\n    try: return deepest(n + 1)\n    except RecursionError: return n\n"
    before, _ = lasting.run(f"{deepest}deepest(0)")
    source = "def f():\n    try: return f()\n    except RecursionError: print('deep'); raise\nf()"
    for _ in range(3):
        printed, done = lasting.run(source)
        assert "deep\n" in printed
        assert done.error is not None
        assert "RecursionError" in done.error.message
    # What a message needs on top is 300 calls; Python itself may count one more or less.
    assert abs(int(lasting.run(f"{deepest}deepest(0)")[0]) - int(before)) < 10


def test_values_are_fetched_as_arrays(lasting: Child) -> None:
    lasting.send(Cell("a = tools.depth.sensor(frame='$frame/1').fetch()\nprint(a.sum(), a.flags.writeable)"))
    assert isinstance(lasting.receive(), Call)
    lasting.send(Returned(None, "$depth/1"))
    lasting.receive()
    lasting.send(Fetched(np.ones((500, 500), np.float32)))
    assert lasting.receive() == Text("250000.0 False\n")


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs limits on another process")
def test_used_up_memory_ends_the_cell_and_not_the_session(child: Child) -> None:
    child.limit_memory(64 * MEGA)
    for source in ("x = []\nwhile True:\n    x.append(bytes(2**16))", "np.zeros(2**26)", "y = 'a' * 10**8"):
        done = child.run(source)[1]
        assert done.error is not None
        assert (done.error.kind, done.error.limit) == ("limit", "memory")
    assert child.run("large = len(x) > 100\ndel x\nlarge")[0] == "True\n"
    assert child.run("np.zeros(2**21).sum()")[0] == "np.float64(0.0)\n"


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs limits on another process")
def test_a_message_that_finds_no_room_ends_the_process(child: Child) -> None:
    child.limit_memory(32 * MEGA)
    child.send(Cell("tools.depth.sensor().fetch()"))
    child.receive()
    child.send(Returned(None, "$depth/1"))
    child.receive()
    data = to_child(Fetched(np.zeros(64 * MEGA, np.uint8)))
    with pytest.raises(BrokenPipeError):
        child.send_bytes(data)
    assert child.ending()[0] == NO_MEMORY
