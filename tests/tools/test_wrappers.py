"""The wrappers that time and limit calls: what each adds, and that it adds nothing else."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest

from spatial_agent.tools.contract import Evidence, Finding, ToolCall, ToolResult
from spatial_agent.tools.errors import (
    BudgetExceededError,
    MissingWeightsError,
    NoSuchObjectError,
    ToolArgumentError,
    ToolCrashedError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.metering import Labels
from spatial_agent.tools.wrappers import Budgeted, CallBudget, RunnerWrapper, Timed

CALL = ToolCall("c1", "depth.example")


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Scripted:
    """A runner that gives what it is told to, and remembers what it was asked."""

    results: list[ToolResult | BaseException] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    values: dict[str, object] = field(default_factory=dict)

    async def call(self, call: ToolCall) -> ToolResult:
        self.calls.append(call)
        result = self.results.pop(0) if self.results else ToolResult(call.id, call.tool, handle="$depth/1")
        if isinstance(result, BaseException):
            raise result
        return result

    def keep(self, name: str, value: object) -> str:
        self.values[f"${name}"] = value
        return f"${name}"

    def value(self, reference: str) -> object:
        return self.values[reference]

    def drop(self, reference: str) -> None:
        del self.values[reference]


def failing(error: ToolError) -> ToolResult:
    return ToolResult(CALL.id, CALL.tool, error=error)


@dataclass
class Counted:
    """A meter that remembers."""

    counts: dict[tuple[str, ...], float] = field(default_factory=dict)
    levels: dict[tuple[str, ...], float] = field(default_factory=dict)
    durations: list[tuple[str, float]] = field(default_factory=list)

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        key = (name, *labels.values())
        self.counts[key] = self.counts.get(key, 0.0) + amount

    def level(self, name: str, labels: Labels, value: float) -> None:
        self.levels[(name, *labels.values())] = value

    def duration(self, name: str, labels: Labels, seconds: float) -> None:
        self.durations.append((name, seconds))

    def size(self, name: str, labels: Labels, size: float) -> None:
        raise AssertionError("no wrapper observes sizes")


def test_a_plain_wrapper_passes_everything_on() -> None:
    inner = Scripted()
    wrapper = RunnerWrapper(inner)
    reference = wrapper.keep("scene", "a scene")
    result = asyncio.run(wrapper.call(CALL))
    assert (reference, wrapper.value("$scene"), inner.calls) == ("$scene", "a scene", [CALL])
    assert result.handle == "$depth/1"
    wrapper.drop("$scene")
    assert inner.values == {}


FINDING = Evidence("c1.1", "c1", CALL.tool, Finding("1.", 1))


@pytest.mark.parametrize(
    ("result", "outcome"),
    [
        (ToolResult("c1", CALL.tool, handle="$depth/1"), "ok"),
        (ToolResult("c1", CALL.tool, evidence=(FINDING,)), "ok"),
        (ToolResult("c1", CALL.tool, handle="$depth/1", cached=True), "cached"),
        (failing(ToolArgumentError("x")), "bad_argument"),
        (failing(ToolFailedError("x")), "failed"),
        (failing(NoSuchObjectError("x")), "failed"),
        (failing(ToolTimeoutError("x")), "timeout"),
        (failing(ToolCrashedError("x")), "crashed"),
        (failing(ToolUnavailableError("x")), "unavailable"),
        (failing(MissingWeightsError("x")), "unavailable"),
        (failing(ToolError("x")), "failed"),
        (asyncio.CancelledError(), "cancelled"),
        (BudgetExceededError("x"), "raised"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_call_is_counted_by_how_it_ended(result: Any, outcome: str) -> None:  # noqa: ANN401
    meter = Counted()

    async def run() -> ToolResult | None:
        timed = Timed(Scripted([result]), meter)
        if isinstance(result, ToolResult):
            return await timed.call(CALL)
        with pytest.raises(type(result)):
            await timed.call(CALL)
        return None

    assert asyncio.run(run()) is (result if isinstance(result, ToolResult) else None)
    assert meter.counts == {("spatial_agent_calls_total", CALL.tool, outcome): 1.0}
    ((name, seconds),) = meter.durations
    assert name == "spatial_agent_call_seconds"
    assert 0 <= seconds < 5


def test_accelerator_time_is_added_up() -> None:
    meter = Counted()
    result = ToolResult("c1", CALL.tool, handle="$depth/1", gpu_seconds=0.25)
    timed = Timed(Scripted([result, result]), meter)
    for _ in range(2):
        asyncio.run(timed.call(CALL))
    assert meter.counts["spatial_agent_gpu_seconds_total", CALL.tool] == 0.5


def test_a_run_ends_with_its_last_call() -> None:
    inner = Scripted()
    runner = Budgeted(inner, CallBudget(calls=2))

    async def run() -> None:
        for _ in range(2):
            await runner.call(CALL)
        for _ in range(2):
            with pytest.raises(BudgetExceededError, match="the run may use 2 calls, and has used 2 calls"):
                await runner.call(CALL)

    asyncio.run(run())
    assert len(inner.calls) == 2


def test_calls_at_once_do_not_slip_past_the_budget() -> None:
    runner = Budgeted(Scripted(), CallBudget(calls=3))

    async def run() -> list[Any]:
        return await asyncio.gather(*(runner.call(CALL) for _ in range(10)), return_exceptions=True)

    results = asyncio.run(run())
    assert sum(isinstance(result, BudgetExceededError) for result in results) == 7


def test_a_run_ends_when_its_time_is_up() -> None:
    clock = Clock()
    runner = Budgeted(Scripted(), CallBudget(seconds=10.0), clock)
    clock.now += 1000.0
    asyncio.run(runner.call(CALL))
    clock.now += 9.9
    asyncio.run(runner.call(CALL))
    clock.now += 0.1
    with pytest.raises(BudgetExceededError, match="may use 10 s, and has used 2 calls, 10 s"):
        asyncio.run(runner.call(CALL))


def test_a_call_does_not_outlive_its_run() -> None:
    cancelled = []

    class Endless(Scripted):
        async def call(self, call: ToolCall) -> ToolResult:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.append(call)
                raise
            raise AssertionError("nobody sets it")

    runner = Budgeted(Endless(), CallBudget(seconds=0.05))
    with pytest.raises(BudgetExceededError, match="depth.example was stopped: the run may use 0.05 s"):
        asyncio.run(runner.call(CALL))
    assert cancelled == [CALL]


def test_accelerator_time_is_limited() -> None:
    used = ToolResult("c1", CALL.tool, handle="$depth/1", gpu_seconds=0.6)
    runner = Budgeted(Scripted([used, used]), CallBudget(gpu_seconds=1.0))
    for _ in range(2):
        asyncio.run(runner.call(CALL))
    with pytest.raises(BudgetExceededError, match="1 s of accelerator time"):
        asyncio.run(runner.call(CALL))


def test_errors_of_tools_are_no_matter_of_the_budget() -> None:
    error = failing(ToolTimeoutError("late"))
    assert asyncio.run(Budgeted(Scripted([error]), CallBudget(1, 9.0, 9.0)).call(CALL)) is error
