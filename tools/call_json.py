"""Calls, evidence and errors as the plain JSON of a trace, and back."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields, is_dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from spatial_agent.tools import errors
from spatial_agent.tools.content import content_hash
from spatial_agent.tools.contract import Evidence, Finding, Json, ToolCall
from spatial_agent.tools.errors import SpatialAgentError, ToolError, ToolFailedError

ERRORS: Mapping[str, type[SpatialAgentError]] = MappingProxyType(
    {name: getattr(errors, name) for name in errors.__all__}
)
FINDING_FIELDS = tuple(field.name for field in fields(Finding))


def plain_json(value: object) -> Json:
    """Return a value that is JSON in all but type as plain JSON: lists, text keys, Python numbers.

    Raises:
        TypeError: If it holds anything else.
    """
    if isinstance(value, Mapping):
        return {str(name): plain_json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_json(item) for item in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"expected plain JSON, got {type(value).__name__}")


def call_to_json(call: ToolCall) -> dict[str, Json]:
    """Return a call as plain JSON."""
    return {
        "id": call.id,
        "tool": call.tool,
        "arguments": plain_json(call.arguments),
        "deadline_s": call.deadline_s,
    }


def call_key(tool: str, arguments: Mapping[str, Json]) -> str:
    """Return the same text for two calls exactly if they ask for the same thing."""
    return json.dumps([tool, plain_json(arguments)], sort_keys=True)


def references_in(arguments: Mapping[str, Json]) -> Iterator[str]:
    """Return everything among arguments that looks like a reference."""
    for given in arguments.values():
        for item in given if isinstance(given, list | tuple) else (given,):
            if isinstance(item, str) and item.startswith("$"):
                yield item


def evidence_to_json(evidence: Evidence) -> dict[str, Json]:
    """Return a piece of evidence whole, its finding as a member."""
    finding: dict[str, Json] = plain_json(asdict(evidence.finding))
    return {"id": evidence.id, "call_id": evidence.call_id, "tool": evidence.tool, "finding": finding}


def evidence_from_json(data: Mapping[str, Json]) -> Evidence:
    """Build a piece of evidence from what `evidence_to_json` returned."""
    values = {name: data["finding"][name] for name in FINDING_FIELDS}
    values |= {name: tuple(values[name]) for name in ("objects", "marks")}
    return Evidence(data["id"], data["call_id"], data["tool"], Finding(**values))


def error_to_json(error: BaseException) -> dict[str, Json]:
    """Return an error with its class, its fields, and the error of ours that caused it."""
    known = [kind.__name__ for kind in type(error).__mro__ if ERRORS.get(kind.__name__) is kind]
    data: dict[str, Json] = {
        "class": type(error).__name__,
        "known_as": known[0] if known else None,
        "message": str(error),
        "fields": {name: plain_json(value) for name, value in vars(error).items() if name[:2] != "__"},
    }
    if isinstance(error.__cause__, SpatialAgentError):
        data["cause"] = error_to_json(error.__cause__)
    return data


def error_from_json(data: Mapping[str, Json]) -> ToolError:
    """Build a tool's error from what `error_to_json` returned.

    A class of somebody else comes back as the nearest one of `spatial_agent.tools.errors`.
    """
    error = _error(data)
    return error if isinstance(error, ToolError) else ToolFailedError(str(error))


def _error(data: Mapping[str, Json]) -> SpatialAgentError:
    kind = ERRORS.get(data["known_as"], SpatialAgentError)
    # Not by its constructor, which is free to take what it likes.
    error = kind.__new__(kind)
    error.args = (data["message"],)
    for name, value in data["fields"].items():
        setattr(error, name, tuple(value) if isinstance(value, list) else value)
    if "cause" in data:
        error.__cause__ = _error(data["cause"])
    return error


def describe_value(value: object) -> dict[str, Json]:
    """Return what a trace says of a value: its type, the shapes of its arrays, its content hash.

    The hash is None for a value that has none.
    """
    try:
        content = content_hash(value)
    except TypeError:
        content = None
    return {"type": type(value).__name__, "shapes": _shapes(value), "content": content}


def _shapes(value: Any) -> dict[str, list[int]]:  # noqa: ANN401 - any value
    if isinstance(value, np.ndarray):
        return {"": list(value.shape)}
    if not is_dataclass(value):
        return {}
    parts = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: list(part.shape) for name, part in parts.items() if isinstance(part, np.ndarray)}
