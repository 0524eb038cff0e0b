"""What every runner must do; any `ToolRunner` can be checked against it.

>>> import asyncio
>>> from spatial_agent.tools.local_runner import LocalRunner
>>> asyncio.run(check_runner(LocalRunner))["unknown tool is an error value"]
'ok'
"""

from collections.abc import Callable

from spatial_agent.tools.contract import Finding, ToolCall, ToolRunner
from spatial_agent.tools.errors import ToolArgumentError, ToolFailedError, ToolUnavailableError
from spatial_agent.tools.registry import Registry, skill
from spatial_agent.tools.scene import SceneMap


@skill("conformance.count")
def _count(scene: SceneMap, at_least: int = 0) -> Finding:
    """Count every object.

    Args:
        scene: Any scene.
        at_least: Fewest objects to accept.
    """
    if len(scene.objects) < at_least:
        raise ToolFailedError(f"expected {at_least} objects, the scene has {len(scene.objects)}")
    return Finding(f"{len(scene.objects)} objects.", len(scene.objects), "count")


async def check_runner(make: Callable[[Registry], ToolRunner]) -> dict[str, str]:
    """Check a runner; every value of the result is ``"ok"`` or says what went wrong.

    Args:
        make: Builds the runner for a registry.
    """
    registry = Registry()
    registry.add(_count)
    runner = make(registry)
    scene = runner.keep("scene", SceneMap(objects=()))
    good = {"scene": scene}
    checks: dict[str, tuple[ToolCall, type[Exception] | None]] = {
        "evidence carries call and tool": (ToolCall("c1", "conformance.count", good), None),
        "tool failure is an error value": (
            ToolCall("c2", "conformance.count", good | {"at_least": 1}),
            ToolFailedError,
        ),
        "unknown tool is an error value": (ToolCall("c3", "conformance.cuont", good), ToolUnavailableError),
        "wrong type is an error value": (
            ToolCall("c4", "conformance.count", good | {"at_least": "x"}),
            ToolArgumentError,
        ),
        "unknown argument is an error value": (
            ToolCall("c5", "conformance.count", good | {"most": 1}),
            ToolArgumentError,
        ),
        "unknown reference is an error value": (
            ToolCall("c6", "conformance.count", {"scene": "$none"}),
            ToolArgumentError,
        ),
        "missing reference is an error value": (ToolCall("c7", "conformance.count"), ToolArgumentError),
    }
    return {name: await _verdict(runner, call, error) for name, (call, error) in checks.items()}


async def _verdict(runner: ToolRunner, call: ToolCall, expected: type[Exception] | None) -> str:
    result = await runner.call(call)
    if (result.call_id, result.tool) != (call.id, call.tool):
        return f"expected the call's own id and tool, got {result.call_id!r}, {result.tool!r}"
    if expected is None:
        right = result.error is None and [item.call_id for item in result.evidence] == [call.id]
        return "ok" if right else f"expected one piece of evidence, got {result!r}"
    return "ok" if isinstance(result.error, expected) else f"expected {expected.__name__}, got {result!r}"
