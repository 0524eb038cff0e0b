"""Every runner of this package passes the conformance suite, and runners with a fault do not."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.contract import Evidence, Json, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError
from spatial_agent.tools.local_experts import LocalExperts
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.metering import NoMeter
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.replay_runner import ReplayRunner
from spatial_agent.tools.runner_conformance import CHECKS, check_runner
from spatial_agent.tools.scene import DepthMap
from spatial_agent.tools.value_store import ValueStore
from spatial_agent.tools.wrappers import (
    Breaker,
    Budgeted,
    Cached,
    CallBudget,
    Circuits,
    ResultCache,
    RunnerWrapper,
    Timed,
    Traced,
)

Make = Callable[[Registry], ToolRunner]
ALL_OK = dict.fromkeys(CHECKS, "ok")


def checked(make: Make, **options: Any) -> dict[str, str]:  # noqa: ANN401 - options of check_runner
    return asyncio.run(check_runner(make, **options))


def cached(registry: Registry, cache: ResultCache | None = None) -> ToolRunner:
    return Cached(LocalRunner(registry), registry, cache or ResultCache())


def generous(registry: Registry) -> ToolRunner:
    return Budgeted(LocalRunner(registry), CallBudget(1000, 1000.0, 1000.0))


def everything(registry: Registry) -> ToolRunner:
    inner = Cached(Breaker(LocalRunner(registry), Circuits()), registry, ResultCache())
    return Timed(Budgeted(Traced(inner, lambda kind, data: None), CallBudget(seconds=1000.0)), NoMeter())


@pytest.mark.parametrize(
    "make",
    [
        LocalRunner,
        lambda registry: RunnerWrapper(LocalRunner(registry)),
        lambda registry: Timed(LocalRunner(registry), NoMeter()),
        cached,
        generous,
        lambda registry: Traced(LocalRunner(registry), lambda kind, data: None),
        lambda registry: Breaker(LocalRunner(registry), Circuits()),
        everything,
    ],
    ids=["local", "plain wrapper", "timed", "cached", "budgeted", "traced", "breaker", "all of them"],
)
def test_the_suite_is_passed(make: Make) -> None:
    assert checked(make) == ALL_OK


def test_the_suite_is_passed_where_every_result_is_found_in_the_cache(tmp_path: Path) -> None:
    cache = ResultCache(store=ValueStore(tmp_path, 10**9), worth_s=0.0)
    for _ in range(2):
        assert checked(lambda registry: cached(registry, cache)) == ALL_OK
    from_disk = ResultCache(store=ValueStore(tmp_path, 10**9))
    assert checked(lambda registry: cached(registry, from_disk)) == ALL_OK


def test_the_suite_is_passed_by_its_own_replay(tmp_path: Path) -> None:
    traces: list[list[tuple[str, Mapping[str, Json]]]] = []
    store = ValueStore(tmp_path / "values", 10**9)

    def record(registry: Registry) -> ToolRunner:
        traces.append([])
        steps = traces[-1]
        return Traced(LocalRunner(registry), lambda kind, data: steps.append((kind, data)), store)

    assert checked(record, folder=tmp_path / "words") == ALL_OK
    recorded = iter(traces)
    replayed = checked(lambda registry: ReplayRunner(next(recorded), store), folder=tmp_path / "words")
    assert replayed == ALL_OK


class Faulty(RunnerWrapper):
    """The in-process runner with something wrong."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(LocalRunner(registry))


class ForgetsIds(Faulty):
    async def call(self, call: ToolCall) -> ToolResult:
        return replace(await super().call(call), call_id="other")


class Raises(Faulty):
    async def call(self, call: ToolCall) -> ToolResult:
        result = await super().call(call)
        if result.error is not None:
            raise result.error
        return result


class BlursErrors(Faulty):
    async def call(self, call: ToolCall) -> ToolResult:
        result = await super().call(call)
        if isinstance(result.error, ToolFailedError):
            return replace(result, error=ToolFailedError(str(result.error)))
        return result


class BlamesArguments(Faulty):
    async def call(self, call: ToolCall) -> ToolResult:
        result = await super().call(call)
        return replace(result, error=result.error and ToolArgumentError(str(result.error)))


class RepeatsEvidenceIds(Faulty):
    async def call(self, call: ToolCall) -> ToolResult:
        result = await super().call(call)
        renamed: tuple[Evidence, ...] = tuple(replace(item, id="e") for item in result.evidence)
        return replace(result, evidence=renamed)


class IgnoresDeadlines(Faulty):
    async def call(self, call: ToolCall) -> ToolResult:
        # Long work is cut short, so that the test is; what counts is that the deadline was not kept.
        arguments = {**call.arguments, "seconds": 0.0} if "seconds" in call.arguments else call.arguments
        return await super().call(replace(call, arguments=arguments, deadline_s=None))


