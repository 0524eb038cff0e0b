"""Sessions in bubblewrap, and those without any walls: how they start, what holds them, how they end."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from spatial_agent.sandbox import ProgramResult, Sandbox, SandboxPolicy
from spatial_agent.sandbox.bubblewrap import BubblewrapLauncher
from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.kernel import bwrap, landlock, seccomp
from spatial_agent.sandbox.launch import Exit
from spatial_agent.sandbox.messages import Cell, Done, Ready, Setup, Text, from_child, to_child
from spatial_agent.sandbox.piped import PipedProcess
from spatial_agent.sandbox.process import ProcessSandbox
from spatial_agent.sandbox.stream import FrameStream
from spatial_agent.sandbox.unsandboxed import ACKNOWLEDGEMENT, UnsandboxedLauncher
from spatial_agent.tools.errors import ConfigurationError, SandboxUnavailableError

needs_bubblewrap = pytest.mark.skipif(bwrap.why_not() is not None, reason=str(bwrap.why_not()))
pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sandboxes need Linux")

WATCHED = frozenset({Layer.WATCH})
SETUP = Setup(("math",), {"a": 2}, output_bytes=1000, message_bytes=10_000, images=0, is_checked=True)
SECRET = "canary-in-the-environment"


@pytest.fixture(scope="module")
def launcher() -> Iterator[BubblewrapLauncher]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_API_KEY", SECRET)
        launcher = BubblewrapLauncher()
        yield launcher
        launcher.close()


@pytest.fixture(params=["bubblewrap", "unsandboxed"])
def either(request: pytest.FixtureRequest) -> Iterator[BubblewrapLauncher | UnsandboxedLauncher]:
    if request.param == "bubblewrap" and (reason := bwrap.why_not()):
        pytest.skip(reason)
    made = BubblewrapLauncher() if request.param == "bubblewrap" else UnsandboxedLauncher(ACKNOWLEDGEMENT)
    yield made
    made.close()


def comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if condition():
            return True
        os.sched_yield()
    return False


def children() -> set[str]:
    found: set[str] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that has just ended
            found.update((task / "children").read_text().split())
    return found


def run(sandbox: Sandbox, program: str, **limits: float) -> ProgramResult:
    imports = frozenset({"os", "sys", "socket", "pathlib"})
    return asyncio.run(sandbox.run(program, policy=SandboxPolicy(imports=imports, **limits)))  # type: ignore[arg-type]


def with_process(
    launcher: BubblewrapLauncher | UnsandboxedLauncher, look: Callable[[PipedProcess], Awaitable[object]]
) -> object:
    """Start a process, have it looked at, and let go of it."""

    async def started() -> object:
        process = await launcher.start(SandboxPolicy())
        try:
            return await look(process)
        finally:
            process.close()

    return asyncio.run(started())


async def set_up(process: PipedProcess) -> FrameStream:
    stream = FrameStream(process.read_fd, process.write_fd, 2**20)
    await stream.send(to_child(SETUP))
    assert isinstance(from_child(await stream.receive()), Ready)
    return stream


@needs_bubblewrap
def test_what_the_kernel_has_goes_up_inside(launcher: BubblewrapLauncher) -> None:
    expected = {Layer.NAMESPACES, Layer.IDENTITY, Layer.RLIMITS}
    if landlock.abi_version():
        expected.add(Layer.LANDLOCK)
    if seccomp.available():
        expected.add(Layer.SECCOMP)
    assert launcher.layers == expected

    async def look(process: PipedProcess) -> None:
        await set_up(process)  # its walls are up before it reads
        folder = Path(f"/proc/{process._pid}")
        text = (folder / "status").read_text()
        status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        assert status["Seccomp"] == ("2" if seccomp.available() else "0")
        assert status["NoNewPrivs"] == "1"
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert "0" not in status["Uid"].split()
        limits = (folder / "limits").read_text()
        assert "Max processes             0 " in limits
        assert "Max core file size        0 " in limits

    with_process(launcher, look)


@needs_bubblewrap
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may look into a process of somebody else")
def test_it_has_two_descriptors_and_namespaces_of_its_own(launcher: BubblewrapLauncher) -> None:
    async def look(process: PipedProcess) -> None:
        await set_up(process)
        folder = Path(f"/proc/{process._pid}")
        assert sorted(os.listdir(folder / "fd")) == ["3", "4"]
        for kind in ("user", "mnt", "net", "pid", "ipc", "uts"):
            assert os.readlink(folder / "ns" / kind) != os.readlink(f"/proc/self/ns/{kind}")
        started = (folder / "environ").read_bytes() + Path(f"/proc/{process._outer.pid}/environ").read_bytes()
        assert SECRET.encode() not in started

    with_process(launcher, look)


def test_cells_are_answered_over_the_pipes(either: BubblewrapLauncher | UnsandboxedLauncher) -> None:
    async def look(process: PipedProcess) -> None:
        stream = await set_up(process)
        await stream.send(to_child(Cell("import math\nprint(math.sqrt(a + 2))")))
        assert from_child(await stream.receive()) == Text("2.0\n")
        done = from_child(await stream.receive())
        assert isinstance(done, Done)
        assert done.error is None

    with_process(either, look)


def test_a_killed_process_says_which_signal_ended_it(
    either: BubblewrapLauncher | UnsandboxedLauncher,
) -> None:
    async def look(process: PipedProcess) -> Exit:
        process.kill()
        ended = await process.wait()
        process.kill()
        process.interrupt()
        assert process.usage().memory_bytes == 0
        return ended

    ended = with_process(either, look)
    assert ended == Exit(None, signal.SIGKILL, ended.cpu_seconds)  # type: ignore[attr-defined]


def test_a_process_whose_pipe_is_closed_ends_by_itself(
    either: BubblewrapLauncher | UnsandboxedLauncher,
) -> None:
    async def look(process: PipedProcess) -> Exit:
        await set_up(process)
        os.close(process.write_fd)
        process.write_fd = os.open("/dev/null", os.O_WRONLY)
        return await process.wait()

    ended = with_process(either, look)
    assert (ended.code, ended.signal) == (0, None)  # type: ignore[attr-defined]


def test_an_exit_code_of_the_programs_is_told(either: BubblewrapLauncher | UnsandboxedLauncher) -> None:
    found = run(ProcessSandbox(either, WATCHED), "import os\nos._exit(7)")
    assert found.error is not None
    assert (found.error.kind, "exit code 7" in found.error.message) == ("crash", True)


def test_an_endless_cell_is_interrupted_and_keeps_its_variables(
    either: BubblewrapLauncher | UnsandboxedLauncher,
) -> None:
    async def cells() -> tuple[ProgramResult, ProgramResult]:
        async with ProcessSandbox(either).session(policy=SandboxPolicy(wall_s=0.2)) as session:
            return await session.run("kept = 5\nwhile True: pass"), await session.run("print(kept)")

    endless, after = asyncio.run(cells())
    assert endless.error is not None
    assert endless.error.limit == "wall"
    assert after.output == "5\n"


@pytest.mark.slow
@needs_bubblewrap
def test_processor_time_is_limited_without_what_starting_took() -> None:
    launcher = BubblewrapLauncher(frozenset())
    found = run(ProcessSandbox(launcher, WATCHED), "while True: pass", cpu_s=1.0, wall_s=60.0)
    launcher.close()
    assert found.error is not None
    assert found.error.limit == "cpu"
    assert 0.9 < found.cpu_seconds < 2.0


@needs_bubblewrap
def test_the_kernel_limits_processor_time_where_nobody_watches(launcher: BubblewrapLauncher) -> None:
    found = run(ProcessSandbox(launcher, frozenset()), "while True: pass", cpu_s=0.2)
    assert found.error is not None
    assert found.error.limit == "cpu"


def test_a_session_left_alone_ends_with_its_time(either: BubblewrapLauncher | UnsandboxedLauncher) -> None:
    async def left_alone() -> Exit:
        process = await either.start(SandboxPolicy(session_s=0.2))
        try:
            await set_up(process)
            return await process.wait()
        finally:
            process.close()

    ended = asyncio.run(left_alone())
    assert (ended.code, ended.signal) == (None, signal.SIGKILL)


@needs_bubblewrap
def test_memory_is_limited_inside_and_out(launcher: BubblewrapLauncher) -> None:
    inside = run(ProcessSandbox(launcher), "x = bytearray(200 * 2**20)", memory_mb=100)
    assert inside.error is not None
    assert (inside.error.limit, "variables are kept" in inside.error.message) == ("memory", True)
    unlimited = BubblewrapLauncher(frozenset())
    outside = run(ProcessSandbox(unlimited), "x = b'x' * (200 * 2**20)\nwhile True: pass", memory_mb=100)
    unlimited.close()
    assert outside.error is not None
    assert (outside.error.limit, "was killed" in outside.error.message) == ("memory", True)
    assert outside.peak_mb > 100


ATTEMPTS = {
    "file": "print(open({canary!r}).read())",
    "environment": "import os\nprint(os.environ['SOME_API_KEY'])",
    "signal": "import os\nos.kill({pid}, 0)\nprint({secret!r})",
}


@needs_bubblewrap
@pytest.mark.parametrize("attempt", ATTEMPTS)
@pytest.mark.parametrize("layers", [frozenset(Layer), frozenset()], ids=["all walls", "bubblewrap alone"])
def test_what_a_plain_process_can_do_fails_inside(
    layers: frozenset[Layer], attempt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    canary = tmp_path / "canary"
    canary.write_text(SECRET)
    program = ATTEMPTS[attempt].format(canary=str(canary), pid=os.getpid(), secret=SECRET)
    plain = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert SECRET in plain.stdout, "the attempt proves nothing"
    launcher = BubblewrapLauncher(layers)
    found = run(ProcessSandbox(launcher, WATCHED), program)
    launcher.close()
    assert SECRET not in found.output
    assert found.error is not None
    assert found.error.kind == "exception"


@pytest.mark.slow
def test_sessions_leave_no_process_and_no_descriptor(
    either: BubblewrapLauncher | UnsandboxedLauncher,
) -> None:
    sandbox = ProcessSandbox(either)
    run(sandbox, "1")
    before = len(os.listdir("/proc/self/fd")), children()
    for program in ("1", "import os\nos._exit(1)", "while True: pass"):
        run(sandbox, program, wall_s=0.1)
    assert (len(os.listdir("/proc/self/fd")), children()) == before


def test_a_closed_launcher_ends_what_runs_and_starts_nothing(
    either: BubblewrapLauncher | UnsandboxedLauncher,
) -> None:
    async def cells() -> int:
        process = await either.start(SandboxPolicy())
        waiting = asyncio.create_task(process.wait())
        await asyncio.sleep(0)
        either.close()
        either.close()
        with pytest.raises(SandboxUnavailableError, match="was closed"):
            await waiting
        with pytest.raises(SandboxUnavailableError, match="was closed"):
            await either.start(SandboxPolicy())
        process.close()
        return process._pid

    pid = asyncio.run(cells())
    assert comes_true(lambda: not os.path.exists(f"/proc/{pid}"))


def test_a_start_that_nobody_waits_for_leaves_nothing(
    either: BubblewrapLauncher | UnsandboxedLauncher,
) -> None:
    before, others = len(os.listdir("/proc/self/fd")), children()

    async def give_up() -> None:
        starting = asyncio.create_task(either.start(SandboxPolicy()))
        while children() <= others:
            await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting

    asyncio.run(give_up())
    either.close()
    assert comes_true(lambda: children() <= others)
    assert comes_true(lambda: len(os.listdir("/proc/self/fd")) <= before)


@needs_bubblewrap
def test_a_failed_start_says_what_bubblewrap_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bwrap, "command", lambda *_, **__: [str(bwrap.find()), "--no-such-option"])
    before, others = len(os.listdir("/proc/self/fd")), children()
    sandbox = ProcessSandbox(BubblewrapLauncher())
    with pytest.raises(SandboxUnavailableError, match="not start: bwrap: Unknown option --no-such-option"):
        run(sandbox, "1")
    monkeypatch.setattr(bwrap, "command", lambda *_, **__: ["/no/such/program"])
    with pytest.raises(SandboxUnavailableError, match="cannot be started"):
        run(sandbox, "1")
    sandbox.close()
    assert len(os.listdir("/proc/self/fd")) == before
    assert children() <= others


def test_without_bubblewrap_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bwrap, "why_not", lambda: "bubblewrap is not installed; install it")
    sandbox = ProcessSandbox(BubblewrapLauncher())
    with pytest.raises(SandboxUnavailableError, match="is not installed"):
        sandbox.layers  # noqa: B018
    with pytest.raises(SandboxUnavailableError, match="is not installed"):
        run(sandbox, "1")


ABANDON = """
import asyncio, os, signal
from spatial_agent.sandbox.bubblewrap import BubblewrapLauncher
from spatial_agent.sandbox.unsandboxed import ACKNOWLEDGEMENT, UnsandboxedLauncher
from spatial_agent.sandbox.policy import SandboxPolicy
async def main():
    process = await {launcher}.start(SandboxPolicy())
    print(process._pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("launcher", ["BubblewrapLauncher()", "UnsandboxedLauncher(ACKNOWLEDGEMENT)"])
def test_nothing_outlives_a_parent_that_was_killed(launcher: str) -> None:
    if launcher.startswith("Bubblewrap") and (reason := bwrap.why_not()):
        pytest.skip(reason)
    program = ABANDON.format(launcher=launcher)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert comes_true(lambda: not os.path.exists(f"/proc/{int(done.stdout)}"))


@pytest.mark.parametrize("said", ["", "yes", ACKNOWLEDGEMENT.upper()])
def test_nobody_goes_without_a_sandbox_by_accident(said: str) -> None:
    with pytest.raises(ConfigurationError, match="only where the operator says"):
        UnsandboxedLauncher(said)


@pytest.mark.slow
def test_going_without_a_sandbox_is_logged_every_time(caplog: pytest.LogCaptureFixture) -> None:
    sandbox = ProcessSandbox(UnsandboxedLauncher(ACKNOWLEDGEMENT))
    assert sandbox.layers == {Layer.SYNTAX, Layer.WATCH}
    for _ in range(2):
        assert run(sandbox, "answer(1)").error is None
    sandbox.close()
    levels = [record.levelno for record in caplog.records if "without a sandbox" in record.message]
    assert levels == [logging.WARNING] * 2
