"""Runs tools in this process, in a thread each, so that one slow call never blocks the loop."""

import asyncio
import time
from threading import Event
from typing import Any

from spatial_agent.tools.contract import Evidence, Finding, ToolCall, ToolResult
from spatial_agent.tools.errors import (
    InvalidValueError,
    SourceError,
    ToolArgumentError,
    ToolError,
    ToolFailedError,
)
from spatial_agent.tools.progress import stopping
from spatial_agent.tools.registry import Registry, Tool


class LocalRunner:
    """The in-process `ToolRunner`.

    Values kept here are shared by reference and must be immutable, as all scene values are.
    """

    def __init__(self, registry: Registry) -> None:
        """Run the tools of `registry`."""
        self._registry = registry
        self._values: dict[str, object] = {}

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        reference = f"${name}"
        self._values[reference] = value
        return reference

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call in a worker thread; the tool's own errors come back in the result."""
        started = time.perf_counter()
        stop = Event()
        try:
            value = await asyncio.to_thread(self._run, call, stop)
        except asyncio.CancelledError:
            # A thread cannot be killed; the work in it ends at its next report of progress.
            stop.set()
            raise
        except ToolError as error:
            return ToolResult(call.id, call.tool, error=error, seconds=time.perf_counter() - started)
        seconds = time.perf_counter() - started
        if isinstance(value, Finding):
            evidence = Evidence(f"{call.id}.1", call.id, call.tool, value)
            return ToolResult(call.id, call.tool, evidence=(evidence,), seconds=seconds)
        return ToolResult(call.id, call.tool, handle=self.keep(call.id, value), seconds=seconds)

    def value(self, reference: str) -> object:
        """Return the value behind a reference.

        Raises:
            ToolArgumentError: If nothing is kept under it.
        """
        if reference not in self._values:
            known = ", ".join(sorted(self._values)) or "none"
            raise ToolArgumentError(f"nothing is kept as {reference!r}; references in use: {known}")
        return self._values[reference]

    def _run(self, call: ToolCall, stop: Event) -> object:
        tool = self._registry.get(call.tool)
        plain = {name: value for name, value in call.arguments.items() if name not in tool.references}
        arguments = tool.arguments(plain) | self._referenced(tool, call)
        try:
            with stopping(stop):
                return tool.function(**arguments)
        except (InvalidValueError, SourceError) as error:
            raise ToolFailedError(str(error)) from error

    def _referenced(self, tool: Tool, call: ToolCall) -> dict[str, Any]:
        found = {}
        for name, type_name in tool.references.items():
            reference = call.arguments.get(name)
            if not isinstance(reference, str):
                raise ToolArgumentError(
                    f"{tool.name}: {name} must be a reference such as '$scene', got {reference!r}"
                )
            value = self.value(reference)
            if type_name not in {kind.__name__ for kind in type(value).__mro__}:
                raise ToolArgumentError(
                    f"{tool.name}: {name} must be a {type_name}, {reference} is a {type(value).__name__}"
                )
            found[name] = value
        return found
