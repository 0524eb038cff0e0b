"""How long calls take and how they end."""

import asyncio
import time

from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import (
    ToolArgumentError,
    ToolCrashedError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.metering import Meter
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper

#: How a call ended, by the class of its error; the first that fits.
OUTCOMES: tuple[tuple[type[ToolError], str], ...] = (
    (ToolArgumentError, "bad_argument"),
    (ToolTimeoutError, "timeout"),
    (ToolCrashedError, "crashed"),
    (ToolFailedError, "failed"),
    (ToolUnavailableError, "unavailable"),
    (ToolError, "failed"),
)


class Timed(RunnerWrapper):
    """Tells a meter about every call: its outcome, its wall time, its accelerator time."""

    def __init__(self, inner: ToolRunner, meter: Meter) -> None:
        """Report the calls of a runner to a meter."""
        super().__init__(inner)
        self._meter = meter

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call and report it, cancelled ones and those that raise too."""
        started = time.perf_counter()
        gpu_seconds, how = 0.0, "raised"
        try:
            result = await self._inner.call(call)
            gpu_seconds, how = result.gpu_seconds, outcome(result)
        except asyncio.CancelledError:
            how = "cancelled"
            raise
        finally:
            self._report(call.tool, how, time.perf_counter() - started, gpu_seconds)
        return result

    def _report(self, tool: str, how: str, seconds: float, gpu_seconds: float) -> None:
        self._meter.count("spatial_agent_calls_total", {"tool": tool, "outcome": how})
        self._meter.duration("spatial_agent_call_seconds", {"tool": tool}, seconds)
        if gpu_seconds:
            self._meter.count("spatial_agent_gpu_seconds_total", {"tool": tool}, gpu_seconds)


def outcome(result: ToolResult) -> str:
    """Return how a call ended, in a word."""
    if result.error is None:
        return "cached" if result.cached else "ok"
    return next(word for kind, word in OUTCOMES if isinstance(result.error, kind))
