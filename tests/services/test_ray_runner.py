"""Experts served by Ray answer as they do in process, and their arrays are shared, never copied."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray")

from ray import cloudpickle

from spatial_agent.sandbox.policy import ExpertPolicy
from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.services.ray_runner import RayRunner
from spatial_agent.tools.contract import Finding, Resources, ToolCall
from spatial_agent.tools.errors import ToolArgumentError, ToolUnavailableError
from spatial_agent.tools.registry import Registry, expert, skill
from spatial_agent.tools.runner_conformance import check_runner
from spatial_agent.tools.scene import DepthMap, Frame, FrameHeader, FrameSet

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]

Serve = Callable[..., Any]


@expert("depth.ramp")
class Ramp:
    """Depth that grows to the right; says how often and where it was loaded."""

    def load(self, device: str) -> None:
        self.device = device

    def __call__(self, frame: Frame, nearest_m: float = 1.0) -> DepthMap:
        """Measure a ramp.

        Args:
            frame: Any frame.
            nearest_m: Depth at the left edge.
        """
        assert frame.rgb is not None
        height, width = frame.rgb.shape[:2]
        return DepthMap(np.tile(nearest_m + np.arange(width, dtype=np.float32), (height, 1)))


@expert("depth.nearest")
def nearest(depths: tuple[DepthMap, ...], other: DepthMap | None = None) -> Finding:
    """Find the nearest depth of all.

    Args:
        depths: Maps to look in.
        other: One more.
    """
    maps = [*depths, other] if other else depths
    return Finding("Near.", float(min(depth.z_m.min() for depth in maps)), "m", definition="depth")


@expert("test.write")
def write(frame: Frame) -> str:
    """Try to change what belongs to everybody.

    Args:
        frame: Any frame.
    """
    assert frame.rgb is not None
    frame.rgb[0, 0, 0] = 1
    return "changed"


@expert("test.where", resources=Resources(threads=2))
class Where:
    """Tells about its process."""

    def load(self, device: str) -> None:
        self.device = device

    def __call__(self) -> list[str]:
        """Tell process, device and threads."""
        return [str(os.getpid()), self.device, os.environ["OMP_NUM_THREADS"]]


@skill("here.where")
def here() -> str:
    """Tell the process of a skill."""
    return str(os.getpid())


@expert("here.mean", resources=Resources(in_caller=True))
def mean(depth: DepthMap) -> Finding:
    """Average a depth map.

    Args:
        depth: Any depth map.
    """
    return Finding("Mean.", float(depth.z_m.mean()), "m", definition="depth")


@expert("test.batched", resources=Resources(most_batched=8))
class Batched:
    """Doubles numbers; tells how many came together."""

    def load(self, device: str) -> None: ...

    def __call__(self, number: int) -> list[int]:
        """Double.

        Args:
            number: Any number but 13.
        """
        return self._double(number, 1)

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[list[int] | Exception]:
        return [
            ValueError("unlucky") if call["number"] == 13 else self._double(call["number"], len(calls))
            for call in calls
        ]

    def _double(self, number: int, together: int) -> list[int]:
        return [2 * number, together]


def frame(height: int = 6, width: int = 9) -> Frame:
    return Frame(FrameHeader(0, "a"), rgb=np.zeros((height, width, 3), np.uint8))


def test_it_passes_the_conformance_suite(serve: Serve, tmp_path: Path) -> None:
    bench = serve()

    async def check() -> dict[str, str]:
        from spatial_agent.services.ray_pools import ExpertPools

        # The suite's experts leave marks there.
        options = PoolOptions(policy=ExpertPolicy(writable=(tmp_path,)))
        opened: list[ExpertPools] = []

        def make(registry: Registry) -> RayRunner:
            opened.append(ExpertPools(registry, options, cluster=bench.pools._cluster))
            return RayRunner(registry, opened[-1])

        try:
            return await check_runner(make, folder=tmp_path)
        finally:
            for pools in opened:
                await asyncio.to_thread(pools.close)

    verdicts = asyncio.run(check())
    assert {name: verdict for name, verdict in verdicts.items() if verdict != "ok"} == {}


def test_an_array_goes_in_and_out_whole_and_read_only(serve: Serve) -> None:
    bench = serve(Ramp)
    bench.runner.keep("frame/1", frame(6, 9))
    depth = bench.answer("depth.ramp", frame="$frame/1", nearest_m=2.0)

    assert depth.z_m.tolist() == [[float(2 + column) for column in range(9)]] * 6
    assert not depth.z_m.flags.writeable


def test_a_result_is_one_object_however_often_it_is_asked_for(serve: Serve) -> None:
    bench = serve(Ramp)
    bench.runner.keep("frame/1", frame())
    handle = bench.call("depth.ramp", frame="$frame/1").handle

    assert bench.runner.value(handle) is bench.runner.value(handle)


def test_a_large_result_lies_in_the_store_and_not_in_this_process(serve: Serve) -> None:
    bench = serve(Ramp)
    bench.runner.keep("frame/1", frame(1080, 1920))
    depth = bench.answer("depth.ramp", frame="$frame/1")
    address = depth.z_m.__array_interface__["data"][0]
    with open("/proc/self/maps", encoding="utf-8") as maps:
        homes = [line for line in maps if _covers(line, address)]

    assert len(homes) == 1
    assert "plasma" in homes[0] or "/dev/shm" in homes[0]


def _covers(line: str, address: int) -> bool:
    first, last = (int(part, 16) for part in line.split()[0].split("-"))
    return first <= address < last


def test_results_are_taken_by_other_calls_one_or_many(serve: Serve) -> None:
    bench = serve(Ramp, nearest)
    bench.runner.keep("frame/1", frame())
    for nearest_m in (4.0, 3.0, 5.0):
        bench.call("depth.ramp", frame="$frame/1", nearest_m=nearest_m)
    many = bench.call("depth.nearest", depths=["$depth/1", "$depth/3", "$depth/1"])
    with_other = bench.call("depth.nearest", depths=["$depth/1"], other="$depth/2")

    assert many.evidence[0].finding.value == 4.0
    assert with_other.evidence[0].finding.value == 3.0


def test_skills_and_tools_of_the_caller_share_its_handles(serve: Serve) -> None:
    bench = serve(Ramp, here, mean)
    bench.runner.keep("frame/1", frame(2, 3))
    bench.call("depth.ramp", frame="$frame/1")
    result = bench.call("here.mean", depth="$depth/1")

    assert result.evidence[0].finding.value == 2.0
    assert bench.answer("here.where") == str(os.getpid())


def test_nobody_can_write_into_what_all_share(serve: Serve) -> None:
    bench = serve(write)
    bench.runner.keep("frame/1", frame())
    result = bench.call("test.write", frame="$frame/1")

    assert "read-only" in str(result.error)


def test_a_replica_runs_elsewhere_with_the_threads_it_declares(serve: Serve) -> None:
    pid, device, threads = serve(Where).answer("test.where")

    assert int(pid) != os.getpid()
    assert (device, threads) == ("cpu", "2")


def test_a_reference_to_the_wrong_type_is_refused_wherever_it_lies(serve: Serve) -> None:
    bench = serve(Ramp)
    bench.runner.keep("frame/1", frame())
    bench.runner.keep("number", 3)
    bench.call("depth.ramp", frame="$frame/1")
    here, stored = (bench.call("depth.ramp", frame=name).error for name in ("$number", "$depth/1"))

    assert str(here) == "depth.ramp: frame must be a Frame, $number is a int"
    assert str(stored) == "depth.ramp: frame must be a Frame, $depth/1 is a DepthMap"


def test_a_value_that_cannot_leave_the_process_is_refused_before_anything_starts(serve: Serve) -> None:
    @expert("test.frames")
    def frames(frames: FrameSet) -> str:
        """Take frames.

        Args:
            frames: Any frames.
        """
        return frames.name

    lock = threading.Lock()
    bench = serve(frames)

    def load(*_: object) -> Frame:
        with lock:
            return frame()

    source = FrameSet("s", "test", (FrameHeader(0, "a"),), load, "0" * 8)
    bench.runner.keep("frames", source)
    result = bench.call("test.frames", frames="$frames")

    assert isinstance(result.error, ToolArgumentError)
    assert "$frames, a FrameSet, cannot be sent to another process" in str(result.error)


def test_a_value_that_is_dropped_or_kept_anew_is_not_found_under_its_old_content(serve: Serve) -> None:
    bench = serve(Ramp)
    bench.runner.keep("frame/1", frame(2, 3))
    assert bench.answer("depth.ramp", frame="$frame/1").z_m.shape == (2, 3)
    bench.runner.keep("frame/1", frame(4, 5))
    assert bench.answer("depth.ramp", frame="$frame/1").z_m.shape == (4, 5)
    bench.runner.drop("$frame/1")
    bench.runner.drop("$depth/1")

    assert isinstance(bench.call("depth.ramp", frame="$frame/1").error, ToolArgumentError)
    with pytest.raises(ToolArgumentError, match=r"nothing is kept as '\$depth/1'"):
        bench.runner.value("$depth/1")


def test_calls_made_together_are_run_together_and_one_bad_one_costs_no_other(serve: Serve) -> None:
    bench = serve(Batched, options=PoolOptions(most=1, batch_wait_s=5.0))

    async def together() -> list[Any]:
        return await asyncio.gather(*(bench.ask("test.batched", number=n) for n in [*range(7), 13]))

    *good, bad = asyncio.run(together())

    assert [bench.value(result) for result in good] == [[2 * n, 8] for n in range(7)]
    assert "unlucky" in str(bad.error)
    assert bench.meter.sizes == [8]


def test_a_call_without_company_waits_no_longer_than_its_bound(serve: Serve) -> None:
    bench = serve(Batched, options=PoolOptions(batch_wait_s=0.05))
    bench.answer("test.batched", number=1)
    result = bench.call("test.batched", number=2)

    assert bench.value(result) == [4, 1]
    assert max(bench.meter.durations["spatial_agent_wait_seconds"][1:]) < 5.0


def test_one_runner_serves_loops_in_several_threads(serve: Serve) -> None:
    bench = serve(Batched)
    found: dict[int, Any] = {}
    threads = [
        threading.Thread(
            target=lambda n=n: found.update({n: bench.new_run().answer("test.batched", number=n)})
        )
        for n in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {n: value[0] for n, value in found.items()} == {0: 0, 1: 2, 2: 4}


def test_after_the_end_of_the_service_calls_are_refused(serve: Serve) -> None:
    bench = serve(Where)
    bench.answer("test.where")
    bench.pools.close()
    result = asyncio.run(bench.runner.call(ToolCall("late", "test.where")))

    assert isinstance(result.error, ToolUnavailableError)
    assert "not served any more" in str(result.error)


def test_the_time_of_a_call_includes_its_waiting_and_costs_no_gpu(serve: Serve) -> None:
    result = serve(Where).call("test.where")

    assert result.seconds > 0
    assert result.gpu_seconds == 0
