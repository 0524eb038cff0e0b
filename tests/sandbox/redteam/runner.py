"""Tools for attacked programs: one that looks things up by name, and counts how often it was asked."""

from spatial_agent.tools.contract import ToolCall, ToolResult
from spatial_agent.tools.errors import ToolArgumentError


class Shelf:
    """A runner that keeps nothing.

    Attributes:
        calls: How many calls were carried out.
    """

    def __init__(self) -> None:
        """Start with no call."""
        self._kept: dict[str, object] = {}
        self.calls = 0

    async def call(self, call: ToolCall) -> ToolResult:
        """Refuse every name: nothing is kept here."""
        self.calls += 1
        error = ToolArgumentError(f"nothing is kept under {call.arguments}")
        return ToolResult(call.id, call.tool, error=error)

    def keep(self, name: str, value: object) -> str:
        """Keep a value."""
        self._kept[f"${name}"] = value
        return f"${name}"

    def value(self, reference: str) -> object:
        """Return a kept value."""
        try:
            return self._kept[reference]
        except KeyError:
            raise ToolArgumentError(f"nothing is kept under {reference!r}") from None

    def drop(self, reference: str) -> None:
        """Let go of a kept value."""
        self._kept.pop(reference, None)
