"""Models that die, refuse, cost too much, take too long, or write what can hardly be written down."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.agent.models.chat import ChatReply, ChatRequest, OnText
from spatial_agent.agent.models.scripted import Scripted, ScriptedReply
from spatial_agent.agent.trace import read_trace
from spatial_agent.tools.errors import ModelUnavailableError
from tests.agent.golden.harness import BUDGET, Golden, golden
from tests.agent.golden.honest import ByTools, Careful
from tests.agent.golden.hostile import Restless, dying, expensive, refusing
from tests.agent.golden.questions import (
    Asked,
    differences,
    measured_in_rooms,
    open_questions,
    refused_in_rooms,
)
from tests.agent.golden.reading import Request

NUMBER, CARPET, PIANO = measured_in_rooms()[0], open_questions()[2], refused_in_rooms()[0]
TOWER = differences()[0]
LOST = "the model took no further part"


@pytest.mark.parametrize("after", range(4))
def test_a_model_that_dies_leaves_the_measured_answer(agent: Golden, after: int) -> None:
    run = agent.ask(NUMBER, dying(after)).check("right")
    is_lost = any(LOST in words for words in run.answer.degraded)
    assert is_lost == (after < 2)
    assert run.answer.decided_by == ("evidence" if is_lost else "both")


@pytest.mark.parametrize("after", range(1, 5))
def test_a_model_that_dies_while_it_plans_leaves_a_refusal_or_the_answer(agent: Golden, after: int) -> None:
    run = agent.ask(CARPET, dying(after)).check("right" if after == 4 else "refused")
    assert any("the server went down" in words for words in run.answer.degraded) == (after < 4)


def test_a_dead_model_that_nothing_can_stand_in_for_is_an_error(agent: Golden) -> None:
    with pytest.raises(ModelUnavailableError, match="the server went down; start it"):
        agent.ask(CARPET, dying(0))


@pytest.mark.parametrize("after", range(4))
def test_what_has_no_answer_has_none_without_the_model_either(agent: Golden, after: int) -> None:
    agent.ask(PIANO, dying(after)).check("refused")


def test_a_request_that_is_refused_leaves_the_measured_answer(agent: Golden) -> None:
    run = agent.ask(NUMBER, refusing()).check("right")
    assert any("too long for the server" in words for words in run.answer.degraded)
    assert agent.ask(CARPET, refusing()).check("refused").answer.evidence


@pytest.mark.parametrize("asked", [NUMBER, CARPET, PIANO], ids=lambda asked: asked.name)
def test_a_dear_model_is_asked_no_more_once_the_tokens_are_spent(agent: Golden, asked: Asked) -> None:
    run = agent.ask(asked, expensive(Restless(), tokens=50_000))
    run.check("right" if asked is NUMBER else "refused")
    assert len(run.of("model_request")) <= 3


def test_a_run_without_a_token_answers_from_evidence(tmp_path: Path) -> None:
    with golden(tmp_path, replace(BUDGET, tokens=1)) as poor:
        run = poor.ask(NUMBER, Careful()).check("right")
        assert (run.answer.tokens, run.requested) == (0, [])
        assert any("tokens are left" in words for words in run.answer.degraded)


class Slow(Scripted):
    """Takes for ever whenever it is asked for one thing."""

    def __init__(self, purpose: str) -> None:
        super().__init__(ByTools())
        self._purpose = purpose

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        if request.purpose == self._purpose:
            await asyncio.Event().wait()
        return await super().reply(request, on_text)


@pytest.mark.parametrize(
    ("purpose", "asked"), [("formalise", NUMBER), ("plan", CARPET), ("answer", NUMBER), ("answer", CARPET)]
)
def test_a_slow_model_ends_with_the_seconds_of_the_run(tmp_path: Path, purpose: str, asked: Asked) -> None:
    with golden(tmp_path, replace(BUDGET, seconds=0.6)) as hurried:
        run = hurried.ask(asked, Slow(purpose)).check("right" if asked is NUMBER else "refused")
        assert any("0.6 s" in words for words in (run.answer.reason or "", *run.answer.degraded))


def test_a_run_whose_process_died_is_resumed_where_it_was(tmp_path: Path) -> None:
    asked: list[str] = []

    def crashing(request: ChatRequest) -> ScriptedReply:
        asked.append(request.purpose)
        if asked.count("plan") == 2:
            raise RuntimeError("power cut")
        return ByTools()(request)

    with golden(tmp_path) as first, pytest.raises(RuntimeError, match="power cut"):
        first.ask(CARPET, Scripted(crashing))
    with golden(tmp_path) as second:
        assert second.agent is not None
        second.model.played = Scripted(ByTools())
        run_id = next(tmp_path.glob("*.jsonl")).stem
        answer = second.agent.resume(run_id)
        kinds = [step.kind for step in read_trace(second.agent.trace_path(run_id))]
    assert answer.value == pytest.approx(CARPET.truth)
    assert kinds.count("formalise") == 1


class Odd(ByTools):
    """Says something odd for one purpose, or whatever it is asked."""

    def __init__(self, said: ScriptedReply, purpose: str | None = None) -> None:
        self._said = said
        self.purpose = purpose

    def __call__(self, request: ChatRequest) -> ScriptedReply:
        is_planned = self.purpose == "plan" and Request(request).results
        if self.purpose in (None, request.purpose) and not is_planned:
            return self._said
        return super().__call__(request)


def nested(depth: int) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for _ in range(depth):
        document = {"a": document}
    return document


def call(tool: str, **arguments: object) -> Mapping[str, Any]:
    return {"calls": [{"tool": tool, "arguments": arguments}]}


def answered(answer: object, unit: str = "m", *cites: str) -> Mapping[str, Any]:
    return {"document": {"reason": "", "answer": answer, "unit": unit, "cites": list(cites)}}


LIE = call("program", source="answer(42.0, unit='m', low=41.9, high=42.1)")
ODD: dict[str, Odd] = {
    "half a character": Odd('\ud800 {"answer": "\ud800"}'),
    "half a character in arguments": Odd(call("distance", a="\ud800", b="tv"), "plan"),
    "half a character as a tool": Odd(call("\udfff"), "plan"),
    "control characters": Odd("\x00\x1b[31m\u202e"),
    "arguments nested too deep": Odd(call("distance", a=nested(700)), "plan"),
    "a document nested too deep": Odd({"document": nested(700)}),
    "infinity": Odd(answered("1e999"), "answer"),
    "not a number": Odd(answered(float("nan")), "answer"),
    "a number of 4000 digits": Odd(answered("9" * 4000), "answer"),
    "not a number as an argument": Odd(call("distance", a="sofa", b="tv", unit=float("nan")), "plan"),
    "a thousand calls": Odd(
        {"calls": [*call("room")["calls"], *(call("size", of=str(k))["calls"][0] for k in range(999))]},
        "plan",
    ),
    "calls with one id": Odd({"calls": [{"id": "x", **call("room")["calls"][0]} for _ in range(3)]}, "plan"),
    "a tool's name of 100 kB": Odd(call("x" * 100_000), "plan"),
    "arguments of 20 kB": Odd(call("distance", a="sofa " * 4000, b="tv"), "plan"),
    "a template": Odd(answered("{{unit}} {0} %s $x"), "answer"),
    "a bare number": Odd({"document": 7}),
    "a list": Odd({"document": [1, [2]]}),
    "a unit that nobody knows": Odd(answered("3.46", "furlong", "e1"), "answer"),
    "a cost below nothing": Odd(dict(answered("1")) | {"usage": {"input_tokens": -(10**9)}}, "answer"),
}


@pytest.mark.parametrize("said", ODD)
def test_odd_replies_end_no_run(agent: Golden, said: str) -> None:
    if ODD[said].purpose != "plan":  # nobody plans what a skill answers
        agent.ask(NUMBER, ODD[said]).check("right")
    agent.ask(TOWER, ODD[said]).check("right", "refused", "unmeasured", "cited")


def test_a_program_that_measures_nothing_is_not_taken_for_a_measurement(agent: Golden) -> None:
    class Liar(Odd):
        def answer(self, request: Request) -> ScriptedReply:
            return answered("42", "m", *(row.id for row in request.rows))

    run = agent.ask(CARPET, Liar(LIE, "plan")).check("refused", "unmeasured")
    assert "program" in run.called


@pytest.mark.slow
def test_a_program_without_end_is_ended(tmp_path: Path) -> None:
    with golden(tmp_path, replace(BUDGET, call_seconds=2.0)) as patient:
        run = patient.ask(CARPET, Odd(call("program", source="while True: pass"), "plan")).check("refused")
        assert run.answer.seconds < 20
