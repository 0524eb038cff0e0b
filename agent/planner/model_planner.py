"""What to call next: the skills that a task needs first, then what the model thinks of."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from spatial_agent.agent.executor import is_own
from spatial_agent.agent.models.chat import ChatModel, ChatReply, ChatRequest, Message, ToolOffer, ToolRequest
from spatial_agent.agent.planner.call_checks import arguments_of, problem_of
from spatial_agent.agent.planner.conversation import (
    MOST_SAID,
    NOT_CALLED,
    conversation,
    own_turns,
    refusals,
)
from spatial_agent.agent.planner.loops import fingerprint, is_fruitless, made_before
from spatial_agent.agent.planner.offers import IMAGINING, compact, usable, within
from spatial_agent.agent.planner.planning import measured_by, plan_calls
from spatial_agent.agent.situation import PROGRAM, Interface, Situation, Step, next_call_id
from spatial_agent.tools.contract import ToolCall
from spatial_agent.tools.scene import Picture

#: First letter of the ids of the calls that another reading of the question needs.
OTHER = "d"
#: How often a model may write calls in one turn: once, and once more where none of them could be made.
ATTEMPTS = 2
#: Calls of one reply that are looked at.
MOST_REQUESTS = 16
#: The part of a model's context that the descriptions of tools may fill, one in so many.
OFFERS_SHARE = 4
#: Longest reply, tokens; programs are long.
MOST_TOKENS = 1500


#: Draws the pictures that a model may look at.
Look = Callable[[], Awaitable[Sequence[Picture]]]


class ModelPlanner:
    """Decides what to call; keeps nothing between calls, so one serves any number of runs."""

    async def next_step(
        self,
        situation: Situation,
        model: ChatModel | None,
        offers: Sequence[ToolOffer],
        interface: Interface,
        look: Look | None = None,
    ) -> Step:
        """Return what to call next, or none where enough is known or nothing more can be done.

        First come the skills that the task needs, for both readings where there are two; then what the
        verifier wants; then, for an open task or where the task's own calls failed, what the model calls.

        Args:
            situation: What is known.
            model: Calls tools; None where there is none, or none any more.
            offers: Tools that it may call, skills first.
            interface: How it acts; ``"single-pass"`` lets it call nothing.
            look: Draws what the model may look at; called only where the model is asked.

        Raises:
            ModelError: If the model fails.
            BudgetExceededError: If the run may not ask the model any more.
        """
        calls = _own_calls(situation) or _wanted(situation)
        if calls or model is None or interface == "single-pass" or not _is_open(situation):
            return Step(calls)
        stopped = _spent(situation)
        if stopped:
            return Step(stopped=stopped)
        return await _ModelTurn(situation, tuple(offers), interface, look).ask(model)


def _own_calls(situation: Situation) -> tuple[ToolCall, ...]:
    """Return the calls that the task needs, in the first round; those of another reading where allowed."""
    if situation.turns or situation.scene is None:
        return ()
    task, other = situation.reading.task, situation.reading.other
    calls = plan_calls(task, situation.scene_reference)
    if other is None:
        return calls
    known = measured_by(task)
    further = plan_calls(other, situation.scene_reference, prefix=OTHER)
    new = [call for call, what in zip(further, measured_by(other), strict=True) if what not in known]
    return calls + tuple(new[: max(0, situation.left.calls - len(calls))])


def _wanted(situation: Situation) -> tuple[ToolCall, ...]:
    """Return what the verifier wants and nobody has called yet."""
    called = {call.id for turn in situation.turns for call in turn.calls}
    new = [call for call in situation.wanted if call.id not in called]
    return tuple(new[: max(0, situation.left.calls)])


def _is_open(situation: Situation) -> bool:
    """Return whether there is anything left for a model to find out."""
    failed = any(is_own(str(failure["call_id"])) for failure in situation.failures)
    return failed or situation.scene is None or situation.reading.task.intent == "open"


def _spent(situation: Situation) -> str | None:
    left = situation.left
    if left.turns < 1:
        return "all turns are used up"
    if left.calls < 1:
        return "all calls are used up"
    if left.tokens is not None and left.tokens < 1:
        return "all tokens of the model are used up"
    return "nothing worked for several turns" if is_fruitless(own_turns(situation)) else None


@dataclass(frozen=True)
class _Sorted:
    """What a model asked for: what can be called, and what cannot, with the reasons."""

    calls: tuple[ToolCall, ...]
    refused: tuple[ToolRequest, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _ModelTurn:
    """One turn of a model."""

    situation: Situation
    offers: tuple[ToolOffer, ...]
    interface: Interface
    look: Look | None

    async def ask(self, model: ChatModel) -> Step:
        """Return the calls that the model wants and that can be made."""
        usable_now = usable(self.offers, self.situation, self.interface)
        if not usable_now:
            return Step(stopped=_no_tools(self.interface))
        shown = within(tuple(map(compact, usable_now)), model.limits.context_tokens // OFFERS_SHARE)
        usable_now = usable_now[: len(shown)]
        callable_in_programs = [offer for offer in self.offers if offer.name != PROGRAM]
        pictures = () if self.look is None else await self.look()
        messages = conversation(self.situation, callable_in_programs, self.interface, pictures)
        said = ""
        problems: tuple[str, ...] = ()
        for _ in range(ATTEMPTS):
            reply = await model.reply(ChatRequest(messages, "plan", tools=shown, most_tokens=MOST_TOKENS))
            said = reply.text.strip()[:MOST_SAID]
            if not reply.requests:
                return Step(said=said)
            sorted_ = self._sorted(reply.requests[:MOST_REQUESTS], usable_now)
            if sorted_.calls:
                return Step(sorted_.calls, said + _note(sorted_))
            problems = sorted_.problems
            messages = (*messages, *_refused(reply, sorted_))
        return Step(said=said, stopped=f"no call of the model can be made: {problems[0]}")

    def _sorted(self, requests: Sequence[ToolRequest], offers: Sequence[ToolOffer]) -> _Sorted:
        calls: list[ToolCall] = []
        refused: list[ToolRequest] = []
        problems: list[str] = []
        for request in requests:
            sorted_ = self._checked(request, offers, calls)
            if isinstance(sorted_, ToolCall):
                calls.append(sorted_)
            else:
                refused.append(request)
                problems.append(sorted_)
        return _Sorted(tuple(calls), tuple(refused), tuple(problems))

    def _checked(
        self, request: ToolRequest, offers: Sequence[ToolOffer], calls: Sequence[ToolCall]
    ) -> ToolCall | str:
        """Return the call that a request amounts to, or why it is not made."""
        problem = problem_of(request, offers, self.situation)
        if problem is not None:
            return problem
        offer = next(offer for offer in offers if offer.name == request.tool)
        arguments = arguments_of(request, offer, self.situation)
        call = ToolCall(next_call_id(self.situation, len(calls) + 1), request.tool, arguments)
        return self._untimely(call, calls) or call

    def _untimely(self, call: ToolCall, calls: Sequence[ToolCall]) -> str | None:
        """Return why a call that could be made is not made now."""
        left = self.situation.left
        if fingerprint(call) in map(fingerprint, calls):
            return "the same call stands twice"
        if len(calls) >= left.calls:
            return f"only {left.calls} more calls may be made"
        views = sum(_imagines(earlier) for earlier in calls)
        if _imagines(call) and views >= left.views:
            return f"only {left.views} more views may be imagined"
        return made_before(call, self.situation.turns)


def _imagines(call: ToolCall) -> bool:
    return call.tool.partition(".")[0] in IMAGINING


def _no_tools(interface: Interface) -> str:
    if interface == "code":
        return "programs cannot be run here"
    return "there is no tool left that works here"


def _note(sorted_: _Sorted) -> str:
    """Return what the model is told in its next turn of what was not called."""
    pairs = zip(sorted_.refused, sorted_.problems, strict=True)
    lines = [f"- {request.tool[:80]}: {problem}" for request, problem in pairs]
    return "\n".join([NOT_CALLED, *lines]) if lines else ""


def _refused(reply: ChatReply, sorted_: _Sorted) -> tuple[Message, ...]:
    said = (reply.text.strip()[:MOST_SAID],) if reply.text.strip() else ()
    return (Message("assistant", said, sorted_.refused), *refusals(sorted_.refused, sorted_.problems))
