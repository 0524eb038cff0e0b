"""What programs compute still works behind their filter, and what must end there ends."""

import ctypes
import datetime
import json
import math
import os
import random
import signal
import statistics
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.spatial
import shapely

from spatial_agent.sandbox.kernel import landlock, seccomp, syscalls
from spatial_agent.tools.errors import SandboxUnavailableError

if not seccomp.available():
    pytest.skip("this kernel takes no system call filter", allow_module_level=True)

Outcomes = Callable[[str], dict[str, tuple[str | None, str]]]
LIBC = ctypes.CDLL(None, use_errno=True)


def linear_algebra() -> None:
    matrix = np.random.default_rng(3).random((400, 400))
    left, values, right = np.linalg.svd(matrix @ matrix.T)
    assert np.allclose((left * values) @ right, matrix @ matrix.T)
    solution = np.linalg.lstsq(matrix, matrix[:, 0])[0]
    assert np.allclose(solution, np.eye(400)[0], atol=1e-6)
    assert np.allclose(np.linalg.inv(matrix) @ matrix, np.eye(400), atol=1e-6)
    assert np.linalg.eigvalsh(matrix + matrix.T)[-1] > 0


def neighbours() -> None:
    points = np.random.default_rng(4).random((5000, 3))
    distances, indices = scipy.spatial.KDTree(points).query(points, k=3)
    assert (np.asarray(indices)[:, 0] == np.arange(5000)).all()
    assert (np.diff(distances, axis=1) >= 0).all()
    assert scipy.spatial.ConvexHull(points).volume < 1
    assert scipy.spatial.distance.cdist(points[:100], points[:100]).shape == (100, 100)
    scipy.spatial.Delaunay(points[:200])
    scipy.spatial.transform.Rotation.from_euler("xyz", [1, 2, 3]).as_quat()


def polygons() -> None:
    square = shapely.box(0, 0, 2, 2)
    assert shapely.unary_union([square, shapely.box(1, 1, 3, 3)]).area == 7
    assert abs(square.buffer(1).area - (4 + 8 + math.pi)) < 0.1


def sorting() -> None:
    values = np.random.default_rng(5).random(2_000_000)
    assert (np.diff(np.sort(values)) >= 0).all()
    assert sorted(random.random() for _ in range(1000))[0] >= 0
    assert statistics.median([1, 2, 9]) == 2


def text() -> None:
    assert json.loads(json.dumps({"a": [1.5] * 1000}))["a"][999] == 1.5
    assert len(str(2**10_000)) == 3011
    assert repr(np.arange(3)) == "array([0, 1, 2])"


def clocks() -> None:
    start = time.monotonic()
    time.sleep(0.001)
    assert time.monotonic() - start >= 0.001
    assert time.process_time() > 0
    assert time.thread_time() > 0
    assert time.get_clock_info("process_time").resolution > 0
    assert datetime.datetime.now().year >= 2024
    assert datetime.datetime.now(datetime.UTC).tzinfo is datetime.UTC
    assert not threading.Event().wait(0.001)


def chance() -> None:
    assert len(os.urandom(16)) == 16
    assert random.SystemRandom().random() < 1
    assert 0 <= np.random.default_rng().random() < 1


def memory() -> None:
    for _ in range(3):
        large = np.ones(5_000_000)
        assert np.concatenate([large, large]).sum() == 10_000_000
    growing = list(range(1_000_000))
    growing.extend(range(3_000_000))
    for size in (10**13, 10**15):
        with pytest.raises(MemoryError):
            np.ones(size)
    with pytest.raises(MemoryError):
        [0] * 10**13


def deep_recursion() -> None:
    def deeper(level: int) -> int:
        return deeper(level + 1)

    with pytest.raises(RecursionError):
        deeper(0)
    sys.setrecursionlimit(40_000)
    with pytest.raises(RecursionError):
        deeper(0)


def tracebacks() -> None:
    try:
        exec(compile("def f():\n    return 1 / 0\nf()", "<cell>", "exec"), {})
    except ZeroDivisionError:
        assert 'File "<cell>", line 2, in f' in traceback.format_exc()


