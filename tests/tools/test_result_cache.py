"""Where results are kept: bounded in memory, lasting on disk, and never at the cost of a result."""

import asyncio
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.tools.conformance_tools import conformance_registry
from spatial_agent.tools.contract import Json, ToolCall, ToolResult
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.scene import DepthMap, PointCloud
from spatial_agent.tools.value_store import ValueStore
from spatial_agent.tools.wrappers import Cached, ResultCache, RunnerWrapper

REGISTRY = conformance_registry()


def run_of(cache: ResultCache, calls: list[str] | None = None) -> Cached:
    """A cached runner as each run has one; what is not found is written down in `calls`."""

    class Noting(RunnerWrapper):
        async def call(self, call: ToolCall) -> ToolResult:
            if calls is not None:
                calls.append(call.tool)
            return await super().call(call)

    return Cached(Noting(LocalRunner(REGISTRY)), REGISTRY, cache)


def ask(runner: Cached, tool: str, **arguments: Json) -> ToolResult:
    return asyncio.run(runner.call(ToolCall("c", f"conformance.{tool}", arguments)))


def test_memory_is_bounded_and_the_least_recently_used_goes_first() -> None:
    cache = ResultCache(limit_bytes=3 * 4000 + 3 * 500)
    for key in ("a", "b", "c"):
        cache.put(key, DepthMap(np.ones((10, 100), np.float32)), 1.0)
    cache.find("a")
    cache.put("d", DepthMap(np.ones((10, 100), np.float32)), 1.0)
    assert [key for key in "abcd" if cache.find(key)] == ["a", "c", "d"]
    cache.put("huge", DepthMap(np.ones((100, 1000), np.float32)), 1.0)
    assert [key for key in ("a", "c", "d", "huge") if cache.find(key)] == ["a", "c", "d"]


def test_results_outlive_the_process_on_disk(tmp_path: Path) -> None:
    calls: list[str] = []
    for _ in range(2):
        cache = ResultCache(store=ValueStore(tmp_path, 10**9), worth_s=0.0)
        runner = run_of(cache, calls)
        depth = runner.value(ask(runner, "ramp", height=2, width=3).handle or "")
        assert isinstance(depth, DepthMap)
        np.testing.assert_array_equal(depth.z_m, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
        assert ask(runner, "farthest", depth="$conformance/1").evidence[0].finding.value == 6.0
    assert calls == ["conformance.ramp", "conformance.farthest"]


ELSEWHERE = """
import asyncio, sys
from pathlib import Path
import numpy as np
from spatial_agent.tools.conformance_tools import conformance_registry
from spatial_agent.tools.contract import ToolCall
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.value_store import ValueStore
from spatial_agent.tools.wrappers import Cached, ResultCache

registry = conformance_registry()
cache = ResultCache(store=ValueStore(Path(sys.argv[1]), 10**9), worth_s=0.0)
runner = Cached(LocalRunner(registry), registry, cache)
call = ToolCall("c", "conformance.ramp", {"height": 3, "width": 5, "start_m": 0.25})
result = asyncio.run(runner.call(call))
print(result.cached, runner.value(result.handle).z_m.sum())
"""


def test_another_process_finds_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    outputs = [
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.split()
        for _ in range(2)
    ]
    total = str(np.float32(sum(range(15)) + 15 * 0.25))
    assert outputs == [["False", total], ["True", total]]


def test_what_is_measured_at_once_is_not_worth_a_file(tmp_path: Path) -> None:
    cache = ResultCache(store=ValueStore(tmp_path, 10**9), worth_s=60.0)
    assert ask(run_of(cache), "ramp", height=2, width=3).error is None
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Private:
    """A frozen result of a class nobody declared."""

    number: int


def test_what_cannot_be_written_stays_in_memory(tmp_path: Path) -> None:
    cache = ResultCache(store=ValueStore(tmp_path, 10**9), worth_s=0.0)
    cache.put("key", Private(3), 1.0)
    found = cache.find("key")
    assert found is not None
    assert found.value == Private(3)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_costs_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: ValueStore, value: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ValueStore, "put", full)
    runner = run_of(ResultCache(store=ValueStore(tmp_path, 10**9), worth_s=0.0))
    assert ask(runner, "ramp", height=2, width=3).error is None
    assert ask(runner, "ramp", height=2, width=3).cached


def test_scene_values_are_handed_on_without_a_copy() -> None:
    cache = ResultCache()
    cloud = PointCloud(np.zeros((1000, 3)))
    cache.put("key", cloud, 1.0)
    found = cache.find("key")
    assert found is not None
    assert found.value is cloud


def test_a_value_let_go_of_costs_the_cache_nothing() -> None:
    runner = run_of(ResultCache())
    runner.drop(ask(runner, "ramp", height=2, width=3).handle or "")
    again = ask(runner, "ramp", height=2, width=3)
    assert again.cached
    assert again.handle == "$conformance/2"