class SwallowsCancelling(Faulty):
    async def call(self, call: ToolCall) -> ToolResult:
        try:
            return await super().call(call)
        except asyncio.CancelledError:
            return ToolResult(call.id, call.tool, error=ToolFailedError("cancelled"))


class TakesTurns(Faulty):
    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._turn = asyncio.Lock()

    async def call(self, call: ToolCall) -> ToolResult:
        async with self._turn:
            return await super().call(call)


class LoadsAnew(RunnerWrapper):
    def __init__(self, registry: Registry) -> None:
        super().__init__(LocalRunner(registry))
        self._registry = registry

    async def call(self, call: ToolCall) -> ToolResult:
        return await LocalRunner(self._registry, LocalExperts()).call(call)


class CountsFromOne(Faulty):
    """Numbers past no names but its own, as a runner of two parts may."""

    def __init__(self, registry: Registry) -> None:
        super().__init__(registry)
        self._own: dict[str, object] = {}

    async def call(self, call: ToolCall) -> ToolResult:
        result = await super().call(call)
        if result.handle is None:
            return result
        handle = f"$conformance/{len(self._own) + 1}"
        self._own[handle] = self._inner.value(result.handle)
        return replace(result, handle=handle)

    def value(self, reference: str) -> object:
        return self._own.get(reference) or self._inner.value(reference)


class HandsOutWritable(Faulty):
    def value(self, reference: str) -> object:
        value = self._inner.value(reference)
        if isinstance(value, DepthMap):
            copy = DepthMap(value.z_m)
            object.__setattr__(copy, "z_m", np.array(value.z_m))
            return copy
        return value


class KeepsTheFirst(Faulty):
    def keep(self, name: str, value: object) -> str:
        try:
            self._inner.value(f"${name}")
        except ToolArgumentError:
            return self._inner.keep(name, value)
        return f"${name}"


class NeverLetsGo(Faulty):
    def drop(self, reference: str) -> None:
        pass


class DropsOptional(Faulty):
    async def call(self, call: ToolCall) -> ToolResult:
        arguments = {name: given for name, given in call.arguments.items() if name != "boxes"}
        return await super().call(replace(call, arguments=arguments))


class MixesUp(Faulty):
    """Gives calls at once the result of the last one."""

    last: str | None = None

    async def call(self, call: ToolCall) -> ToolResult:
        result = await super().call(call)
        self.last = result.handle
        await asyncio.sleep(0)
        return replace(result, handle=self.last) if result.handle else result


FAULTS: dict[type[ToolRunner], set[str]] = {
    ForgetsIds: set(CHECKS) - {"what is kept can be had"},
    Raises: {
        "what is let go of is gone",
        "references may be optional, and many",
        *(name for name in CHECKS if name.endswith(" is an error value")),
        "a reference to the wrong type names both",
        "tool failures keep class, message and fields",
        "any exception is a tool failure",
        "a deadline ends a call, and the next one runs",
    },
    BlursErrors: {
        "tool failures keep class, message and fields",
        "any exception is a tool failure",
        "a deadline ends a call, and the next one runs",
    },
    BlamesArguments: {
        "unknown tool is an error value",
        "tool failures keep class, message and fields",
        "any exception is a tool failure",
        "a deadline ends a call, and the next one runs",
    },
    RepeatsEvidenceIds: {"evidence carries call and tool"},
    IgnoresDeadlines: {
        "a deadline ends a call, and the next one runs",
        "a cancelled call ends, and the next one runs",
    },
    SwallowsCancelling: {"a cancelled call ends, and the next one runs"},
    TakesTurns: {"independent calls run side by side"},
    CountsFromOne: {"results are numbered, past names in use", "what is let go of is gone"},
    HandsOutWritable: {"values come back whole and read-only"},
    KeepsTheFirst: {"what is kept can be had"},
    NeverLetsGo: {"what is let go of is gone"},
    DropsOptional: {"references may be optional, and many"},
    MixesUp: {"calls at once get results of their own"},
}


@pytest.mark.parametrize(
    ("faulty", "found_by"), FAULTS.items(), ids=lambda item: getattr(item, "__name__", "")
)
def test_a_fault_is_found(faulty: type[Faulty], found_by: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spatial_agent.tools.conformance_tools.MEETING_S", 0.3)
    verdicts = checked(faulty)
    assert found_by <= {name for name, verdict in verdicts.items() if verdict != "ok"}


def test_a_runner_that_loads_for_every_call_is_found() -> None:
    assert "one instance" in checked(LoadsAnew, only="loaded once")["an expert is loaded once"]


def test_every_check_finds_some_fault() -> None:
    found = set().union(*FAULTS.values()) | {"an expert is loaded once"}
    assert set(CHECKS) <= found
