"""What all wrappers share: they are runners themselves and pass on what is not their concern."""

from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner


class RunnerWrapper:
    """A `ToolRunner` around another one; by itself it changes nothing."""

    def __init__(self, inner: ToolRunner) -> None:
        """Wrap a runner, which may be a wrapper itself."""
        self._inner = inner

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call."""
        return await self._inner.call(call)

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        return self._inner.keep(name, value)

    def value(self, reference: str) -> object:
        """Return the value kept under a reference, or raise `ToolArgumentError`."""
        return self._inner.value(reference)

    def drop(self, reference: str) -> None:
        """Let go of the value kept under a reference."""
        self._inner.drop(reference)
