"""Bad batches, failing loads, breakers, dead machines: an answer or a refusal, then the next call."""

import asyncio
import os
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

pytest.importorskip("ray")

from misbehaving import (
    ACTS,
    ONE,
    ONLY_HERE,
    SOON_S,
    Act,
    Found,
    Gate,
    Head,
    Serve,
    first_time,
    gated,
    healthy,
    wait_at_gate,
)
from ray import cloudpickle

from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import (
    MissingWeightsError,
    ToolArgumentError,
    ToolCrashedError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import DepthMap

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]


# A batch with a bad one in it


@expert("test.together", resources=Resources(most_batched=4, deadline_s=30))
class Together:
    """Acts in batches."""

    def load(self, device: str) -> None: ...

    def __call__(self, how: str, number: int) -> list[int]:
        """Act.

        Args:
            how: One of the acts.
            number: Comes back.
        """
        ACTS[how]()
        return [number, os.getpid()]

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[list[int]]:
        if any(call["how"] == "short" for call in calls):
            return []
        return [self(**call) for call in calls]


@pytest.mark.parametrize(
    ("poison", "kind"),
    [("value error", ToolFailedError), ("be killed", ToolCrashedError), ("hang", ToolTimeoutError)],
)
def test_one_poisonous_call_in_a_batch_costs_no_other(
    serve: Serve, poison: str, kind: type[ToolError]
) -> None:
    bench = serve(Together, options=PoolOptions(most=1, batch_wait_s=SOON_S))
    bench.pools.warm(["test.together"])

    hang_s = 2.0 if kind is ToolTimeoutError else 60.0

    async def together() -> list[Any]:
        good = [bench.ask("test.together", how="work", number=n) for n in range(3)]
        return await asyncio.gather(
            *good, bench.ask("test.together", how=poison, number=9, deadline_s=hang_s)
        )

    *good, bad = asyncio.run(together())

    assert 4 in bench.meter.sizes
    assert [bench.value(result)[0] for result in good] == [0, 1, 2]
    assert type(bad.error) is kind
    assert bench.answer("test.together", how="work", number=5)[0] == 5


def test_a_batch_of_the_wrong_length_is_garbage(serve: Serve) -> None:
    bench = serve(Together, options=PoolOptions(most=1, batch_wait_s=SOON_S))

    async def together() -> list[Any]:
        return await asyncio.gather(*(bench.ask("test.together", how="short", number=n) for n in range(4)))

    results = asyncio.run(together())
    assert {type(result.error) for result in results} == {ToolCrashedError}
    assert "0 results for 4 calls" in str(results[0].error)
    assert bench.answer("test.together", how="work", number=5)[0] == 5


def test_a_call_cancelled_in_a_batch_leaves_the_others_their_process(serve: Serve, gate: Gate) -> None:
    @expert("test.meet", resources=Resources(most_batched=2))
    class Meet:
        def load(self, device: str) -> None: ...

        def __call__(self, entry: str, exit_: str, number: int) -> int:
            """Meet.

            Args:
                entry: Where to say that it is there.
                exit_: Where it hears that it may go on.
                number: Comes back.
            """
            return number

        def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[int]:
            wait_at_gate(calls[0]["entry"], calls[0]["exit_"])
            return [call["number"] for call in calls]

    bench = serve(Meet, options=PoolOptions(most=1, batch_wait_s=SOON_S))

    async def story() -> int:
        calls = [asyncio.create_task(bench.ask("test.meet", **gate.paths, number=n)) for n in range(2)]
        await gate.arrivals()
        calls[0].cancel()
        with pytest.raises(asyncio.CancelledError):
            await calls[0]
        gate.open()
        return int(bench.value(await calls[1]))

    assert asyncio.run(story()) == 1
    assert not bench.meter.counts


# An expert that cannot be had


def loader(how: str, mark: str, load_s: float = 60.0) -> Found:
    """Return an expert whose first loading goes wrong."""

    @expert("test.load", resources=Resources(load_s=load_s))
    class Load:
        def load(self, device: str) -> None:
            if first_time(mark):
                if how == "no weights":
                    raise MissingWeightsError("the weights w (MIT) are not on this machine")
                if how == "no module":
                    raise ImportError("no module named 'flux'")
                ACTS[how]()

        def __call__(self) -> int:
            """Work."""
            return os.getpid()

    return Load


