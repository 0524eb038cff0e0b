"""The result cache: equal calls run once, all that decides a result counts, and no run sees another."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from spatial_agent.tools.contract import Finding, ToolCall, ToolResult, Weights
from spatial_agent.tools.errors import ToolFailedError, ToolTimeoutError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry, Tool, expert
from spatial_agent.tools.scene import DepthMap, Frame, FrameHeader
from spatial_agent.tools.wrappers import Cached, ResultCache
from spatial_agent.tools.wrappers.cached import declared_weights

RUNS: list[str] = []


@pytest.fixture(autouse=True)
def _no_runs() -> Iterator[None]:
    RUNS.clear()
    yield
    RUNS.clear()


@expert("depth.bright")
def bright(frame: Frame, gain: float = 1.0) -> DepthMap:
    """Take brightness for depth.

    Args:
        frame: A frame.
        gain: Metres per step.
    """
    RUNS.append("depth.bright")
    assert frame.rgb is not None
    return DepthMap(frame.rgb[..., 0].astype(np.float32) * np.float32(gain))


@expert("depth.merge")
def merge(depths: tuple[DepthMap, ...], nearest: bool = True) -> DepthMap:
    """Take the nearest or farthest of several.

    Args:
        depths: Depth maps.
        nearest: Which.
    """
    RUNS.append("depth.merge")
    pick = np.minimum if nearest else np.maximum
    return DepthMap(pick.reduce([item.z_m for item in depths]))


@expert("far")
def far(depth: DepthMap) -> Finding:
    """Find the greatest depth.

    Args:
        depth: A depth map.
    """
    RUNS.append("far")
    return Finding(f"{depth.z_m.max():g} m.", float(depth.z_m.max()), "m", details={"at": [0, 0]})


@expert("listed")
def listed(depth: DepthMap) -> dict[str, list[int]]:
    """List the shape.

    Args:
        depth: A depth map.
    """
    RUNS.append("listed")
    return {"shape": list(depth.z_m.shape)}


@expert("dice", deterministic=False)
def dice() -> str:
    """Throw dice."""
    RUNS.append("dice")
    return "six"


@expert("fails")
def fails() -> str:
    """Fail."""
    RUNS.append("fails")
    raise ToolFailedError("it always does")


REGISTRY = Registry()
for tool in (bright, merge, far, listed, dice, fails):
    REGISTRY.add(tool)


def frame(brightness: int = 7, height: int = 4, width: int = 6) -> Frame:
    return Frame(FrameHeader(0, "0"), np.full((height, width, 3), brightness, np.uint8))


def run_of(cache: ResultCache, **options: Any) -> Cached:  # noqa: ANN401 - options of Cached
    """A runner as each run has one, with a frame kept in it."""
    runner = Cached(LocalRunner(REGISTRY), REGISTRY, cache, **options)
    runner.keep("frame/1", frame())
    return runner


def ask(runner: Cached, tool: str, call_id: str = "c", **arguments: object) -> ToolResult:
    return asyncio.run(runner.call(ToolCall(call_id, tool, arguments)))


def test_an_equal_call_of_another_run_is_found() -> None:
    cache = ResultCache()
    first, second = (ask(run_of(cache), "depth.bright", frame="$frame/1") for _ in range(2))
    assert RUNS == ["depth.bright"]
    assert (first.cached, second.cached) == (False, True)
    assert second.handle == "$depth/1"
    assert second.error is None
    assert second.gpu_seconds == 0


def test_a_found_value_is_the_one_that_was_measured() -> None:
    cache = ResultCache()
    for runner in (run_of(cache), run_of(cache)):
        depth = runner.value(ask(runner, "depth.bright", frame="$frame/1").handle or "")
        assert isinstance(depth, DepthMap)
        assert (depth.z_m == 7.0).all()
        assert not depth.z_m.flags.writeable


def test_found_evidence_belongs_to_the_call_that_asks() -> None:
    cache = ResultCache()
    runner = run_of(cache)
    runner.keep("depth/9", DepthMap(np.ones((2, 3), np.float32)))
    first = ask(runner, "far", "c1", depth="$depth/9")
    second = ask(runner, "far", "c2", depth="$depth/9")
    assert RUNS == ["far"]
    assert [item.call_id for item in second.evidence] == ["c2"]
    assert second.evidence[0].id != first.evidence[0].id
    assert second.evidence[0].finding == first.evidence[0].finding


def test_inputs_count_by_what_they_hold_not_by_their_names() -> None:
    runner = run_of(ResultCache())
    runner.keep("same", frame())
    runner.keep("other", frame(8))
    handles = [ask(runner, "depth.bright", frame=name).handle for name in ("$frame/1", "$same", "$other")]
    assert handles == ["$depth/1", "$depth/2", "$depth/3"]
    assert len(RUNS) == 2


def test_a_name_that_stands_for_something_new_is_read_again() -> None:
    runner = run_of(ResultCache())
    ask(runner, "depth.bright", frame="$frame/1")
    runner.keep("frame/1", frame(9))
    depth = runner.value(ask(runner, "depth.bright", frame="$frame/1").handle or "")
    assert isinstance(depth, DepthMap)
    assert depth.z_m.max() == 9.0


def test_parameters_count_and_defaults_are_parameters() -> None:
    runner = run_of(ResultCache())
    for arguments in ({}, {"gain": 1.0}, {"gain": 1}, {"gain": 2.0}):
        ask(runner, "depth.bright", frame="$frame/1", **arguments)
    assert len(RUNS) == 2


def test_the_order_of_many_inputs_counts() -> None:
    runner = run_of(ResultCache())
    for name, metres in (("a", 1), ("b", 2)):
        runner.keep(name, DepthMap(np.full((2, 3), metres, np.float32)))
    for depths in (["$a", "$b"], ["$b", "$a"], ["$a", "$b"], ["$a"]):
        ask(runner, "depth.merge", depths=depths)
    assert len(RUNS) == 3


def registered(target: Tool) -> Registry:
    registry = Registry()
    registry._tools[target.name] = target
    return registry


TOOL = REGISTRY.get("depth.bright")
SMALL, LARGE = (Weights(name, "file:x", "MIT") for name in ("small", "large"))


@pytest.mark.parametrize(
    "changed",
    [
        replace(TOOL, version="2"),
        replace(TOOL, weights=(SMALL,)),
        replace(TOOL, weights=(LARGE,)),
        replace(TOOL, weights=(replace(SMALL, sha256={"a": "0f"}),)),
        replace(TOOL, name="depth.brighter"),
    ],
)
def test_another_version_or_other_weights_are_another_result(changed: Tool) -> None:
    cache = ResultCache()
    for item in (replace(TOOL, weights=(replace(SMALL, revision="1"),)), changed, changed):
        registry = registered(item)
        runner = Cached(LocalRunner(registry), registry, cache)
        runner.keep("frame/1", frame())
        assert ask(runner, item.name, frame="$frame/1").error is None
    assert len(RUNS) == 2


def test_what_else_decides_results_counts_too() -> None:
    cache = ResultCache()
    for device in ("cpu", "cuda", "cpu"):
        ask(run_of(cache, identity=lambda tool, device=device: device), "depth.bright", frame="$frame/1")
    assert len(RUNS) == 2
    for _ in range(2):
        ask(run_of(cache, identity=lambda tool: None), "depth.bright", frame="$frame/1")
    assert len(RUNS) == 4


def test_only_the_weights_in_use_tell_tools_apart() -> None:
    both, one = replace(TOOL, weights=(SMALL, LARGE)), replace(TOOL, weights=(SMALL,))
    assert declared_weights(both) == declared_weights(one) != declared_weights(TOOL)


@pytest.mark.parametrize("tool", ["dice", "fails"])
def test_chance_and_failures_are_not_kept(tool: str) -> None:
    runner = run_of(ResultCache())
    results = [ask(runner, tool) for _ in range(3)]
    assert [tool] * 3 == RUNS
    assert not any(result.cached for result in results)


def test_lists_in_results_are_not_shared_between_runs() -> None:
    cache = ResultCache()
    values = []
    for _ in range(3):
        runner = run_of(cache)
        runner.keep("d", DepthMap(np.ones((2, 3), np.float32)))
        shape = runner.value(ask(runner, "listed", depth="$d").handle or "")
        finding = ask(runner, "far", depth="$d").evidence[0].finding
        values.append((shape, finding.details["at"]))
        assert values[-1] == ({"shape": [2, 3]}, [0, 0])
        shape["shape"].append("scribble")  # type: ignore[index]
        finding.details["at"].append("scribble")
    assert sorted(RUNS) == ["far", "listed"]


class Slow(LocalRunner):
    """Measures when told to."""

    def __init__(self) -> None:
        super().__init__(REGISTRY)
        self.started = threading.Event()
        self.go_on = threading.Event()
        self.outcome: ToolResult | None = None

    async def call(self, call: ToolCall) -> ToolResult:
        self.started.set()
        await asyncio.to_thread(self.go_on.wait, 20)
        return self.outcome or await super().call(call)


CALL = ToolCall("c", "depth.bright", {"frame": "$frame/1"})


async def until(done: threading.Event) -> None:
    assert await asyncio.to_thread(done.wait, 20)


def test_equal_calls_at_once_run_once() -> None:
    inner = Slow()
    runner = Cached(inner, REGISTRY, ResultCache())
    runner.keep("frame/1", frame())

    async def run() -> list[ToolResult]:
        calls = [asyncio.ensure_future(runner.call(replace(CALL, id=f"c{n}"))) for n in range(8)]
        await until(inner.started)
        inner.go_on.set()
        return await asyncio.gather(*calls)

    results = asyncio.run(run())
    assert RUNS == ["depth.bright"]
    assert [result.call_id for result in results] == [f"c{n}" for n in range(8)]
    assert len({result.handle for result in results}) == 8
    assert sorted(result.cached for result in results) == [False] + [True] * 7


def test_runs_in_other_threads_wait_for_one_another() -> None:
    cache, inner = ResultCache(), Slow()
    results: list[ToolResult] = []

    def run(runner: Cached) -> None:
        runner.keep("frame/1", frame())
        results.append(asyncio.run(runner.call(CALL)))

    leader = threading.Thread(target=run, args=(Cached(inner, REGISTRY, cache),))
    leader.start()
    assert inner.started.wait(20)
    follower = threading.Thread(target=run, args=(run_of(cache),))
    follower.start()
    inner.go_on.set()
    for thread in (leader, follower):
        thread.join(20)
    assert RUNS == ["depth.bright"]
    assert sorted(result.cached for result in results) == [False, True]


async def _join_a_leader(cache: ResultCache, leader: Slow) -> tuple[Any, Any]:
    """Return a call under way, and another run's equal one that waits for it."""
    one = Cached(leader, REGISTRY, cache)
    one.keep("frame/1", frame())
    leading = asyncio.ensure_future(one.call(CALL))
    await until(leader.started)
    return leading, asyncio.ensure_future(run_of(cache).call(replace(CALL, id="second", deadline_s=20.0)))


