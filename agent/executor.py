"""Runs the calls of one round and turns results into plain JSON."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from spatial_agent.agent.evidence import to_json
from spatial_agent.prompts.hints import hint
from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import ToolTimeoutError

#: What a runner may need to say that a deadline passed.
PATIENCE_S = 1.0
#: First letters of the ids of a task's own calls, and of second routes.
OWN = "c"
CHECKING = "v"


def is_own(call_id: str) -> bool:
    """Return whether a call belongs to the task itself rather than to a second route."""
    return call_id.startswith(OWN)


def is_second_route(call_id: str) -> bool:
    """Return whether a call only checks another one."""
    return call_id.startswith(CHECKING)


def call_to_json(call: ToolCall) -> dict[str, Any]:
    """Return a call as plain JSON, without what it leaves to the tool."""
    return {name: value for name, value in asdict(call).items() if value is not None}


def call_from_json(data: Mapping[str, Any]) -> ToolCall:
    """Build a call from plain JSON."""
    return ToolCall(data["id"], data["tool"], data["arguments"], data.get("deadline_s"))


async def run_calls(
    runner: ToolRunner, calls: Sequence[ToolCall], *, first_id: int, limit_s: float
) -> dict[str, list[dict[str, Any]]]:
    """Run independent calls side by side.

    Args:
        runner: Where they run.
        calls: The calls.
        first_id: Number of the first piece of evidence, for ids ``e1``, ``e2``, ...
        limit_s: Wall time of each call; one that takes longer has failed.

    Returns:
        ``evidence`` and ``failures``, as the agent's state keeps them, and ``seen``: what a model is told
        of each call, as JSON of `Seen`.
    """
    results = await asyncio.gather(*(_limited(runner, call, limit_s) for call in calls))
    numbered = _numbered(results, first_id)
    return {
        "evidence": [to_json(item) for result in numbered for item in result.evidence],
        "failures": [_failure(result) for result in numbered if result.error],
        "seen": [_seen(runner, result) for result in numbered],
    }


def _numbered(results: Sequence[ToolResult], first_id: int) -> list[ToolResult]:
    """Return the results with their evidence numbered through."""
    numbered = []
    for result in results:
        named = [replace(item, id=f"e{first_id + number}") for number, item in enumerate(result.evidence)]
        first_id += len(named)
        numbered.append(replace(result, evidence=tuple(named)))
    return numbered


def _seen(runner: ToolRunner, result: ToolResult) -> dict[str, Any]:
    value = None if result.handle is None else runner.value(result.handle)
    told = hint(value, result.handle, result)
    return {
        "call_id": result.call_id,
        "tool": result.tool,
        "text": told.text,
        "picture": told.picture,
        "failed": result.error is not None,
    }


async def _limited(runner: ToolRunner, call: ToolCall, limit_s: float) -> ToolResult:
    """Run a call whose runner keeps the deadline; a runner that is stuck itself is given up soon after."""
    try:
        limited = replace(call, deadline_s=call.deadline_s or limit_s)
        async with asyncio.timeout(limit_s + PATIENCE_S):
            return await runner.call(limited)
    except TimeoutError:
        message = f"{call.tool} did not finish within {limit_s:g} s, and what runs it did not say so"
        return ToolResult(call.id, call.tool, error=ToolTimeoutError(message), seconds=limit_s)


def _failure(result: ToolResult) -> dict[str, Any]:
    return {
        "call_id": result.call_id,
        "tool": result.tool,
        "error": type(result.error).__name__,
        "message": str(result.error),
    }
