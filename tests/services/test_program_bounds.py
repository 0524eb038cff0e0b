"""What a malicious program can take of the process that runs it: pictures, arguments and sessions."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spatial_agent.agent.planner.call_checks import MOST_ARGUMENTS
from spatial_agent.agent.trace import Trace
from spatial_agent.sandbox import Sandbox
from spatial_agent.services.program_tool import (
    MOST_SESSIONS,
    MOST_SIDE_PX,
    SandboxedPrograms,
    WithPrograms,
)
from spatial_agent.services.sandboxes import open_sandbox
from spatial_agent.services.settings import Settings
from spatial_agent.tools.contract import ToolCall, ToolResult
from spatial_agent.tools.errors import SandboxUnavailableError, ToolUnavailableError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import Picture
from spatial_agent.tools.synthetic import SyntheticRoom

SCENE = SyntheticRoom.example().scene_map()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = open_sandbox(Settings(sandbox="auto"))
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


def run_with(
    opening: Callable[[], Sandbox], folder: Path, *sources: str
) -> tuple[list[ToolResult], WithPrograms]:
    """Return what came of programs in one session, which has ended."""
    inner = LocalRunner(Registry.from_entry_points())
    inner.keep("scene", SCENE)
    programs = SandboxedPrograms(opening)
    runner = programs.around(inner, Trace("run", folder / "run.jsonl"), lambda: None)

    async def run() -> list[ToolResult]:
        try:
            calls = [
                ToolCall(f"m{number}", "program", {"source": source}) for number, source in enumerate(sources)
            ]
            return [await runner.call(call) for call in calls]
        finally:
            await runner.close()

    return asyncio.run(run()), runner


def test_a_wide_and_a_high_picture_are_no_gigabytes_beside_each_other(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    bomb = "show(np.zeros((16384, 1), np.uint8))\n" + "show(np.zeros((1, 16384), np.uint8))\n" * 3
    (result,), runner = run_with(lambda: sandbox, tmp_path, bomb)
    assert result.error is None
    assert result.handle is not None
    picture = runner.value(result.handle)
    assert isinstance(picture, Picture)
    # Unscaled, they would be 16384 x 49153 pixels.
    assert picture.rgb.shape == (MOST_SIDE_PX, 3 * MOST_SIDE_PX + 1, 3)


def test_arguments_without_end_reach_no_tool(sandbox: Sandbox, tmp_path: Path) -> None:
    source = (
        "for length in (10_000, 30_000):\n"
        "    try:\n"
        "        tools.size(scene='$scene', of='x' * length)\n"
        "    except Exception as error:\n"
        "        print(type(error).__name__, str(error)[:60])\n"
    )
    (result,), runner = run_with(lambda: sandbox, tmp_path, source)
    assert result.handle is not None
    first, second = str(runner.value(result.handle)).splitlines()
    assert first.startswith("ToolFailedError expected the name of an object, got 10000 characters")
    assert second.startswith("ToolArgumentError size: the arguments are 300")
    assert 10_000 < MOST_ARGUMENTS < 30_000


def test_a_program_where_there_is_no_sandbox_fails_and_ends_no_run(tmp_path: Path) -> None:
    def none_here() -> Sandbox:
        raise SandboxUnavailableError("the kernel at /secret/place has no Landlock")

    results, _ = run_with(none_here, tmp_path, *["answer(1)"] * 3)
    for result in results:
        assert isinstance(result.error, ToolUnavailableError)
        assert "spatial-agent doctor" in str(result.error)
        # Why there is none is for the operator.
        assert "/secret/place" not in str(result.error)


class Broken:
    """A sandbox that starts no session at first."""

    def __init__(self, inner: Sandbox, failures: int) -> None:
        self.inner, self.failures = inner, failures

    def session(self, **inputs: object) -> object:
        self.failures -= 1
        if self.failures >= 0:
            raise SandboxUnavailableError("it broke down")
        return self.inner.session(**inputs)  # type: ignore[arg-type]


def test_sessions_that_did_not_start_take_no_place(sandbox: Sandbox, tmp_path: Path) -> None:
    broken = Broken(sandbox, MOST_SESSIONS + 1)
    sources = ["answer(1)"] * (MOST_SESSIONS + 2)
    results, _ = run_with(lambda: broken, tmp_path, *sources)  # type: ignore[arg-type,return-value]
    assert [type(result.error) for result in results[:-1]] == [ToolUnavailableError] * (MOST_SESSIONS + 1)
    assert results[-1].error is None
    assert results[-1].evidence[0].finding.value == 1


def test_programs_asked_for_at_once_run_one_after_the_other(sandbox: Sandbox, tmp_path: Path) -> None:
    inner = LocalRunner(Registry.from_entry_points())
    inner.keep("scene", SCENE)
    runner = SandboxedPrograms(lambda: sandbox).around(
        inner, Trace("run", tmp_path / "run.jsonl"), lambda: None
    )
    sources = ["n = 1", "n += 1", "n += 1\nanswer(n)"]

    async def run() -> list[ToolResult]:
        calls = [
            ToolCall(f"m{number}", "program", {"source": source}) for number, source in enumerate(sources)
        ]
        try:
            return await asyncio.gather(*map(runner.call, calls))
        finally:
            await runner.close()

    results = asyncio.run(run())
    assert [result.error for result in results] == [None] * 3
    assert results[-1].evidence[0].finding.value == 3


def test_after_a_program_was_given_up_the_next_begins_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    runner = SandboxedPrograms(lambda: sandbox).around(
        LocalRunner(Registry.from_entry_points()), Trace("run", tmp_path / "run.jsonl"), lambda: None
    )

    async def run() -> ToolResult:
        endless = ToolCall("m1", "program", {"source": "while True:\n    pass"})
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(runner.call(endless), 0.3)
            return await runner.call(ToolCall("m2", "program", {"source": "answer(1)"}))
        finally:
            await runner.close()

    result = asyncio.run(run())
    assert result.error is None
    assert result.evidence[0].finding.value == 1


def test_what_one_run_keeps_no_other_run_reaches(sandbox: Sandbox, tmp_path: Path) -> None:
    (drawn,), first = run_with(lambda: sandbox, tmp_path, "v = tools.top_down(scene='$scene')\nprint(v)")
    assert drawn.error is None
    assert isinstance(first.value("$top_down/1"), Picture)
    fetch = "for name in ('$top_down/1', '$scene/../scene', '$/etc/passwd'):\n"
    fetch += "    try:\n        tools.draw(frame=name)\n"
    fetch += "    except Exception as error:\n        print(type(error).__name__, error)\n"
    (said,), second = run_with(lambda: sandbox, tmp_path, fetch)
    assert said.handle is not None
    lines = str(second.value(said.handle)).splitlines()
    assert len(lines) == 3
    assert all("nothing is kept as" in line for line in lines)
