"""The zygote itself: how it starts, what it shares, how it and its children end."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spatial_agent.sandbox import ProgramResult, Sandbox, SandboxPolicy
from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.launch import LAYERS
from spatial_agent.sandbox.process import ProcessSandbox
from spatial_agent.sandbox.zygote import ZygoteLauncher, open_zygote_sandbox
from spatial_agent.tools.errors import SandboxUnavailableError

EVERY_WALL = frozenset(Layer)


def run(sandbox: Sandbox, program: str) -> ProgramResult:
    return asyncio.run(sandbox.run(program))


def comes_true(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if condition():
            return True
        os.sched_yield()
    return False


def children(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == pid:
            found.append(int(folder.name))
    return found


@pytest.fixture
def launcher(zygote: Sandbox) -> "ZygoteLauncher":
    return zygote._launcher  # type: ignore[attr-defined, no-any-return]


def test_every_wall_is_up_where_the_kernel_has_them(zygote: Sandbox) -> None:
    assert zygote.layers >= EVERY_WALL - {Layer.NAMESPACES}
    if os.geteuid() == 0:
        assert zygote.layers == EVERY_WALL


def test_the_zygote_never_had_an_environment(launcher: ZygoteLauncher) -> None:
    for pid in (launcher.pid, *children(launcher.pid)):
        assert Path(f"/proc/{pid}/environ").read_bytes().strip(b"\0") == b""


def test_children_start_without_environment(launcher: ZygoteLauncher) -> None:
    open_to_look = ProcessSandbox(launcher, frozenset({Layer.WATCH}))
    program = "import sys\nos = sys.modules['os']\nprint(dict(os.environ))"
    policy = SandboxPolicy(imports=frozenset({"sys"}))
    assert asyncio.run(open_to_look.run(program, policy=policy)).output == "{}\n"


def test_a_child_belongs_to_nobody_and_has_no_capability(launcher: ZygoteLauncher) -> None:
    async def status() -> dict[str, str]:
        process = await launcher.start(SandboxPolicy())
        try:
            comes_true(lambda: "Seccomp:\t2" in Path(f"/proc/{process._pid}/status").read_text())
            text = Path(f"/proc/{process._pid}/status").read_text()
        finally:
            process.close()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)

    found = asyncio.run(status())
    assert found["Seccomp"] == "2"
    assert found["NoNewPrivs"] == "1"
    assert {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert "0" not in found["Uid"].split()


def test_a_child_has_two_descriptors(launcher: ZygoteLauncher) -> None:
    async def descriptors() -> list[str]:
        process = await launcher.start(SandboxPolicy())
        try:
            comes_true(lambda: "Seccomp:\t2" in Path(f"/proc/{process._pid}/status").read_text())
            return sorted(os.listdir(f"/proc/{process._pid}/fd"))
        finally:
            process.close()

    assert asyncio.run(descriptors()) == ["3", "4"]


def test_a_zygote_that_was_killed_is_replaced(zygote: Sandbox) -> None:
    launcher = ZygoteLauncher()
    sandbox = ProcessSandbox(launcher)
    try:
        first = launcher.pid
        inner = children(first)
        os.kill(first, signal.SIGKILL)
        assert comes_true(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in inner))
        assert run(sandbox, "print(1)").output == "1\n"
        assert launcher.pid != first
    finally:
        sandbox.close()


def test_a_cell_whose_zygote_dies_is_no_program_error(zygote: Sandbox) -> None:
    async def cell() -> None:
        launcher = ZygoteLauncher()
        sandbox = ProcessSandbox(launcher)
        async with sandbox.session() as session:
            assert (await session.run("x = 1")).error is None
            running = asyncio.create_task(session.run("while True: pass"))
            await asyncio.sleep(0)
            os.kill(launcher.pid, signal.SIGKILL)
            with pytest.raises(SandboxUnavailableError, match="zygote is gone"):
                await running
        sandbox.close()

    asyncio.run(cell())


def test_nothing_outlives_the_sandbox() -> None:
    async def start() -> list[int]:
        launcher = ZygoteLauncher()
        process = await launcher.start(SandboxPolicy())
        pids = [launcher.pid, *children(launcher.pid), process._pid]
        launcher.close()
        process.close()
        return pids

    for pid in asyncio.run(start()):
        assert comes_true(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))  # type: ignore[misc]


ABANDON = """
import asyncio, os, signal, sys
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.sandbox.zygote import ZygoteLauncher
async def main():
    launcher = ZygoteLauncher()
    process = await launcher.start(SandboxPolicy())
    print(launcher.pid, process._pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


def test_nothing_outlives_a_parent_that_was_killed(zygote: Sandbox) -> None:
    done = subprocess.run([sys.executable, "-c", ABANDON], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGKILL, done.stderr
    for pid in map(int, done.stdout.split()):
        assert comes_true(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))  # type: ignore[misc]


def test_a_closed_sandbox_starts_nothing(zygote: Sandbox) -> None:
    launcher = ZygoteLauncher()
    launcher.close()
    launcher.close()
    with pytest.raises(SandboxUnavailableError, match="was closed"):
        run(ProcessSandbox(launcher), "1")


def test_many_programs_leave_no_descriptor_and_no_process(zygote: Sandbox, launcher: ZygoteLauncher) -> None:
    run(zygote, "1")
    (first,) = children(launcher.pid)
    # One child is always forked ahead.
    assert comes_true(lambda: len(children(first)) == 1)

    def descriptors() -> tuple[int, int]:
        return len(os.listdir("/proc/self/fd")), len(os.listdir(f"/proc/{first}/fd"))

    before = descriptors()
    for _ in range(30):
        run(zygote, "1")
    assert comes_true(lambda: len(children(first)) == 1)
    # What is shared with a child is let go a moment after the child is there.
    assert comes_true(lambda: all(now <= then for now, then in zip(descriptors(), before, strict=True)))


def test_a_waiting_child_that_was_killed_is_replaced(zygote: Sandbox, launcher: ZygoteLauncher) -> None:
    (first,) = children(launcher.pid)
    assert comes_true(lambda: len(children(first)) == 1)
    (spare,) = children(first)
    os.kill(spare, signal.SIGKILL)
    assert comes_true(lambda: ") Z " in Path(f"/proc/{spare}/stat").read_text())
    assert run(zygote, "print(6)").output == "6\n"


def test_no_two_sessions_draw_the_same_numbers(zygote: Sandbox) -> None:
    program = "import random\nprint(random.random(), np.random.random())"
    first, second = (run(zygote, program).output.split() for _ in range(2))
    assert not set(first) & set(second)


ORDINARY = """
import asyncio
from spatial_agent.sandbox.zygote import open_zygote_sandbox
sandbox = open_zygote_sandbox()
print(*sorted(sandbox.layers))
result = asyncio.run(sandbox.run("import time\\nanswer(6 * 7)"))
print(result.answer.value, result.error)
sandbox.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests already run as an ordinary user")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv is not installed")
def test_an_ordinary_user_has_every_wall_too(zygote: Sandbox) -> None:
    # The only thing left of root is that the interpreter may be read wherever it is installed.
    reading = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *reading]
    command = [*nobody, sys.executable, "-c", ORDINARY]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    layers, answer = done.stdout.splitlines()
    assert set(layers.split()) == set(zygote.layers)
    assert answer == "42 None"


@pytest.mark.parametrize("missing", sorted(LAYERS))
def test_each_wall_can_be_left_out_to_see_what_it_is_good_for(missing: Layer) -> None:
    sandbox = open_zygote_sandbox(EVERY_WALL - {missing})
    try:
        assert missing not in sandbox.layers
        assert run(sandbox, "answer(1)").error is None
    finally:
        sandbox.close()


MOUNT = """
ctypes = np._core._internal.ctypes
libc = ctypes.CDLL(None)
answer(libc.mount(b"x", b"/tmp", b"tmpfs", 0, None) + libc.sethostname(b"renamed", 7))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts without a namespace of its own")
def test_without_any_wall_root_still_leaves_the_machine_as_it_is() -> None:
    before = Path("/proc/self/mountinfo").read_text(), os.uname().nodename
    sandbox = open_zygote_sandbox(frozenset())
    try:
        answer = run(sandbox, MOUNT).answer
    finally:
        sandbox.close()
    assert answer is not None
    assert answer.value == 0
    assert (Path("/proc/self/mountinfo").read_text(), os.uname().nodename) == before
