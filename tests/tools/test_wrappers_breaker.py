"""The circuit breaker: broken tools are left alone, and tried again by one call at a time."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from spatial_agent.tools.contract import ToolCall, ToolResult
from spatial_agent.tools.errors import (
    MissingWeightsError,
    NoSuchObjectError,
    ToolArgumentError,
    ToolCrashedError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.metering import NoMeter
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.wrappers import Breaker, Circuits

CALL = ToolCall("c1", "depth.example")


class Clock:
    """Time that passes when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Scripted(LocalRunner):
    """A runner that gives what it is told to, then successes, and remembers what it was asked."""

    def __init__(self, results: list[ToolResult | BaseException] | None = None) -> None:
        super().__init__(Registry())
        self.results = results or []
        self.calls: list[ToolCall] = []

    async def call(self, call: ToolCall) -> ToolResult:
        self.calls.append(call)
        result = self.results.pop(0) if self.results else ToolResult(call.id, call.tool, handle="$depth/1")
        if isinstance(result, BaseException):
            raise result
        return result


def failing(error: ToolError) -> ToolResult:
    return ToolResult(CALL.id, CALL.tool, error=error)


@dataclass
class Levels(NoMeter):
    """A meter that remembers gauges."""

    levels: dict[tuple[str, ...], float] = field(default_factory=dict)

    def level(self, name: str, labels: Mapping[str, str], value: float) -> None:
        self.levels[(name, *labels.values())] = value


def broken_after(
    errors: list[ToolError | None],
    clock: Clock,
    **options: Any,  # noqa: ANN401 - options of Circuits
) -> tuple[Breaker, Scripted]:
    """Return a breaker whose runner has ended calls like that."""
    inner = Scripted(
        [failing(error) if error else ToolResult("c1", CALL.tool, handle="$d/1") for error in errors]
    )
    breaker = Breaker(inner, Circuits(clock=clock, **options))
    for _ in errors:
        asyncio.run(breaker.call(CALL))
    inner.calls.clear()
    return breaker, inner


CRASH = ToolCrashedError("its process died")


@pytest.mark.parametrize("error", [CRASH, ToolTimeoutError("late"), ToolUnavailableError("gone")])
def test_a_tool_that_keeps_breaking_is_left_alone_for_a_while(error: ToolError) -> None:
    clock = Clock()
    breaker, inner = broken_after([error] * 3, clock, failures=3, open_s=30.0)
    clock.now += 10.0
    refused = asyncio.run(breaker.call(CALL))
    assert isinstance(refused.error, ToolUnavailableError)
    assert f"left alone for another 20 s: it failed 3 times in a row, the last time because {error}" in str(
        refused.error
    )
    assert (refused.call_id, refused.tool, inner.calls) == (CALL.id, CALL.tool, [])


def test_other_tools_go_on() -> None:
    breaker, inner = broken_after([CRASH] * 3, Clock())
    other = replace(CALL, tool="mesh")
    assert asyncio.run(breaker.call(other)).error is None
    assert inner.calls == [other]


@pytest.mark.parametrize("ending", [None, ToolFailedError("nothing in view"), NoSuchObjectError("no sofa")])
def test_a_tool_that_answers_in_between_is_not_broken(ending: ToolError | None) -> None:
    breaker, inner = broken_after([CRASH, CRASH, ending, CRASH, CRASH], Clock())
    asyncio.run(breaker.call(CALL))
    assert inner.calls == [CALL]


@pytest.mark.parametrize("error", [ToolArgumentError("x"), MissingWeightsError("x")])
def test_calls_that_never_reached_the_tool_say_nothing_of_it(error: ToolError) -> None:
    breaker, inner = broken_after([error] * 9, Clock())
    asyncio.run(breaker.call(CALL))
    assert inner.calls == [CALL]
    breaker, inner = broken_after([CRASH, CRASH, error, CRASH], Clock())
    asyncio.run(breaker.call(CALL))
    assert inner.calls == []


def test_one_call_tries_a_broken_tool_again_while_the_others_wait() -> None:
    clock = Clock()
    breaker, inner = broken_after([CRASH] * 3, clock, open_s=30.0)
    clock.now += 30.0
    results = asyncio.run(_at_once(breaker, 5))
    assert len(inner.calls) == 1
    assert sum(isinstance(result.error, ToolUnavailableError) for result in results) == 4
    assert all(result.error is None for result in asyncio.run(_at_once(breaker, 5)))


