"""Runs tools in this process, in a thread each, so that one slow call never blocks the loop."""

import asyncio
import time
from threading import Event

from spatial_agent.tools.binding import Numbering, as_tool_error, bind, evidence_of, failed, resolve
from spatial_agent.tools.contract import Finding, ToolCall, ToolResult
from spatial_agent.tools.errors import StoppedError, ToolArgumentError, ToolError, ToolTimeoutError
from spatial_agent.tools.local_experts import LocalExperts
from spatial_agent.tools.progress import stopping
from spatial_agent.tools.registry import Registry, Tool


class LocalRunner:
    """The in-process `ToolRunner`.

    Values kept here are shared by reference and must be immutable, as all scene values are.
    """

    def __init__(self, registry: Registry, experts: LocalExperts | None = None) -> None:
        """Run the tools of `registry`.

        Args:
            registry: The tools.
            experts: Loaded experts, shared among the runners of a process; own ones where left out.
        """
        self._registry = registry
        self._experts = experts or LocalExperts()
        self._values: dict[str, object] = {}
        self._numbering = Numbering()

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        self._numbering.note(name)
        reference = f"${name}"
        self._values[reference] = value
        return reference

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call in a worker thread; the tool's own errors come back in the result."""
        started = time.perf_counter()
        stop = Event()
        try:
            tool = self._registry.get(call.tool)
            limit_s = call.deadline_s or tool.resources.deadline_s
            value = await asyncio.wait_for(asyncio.to_thread(self._run, tool, call, stop), limit_s)
        except TimeoutError:
            # A thread cannot be killed; the work in it ends at its next report of progress.
            stop.set()
            message = f"{call.tool} did not finish within {limit_s:g} s; ask for less, or allow more time"
            return failed(call, ToolTimeoutError(message), time.perf_counter() - started)
        except asyncio.CancelledError:
            stop.set()
            raise
        except ToolError as error:
            return failed(call, error, time.perf_counter() - started)
        seconds = time.perf_counter() - started
        if isinstance(value, Finding):
            return ToolResult(call.id, call.tool, evidence=evidence_of(call, value), seconds=seconds)
        handle = self.keep(self._numbering.next(tool.capability), value)
        return ToolResult(call.id, call.tool, handle=handle, seconds=seconds)

    def value(self, reference: str) -> object:
        """Return the value behind a reference.

        Raises:
            ToolArgumentError: If nothing is kept under it.
        """
        if reference not in self._values:
            known = ", ".join(sorted(self._values)) or "none"
            raise ToolArgumentError(f"nothing is kept as {reference!r}; references in use: {known}")
        return self._values[reference]

    def drop(self, reference: str) -> None:
        """Let go of the value behind a reference."""
        self._values.pop(reference, None)

    def _run(self, tool: Tool, call: ToolCall, stop: Event) -> object:
        plain, referenced = bind(tool, call)
        arguments = plain | resolve(tool, referenced, self.value)
        try:
            with stopping(stop):
                return self._experts.run(tool, arguments)
        except (StoppedError, ToolError):
            raise
        except Exception as error:  # whatever a tool raises, the question goes on
            raise as_tool_error(tool.name, error) from error
