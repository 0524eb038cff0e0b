"""Asks golden questions of scripted models, and holds what comes back against what is true and allowed."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.agent.answer import Answer
from spatial_agent.agent.models.chat import ChatModel, ChatReply, ChatRequest, ModelLimits, OnText, ToolOffer
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.agent.running import Wiring
from spatial_agent.agent.situation import Interface
from spatial_agent.agent.state import Budget
from spatial_agent.agent.trace import Step, read_trace
from spatial_agent.services.program_tool import SandboxedPrograms
from spatial_agent.services.sandboxes import open_sandbox
from spatial_agent.services.settings import Settings
from spatial_agent.tools.contract import Json
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry
from spatial_agent.tools.scene import UNITS, convert
from tests.agent.golden.honest import Player
from tests.agent.golden.questions import Asked
from tests.agent.golden.rooms import Places

Verdict = Literal["right", "refused", "unmeasured", "cited", "WRONG"]
#: What a run may use; the loops of scripted models run into it.
BUDGET = Budget(turns=6, calls=12, seconds=30.0, tokens=120_000, pictures=3)
#: Words by which an answer owns that nothing measured carries it.
OWNED = ("not measured", "concluded by the model")
#: What begins a picture that is encoded in text, and what is as long as one.
ENCODED = re.compile(r"data:image|iVBORw0KGgo|/9j/4AAQ")
RUN_ON = re.compile(r"[A-Za-z0-9+/=]{3000,}")
#: Longest line of a trace without what a model wrote itself, characters.
LONGEST_LINE = 60_000
#: Numbers for people are as precise as their margin allows.
UNROUNDED = re.compile(r"\d\.\d{5}")
TRACED = ("load", "formalise", "answer")
#: What a run may take beyond its time: to end what it is in the middle of, on a busy machine.
PATIENCE_S = 3.0


class Switch:
    """A model that plays another one, so that many can be tried with one agent."""

    def __init__(self) -> None:
        self.played: ChatModel | None = None
        self.is_sighted = False
        self.name = "switch"

    @property
    def limits(self) -> ModelLimits:
        return ModelLimits(picture_side_px=480, most_pictures=8 if self.is_sighted else 0)

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        assert self.played is not None
        return await self.played.reply(request, on_text)

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class Run:
    """What came of a question."""

    asked: Asked
    answer: Answer
    steps: list[Step]
    budget: Budget

    def of(self, kind: str) -> list[Any]:
        """Return the data of the steps of a kind."""
        return [step.data for step in self.steps if step.kind == kind]

    @property
    def verdict(self) -> Verdict:
        """Whether the answer is right, refused, owned to be unmeasured, or asserts what is not so.

        ``"cited"`` is a measurement of something else, told as what it measures, that the model takes for the
        answer to an open question, which the reason says.
        """
        answer = self.answer
        if answer.abstained:
            assert answer.reason, "a refusal says why"
            assert (answer.value, answer.choice) == (None, None)
            return "refused"
        if self.asked.truth is not None and is_true(self.asked, answer):
            return "right"
        reason = answer.reason or ""
        ends = {answer.low, answer.high, answer.margin}
        owned = answer.decided_by == "model" and ends == {None} and any(words in reason for words in OWNED)
        if owned:
            return "unmeasured"
        cited = re.search(r"the model takes (e\d+) to be the answer", reason)
        told = [item["claim"] for item in answer.evidence if cited and item["id"] == cited[1]]
        return "cited" if told and answer.text.startswith(str(told[0])) else "WRONG"

    @property
    def requested(self) -> list[str]:
        """What the model was asked for, request by request."""
        return [str(data["purpose"]) for data in self.of("model_request")]

    @property
    def called(self) -> list[str]:
        """The tools that were called by a plan."""
        return [str(call["tool"]) for data in self.of("plan") for call in data["calls"]]

    def check(self, *allowed: Verdict) -> "Run":
        """Check the answer, the budget and the trace."""
        assert self.verdict in allowed, (self.asked.name, self.asked.truth, self.answer)
        assert not UNROUNDED.search(f"{self.answer.text} {self.answer.reason}"), self.answer
        if self.verdict == "refused" and self.asked.refusal:
            assert re.search(self.asked.refusal, self.answer.reason or "", re.DOTALL), self.answer.reason
        self._check_budget()
        self._check_trace()
        return self

    def _check_budget(self) -> None:
        budget = self.budget
        assert len(self.called) <= budget.calls
        assert len(self.of("execute")) <= budget.turns
        used = [reply["usage"] for reply in self.of("model_reply") if "usage" in reply]
        tokens = [usage["input_tokens"] + usage["output_tokens"] for usage in used]
        assert self.answer.tokens == sum(tokens)
        # What a request costs is known only when it was answered.
        assert budget.tokens is None or sum(tokens[:-1]) <= budget.tokens
        assert budget.seconds is None or self.answer.seconds <= budget.seconds + PATIENCE_S
        for request in self.of("model_request"):
            pictures = [part for part in parts_of(request) if isinstance(part, dict)]
            # One more shows a contradiction.
            assert len(pictures) <= budget.pictures + (request["purpose"] == "reconsider")

    def _check_trace(self) -> None:
        kinds = [step.kind for step in self.steps]
        assert kinds[0] == "question"
        assert kinds[-1] == "finished"
        assert [step.number for step in self.steps] == list(range(len(self.steps)))
        assert all(kind in kinds for kind in TRACED)
        calls, results = self.of("call"), self.of("result")
        assert sorted(call["id"] for call in calls) == sorted(result["call_id"] for result in results)
        requests, replies = self.of("model_request"), self.of("model_reply")
        assert [item["number"] for item in requests] == [item["number"] for item in replies]
        for request in requests:
            for part in parts_of(request):
                assert isinstance(part, str) or set(part["picture"]) == {
                    "width",
                    "height",
                    "sha256",
                    "caption",
                }
        for step in self.steps:
            line = json.dumps(step.data, allow_nan=False)
            assert not ENCODED.search(line)
            if step.kind != "model_reply":
                assert not RUN_ON.search(line)
                assert len(line) <= LONGEST_LINE, step.kind
        json.dumps(self.answer.to_json(), allow_nan=False)
        # What the answer rests on is what tools found out.
        found = {item["finding"]["claim"] for result in results for item in result.get("evidence") or ()}
        assert {item["claim"] for item in self.answer.evidence} <= found


def parts_of(request: dict[str, Any]) -> Iterator[Any]:
    """Yield the parts of all messages of a recorded request."""
    for message in request["messages"]:
        yield from message["parts"]


def is_true(asked: Asked, answer: Answer) -> bool:
    """Return whether an answer is what is true, its margin included."""
    truth: Json = asked.truth
    if asked.options:
        return bool(answer.choice == truth and answer.text == truth)
    if isinstance(truth, bool) or not isinstance(truth, int | float):
        return bool(answer.value == truth) and type(answer.value) is type(truth)
    if not isinstance(answer.value, int | float) or isinstance(answer.value, bool) or asked.unit is None:
        return False
    value = float(answer.value)
    unit = answer.unit or asked.unit
    if UNITS[unit][0] != UNITS[asked.unit][0]:
        return False
    value = convert(value, unit, asked.unit)
    return abs(value - truth) <= asked.margin


@dataclass
class Golden:
    """An agent over the golden places whose model can be changed.

    Attributes:
        folder: Where runs are kept.
        budget: What a run may use.
        interface: How models act.
        registry: The tools.
    """

    folder: Path
    budget: Budget = BUDGET
    interface: Interface = "tools"
    registry: Registry = field(default_factory=Registry)
    agent: SpatialAgent | None = None
    model: Switch = field(default_factory=Switch)

    def ask(self, asked: Asked, model: ChatModel | Player, *, sighted: bool = False) -> Run:
        """Ask a question of a model, or of a player of one; drawing pictures takes most of the time."""
        assert self.agent is not None
        self.model.played = Scripted(model) if isinstance(model, Player) else model
        self.model.is_sighted = sighted
        answer = self.agent.ask(asked.place, asked.text, options=asked.options)
        return Run(asked, answer, list(read_trace(self.agent.trace_path(answer.trace_id))), self.budget)


@contextmanager
def golden(
    folder: Path,
    budget: Budget = BUDGET,
    interface: Interface = "tools",
    tools: Registry | None = None,
) -> Iterator[Golden]:
    """Open an agent over the golden places."""
    made = Golden(folder, budget, interface, tools or shipped())
    programs = SandboxedPrograms(lambda: open_sandbox(Settings(sandbox="auto")))
    wiring = Wiring(
        scenes=Places(),
        make_runner=lambda: LocalRunner(made.registry),
        runs_folder=folder,
        model=made.model,
        interface=interface,
        offers=(*offers(made.registry), programs.offer),
        programs=programs,
        budget=budget,
    )
    with SpatialAgent(wiring, on_close=programs.close) as agent:
        made.agent = agent
        yield made


@cache
def shipped() -> Registry:
    """Return the tools that ship with the library."""
    return Registry.from_entry_points()


def offers(tools: Registry) -> Sequence[ToolOffer]:
    """Return the tools that need no weights, skills first."""
    known = sorted((tools.get(name) for name in tools), key=lambda tool: (tool.kind != "skill", tool.name))
    return [
        ToolOffer(tool.name, tool.spec.description, tool.spec.parameters)
        for tool in known
        if not tool.weights
    ]


def ids(questions: Sequence[Asked]) -> list[Any]:
    """Return questions as parameters of a test."""
    return [pytest.param(asked, id=asked.name) for asked in questions]
