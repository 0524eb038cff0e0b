"""What every runner must do; any `ToolRunner` can be checked against it.

>>> import asyncio
>>> from spatial_agent.tools.local_runner import LocalRunner
>>> asyncio.run(check_runner(LocalRunner, only="unknown tool"))
{'unknown tool is an error value': 'ok'}
"""

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from spatial_agent.tools.conformance_tools import conformance_registry
from spatial_agent.tools.contract import Json, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    NoSuchObjectError,
    SourceError,
    ToolArgumentError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import DepthMap, Detections, Picture, SceneMap

#: Builds a runner for the tools of a registry.
MakeRunner = Callable[[Registry], ToolRunner]

#: Deadline that is set to a call which would take much longer, and how much later it may end, seconds.
DEADLINE_S, GRACE_S = 0.3, 10.0
#: How long such a call would work, seconds.
TOO_LONG_S = 60.0
#: How long a call is waited for to start before it is cancelled nevertheless, seconds.
START_S = 5.0


class _Broken(Exception):
    """A runner does not do what it should; the message says what."""


@dataclass
class _Bench:
    """A runner under test, with what checks need around it.

    Attributes:
        runner: The runner.
        folder: Empty folder for this check.
        calls: Calls made so far.
    """

    runner: ToolRunner
    folder: Path
    calls: int = field(default=0)

    async def call(self, tool: str, arguments: Mapping[str, Json], **options: float) -> ToolResult:
        """Call a tool, and hold the result against what holds for every result."""
        self.calls += 1
        call = ToolCall(f"c{self.calls}", f"conformance.{tool}", arguments, **options)
        result = await self.runner.call(call)
        got = (result.call_id, result.tool)
        _expect(got == (call.id, call.tool), f"the call's own id and tool, {call.id}, {call.tool}", got)
        ways = (bool(result.evidence), result.handle is not None, result.error is not None)
        _expect(sum(ways) == 1, "one of evidence, handle and error", result)
        _expect(result.seconds >= 0, "seconds of at least 0", result.seconds)
        return result

    async def found(self, tool: str, arguments: Mapping[str, Json]) -> Json:
        """Call a tool and return the value of its finding."""
        result = await self.call(tool, arguments)
        _expect(len(result.evidence) == 1, "one piece of evidence", result)
        item = result.evidence[0]
        _expect((item.call_id, item.tool) == (result.call_id, result.tool), "evidence of its own call", item)
        return item.finding.value

    async def handle(self, tool: str, arguments: Mapping[str, Json]) -> str:
        """Call a tool and return the reference of its result."""
        result = await self.call(tool, arguments)
        if result.handle is None:
            raise _Broken(f"expected a handle, got {result!r}")
        return result.handle

    async def error(self, tool: str, arguments: Mapping[str, Json], kind: type[ToolError]) -> Any:  # noqa: ANN401
        """Call a tool and return its error, which must be of a kind."""
        result = await self.call(tool, arguments)
        _expect(isinstance(result.error, kind), f"{kind.__name__} in the result", result)
        return result.error


def _expect(right: bool, expected: str, got: object) -> None:
    if not right:
        raise _Broken(f"expected {expected}, got {got!r}")


async def _evidence(bench: _Bench) -> None:
    scene = bench.runner.keep("scene", SceneMap(()))
    results = [await bench.call("count", {"scene": scene}) for _ in range(2)]
    items = [item for result in results for item in result.evidence]
    _expect([item.call_id for item in items] == ["c1", "c2"], "evidence of c1 and c2", items)
    _expect(len({item.id for item in items}) == 2, "evidence with ids of its own", items)
    finding = items[0].finding
    got = (finding.claim, finding.value, finding.unit, list(finding.details["all"]))
    _expect(got == ("0 objects.", 0, "count", [1, 2]), "the finding as the tool made it", finding)


async def _keeping(bench: _Bench) -> None:
    keep, value = bench.runner.keep, bench.runner.value
    reference = keep("scene", SceneMap((), scene_id="first"))
    _expect(reference == "$scene", "'$scene'", reference)
    _expect(getattr(value("$scene"), "scene_id", None) == "first", "what was kept", value("$scene"))
    keep("scene", SceneMap((), scene_id="second"))
    _expect(getattr(value("$scene"), "scene_id", None) == "second", "what was kept last", value("$scene"))


async def _letting_go(bench: _Bench) -> None:
    reference = await bench.handle("ramp", {"height": 2, "width": 3})
    for _ in range(2):
        bench.runner.drop(reference)
        bench.runner.drop("$never")
    await bench.error("farthest", {"depth": reference}, ToolArgumentError)
    try:
        kept = bench.runner.value(reference)
    except ToolArgumentError:
        return
    raise _Broken(f"expected ToolArgumentError for what was let go of, got {kept!r}")


