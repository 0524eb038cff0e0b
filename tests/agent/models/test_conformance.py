"""Sound models pass; for each check there is a model with one fault, which it finds."""

import asyncio
from dataclasses import replace

import pytest

from spatial_agent.agent.models import conformance
from spatial_agent.agent.models.chat import (
    ChatModel,
    ChatReply,
    ChatRequest,
    ModelLimits,
    OnText,
    ToolRequest,
    Usage,
)
from spatial_agent.agent.models.conformance import CHECKS, check_model
from spatial_agent.agent.models.fitted import Fitted
from spatial_agent.agent.models.metered import Metered
from spatial_agent.agent.models.scripted import Scripted, ScriptedReply
from spatial_agent.agent.models.text_protocol import TextProtocol
from spatial_agent.tools.errors import ModelRequestError, ModelUnavailableError

SHORT = ModelLimits(context_tokens=600, most_pictures=2)


def talkative(request: ChatRequest) -> ScriptedReply:
    """Calls whatever tools there are, and fills in any form."""
    if request.schema is not None:
        return {"document": {"object": "sofa", "count": 2}}
    return {"text": "Fine.", "calls": [{"tool": offer.name, "arguments": {}} for offer in request.tools]}


class Sound:
    """A model without a fault; those below have one each."""

    def __init__(self) -> None:
        self.inner = Scripted(talkative, limits=SHORT, name="sound")
        self.is_closed = False
        self.under_way = 0

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def limits(self) -> ModelLimits:
        return self.inner.limits

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        return await self.inner.reply(request, on_text)

    async def close(self) -> None:
        self.is_closed = True


class TellsItsKey(Sound):
    name = "openai:gpt?key=sk-0123456789abcdef"


class HasNoContext(Sound):
    limits = replace(SHORT, context_tokens=0)


