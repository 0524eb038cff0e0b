"""Asks experts behind a runner from the worker threads in which scenes are built."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from spatial_agent.tools.contract import Json, ToolCall, ToolRunner
from spatial_agent.tools.errors import ToolFailedError

Value = TypeVar("Value")


@dataclass
class Asking:
    """Calls experts from worker threads while the runner's event loop goes on."""

    runner: ToolRunner
    loop: asyncio.AbstractEventLoop
    calls: int = field(default=0)

    def through(self, work: Any) -> Any:  # noqa: ANN401 - a coroutine of any result
        """Run a coroutine on the runner's loop and wait for it in this thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def handle(self, tool: str, arguments: Mapping[str, Json]) -> str:
        """Call an expert; return the reference of its result, or raise its error."""
        self.calls += 1
        result = await self.runner.call(ToolCall(f"look{self.calls}", tool, arguments))
        if result.error is not None:
            raise result.error
        if result.handle is None:
            raise ToolFailedError(f"{tool} gave no value, where one to build a scene from was expected")
        return result.handle

    def value(self, reference: str, kind: type[Value]) -> Value:
        """Return the value behind a reference, of the type expected."""
        value = self.runner.value(reference)
        if not isinstance(value, kind):
            raise ToolFailedError(f"expected {kind.__name__} as {reference}, got {type(value).__name__}")
        return value
