"""What every runner does around a call: check its arguments, name its result, sort its errors."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from spatial_agent.tools.contract import Evidence, Finding, ToolCall, ToolResult
from spatial_agent.tools.errors import (
    InvalidValueError,
    SourceError,
    ToolArgumentError,
    ToolError,
    ToolFailedError,
)
from spatial_agent.tools.registry import Reference, Tool

#: What stands for referenced values in a checked call: one reference, several, or none.
Referenced = Mapping[str, str | tuple[str, ...] | None]


def bind(tool: Tool, call: ToolCall) -> tuple[dict[str, Any], Referenced]:
    """Check a call and return its plain arguments and its references.

    Raises:
        ToolArgumentError: If an argument is unknown, missing or of the wrong type.
    """
    plain = {name: value for name, value in call.arguments.items() if name not in tool.references}
    referenced = {
        name: _checked(tool, name, reference, call.arguments.get(name))
        for name, reference in tool.references.items()
    }
    return tool.arguments(plain), referenced


def resolve(tool: Tool, referenced: Referenced, value: Callable[[str], object]) -> dict[str, Any]:
    """Return the values behind the references of a call, of the types the tool takes.

    Args:
        tool: The tool.
        referenced: What `bind` returned.
        value: Returns what is kept under a reference, or raises `ToolArgumentError`.

    Raises:
        ToolArgumentError: If nothing is kept under one, or something of another type.
    """
    found: dict[str, Any] = {}
    for name, given in referenced.items():
        if given is None:
            found[name] = None
        elif isinstance(given, str):
            found[name] = of_type(tool, name, given, value(given))
        else:
            found[name] = tuple(of_type(tool, name, reference, value(reference)) for reference in given)
    return found


def of_type(tool: Tool, name: str, reference: str, value: object) -> object:
    """Return a value if it is of the type the tool's argument takes, or raise `ToolArgumentError`."""
    wanted = tool.references[name].type_name
    if wanted not in {kind.__name__ for kind in type(value).__mro__}:
        raise ToolArgumentError(
            f"{tool.name}: {name} must be a {wanted}, {reference} is a {type(value).__name__}"
        )
    return value


class Numbering:
    """Names results ``depth/1``, ``depth/2``, ... after the capability that gave them.

    >>> numbering = Numbering()
    >>> numbering.note("depth/4")
    >>> numbering.next("depth"), numbering.next("mesh")
    ('depth/5', 'mesh/1')
    """

    def __init__(self) -> None:
        """Start every capability at 1."""
        self._last: Counter[str] = Counter()

    def note(self, name: str) -> None:
        """Pass over a name that somebody else gave."""
        capability, _, number = name.rpartition("/")
        if number.isdecimal():
            self._last[capability] = max(self._last[capability], int(number))

    def next(self, capability: str) -> str:
        """Return the next name of a capability's results."""
        self._last[capability] += 1
        return f"{capability}/{self._last[capability]}"


def evidence_of(call: ToolCall, finding: Finding) -> tuple[Evidence, ...]:
    """Return a finding as the evidence of its call."""
    return (Evidence(f"{call.id}.1", call.id, call.tool, finding),)


def failed(call: ToolCall, error: ToolError, seconds: float) -> ToolResult:
    """Return the result of a call that failed."""
    return ToolResult(call.id, call.tool, error=error, seconds=seconds)


def as_tool_error(tool: str, error: Exception) -> ToolError:
    """Return what a planner is told about an exception that a tool raised."""
    if isinstance(error, ToolError):
        return error
    if isinstance(error, InvalidValueError | SourceError):
        wrapped = ToolFailedError(str(error))
    else:
        wrapped = ToolFailedError(f"{tool} broke down ({type(error).__name__}: {error}); choose another tool")
    wrapped.__cause__ = error
    return wrapped


def _checked(tool: Tool, name: str, reference: Reference, given: object) -> str | tuple[str, ...] | None:
    if given is None and reference.optional:
        return None
    if reference.many and isinstance(given, list | tuple) and given and all(map(_is_reference, given)):
        return tuple(given)
    if not reference.many and isinstance(given, str) and _is_reference(given):
        return given
    wanted = "references such as ['$frame/1']" if reference.many else "a reference such as '$scene'"
    raise ToolArgumentError(f"{tool.name}: {name} must be {wanted}, got {given!r}")


def _is_reference(given: object) -> bool:
    return isinstance(given, str) and given.startswith("$")