class AnswersItself(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        return replace(await self.inner.reply(request), requests=(ToolRequest("x", "size"),))


class TakesOneTurn(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        assert not any(message.role == "assistant" for message in request.messages)
        return await self.inner.reply(request, on_text)


class CountsBackwards(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        return replace(await self.inner.reply(request, on_text), usage=Usage(-1, 0))


class StreamsSomethingElse(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        if on_text is not None:
            on_text("Fi")
        return await self.inner.reply(request)


class TalksOn(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        return replace(await self.inner.reply(request, on_text), usage=Usage(10, 4000))


class ForgetsIds(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        reply = await self.inner.reply(request, on_text)
        return replace(reply, requests=tuple(replace(call, id="m1.1") for call in reply.requests))


class CallsWithObjects(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        reply = await self.inner.reply(request, on_text)
        return replace(reply, requests=tuple(replace(call, arguments={"of": {1}}) for call in reply.requests))


class ForgetsDocuments(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        return replace(await self.inner.reply(request, on_text), document=None)


class FillsInNothing(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        reply = await self.inner.reply(request, on_text)
        return reply if request.schema is None else replace(reply, document={"object": "sofa"})


class IsBlind(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        if any(message.pictures for message in request.messages):
            raise ModelRequestError("no pictures")
        return await self.inner.reply(request, on_text)


class PaintsOver(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        for message in request.messages:
            for picture in message.pictures:
                picture.rgb.setflags(write=True)
                picture.rgb[:] = 0
        return await self.inner.reply(request, on_text)


class ChokesOnControlTokens(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        for message in request.messages:
            message.text.encode("utf-8")
        return await self.inner.reply(request, on_text)


class OverflowsItsContext(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        if sum(len(message.text) for message in request.messages) > 5000:
            raise IndexError("index out of range in self")
        return await self.inner.reply(request, on_text)


class SaysItIsAwayWhenAskedTooMuch(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        if sum(len(message.text) for message in request.messages) > 5000:
            raise ModelUnavailableError("400 Bad Request")
        return await self.inner.reply(request, on_text)


class GoesOnWhenCancelled(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        reply = await self.inner.reply(request, on_text)
        if request.most_tokens > 100:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.Event().wait()
        return reply


class CannotBeUsedAfterwards(Sound):
    was_cancelled = False

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        if self.was_cancelled:
            raise ModelUnavailableError("still busy")
        reply = await self.inner.reply(request, on_text)
        if request.most_tokens > 100:
            self.was_cancelled = True
            await asyncio.Event().wait()
        return reply


class TakesOneAtATime(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        assert self.under_way == 0, "busy"
        self.under_way += 1
        try:
            return await self.inner.reply(request, on_text)
        finally:
            self.under_way -= 1


class ClosesOnce(Sound):
    async def close(self) -> None:
        assert not self.is_closed
        self.is_closed = True


class BreaksDownOnceClosed(Sound):
    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        if self.is_closed:
            raise AttributeError("'NoneType' object has no attribute 'generate'")
        return await self.inner.reply(request, on_text)


FAULTY = [
    (TellsItsKey, "says who it is", "a name without key and address"),
    (HasNoContext, "says who it is", "a context of some tokens"),
    (AnswersItself, "replies to a conversation", "no calls where no tools are offered"),
    (CountsBackwards, "replies to a conversation", "counts of tokens"),
    (TakesOneTurn, "replies to a conversation", "AssertionError"),
    (StreamsSomethingElse, "what it streams", "expected the reply 'Fine.' in pieces, got 'Fi'"),
    (TalksOn, "keeps to the longest", "at most 48 tokens"),
    (ForgetsIds, "calls tools", "an id of its own for every call"),
    (CallsWithObjects, "calls tools", "arguments of plain JSON"),
    (ForgetsDocuments, "writes documents", "a document or a problem"),
    (FillsInNothing, "writes documents", "count missing"),
    (IsBlind, "takes the pictures", "as its limits promise"),
    (PaintsOver, "takes the pictures", "pictures left as they were"),
    (ChokesOnControlTokens, "hostile words", "UnicodeEncodeError"),
    (OverflowsItsContext, "hostile words", "IndexError"),
    (SaysItIsAwayWhenAskedTooMuch, "hostile words", "ModelUnavailableError"),
    (GoesOnWhenCancelled, "cancelled call", "one that goes on"),
    (CannotBeUsedAfterwards, "cancelled call", "still busy"),
    (TakesOneAtATime, "several at once", "busy"),
    (ClosesOnce, "closes, also twice", "AssertionError"),
    (BreaksDownOnceClosed, "closes, also twice", "a reply or a ModelError once closed"),
]


@pytest.mark.parametrize(
    "model",
    [
        Sound(),
        Fitted(Sound()),
        TextProtocol(
            Scripted(lambda request: "Fine.", limits=replace(SHORT, has_tools=False, has_schemas=False))
        ),
        Metered(
            Fitted(TextProtocol(Scripted(lambda request: '{"name": "conformance.measure"', limits=SHORT)))
        ),
        Fitted(Scripted(lambda request: "", limits=replace(SHORT, most_pictures=0))),
    ],
)
def test_sound_models_pass(model: ChatModel) -> None:
    assert asyncio.run(check_model(lambda: model)) == []


@pytest.mark.parametrize(("kind", "check", "problem"), FAULTY)
def test_a_fault_is_found(
    kind: type[Sound], check: str, problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conformance, "CANCEL_S", 0.05)
    monkeypatch.setattr(conformance, "BEGIN_S", 0.05)
    (failure,) = asyncio.run(check_model(kind, only=check))
    assert problem in failure.problem
    assert check in failure.check


def test_every_check_finds_a_fault() -> None:
    assert [name for name in CHECKS if not any(check in name for _, check, _ in FAULTY)] == []


def test_a_model_that_never_replies_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent(Sound):
        async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(conformance, "REPLY_S", 0.02)
    (failure,) = asyncio.run(check_model(Silent, only="replies to a conversation"))
    assert failure.problem == "expected an end within 0.02 s, got none"


def test_a_model_that_cannot_be_opened_is_found() -> None:
    def refuse() -> ChatModel:
        raise ModelUnavailableError("no such server")

    failures = asyncio.run(check_model(refuse))
    assert {failure.problem for failure in failures} == {
        "expected a reply, got ModelUnavailableError: no such server"
    }
    assert [failure.check for failure in failures] == list(CHECKS)