def test_a_failure_is_not_shared() -> None:
    leader = Slow()
    leader.outcome = ToolResult("c", "depth.bright", error=ToolFailedError("out of luck"))

    async def run() -> tuple[ToolResult, ToolResult]:
        leading, following = await _join_a_leader(ResultCache(), leader)
        leader.go_on.set()
        return await leading, await following

    first, second = asyncio.run(run())
    assert isinstance(first.error, ToolFailedError)
    assert second.error is None
    assert not second.cached


def test_who_waits_for_a_call_that_is_cancelled_measures_for_itself() -> None:
    leader = Slow()

    async def run() -> ToolResult:
        leading, following = await _join_a_leader(ResultCache(), leader)
        leading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leading
        leader.go_on.set()
        result: ToolResult = await following
        return result

    assert asyncio.run(run()).error is None
    assert RUNS == ["depth.bright"]


def test_who_waits_for_another_call_still_has_a_deadline() -> None:
    cache, leader = ResultCache(), Slow()

    async def run() -> tuple[ToolResult, ToolResult]:
        leading, following = await _join_a_leader(cache, leader)
        impatient = await run_of(cache).call(replace(CALL, deadline_s=0.05))
        assert isinstance(impatient.error, ToolTimeoutError)
        leader.go_on.set()
        return await leading, await following

    first, second = asyncio.run(run())
    assert (first.error, second.error) == (None, None)
    assert RUNS == ["depth.bright"]


