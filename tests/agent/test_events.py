"""Watching a run: typed events in order, words as they are written, and leaving early."""

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.events import Answered, Event, StageDone, Started, ToolEnded, ToolStarted, Wrote
from spatial_agent.agent.models.chat import ChatReply, ChatRequest
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.tools.contract import ToolCall, ToolResult
from spatial_agent.tools.errors import QuestionError
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from tests.agent.test_agent import make_agent

QUESTION = "How many chairs are there?"
STAGES = ["load", "formalise", "plan", "execute", "verify", "compose", "answer"]


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[SpatialAgent]:
    with make_agent(tmp_path) as made:
        yield made


def check(events: list[Event]) -> None:
    assert isinstance(events[0], Started)
    assert [event.stage for event in events if isinstance(event, StageDone)] == STAGES
    (started,) = [event for event in events if isinstance(event, ToolStarted)]
    (ended,) = [event for event in events if isinstance(event, ToolEnded)]
    assert (started.tool, started.arguments["kind"]) == ("count", "chairs")
    assert (ended.call_id, ended.error) == (started.call_id, None)
    assert ended.claims == ("2 found for 'chairs': chair-1, chair-2.",)
    assert events.index(started) < events.index(ended)
    answered = events[-1]
    assert isinstance(answered, Answered)
    assert answered.answer.value == 2
    assert answered.answer.trace_id == events[0].run


def test_events_come_in_order_and_end_with_the_answer(agent: SpatialAgent) -> None:
    check(list(agent.stream("room", QUESTION)))


def test_events_come_on_any_event_loop(agent: SpatialAgent) -> None:
    async def watched() -> list[Event]:
        return [event async for event in agent.astream("room", QUESTION)]

    check(asyncio.run(watched()))


def test_a_failed_tool_says_why(agent: SpatialAgent) -> None:
    events = list(agent.stream("room", "How tall is the piano?"))
    (ended,) = [event for event in events if isinstance(event, ToolEnded)]
    assert "piano" in (ended.error or "")


def test_what_cannot_be_understood_is_refused_at_once(agent: SpatialAgent) -> None:
    with pytest.raises(QuestionError, match="what can be asked"):
        next(agent.stream("room", "Please frobnicate the sofa"))


def test_an_error_in_the_run_reaches_who_watches(tmp_path: Path) -> None:
    class Broken(LocalRunner):
        async def call(self, call: ToolCall) -> ToolResult:
            raise RuntimeError("power cut")

    with make_agent(tmp_path, make_runner=lambda: Broken(Registry.from_entry_points())) as agent:
        events = agent.stream("room", QUESTION)
        with pytest.raises(RuntimeError, match="power cut"):
            list(events)


@pytest.mark.parametrize("leave", [lambda events: events.close(), lambda events: events.throw(ValueError)])
def test_leaving_early_cancels_the_run(tmp_path: Path, leave: Callable[[object], None]) -> None:
    cancelled = threading.Event()

    class Waiting(LocalRunner):
        async def call(self, call: ToolCall) -> ToolResult:
            try:
                await asyncio.Event().wait()
            finally:
                cancelled.set()
            raise AssertionError

    with make_agent(tmp_path, make_runner=lambda: Waiting(Registry.from_entry_points())) as agent:
        events = agent.stream("room", QUESTION)
        list(itertools.takewhile(lambda event: not isinstance(event, ToolStarted), events))
        with contextlib.suppress(ValueError):
            leave(events)
        assert cancelled.wait(10)


def test_the_words_of_an_answer_come_as_they_are_written_and_those_of_plans_do_not(tmp_path: Path) -> None:
    def reply(request: ChatRequest) -> ChatReply | str:
        return "not a task" if request.purpose == "formalise" else '{"answer": "2", "cites": ["e1"]}'

    with make_agent(tmp_path, model=Scripted(reply)) as agent:
        events = list(agent.stream("room", QUESTION))
    written = "".join(event.text for event in events if isinstance(event, Wrote))
    assert written == '{"answer": "2", "cites": ["e1"]}'
    last = events[-1]
    assert isinstance(last, Answered)
    assert (last.answer.value, last.answer.decided_by) == (2, "both")