def errors_of_imports() -> None:
    with pytest.raises(ImportError):
        __import__("wsgiref.simple_server")


def no_thread() -> None:
    with pytest.raises(RuntimeError, match="thread"):
        threading.Thread(target=int).start()


def no_further_wall() -> None:
    assert not seccomp.available()
    assert landlock.abi_version() == 0
    with pytest.raises(SandboxUnavailableError, match="expected a kernel with Landlock"):
        landlock.restrict()
    with pytest.raises(SandboxUnavailableError, match="Operation not permitted"):
        seccomp.install_deny_list()


def no_other_call() -> None:
    """Every number there is or will be, with arguments that would do no harm either."""
    with pytest.raises(PermissionError):
        os.chdir("/")
    running = syscalls.running()
    assert running is not None
    numbers = running.numbers
    spared = {numbers[name] for name in seccomp.ALLOWED if name in numbers}
    if running is syscalls.X86_64:
        # Newer kernels ask no filter about uretprobe and uprobe, and kill whoever calls them by hand.
        spared |= {335, 336}
    for number in set(range(600)) - spared | {1000, 2**29}:
        assert LIBC.syscall(ctypes.c_long(number), *[ctypes.c_long(-1)] * 6) == -1
        assert ctypes.get_errno() == (38 if number == numbers["clone3"] else 1), number


def ready(check: Callable[[], None]) -> Callable[[Path], Iterator[None]]:
    def steps(_: Path) -> Iterator[None]:
        yield
        check()

    steps.__name__ = check.__name__
    return steps


CHECKS = (
    *(linear_algebra, neighbours, polygons, sorting, text, clocks, chance, memory, deep_recursion),
    *(tracebacks, errors_of_imports, no_thread, no_further_wall, no_other_call),
)


def interrupted(_: Path) -> Iterator[None]:
    """Signals that are handled since before come through, and the program goes on."""
    seen: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, _: seen.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
    yield
    before = len(seen)
    while len(seen) < before + 3:
        time.sleep(0.1)


def abort(_: Path) -> Iterator[None]:
    yield
    os.abort()


def by_x32(_: Path) -> Iterator[None]:
    yield
    LIBC.syscall(ctypes.c_long(0x4000_0000 | 39))


def by_interrupt_0x80(_: Path) -> Iterator[None]:
    """Make a 32-bit call from 64-bit code that was there before the filter."""
    # push rbx; mov eax, 20 (getpid of 32-bit processes); int 0x80; pop rbx; ret
    code = b"\x53\xb8\x14\x00\x00\x00\xcd\x80\x5b\xc3"
    LIBC.mmap.restype = ctypes.c_void_p
    address = LIBC.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
    ctypes.memmove(address, code, len(code))
    function = ctypes.CFUNCTYPE(ctypes.c_int)(address)
    yield
    function()


X86_ONLY = [by_x32, by_interrupt_0x80] if os.uname().machine == "x86_64" else []
REFUSED = {"program": X86_ONLY, "expert": X86_ONLY}
WORKS = {"program": [*(ready(check) for check in CHECKS), interrupted, abort], "expert": []}
WALLS: dict[str, Callable[[int, int], None]] = {
    "program": seccomp.install_allow_list,
    "expert": lambda _read, _write: seccomp.install_deny_list(),
}


@pytest.mark.parametrize("name", [*(check.__name__ for check in CHECKS), "interrupted"])
def test_a_program_can_still_compute(name: str, outcomes: Outcomes) -> None:
    assert outcomes("program")[name] == (None, "done")


def test_an_abort_ends_the_process_though_it_cannot_send_itself_a_signal(outcomes: Outcomes) -> None:
    assert outcomes("program")["abort"] == (None, "SIGSEGV" if X86_ONLY else "SIGTRAP")


@pytest.mark.parametrize("wall", WALLS)
@pytest.mark.parametrize("name", [attempt.__name__ for attempt in X86_ONLY])
def test_calls_by_another_convention_kill(name: str, wall: str, outcomes: Outcomes) -> None:
    before, behind = outcomes(wall)[name]
    assert behind == "SIGSYS"
    if before == "SIGSEGV":
        pytest.skip("this kernel has no 32-bit calls")
    assert before == "done"