def test_a_name_that_changes_under_way_poisons_nothing() -> None:
    cache, inner = ResultCache(), Slow()
    runner = Cached(inner, REGISTRY, cache)
    runner.keep("frame/1", frame(7))

    async def run() -> ToolResult:
        call = asyncio.ensure_future(runner.call(CALL))
        await until(inner.started)
        runner.keep("frame/1", frame(9))
        inner.go_on.set()
        return await call

    asyncio.run(run())
    other = run_of(cache)
    depth = other.value(ask(other, "depth.bright", frame="$frame/1").handle or "")
    assert isinstance(depth, DepthMap)
    assert depth.z_m.max() == 7.0


def test_results_found_and_measured_never_take_each_others_names() -> None:
    cache = ResultCache()
    ask(run_of(cache), "depth.bright", frame="$frame/1")
    runner = run_of(cache)

    async def run() -> list[ToolResult]:
        gains = [1.0, 2.0, 1.0, 3.0, 1.0, 4.0, 2.0]
        calls = [
            ToolCall(f"c{n}", "depth.bright", {"frame": "$frame/1", "gain": g}) for n, g in enumerate(gains)
        ]
        results = await asyncio.gather(*map(runner.call, calls))
        for result, gain in zip(results, gains, strict=True):
            depth = runner.value(result.handle or "")
            assert isinstance(depth, DepthMap)
            assert (depth.z_m == 7.0 * gain).all()
        return results

    handles = [result.handle for result in asyncio.run(run())]
    assert len(set(handles)) == len(handles)
