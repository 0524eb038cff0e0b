"""Faults in how tools are called."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from spatial_agent.sandbox.conformance.scripted_runner import ScriptedRunner
from spatial_agent.tools.contract import Evidence, Finding, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import (
    BudgetExceededError,
    NoSuchObjectError,
    ToolArgumentError,
    ToolFailedError,
)
from spatial_agent.tools.scene import DepthMap
from spatial_agent.tools.wrappers import RunnerWrapper
from tests.sandbox.faults.faulty import Fault, Ran


def wrapped(kind: Callable[[ToolRunner], ToolRunner]) -> Fault:
    return Fault(runner=lambda runner: runner and kind(runner))


class ForgetsUnits(RunnerWrapper):
    async def call(self, call: ToolCall) -> ToolResult:
        result = await super().call(call)
        if dict(call.arguments) != {"value": 21}:
            return result
        evidence = tuple(replace(item, finding=replace(item.finding, unit=None)) for item in result.evidence)
        return replace(result, evidence=evidence)


class DropsNone(RunnerWrapper):
    async def call(self, call: ToolCall) -> ToolResult:
        arguments = {name: value for name, value in call.arguments.items() if value is not None}
        return await super().call(replace(call, arguments=arguments))


class LastPartOnly(RunnerWrapper):
    async def call(self, call: ToolCall) -> ToolResult:
        return await super().call(replace(call, tool=call.tool.rpartition(".")[2]))


class Turned(RunnerWrapper):
    def value(self, reference: str) -> object:
        value = super().value(reference)
        return DepthMap(value.z_m.T) if isinstance(value, DepthMap) else value


class SharesWhatIsFetched(RunnerWrapper):
    """What a program does to a value that it fetched happens to the runner's own."""

    def value(self, reference: str) -> object:
        value: Any = super().value(reference)
        if isinstance(value, DepthMap):
            self._inner.keep(reference[1:], DepthMap(np.full_like(value.z_m, 0.5)))
        return value


class HasEverything(RunnerWrapper):
    def value(self, reference: str) -> object:
        try:
            return super().value(reference)
        except ToolArgumentError:
            return np.zeros(1)


class BlursErrors(RunnerWrapper):
    async def call(self, call: ToolCall) -> ToolResult:
        result = await super().call(call)
        is_blurred = isinstance(result.error, NoSuchObjectError)
        return replace(result, error=ToolFailedError(str(result.error))) if is_blurred else result


class GuessesTools(RunnerWrapper):
    async def call(self, call: ToolCall) -> ToolResult:
        if call.tool != "cuont":
            return await super().call(call)
        found = Evidence("e1", call.id, call.tool, Finding("None.", 0, "count"))
        return ToolResult(call.id, call.tool, evidence=(found,))


def swallows(kind: type[Exception]) -> Fault:
    class Swallows(RunnerWrapper):
        async def call(self, call: ToolCall) -> ToolResult:
            try:
                return await super().call(call)
            except kind as error:
                return ToolResult(call.id, call.tool, error=ToolFailedError(str(error)))

    return wrapped(Swallows)


class CountsForItself(RunnerWrapper):
    """Gives the calls of each session the same ids."""

    def __init__(self, inner: ToolRunner) -> None:
        super().__init__(inner)
        self._count = 0

    async def call(self, call: ToolCall) -> ToolResult:
        self._count += 1
        return await super().call(replace(call, id=f"c{self._count}"))


def backwards(ran: Ran) -> Any:  # noqa: ANN401 - a result
    return ran.but(results=ran.result.results[::-1])


#: Each by the one check that has to find it.
FAULTS = {
    "findings": wrapped(ForgetsUnits),
    "arguments": wrapped(DropsNone),
    "impossible arguments": Fault(source=lambda cell: cell.replace("value=object()", "value=str(object())")),
    "dotted names": wrapped(LastPartOnly),
    "handles": wrapped(Turned),
    "fetched values": wrapped(SharesWhatIsFetched),
    "nothing to fetch": wrapped(HasEverything),
    "tool errors": wrapped(BlursErrors),
    "unknown tool": wrapped(GuessesTools),
    "no runner": Fault(runner=lambda runner: runner or ScriptedRunner()),
    "allowed tools": Fault(limits=lambda policy: replace(policy, tools=None)),
    "broken runner": swallows(LookupError),
    "spent budget": swallows(BudgetExceededError),
    "recorded results": Fault(outcome=backwards),
    "own runners": wrapped(CountsForItself),
}
