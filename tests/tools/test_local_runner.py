"""What the in-process runner does beyond the runners' conformance suite: it keeps the loop free."""

import asyncio
import threading

import pytest

from spatial_agent.tools.contract import ToolCall
from spatial_agent.tools.errors import StoppedError, ToolArgumentError, ToolFailedError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.progress import report
from spatial_agent.tools.registry import Registry, expert
from spatial_agent.tools.scene import Measurement, SceneMap


def test_calls_run_side_by_side() -> None:
    meeting = threading.Barrier(2, timeout=10)

    @expert("test.meet")
    def meet() -> str:
        """Wait for the other call."""
        meeting.wait()
        return "met"

    registry = Registry()
    registry.add(meet)
    runner = LocalRunner(registry)

    async def both() -> list[object]:
        results = await asyncio.gather(
            runner.call(ToolCall("a", "test.meet")), runner.call(ToolCall("b", "test.meet"))
        )
        return [runner.value(result.handle or "") for result in results]

    assert asyncio.run(both()) == ["met", "met"]


def test_an_impossible_value_is_a_failure_the_planner_reads() -> None:
    @expert("test.bad")
    def bad() -> Measurement:
        """Measure nonsense."""
        return Measurement(1.0, "parsec", 0.0, 2.0, "guess")

    registry = Registry()
    registry.add(bad)
    result = asyncio.run(LocalRunner(registry).call(ToolCall("c", "test.bad")))

    assert isinstance(result.error, ToolFailedError)
    assert "unknown unit 'parsec'" in str(result.error)


def test_a_reference_to_the_wrong_type_names_both_types() -> None:
    @expert("test.look")
    def look(scene: SceneMap) -> str:
        """Look."""
        return scene.scene_id

    registry = Registry()
    registry.add(look)
    runner = LocalRunner(registry)
    reference = runner.keep("number", 3)
    result = asyncio.run(runner.call(ToolCall("c", "test.look", {"scene": reference})))

    assert isinstance(result.error, ToolArgumentError)
    assert "must be a SceneMap, $number is a int" in str(result.error)


def test_work_that_nobody_waits_for_stops_at_its_next_report() -> None:
    started, stopped = threading.Event(), threading.Event()

    @expert("test.long")
    def long() -> str:
        """Work until stopped."""
        try:
            while True:
                started.set()
                report("steps", 1, 2)
        except StoppedError:
            stopped.set()
            raise

    registry = Registry()
    registry.add(long)

    async def impatient() -> None:
        call = asyncio.ensure_future(LocalRunner(registry).call(ToolCall("c", "test.long")))
        await asyncio.to_thread(started.wait, 10)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(impatient())
    assert stopped.wait(10)


def test_the_errors_of_tools_come_back_as_they_were_raised() -> None:
    raised = ToolFailedError("nothing is in view")

    @expert("test.blind")
    def blind() -> str:
        """See nothing."""
        raise raised

    registry = Registry()
    registry.add(blind)
    result = asyncio.run(LocalRunner(registry).call(ToolCall("c", "test.blind")))

    assert result.error is raised
    assert raised.__cause__ is None