async def _numbering(bench: _Bench) -> None:
    handles = [await bench.handle("ramp", {"height": 1, "width": width}) for width in (1, 2, 2)]
    _expect(handles == [f"$conformance/{n}" for n in (1, 2, 3)], "$conformance/1 to 3", handles)
    bench.runner.keep("conformance/4", "mine")
    handle = await bench.handle("ramp", {"height": 1, "width": 3})
    _expect(handle == "$conformance/5", "a number past names in use, $conformance/5", handle)
    _expect(bench.runner.value("$conformance/4") == "mine", "what was kept by name", handle)


async def _at_once(bench: _Bench) -> None:
    widths = range(1, 9)
    handles = await asyncio.gather(*(bench.handle("ramp", {"height": 1, "width": n}) for n in widths))
    _expect(len(set(handles)) == len(handles), "handles that differ", handles)
    got = [await bench.found("farthest", {"depth": handle}) for handle in handles]
    _expect(got == [float(n) for n in widths], "each call its own result", got)


async def _values(bench: _Bench) -> None:
    handle = await bench.handle("ramp", {"height": 2, "width": 3, "start_m": 5.0})
    depth: Any = bench.runner.value(handle)
    expected = np.array([[5, 6, 7], [8, 9, 10]], np.float32)
    right = isinstance(depth, DepthMap) and depth.z_m.dtype == np.float32
    _expect(right and np.array_equal(depth.z_m, expected), "the tool's own DepthMap", depth)
    _expect(not depth.z_m.flags.writeable, "read-only arrays", depth.z_m.flags)


async def _immutable(bench: _Bench) -> None:
    handle = await bench.handle("ramp", {"height": 2, "width": 3})
    given = bench.runner.keep("given", DepthMap(np.ones((2, 3), np.float32)))
    got = [await bench.found("scribble", {"depth": reference}) for reference in (handle, given)]
    _expect(got == ["read-only", "read-only"], "tools that cannot write into values", got)
    _expect(await bench.found("farthest", {"depth": given}) == 1.0, "the value as it was", got)


async def _optional_and_many(bench: _Bench) -> None:
    keep = bench.runner.keep
    depth = keep("depth", DepthMap(np.ones((2, 3), np.float32)))
    boxes = keep("boxes", Detections(np.zeros((1, 4)), np.ones(1), ("a",)))
    pictures = [keep(f"p{n}", Picture(np.zeros((1, 1, 3), np.uint8), f"picture {n}")) for n in range(2)]
    whole: dict[str, Json] = {"depth": depth, "boxes": boxes, "pictures": pictures}
    got = await bench.found("describe", whole)
    _expect(list(got) == [[2, 3], 1, ["picture 0", "picture 1"]], "every reference to arrive in order", got)
    got = await bench.found("describe", {"depth": depth, "boxes": None, "pictures": pictures[:1]})
    _expect(list(got) == [[2, 3], None, ["picture 0"]], "null to stand for no boxes", got)
    for wrong in ({"pictures": pictures[0]}, {"pictures": [boxes]}, {"boxes": depth}, {"pictures": None}):
        await bench.error("describe", whole | wrong, ToolArgumentError)


def _bad_call(kind: type[ToolError], tool: str, **arguments: Json) -> "Check":
    async def check(bench: _Bench) -> None:
        bench.runner.keep("scene", SceneMap(()))
        bench.runner.keep("number", 3)
        error = await bench.error(tool, arguments, kind)
        _expect(bool(str(error)), "a message", error)

    return check


async def _wrong_reference_type(bench: _Bench) -> None:
    number = bench.runner.keep("number", 3)
    error = await bench.error("count", {"scene": number}, ToolArgumentError)
    _expect("SceneMap" in str(error) and "int" in str(error), "both types named", error)


async def _failures(bench: _Bench) -> None:
    scene = bench.runner.keep("scene", SceneMap(()))
    error = await bench.error("count", {"scene": scene, "at_least": 1}, ToolFailedError)
    _expect(str(error) == "expected 1 objects, the scene has 0", "the tool's own message", error)
    missing = await bench.error("fail", {"how": "no such object"}, NoSuchObjectError)
    _expect(missing.suggestions == ("chair", "stool"), "the suggestions", vars(missing))
    several = await bench.error("fail", {"how": "ambiguous"}, AmbiguousReferenceError)
    _expect(several.candidates == ("chair-1", "chair-2"), "the candidates", vars(several))


async def _breakdowns(bench: _Bench) -> None:
    error = await bench.error("fail", {"how": "arbitrary"}, ToolFailedError)
    _expect("ZeroDivisionError" in str(error) and "by nought" in str(error), "what happened", error)
    error = await bench.error("fail", {"how": "impossible value"}, ToolFailedError)
    _expect(str(error) == "z_m: expected shape (H, W), got (3,)", "the message of the value", error)
    error = await bench.error("fail", {"how": "bad file"}, ToolFailedError)
    _expect(isinstance(error.__cause__, SourceError), "SourceError as its cause", error.__cause__)


