"""Calls that die or never end: they end in an answer or a refusal, and the next call is served."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray")

from misbehaving import ONE, SOON_S, Act, Found, Gate, Serve, gated, healthy, once
from ray import cloudpickle

from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.tools.contract import Resources, ToolCall
from spatial_agent.tools.errors import (
    ToolCrashedError,
    ToolTimeoutError,
)
from spatial_agent.tools.registry import expert

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]


# A call that dies


@pytest.mark.parametrize(
    ("how", "attempts"), [("be killed", 2), ("touch bad memory", 1), ("abort", 1), ("leave at once", 1)]
)
def test_a_call_that_always_kills_its_process_crashes_and_the_next_is_served(
    serve: Serve, how: str, attempts: int
) -> None:
    bench = serve(Act, options=PoolOptions(most=1, attempts=attempts))
    result = bench.call("test.act", how=how)

    assert isinstance(result.error, ToolCrashedError)
    assert "test.act crashed (its process died)" in str(result.error)
    assert bench.meter.counts["crash"] == attempts
    assert healthy(bench) > 0


def test_a_process_killed_in_mid_call_is_replaced_and_the_call_made_again(serve: Serve, gate: Gate) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> Found:
        call = asyncio.create_task(bench.ask("test.gated", **gate.paths, name="a"))
        (pid,) = await gate.arrivals()
        os.kill(pid, signal.SIGKILL)
        (second,) = await gate.arrivals()
        gate.open()
        return pid != second, bench.value(await call)

    assert asyncio.run(story()) == (True, "a")


def test_a_call_that_must_not_be_made_twice_is_not(serve: Serve, tmp_path: Path) -> None:
    bench = serve(once, options=ONE)
    log = tmp_path / "log"
    result = bench.call("test.once", how="be killed", log=str(log))

    assert isinstance(result.error, ToolCrashedError)
    assert log.read_text() == "started "
    assert healthy(bench, "test.once", log=str(log)) > 0


def test_an_idle_process_that_is_killed_is_replaced_for_the_next_call(
    serve: Serve, eventually: Callable[..., None]
) -> None:
    bench = serve(Act, options=ONE)
    first = healthy(bench)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: not bench.pools.replicas("test.act"))

    assert healthy(bench) != first


def test_a_process_killed_while_it_is_idle_and_unnoticed_costs_the_call_nothing(serve: Serve) -> None:
    bench = serve(Act, options=ONE)
    first = healthy(bench)
    os.kill(first, signal.SIGKILL)

    assert healthy(bench) != first


# A call that never ends


@pytest.mark.parametrize(
    "how",
    [
        "hang",
        pytest.param("hold the interpreter", marks=pytest.mark.slow),
        pytest.param("be deaf", marks=pytest.mark.slow),
        pytest.param("stop", marks=pytest.mark.slow),
    ],
)
def test_a_call_that_hangs_is_stopped_at_its_deadline(
    serve: Serve, eventually: Callable[..., None], how: str
) -> None:
    bench = serve(Act, options=ONE)
    first = healthy(bench)
    result = bench.call("test.act", how=how, deadline_s=SOON_S)

    assert isinstance(result.error, ToolTimeoutError)
    assert str(result.error).startswith("test.act did not finish within 1 s")
    assert healthy(bench) != first
    eventually(lambda: not psutil.pid_exists(first))


def test_a_call_that_names_no_deadline_has_its_tools(serve: Serve) -> None:
    @expert("test.slow", resources=Resources(deadline_s=SOON_S))
    def slow(seconds: float) -> int:
        """Sleep.

        Args:
            seconds: For how long.
        """
        time.sleep(seconds)
        return os.getpid()

    bench = serve(slow, options=ONE)
    first = bench.answer("test.slow", seconds=0.0)
    result = asyncio.run(bench.runner.call(ToolCall("c", "test.slow", {"seconds": 1000.0})))

    assert isinstance(result.error, ToolTimeoutError)
    assert result.seconds < 30
    assert bench.answer("test.slow", seconds=0.0) != first


def test_a_deadline_that_passes_in_the_queue_costs_the_call_before_it_nothing(
    serve: Serve, gate: Gate
) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> tuple[Found, Found]:
        working = asyncio.create_task(bench.ask("test.gated", **gate.paths, name="working"))
        await gate.arrivals()
        waiting = await bench.ask("test.gated", **gate.paths, name="waiting", deadline_s=SOON_S)
        gate.open()
        return waiting, bench.value(await working)

    waiting, working = asyncio.run(story())
    assert isinstance(waiting.error, ToolTimeoutError)
    assert "still waiting for a free process" in str(waiting.error)
    assert working == "working"


def test_a_cancelled_call_frees_its_process(
    serve: Serve, gate: Gate, eventually: Callable[..., None]
) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> int:
        call = asyncio.create_task(bench.ask("test.gated", **gate.paths))
        (pid,) = await gate.arrivals()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return int(pid)

    first = asyncio.run(story())
    eventually(lambda: not psutil.pid_exists(first))
    gate.open()
    assert bench.answer("test.gated", **gate.paths, name="next") == "next"


def test_a_call_cancelled_in_the_queue_is_never_made(serve: Serve, gate: Gate) -> None:
    bench = serve(gated, options=ONE)

    async def story() -> tuple[str, str]:
        working = asyncio.create_task(bench.ask("test.gated", **gate.paths, name="working"))
        (first,) = await gate.arrivals()
        waiting = asyncio.create_task(bench.ask("test.gated", **gate.paths))
        await bench.queued(1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        last = asyncio.create_task(bench.ask("test.gated", **gate.paths, name="last"))
        gate.open(2)
        (second,) = await gate.arrivals()
        assert first == second
        return bench.value(await working), bench.value(await last)

    assert asyncio.run(story()) == ("working", "last")
