"""Programs as a tool: one session a run, findings with margins, calls counted, and what goes wrong."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from spatial_agent.agent.trace import Trace, read_trace
from spatial_agent.sandbox import Sandbox, SandboxPolicy
from spatial_agent.services.program_tool import MOST_SESSIONS, SandboxedPrograms, WithPrograms
from spatial_agent.services.sandboxes import open_sandbox
from spatial_agent.services.settings import Settings
from spatial_agent.tools.contract import ToolCall, ToolResult
from spatial_agent.tools.errors import SandboxUnavailableError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import Picture
from spatial_agent.tools.synthetic import SyntheticRoom
from spatial_agent.tools.wrappers import Traced

Result = TypeVar("Result")
SCENE = SyntheticRoom.example().scene_map()


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = open_sandbox(Settings(sandbox="auto"))
    except SandboxUnavailableError as error:
        pytest.skip(str(error))
    yield opened
    opened.close()


class Run:
    """One run's runner, asked cell by cell."""

    def __init__(self, sandbox: Sandbox, folder: Path, policy: SandboxPolicy | None = None) -> None:
        self.programs = SandboxedPrograms(lambda: sandbox, policy)
        self.trace = Trace("run", folder / "run.jsonl")
        self.inner = LocalRunner(Registry.from_entry_points())
        self.inner.keep("scene", SCENE)
        self.loop = asyncio.Runner()
        self.runner = self.another()

    def another(self) -> WithPrograms:
        return self.programs.around(Traced(self.inner, self.trace.record), self.trace, lambda: None)

    def __call__(self, source: object, **others: object) -> ToolResult:
        arguments = {"source": source} | others
        return self.loop.run(self.runner.call(ToolCall("m1.1", "program", arguments)))


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path) -> Iterator[Run]:
    made = Run(sandbox, tmp_path)
    yield made
    made.loop.run(made.runner.close())
    made.loop.close()


def test_what_a_program_concludes_is_evidence_with_its_margin(run: Run) -> None:
    source = "d = tools.distance(scene='$scene', a='sofa', b='tv')\nanswer(1.5, unit='m', low=1.25, high=2.0)"
    concluded = run(source).evidence[0].finding
    assert (concluded.value, concluded.unit, concluded.margin) == (1.5, "m", 0.5)
    assert concluded.quality == "strong"


def test_a_number_that_no_tool_call_carries_is_weak(run: Run) -> None:
    (item,) = run("answer(42.0, unit='m', low=41.9, high=42.1)").evidence
    assert item.finding.quality == "weak"
    assert "called no tool" in (item.finding.why_weak or "")


def test_a_measured_number_without_a_margin_is_weak(run: Run) -> None:
    (item,) = run("answer(1.5, unit='m')").evidence
    assert item.finding.quality == "weak"
    assert item.finding.why_weak == "the program gives no margin"


def test_what_its_tools_found_out_is_evidence_too(run: Run) -> None:
    result = run("d = tools.distance(scene='$scene', a='sofa', b='tv')\nanswer(d.value > 1)")
    concluded, measured = (item.finding for item in result.evidence)
    assert concluded.value is True
    assert concluded.objects == ("sofa-1", "tv-1")
    assert measured.definition == "distance.surface"


def test_variables_last_from_cell_to_cell(run: Run) -> None:
    run("n = len(scene.objects)")
    (item,) = run("answer(n)").evidence
    assert item.finding.value == len(SCENE.objects)


def test_an_exception_is_a_failure_that_shows_what_was_printed(run: Run) -> None:
    result = run("print('so far')\n1 / 0")
    assert "ZeroDivisionError" in str(result.error)
    assert "so far" in str(result.error)


def test_after_a_killed_cell_the_next_begins_anew(sandbox: Sandbox, tmp_path: Path) -> None:
    run = Run(sandbox, tmp_path, SandboxPolicy(memory_mb=64))
    run("kept = 1")
    assert run("np.zeros((1 << 28,)) + 1").error is not None
    assert run("answer(1)").evidence[0].finding.value == 1
    run.loop.run(run.runner.close())
    run.loop.close()


def test_pictures_and_print_are_kept_for_the_model(run: Run) -> None:
    shown = run("show(np.zeros((4, 6, 3), np.uint8), 'dark')\nshow(np.ones((8, 2, 3), np.uint8), 'small')")
    assert shown.handle is not None
    picture = run.runner.value(shown.handle)
    assert isinstance(picture, Picture)
    assert picture.rgb.shape == (8, 8, 3)
    assert picture.caption == "dark; small"
    printed = run("print(6 * 7)")
    assert printed.handle is not None
    assert run.runner.value(printed.handle) == "42\n"


@pytest.mark.parametrize("source", [None, 3, ["1"]])
def test_what_is_no_program_is_refused(run: Run, source: object) -> None:
    assert "expected exactly 'source'" in str(run(source).error)


def test_programs_and_the_calls_they_make_are_traced(run: Run) -> None:
    run("tools.room(scene='$scene')")
    steps = [step for step in read_trace(run.trace.path) if step.kind == "call"]
    assert [step.data["tool"] for step in steps] == ["program", "room"]
    assert steps[0].data["arguments"] == {"source": "tools.room(scene='$scene')"}


def test_only_so_many_sessions_run_at_once(run: Run) -> None:
    others = [run.another() for _ in range(MOST_SESSIONS)]
    cell = ToolCall("c1", "program", {"source": "1"})

    def each(act: Callable[[WithPrograms], Any]) -> list[Any]:
        return [run.loop.run(act(other)) for other in others]

    assert [result.error for result in each(lambda other: other.call(cell))] == [None] * MOST_SESSIONS
    assert "sessions of programs run already" in str(run("1").error)
    each(lambda other: other.close())
    assert run("1").error is None
