"""What the parent's side of a session sees to: limits, calls, protocol, and ends."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
import pytest

from spatial_agent.sandbox import ProgramResult, Sandbox, SandboxPolicy
from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.process import ProcessSandbox
from spatial_agent.sandbox.session import ProcessSession
from spatial_agent.sandbox.zygote import open_zygote_sandbox
from spatial_agent.tools.contract import Evidence, Finding, ToolCall, ToolResult
from spatial_agent.tools.errors import (
    SandboxClosedError,
    ToolArgumentError,
    ToolFailedError,
    WireError,
)

QUICK = SandboxPolicy(wall_s=0.4)


class Tools:
    """Answers ``double`` with twice its argument, ``array`` with a handle, and fails at ``fail``."""

    def __init__(self, wait: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self.asked: list[ToolCall] = []
        self._wait = wait
        self._values: dict[str, object] = {"$array/1": np.arange(6.0).reshape(2, 3), "$odd/1": object()}

    async def call(self, call: ToolCall) -> ToolResult:
        self.asked.append(call)
        if self._wait is not None:
            await self._wait()
        if call.tool == "double":
            value = 2 * call.arguments["x"]
            finding = Finding(f"It is {value} m.", value, "m", value - 1, value + 1)
            return ToolResult(call.id, call.tool, (Evidence("e1", call.id, call.tool, finding),))
        if call.tool == "array":
            return ToolResult(call.id, call.tool, handle="$array/1")
        if call.tool == "break":
            raise RuntimeError("a bug in the runner")
        return ToolResult(call.id, call.tool, error=ToolFailedError("nothing to be seen"))

    def keep(self, name: str, value: object) -> str:
        self._values[f"${name}"] = value
        return f"${name}"

    def value(self, reference: str) -> object:
        if reference not in self._values:
            raise ToolArgumentError(f"nothing is kept as {reference}")
        return self._values[reference]

    def drop(self, reference: str) -> None:
        self._values.pop(reference, None)


def run(
    sandbox: Sandbox, program: str, policy: SandboxPolicy | None = None, tools: Tools | None = None
) -> ProgramResult:
    return asyncio.run(sandbox.run(program, policy=policy, tools=tools))


def limit_of(result: ProgramResult) -> str | None:
    assert result.error is not None, result
    return result.error.limit


def test_a_finding_comes_back_whole(zygote: Sandbox) -> None:
    tools = Tools()
    program = "f = tools.double(x=21)\nanswer(f.value, unit=f.unit, low=f.low, high=f.high)"
    result = run(zygote, program, tools=tools)
    assert result.error is None
    assert result.answer is not None
    assert (result.answer.value, result.answer.unit, result.answer.low, result.answer.high) == (
        42,
        "m",
        41,
        43,
    )
    assert [call.arguments for call in tools.asked] == [{"x": 21}]
    assert [item.tool for item in result.results] == ["double"]


def test_what_a_handle_stands_for_can_be_fetched(zygote: Sandbox) -> None:
    result = run(zygote, "a = tools.array().fetch()\nprint(a.shape, float(a.sum()))", tools=Tools())
    assert result.output == "(2, 3) 15.0\n"


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("tools.fail()", "nothing to be seen"),
        ("tools.array().__class__('$nothing/1', tools.array()._fetch).fetch()", "nothing"),
    ],
)
def test_an_error_of_a_tool_is_the_program_s_exception(zygote: Sandbox, program: str, said: str) -> None:
    unchecked = ProcessSandbox(zygote._launcher, frozenset({Layer.WATCH}))  # type: ignore[attr-defined]
    result = run(unchecked, program, tools=Tools())
    assert result.error is not None
    assert result.error.kind == "exception"
    assert said in result.error.message


def test_what_is_too_large_or_no_value_is_not_fetched(zygote: Sandbox) -> None:
    tools = Tools()
    tools.keep("array/1", np.zeros(200_000))
    result = run(zygote, "tools.array().fetch()", SandboxPolicy(message_bytes=100_000), tools)
    assert result.error is not None
    assert "1.5 MB" in result.error.message
    tools.keep("array/1", object())
    result = run(zygote, "tools.array().fetch()", tools=tools)
    assert result.error is not None
    assert "cannot be fetched" in result.error.message


def test_a_bug_of_the_runner_is_raised_and_ends_the_session(zygote: Sandbox) -> None:
    async def both() -> None:
        async with zygote.session(tools=Tools()) as session:
            with pytest.raises(RuntimeError, match="a bug in the runner"):
                await session.run("try:\n    getattr(tools, 'break')()\nexcept Exception as e:\n    print(e)")
            with pytest.raises(SandboxClosedError):
                await session.run("1")

    asyncio.run(both())


def test_a_tool_that_is_not_allowed_never_reaches_the_runner(zygote: Sandbox) -> None:
    tools = Tools()
    result = run(zygote, "tools.double(x=1)", SandboxPolicy(tools=frozenset({"array"})), tools)
    assert result.error is not None
    assert "'double' may not be called" in result.error.message
    assert tools.asked == []


def test_calls_run_out_and_the_result_says_so(zygote: Sandbox) -> None:
    tools = Tools()
    result = run(zygote, "for i in range(5):\n    tools.double(x=i)", SandboxPolicy(calls=3), tools)
    assert limit_of(result) == "calls"
    assert len(tools.asked) == 3


def test_time_in_tools_is_not_the_program_s(zygote: Sandbox) -> None:
    async def slow() -> None:
        done = asyncio.Event()
        asyncio.get_running_loop().call_later(0.8, done.set)
        await done.wait()

    result = run(zygote, "answer(tools.double(x=1).value)", QUICK, Tools(slow))
    assert result.error is None
    assert result.seconds < 0.4


def test_an_endless_loop_ends_and_leaves_its_variables(zygote: Sandbox) -> None:
    async def cells() -> tuple[ProgramResult, ProgramResult]:
        async with zygote.session(policy=QUICK) as session:
            return await session.run("x = 7\nwhile True: x += 1"), await session.run("print(x > 7)")

    first, second = asyncio.run(cells())
    assert limit_of(first) == "wall"
    assert second.output == "True\n"


def test_one_that_will_not_end_is_killed_and_the_session_says_so(zygote: Sandbox) -> None:
    # One call into a library that listens to nothing, and nothing slow before it.
    stubborn = "np.linalg.svd(np.ones((3000, 3000)))"

    async def cells() -> ProgramResult:
        async with zygote.session(policy=SandboxPolicy(wall_s=0.2, memory_mb=2048)) as session:
            first = await session.run(stubborn)
            assert session.closed is not None
            with pytest.raises(SandboxClosedError, match="longer than"):
                await session.run("1")
            return first

    assert limit_of(asyncio.run(cells())) == "wall"


@pytest.mark.parametrize("layers", [{Layer.RLIMITS}, {Layer.WATCH}], ids=["kernel", "watch"])
def test_processor_time_ends_a_session_whichever_wall_notices(layers: set[Layer]) -> None:
    sandbox = open_zygote_sandbox(frozenset({Layer.SECCOMP, Layer.LANDLOCK, *layers}))
    try:
        result = run(sandbox, "while True: pass", SandboxPolicy(cpu_s=1, wall_s=20))
    finally:
        sandbox.close()
    assert limit_of(result) == "cpu"
    assert 0.9 < result.cpu_seconds < 2.5


def test_the_zygote_ends_what_nobody_watches() -> None:
    sandbox = open_zygote_sandbox(frozenset(Layer) - {Layer.WATCH})
    try:
        result = run(sandbox, "import time\ntime.sleep(100)", SandboxPolicy(session_s=0.5))
    finally:
        sandbox.close()
    assert limit_of(result) == "session"


def test_memory_is_limited_and_told(zygote: Sandbox) -> None:
    result = run(zygote, "a = np.ones(10**8)", SandboxPolicy(memory_mb=100))
    assert limit_of(result) == "memory"


def test_memory_taken_shows_in_the_result(zygote: Sandbox) -> None:
    result = run(zygote, "a = np.ones(10**7)\nprint(a.sum())")
    assert 76 < result.peak_mb < 120


def test_output_is_cut_with_a_note(zygote: Sandbox) -> None:
    result = run(zygote, "print('x' * 100_000)", SandboxPolicy(output_bytes=1000))
    assert result.output.startswith("x" * 1000 + "\n[output cut: 99001 bytes more")


def test_whoever_sends_without_end_is_stopped(zygote: Sandbox) -> None:
    program = "for i in range(50):\n    show(np.zeros((500, 500, 3), np.uint8))"
    result = run(zygote, program, SandboxPolicy(cell_bytes=2_000_000, images=100, message_bytes=2**20))
    assert limit_of(result) == "output"


def test_one_that_hangs_up_and_goes_on_is_killed() -> None:
    sandbox = open_zygote_sandbox(frozenset({Layer.WATCH}))
    try:
        hang_up = "import random, time\nrandom._os.close(4)\ntime.sleep(100)"
        error = run(sandbox, hang_up, SandboxPolicy(session_s=30)).error
    finally:
        sandbox.close()
    assert error is not None
    assert error.kind == "violation"


def test_cells_run_out(zygote: Sandbox) -> None:
    async def cells() -> list[ProgramResult]:
        async with zygote.session(policy=SandboxPolicy(cells=2)) as session:
            return [await session.run("1"), await session.run("2"), await session.run("3")]

    results = asyncio.run(cells())
    assert [result.output for result in results[:2]] == ["1\n", "2\n"]
    assert limit_of(results[2]) == "cells"


def test_inputs_that_cannot_be_sent_are_refused_at_once(zygote: Sandbox) -> None:
    with pytest.raises(WireError):
        zygote.session(inputs={"x": object()})


def test_no_program_at_all_is_refused(zygote: Sandbox) -> None:
    result = run(zygote, "#" * 200_000)
    assert result.error is not None
    assert result.error.kind == "refused"


def test_two_cells_of_one_session_do_not_run_at_once(zygote: Sandbox) -> None:
    async def cells() -> None:
        async with zygote.session() as session:
            first = asyncio.create_task(session.run("import time\ntime.sleep(0.3)"))
            await asyncio.sleep(0)
            with pytest.raises(SandboxClosedError, match="still runs"):
                await session.run("1")
            assert (await first).error is None

    asyncio.run(cells())


def test_closing_a_session_ends_its_cell_even_in_a_tool(zygote: Sandbox) -> None:
    async def for_ever() -> None:
        reached.set()
        await asyncio.get_running_loop().create_future()

    async def cells() -> None:
        session = zygote.session(tools=Tools(for_ever))
        running = asyncio.create_task(session.run("tools.double(x=1)"))
        await reached.wait()
        await session.close()
        with pytest.raises(SandboxClosedError, match="closed while its cell ran"):
            await running
        await session.close()

    reached = asyncio.Event()
    asyncio.run(cells())


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_cancelled_cell_leaves_nothing(zygote: Sandbox) -> None:
    async def cancelled() -> int:
        async with zygote.session() as session:
            assert isinstance(session, ProcessSession)
            await session.run("1")
            assert session._process is not None
            pid = session._process._pid  # type: ignore[attr-defined]
            before = open_descriptors()
            task = asyncio.create_task(session.run("print('x' * 5000)\nwhile True: pass"))
            while session._conversation is None:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert session.closed is not None
            assert open_descriptors() < before
            return int(pid)

    pid = asyncio.run(cancelled())
    assert is_gone(pid)


def is_gone(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not os.path.exists(f"/proc/{pid}"):
            return True
        os.sched_yield()
    return False
