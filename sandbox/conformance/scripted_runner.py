"""A runner whose every answer is known: the other end of the tools that checked programs call."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import numpy as np

from spatial_agent.tools.contract import Evidence, Finding, Json, ToolCall, ToolResult
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    BudgetExceededError,
    NoSuchObjectError,
    ToolArgumentError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.scene import DepthMap

#: What `fail` fails with, by name.
FAILURES: Mapping[str, ToolError] = {
    "ToolArgumentError": ToolArgumentError("there is no argument like this"),
    "ToolFailedError": ToolFailedError("nothing was measured here"),
    "NoSuchObjectError": NoSuchObjectError("there is no sofa", ("chair", "stool")),
    "AmbiguousReferenceError": AmbiguousReferenceError("there are two chairs", ("chair-1", "chair-2")),
    "ToolTimeoutError": ToolTimeoutError("it took longer than 3 s"),
    "ToolUnavailableError": ToolUnavailableError("it is not installed"),
}
#: What a runner's own fault says; no program may ever read it.
FAULT = "the runner itself is broken, line 7041"

Tool = Callable[[Mapping[str, Json]], Awaitable[object]]


class ScriptedRunner:
    """Tools that do little and tell everything; it keeps every call and every result.

    Attributes:
        calls: Calls that reached it, in order.
        results: What it returned, in order.
        reached: Set once `wait` was called.
        release: Ends `wait`.
    """

    def __init__(self, token: str = "") -> None:
        """Start without calls.

        Args:
            token: What `token` finds out; tells this runner from others.
        """
        self.calls: list[ToolCall] = []
        self.results: list[ToolResult] = []
        self.reached = asyncio.Event()
        self.release = asyncio.Event()
        self._token = token
        self._values: dict[str, object] = {}
        self._tools: Mapping[str, Tool] = {
            "double": self._double,
            "plane": self._plane,
            "depth.ramp": self._plane,
            "farthest": self._farthest,
            "lose": self._lose,
            "keep_odd": self._keep_odd,
            "fail": self._fail,
            "token": self._tell,
            "wait": self._wait,
            "pause": self._pause,
            "break_down": self._break_down,
            "run_out": self._run_out,
        }

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call."""
        self.calls.append(call)
        result = await self._result(call)
        self.results.append(result)
        return result

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        self._values[f"${name}"] = value
        return f"${name}"

    def value(self, reference: str) -> object:
        """Return the value kept under a reference.

        Raises:
            ToolArgumentError: If there is none.
        """
        if reference not in self._values:
            raise ToolArgumentError(f"nothing is kept as {reference!r}")
        return self._values[reference]

    def drop(self, reference: str) -> None:
        """Let go of the value kept under a reference."""
        self._values.pop(reference, None)

    async def _result(self, call: ToolCall) -> ToolResult:
        tool = self._tools.get(call.tool)
        if tool is None:
            return ToolResult(
                call.id, call.tool, error=ToolUnavailableError(f"{call.tool} is not registered")
            )
        try:
            value = await tool(call.arguments)
        except ToolError as error:
            return ToolResult(call.id, call.tool, error=error)
        if isinstance(value, str):
            return ToolResult(call.id, call.tool, handle=value)
        if isinstance(value, Finding):
            evidence = Evidence(f"e{len(self.calls)}", call.id, call.tool, value)
            return ToolResult(call.id, call.tool, evidence=(evidence,))
        return ToolResult(call.id, call.tool, handle=self.keep(f"kept/{len(self.calls)}", value))

    async def _double(self, arguments: Mapping[str, Json]) -> Finding:
        value = arguments["value"]
        claim = f"Twice {value} m is {2 * value} m."
        return Finding(claim, 2 * value, "m", 2 * value - 0.5, 2 * value + 0.5, details={"of": [value]})

    async def _plane(self, arguments: Mapping[str, Json]) -> DepthMap:
        height, width = arguments["height"], arguments["width"]
        return DepthMap(np.arange(1, height * width + 1, dtype=np.float32).reshape(height, width))

    async def _farthest(self, arguments: Mapping[str, Json]) -> Finding:
        depth = self.value(arguments["depth"])
        if not isinstance(depth, DepthMap):
            raise ToolArgumentError(f"depth: expected a DepthMap, got {type(depth).__name__}")
        return Finding("The farthest point.", float(depth.z_m.max()), "m")

    async def _lose(self, arguments: Mapping[str, Json]) -> str:
        return "$lost"

    async def _keep_odd(self, arguments: Mapping[str, Json]) -> str:
        return self.keep("odd", object())

    async def _fail(self, arguments: Mapping[str, Json]) -> Finding:
        raise FAILURES[arguments["how"]]

    async def _tell(self, arguments: Mapping[str, Json]) -> Finding:
        return Finding("This runner's token.", self._token)

    async def _wait(self, arguments: Mapping[str, Json]) -> Finding:
        self.reached.set()
        await self.release.wait()
        return Finding("Waited.", "waited")

    async def _pause(self, arguments: Mapping[str, Json]) -> Finding:
        await asyncio.sleep(arguments["seconds"])
        return Finding("Paused.", "paused")

    async def _break_down(self, arguments: Mapping[str, Json]) -> Finding:
        raise LookupError(FAULT)

    async def _run_out(self, arguments: Mapping[str, Json]) -> Finding:
        raise BudgetExceededError(FAULT)