@pytest.mark.parametrize(
    ("how", "kind", "said"),
    [
        ("no weights", MissingWeightsError, "the weights w (MIT) are not on this machine"),
        ("no module", ToolUnavailableError, "could not be loaded (ImportError: no module named 'flux')"),
        ("be killed", ToolUnavailableError, "could not be loaded: its process died"),
        ("hang", ToolUnavailableError, "could not be loaded: that took longer than 3 s"),
    ],
)
def test_a_failing_load_is_told_to_all_who_wait_and_tried_again_later(
    serve: Serve, tmp_path: Path, how: str, kind: type[ToolError], said: str
) -> None:
    options = PoolOptions(most=1, cool_s=0.05)
    bench = serve(loader(how, str(tmp_path / "mark"), load_s=3.0), options=options)

    async def two() -> list[Any]:
        return list(await asyncio.gather(bench.ask("test.load"), bench.ask("test.load")))

    for result in asyncio.run(two()):
        assert type(result.error) is kind
        assert said in str(result.error)
    assert bench.answer_when_closed("test.load") > 0


def test_a_slow_start_is_waited_for_within_the_deadline(serve: Serve, tmp_path: Path, gate: Gate) -> None:
    entry, exit_ = gate.entry, gate.exit

    @expert("test.slow_start")
    class SlowStart:
        def load(self, device: str) -> None:
            wait_at_gate(entry, exit_)

        def __call__(self) -> int:
            """Work."""
            return os.getpid()

    bench = serve(SlowStart, options=ONE)
    late = bench.call("test.slow_start", deadline_s=SOON_S)
    gate.open()

    assert isinstance(late.error, ToolTimeoutError)
    assert bench.answer("test.slow_start") == gate.arrival()  # what was loading went on


def test_a_tool_that_needs_what_no_machine_has_is_refused(serve: Serve) -> None:
    @expert("test.far", resources=Resources(placement={"telescope": 1}))
    def far() -> int:
        """Look far."""
        return 1

    result = serve(far, Act, options=ONE).call("test.far")

    assert isinstance(result.error, ToolUnavailableError)
    assert "must run where there is telescope: 1" in str(result.error)