async def _at_once(breaker: Breaker, number: int) -> list[ToolResult]:
    release = asyncio.Event()
    inner = breaker._inner
    assert isinstance(inner, Scripted)
    answer = inner.call

    async def slow(call: ToolCall) -> ToolResult:
        result = await answer(call)
        await release.wait()
        return result

    inner.call = slow  # type: ignore[method-assign]
    running = [asyncio.ensure_future(breaker.call(CALL)) for _ in range(number)]
    await asyncio.sleep(0)
    release.set()
    results = await asyncio.gather(*running)
    inner.call = answer  # type: ignore[method-assign]
    return results


def test_a_probe_that_is_cancelled_lets_the_next_one_try() -> None:
    clock = Clock()
    breaker, inner = broken_after([CRASH] * 3, clock, open_s=30.0)
    clock.now += 30.0
    inner.results = [asyncio.CancelledError()]

    async def cancelled() -> None:
        with pytest.raises(asyncio.CancelledError):
            await breaker.call(CALL)

    asyncio.run(cancelled())
    assert asyncio.run(breaker.call(CALL)).error is None
    assert len(inner.calls) == 2


def test_what_is_known_of_tools_outlives_a_run() -> None:
    circuits = Circuits(failures=2, clock=Clock())
    for _ in range(2):
        asyncio.run(Breaker(Scripted([failing(CRASH)]), circuits).call(CALL))
    later = Scripted()
    assert asyncio.run(Breaker(later, circuits).call(CALL)).error is not None
    assert later.calls == []


def test_opening_and_closing_is_metered() -> None:
    clock, meter = Clock(), Levels()
    breaker, _ = broken_after([CRASH] * 3, clock, meter=meter)
    key = ("spatial_agent_breaker_open", CALL.tool)
    assert meter.levels == {key: 1}
    clock.now += 30.0
    asyncio.run(breaker.call(CALL))
    assert meter.levels == {key: 0}


def test_made_up_tools_are_forgotten_some_time() -> None:
    circuits = Circuits(clock=Clock())
    for number in range(3000):
        circuits.settle(f"made-up-{number}", CRASH, probe=None)
    assert len(circuits._circuits) == 1000


ENDINGS: Mapping[str, ToolError | None] = {
    "answers": None,
    "cannot tell": ToolFailedError("x"),
    "crashes": CRASH,
    "hangs": ToolTimeoutError("x"),
    "is gone": ToolUnavailableError("x"),
    "was called wrongly": ToolArgumentError("x"),
    "has no weights": MissingWeightsError("x"),
}
BREAKS, WORKS = {"crashes", "hangs", "is gone"}, {"answers", "cannot tell"}


class BreakerBehaviour(RuleBasedStateMachine):
    """A breaker against a description of it that keeps the whole history of one tool instead of a state."""

    FAILURES, OPEN_S = 3, 30.0

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.circuits = Circuits(self.FAILURES, self.OPEN_S, clock=self.clock)
        #: Endings since the tool last worked, each with its time and whether it was a probe.
        self.failures: list[tuple[float, bool]] = []
        #: Calls under way: what `admit` gave them, and whether they are probes still.
        self.under_way: list[tuple[object | None, bool]] = []

    @property
    def opened_s(self) -> float | None:
        """When the circuit was opened last: by the third failure, or by a probe that failed."""
        opened = [at for at, probe in self.failures[self.FAILURES - 1 : self.FAILURES]]
        opened += [at for at, probe in self.failures if probe]
        return max(opened, default=None)

    @rule(seconds=st.sampled_from([0.0, 1.0, 29.0, 30.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def a_call_is_made(self) -> None:
        opened_s = self.opened_s
        is_open = opened_s is not None
        rests = opened_s is not None and self.clock.now < opened_s + self.OPEN_S
        probing = any(still for _, still in self.under_way)
        if rests or (is_open and probing):
            with pytest.raises(ToolUnavailableError, match="left alone"):
                self.circuits.admit("tool")
            return
        token = self.circuits.admit("tool")
        assert (token is not None) == is_open
        self.under_way.append((token, is_open))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), ending=st.sampled_from(sorted(ENDINGS)))
    def a_call_ends(self, data: st.DataObject, ending: str) -> None:
        token, probe = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.circuits.settle("tool", ENDINGS[ending], probe=token)
        if ending in WORKS:
            self.failures.clear()
            # What was a probe is now a call like any other.
            self.under_way = [(token, False) for token, _ in self.under_way]
        elif ending in BREAKS:
            self.failures.append((self.clock.now, probe))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def a_call_is_cancelled(self, data: st.DataObject) -> None:
        token, _ = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        self.circuits.release("tool", probe=token)

    @invariant()
    def another_tool_is_never_refused(self) -> None:
        assert self.circuits.admit("another") is None


TestBreakerBehaviour = BreakerBehaviour.TestCase
TestBreakerBehaviour.settings = settings(max_examples=150, stateful_step_count=40)