async def _deadline(bench: _Bench) -> None:
    # What is not loaded yet may take its time; here only the call itself counts.
    await bench.found("work", {"seconds": 0.0})
    started = time.monotonic()
    result = await bench.call("work", {"seconds": TOO_LONG_S}, deadline_s=DEADLINE_S)
    took_s = time.monotonic() - started
    _expect(isinstance(result.error, ToolTimeoutError), "ToolTimeoutError in the result", result)
    _expect(took_s < DEADLINE_S + GRACE_S, f"an end soon after {DEADLINE_S:g} s", f"{took_s:.1f} s")
    _expect(await bench.found("work", {"seconds": 0.0}) == "done", "the next call to be served", result)


async def _cancelling(bench: _Bench) -> None:
    await bench.found("work", {"seconds": 0.0})
    marker = bench.folder / "started"
    arguments = {"seconds": TOO_LONG_S, "started": str(marker)}
    running = asyncio.ensure_future(bench.call("work", arguments))
    until = time.monotonic() + START_S
    while not marker.exists() and not running.done() and time.monotonic() < until:
        await asyncio.sleep(0.01)
    running.cancel()
    done, _ = await asyncio.wait([running], timeout=GRACE_S)
    _expect(bool(done) and running.cancelled(), "CancelledError out of a call that is cancelled", running)
    _expect(await bench.found("work", {"seconds": 0.0}) == "done", "the next call to be served", running)


async def _overlap(bench: _Bench) -> None:
    arguments = {"folder": str(bench.folder)}
    got = await asyncio.gather(*(bench.found(f"meet_{side}", arguments) for side in ("left", "right")))
    _expect(got == ["met", "met"], "independent calls to run side by side", got)


async def _loading(bench: _Bench) -> None:
    instances = [await bench.found("loaded", {}) for _ in range(3)]
    _expect(all(loads == 1 for _, loads in instances), "load() to be called once", instances)
    _expect(len({token for token, _ in instances}) == 1, "one instance for calls in a row", instances)


Check = Callable[[_Bench], Awaitable[None]]
CHECKS: Mapping[str, Check] = {
    "evidence carries call and tool": _evidence,
    "what is kept can be had": _keeping,
    "what is let go of is gone": _letting_go,
    "results are numbered, past names in use": _numbering,
    "calls at once get results of their own": _at_once,
    "values come back whole and read-only": _values,
    "tools cannot change what they are given": _immutable,
    "references may be optional, and many": _optional_and_many,
    "unknown tool is an error value": _bad_call(ToolUnavailableError, "cuont", scene="$scene"),
    "wrong type is an error value": _bad_call(ToolArgumentError, "count", scene="$scene", at_least="x"),
    "unknown argument is an error value": _bad_call(ToolArgumentError, "count", scene="$scene", most=1),
    "missing argument is an error value": _bad_call(ToolArgumentError, "ramp", height=2),
    "unknown reference is an error value": _bad_call(ToolArgumentError, "count", scene="$none"),
    "missing reference is an error value": _bad_call(ToolArgumentError, "count"),
    "no reference is an error value": _bad_call(ToolArgumentError, "count", scene=3),
    "a reference to the wrong type names both": _wrong_reference_type,
    "tool failures keep class, message and fields": _failures,
    "any exception is a tool failure": _breakdowns,
    "a deadline ends a call, and the next one runs": _deadline,
    "a cancelled call ends, and the next one runs": _cancelling,
    "independent calls run side by side": _overlap,
    "an expert is loaded once": _loading,
}


async def check_runner(make: MakeRunner, *, folder: Path | None = None, only: str = "") -> dict[str, str]:
    """Check a runner; every value of the result is ``"ok"`` or says what went wrong.

    Every check has a runner of its own, as every run has. Tools leave word of each other in files, so they
    must run on one machine.

    Args:
        make: Builds a runner for a registry.
        folder: Where they do; a temporary folder where left out.
        only: Checks whose name contains this.
    """
    if folder is None:
        with tempfile.TemporaryDirectory() as temporary:
            return await check_runner(make, folder=Path(temporary), only=only)
    registry = conformance_registry()
    verdicts = {}
    for number, (name, check) in enumerate(CHECKS.items()):
        if only in name:
            own = folder / f"check{number}"
            own.mkdir(parents=True, exist_ok=True)
            verdicts[name] = await _verdict(check, make, registry, own)
    return verdicts


async def _verdict(check: Check, make: MakeRunner, registry: Registry, folder: Path) -> str:
    try:
        await check(_Bench(make(registry), folder))
    except _Broken as error:
        return str(error)
    except Exception as error:  # a runner that raises is not what it should be, whatever it raises
        return f"expected errors as values, got {type(error).__name__}: {error}"
    return "ok"
