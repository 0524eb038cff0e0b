"""Runs the calls of one round and turns results into plain JSON."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from spatial_agent.agent.evidence import to_json
from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner

#: First letter of the ids of a task's own calls; second routes have another.
OWN = "c"


def is_own(call_id: str) -> bool:
    """Return whether a call belongs to the task itself rather than to a second route."""
    return call_id.startswith(OWN)


def call_to_json(call: ToolCall) -> dict[str, Any]:
    """Return a call as plain JSON."""
    return asdict(call)


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
        ``evidence`` and ``failures``, as the agent's state keeps them.
    """
    limited = [replace(call, deadline_s=call.deadline_s or limit_s) for call in calls]
    results = await asyncio.gather(*map(runner.call, limited))
    found = [item for result in results for item in result.evidence]
    evidence = [to_json(replace(item, id=f"e{number}")) for number, item in enumerate(found, first_id)]
    return {"evidence": evidence, "failures": [_failure(result) for result in results if result.error]}


def _failure(result: ToolResult) -> dict[str, Any]:
    return {
        "call_id": result.call_id,
        "tool": result.tool,
        "error": type(result.error).__name__,
        "message": str(result.error),
    }