def test_an_expert_that_other_processes_cannot_import_is_refused_with_the_reason(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("only_here")
    exec(compile(ONLY_HERE, "only_here.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    result = serve(module.work, options=ONE).call("test.only_here")

    assert isinstance(result.error, ToolUnavailableError)
    assert "No module named 'only_here'" in str(result.error)


def test_an_expert_that_does_not_survive_its_warm_up_is_not_served(serve: Serve, tmp_path: Path) -> None:
    warm_up = {"how": "be killed", "mark": str(tmp_path / "mark")}
    bench = serve(Act, options=PoolOptions(most=1, cool_s=0.05, warm_up=warm_up))
    result = bench.call("test.act", how="work")

    assert isinstance(result.error, ToolUnavailableError)
    assert "did not survive its warm-up" in str(result.error)
    assert bench.answer_when_closed("test.act", how="work") > 0


# An expert that keeps failing


def test_different_calls_that_crash_in_a_row_open_the_breaker_until_a_probe_succeeds(
    serve: Serve, tmp_path: Path
) -> None:
    bench = serve(Act, options=PoolOptions(most=1, attempts=1, crashes=2, cool_s=3.0))
    crashes = [bench.call("test.act", how=how) for how in ("be killed", "abort")]
    refused = bench.call("test.act", how="work")

    assert [type(result.error) for result in crashes] == [ToolCrashedError, ToolCrashedError]
    assert isinstance(refused.error, ToolUnavailableError)
    assert "2 calls in a row crashed it" in str(refused.error)
    assert "it is tried again in" in str(refused.error)
    assert refused.seconds < SOON_S
    assert bench.meter.levels["spatial_agent_breaker_open"][-1] == 1.0
    assert bench.answer_when_closed("test.act", how="work") > 0
    assert healthy(bench) > 0
    assert bench.meter.levels["spatial_agent_breaker_open"][-1] == 0.0


def test_one_poisonous_call_made_again_and_again_takes_nothing_from_the_others(serve: Serve) -> None:
    bench = serve(Act, options=PoolOptions(most=1, attempts=1, crashes=2, cool_s=600))
    for _ in range(3):
        assert isinstance(bench.call("test.act", how="be killed").error, ToolCrashedError)

    assert healthy(bench) > 0


# The machine under it


CAMERA = {"num_cpus": 1, "resources": {"camera": 1}, "node_ip_address": "127.0.0.1"}
STORE = {"object_store_memory": 80 * 2**20}


@expert("depth.camera", resources=Resources(placement={"camera": 1}))
def camera(entry: str, exit_: str) -> DepthMap:
    """Wait at a gate on a machine with a camera, then give a depth map too large to travel by value.

    Args:
        entry: Where to say that it is there.
        exit_: Where it hears that it may go on.
    """
    wait_at_gate(entry, exit_)
    return DepthMap(np.ones((600, 800), np.float32))


@expert("depth.scaled")
def scaled(depth: DepthMap, factor: float) -> DepthMap:
    """Scale a depth map.

    Args:
        depth: Any depth map.
        factor: What to multiply with.
    """
    return DepthMap(depth.z_m * np.float32(factor))


def test_a_machine_that_dies_in_mid_call_is_replaced_by_another(
    serve: Serve, ray_head: Head, gate: Gate
) -> None:
    bench = serve(camera, options=ONE)
    first = ray_head.add_node(**CAMERA, **STORE)

    async def story() -> Found:
        call = asyncio.create_task(bench.ask("depth.camera", **gate.paths))
        await gate.arrivals()
        second = ray_head.add_node(**CAMERA, **STORE)
        ray_head.remove_node(first, allow_graceful=False)
        await gate.arrivals()
        gate.open()
        return second, await call

    second, result = asyncio.run(story())
    assert bench.value(result).z_m.shape == (600, 800)
    gate.open()
    assert bench.answer("depth.camera", **gate.paths).z_m.shape == (600, 800)
    ray_head.remove_node(second, allow_graceful=True)


@pytest.mark.slow
def test_a_value_lost_with_its_machine_is_told_and_can_be_measured_again(
    serve: Serve, ray_head: Head, gate: Gate
) -> None:
    bench = serve(camera, scaled, options=ONE)
    node = ray_head.add_node(**CAMERA, **STORE)
    gate.open()
    assert bench.call("depth.camera", **gate.paths).handle == "$depth/1"
    ray_head.remove_node(node, allow_graceful=False)
    taken = bench.call("depth.scaled", depth="$depth/1", factor=2.0)

    assert isinstance(taken.error, ToolFailedError)
    assert "lost with the machine that kept it" in str(taken.error)
    with pytest.raises(ToolArgumentError, match="lost with the machine"):
        bench.runner.value("$depth/1")
    second = ray_head.add_node(**CAMERA, **STORE)
    gate.open()
    again = bench.call("depth.camera", **gate.paths).handle
    assert bench.answer("depth.scaled", depth=again, factor=2.0).z_m[0, 0] == 2.0
    ray_head.remove_node(second, allow_graceful=True)


def test_when_the_service_ends_a_running_call_is_refused_and_its_process_goes(
    serve: Serve, gate: Gate, eventually: Callable[..., None]
) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> tuple[int, Found]:
        call = asyncio.create_task(bench.ask("test.gated", **gate.paths))
        (pid,) = await gate.arrivals()
        await asyncio.to_thread(bench.pools.close)
        return pid, await call

    pid, result = asyncio.run(story())
    assert isinstance(result.error, ToolUnavailableError)
    eventually(lambda: not psutil.pid_exists(pid))


def test_wrong_arguments_never_reach_a_process(serve: Serve) -> None:
    bench = serve(Act, options=ONE)

    assert isinstance(bench.call("test.act", how=3).error, ToolArgumentError)
    assert not bench.pools.replicas("test.act")
    assert healthy(bench) > 0
