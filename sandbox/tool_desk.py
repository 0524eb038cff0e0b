"""Where the tool calls of a session are answered: allowed ones go to the runner, and all are counted."""

import asyncio
import time

from spatial_agent.sandbox import messages
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.tools.call_json import ERRORS
from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import ToolError, WireError

#: Longest message of an error that a program is told; tools repeat what they were given.
_MOST_SAID = 4000
_MEGA = 2**20


class ToolDesk:
    """Answers the calls of one session.

    Args:
        tools: The runner, or None where there is none.
        policy: Which tools may be called, how often, and how much may be fetched.
        prefix: What the ids of the calls begin with.

    Attributes:
        results: What came of the calls, in order.
        seconds: Wall time that answering took.
    """

    def __init__(self, tools: ToolRunner | None, policy: SandboxPolicy, prefix: str) -> None:
        """Start with no call."""
        self._tools = tools
        self._policy = policy
        self._prefix = prefix
        self._since: float | None = None
        self._refused = False
        self.results: list[ToolResult] = []
        self.seconds = 0.0

    @property
    def is_used_up(self) -> bool:
        """Whether a call was refused because there were too many before it."""
        return self._refused

    def seconds_now(self, now: float) -> float:
        """Return the wall time that answering took up to a monotonic time."""
        return self.seconds + (0.0 if self._since is None else now - self._since)

    async def call(self, wanted: messages.Call) -> "messages.Returned | messages.Failed":
        """Return what a tool says, or why it was not asked.

        Raises:
            Exception: Whatever the runner raises: a programming error, which is nothing for the program.
        """
        if len(self.results) >= self._policy.calls:
            self._refused = True
            return _failed("ToolUnavailableError", f"the session's {self._policy.calls} calls are used up")
        if self._tools is None:
            return _failed("ToolUnavailableError", "this program runs without tools")
        if self._policy.tools is not None and wanted.tool not in self._policy.tools:
            allowed = ", ".join(sorted(self._policy.tools)) or "none"
            return _failed("ToolUnavailableError", f"{wanted.tool!r} may not be called; allowed: {allowed}")
        call = ToolCall(f"{self._prefix}.{len(self.results) + 1}", wanted.tool, wanted.arguments)
        self._since = time.monotonic()
        try:
            result = await self._tools.call(call)
        finally:
            self._stop_clock()
        self.results.append(result)
        return _said(result)

    async def fetch(self, wanted: messages.Fetch) -> bytes:
        """Return a frame with the value behind a reference, or why it cannot be had."""
        self._since = time.monotonic()
        try:
            return await asyncio.to_thread(self._fetched, wanted.reference)
        finally:
            self._stop_clock()

    def _fetched(self, reference: str) -> bytes:
        if self._tools is None:
            return messages.to_child(_failed("ToolUnavailableError", "this program runs without tools"))
        try:
            frame = messages.to_child(messages.Fetched(self._tools.value(reference)))
        except ToolError as error:
            return messages.to_child(_failed(_name(error), str(error)))
        except WireError as error:
            message = f"{reference} cannot be fetched: {error}; hand its reference to a tool instead"
            return messages.to_child(_failed("ToolArgumentError", message))
        if len(frame) > self._policy.message_bytes:
            message = (
                f"{reference} is {len(frame) / _MEGA:.1f} MB; what is fetched may be "
                f"{self._policy.message_bytes / _MEGA:.1f} MB; hand its reference to a tool instead"
            )
            return messages.to_child(_failed("ToolArgumentError", message))
        return frame

    def _stop_clock(self) -> None:
        if self._since is not None:
            self.seconds += time.monotonic() - self._since
            self._since = None


def _said(result: ToolResult) -> "messages.Returned | messages.Failed":
    if result.error is not None:
        return _failed(_name(result.error), str(result.error))
    finding = result.evidence[0].finding if result.evidence else None
    return messages.Returned(finding, result.handle)


def _failed(error: str, message: str) -> messages.Failed:
    return messages.Failed(error, message[:_MOST_SAID])


def _name(error: ToolError) -> str:
    """Return the nearest class of ours, which the program knows too."""
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in ERRORS)
