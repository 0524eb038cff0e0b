"""What is counted, refused and recorded."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from spatial_agent.agent.models.chat import (
    ChatReply,
    ChatRequest,
    Message,
    ModelLimits,
    OnText,
    Part,
    ToolOffer,
    ToolRequest,
    Usage,
)
from spatial_agent.agent.models.metered import Metered, TokenBudget
from spatial_agent.agent.models.scripted import Scripted
from spatial_agent.tools.errors import BudgetExceededError, ModelUnavailableError
from spatial_agent.tools.scene import Picture

Steps = list[tuple[str, Mapping[str, Any]]]


def asking(*parts: Part, most_tokens: int = 100) -> ChatRequest:
    return ChatRequest((Message("user", parts or ("How far?",)),), "plan", most_tokens=most_tokens)


def costing(*usages: Usage) -> Scripted:
    return Scripted([ChatReply("fine", usage=usage) for usage in usages])


class Patient:
    """A model that replies when it is let."""

    name, limits = "patient", ModelLimits()

    def __init__(self) -> None:
        self.let = asyncio.Event()

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        await self.let.wait()
        return ChatReply("at last", usage=Usage(10, 10))

    async def close(self) -> None:
        self.let.set()


def test_costs_add_up_and_are_estimated_where_nobody_counted() -> None:
    model = Metered(costing(Usage(100, 20), Usage(), Usage(1, 1)))
    replies = [asyncio.run(model.reply(asking())) for _ in range(3)]
    assert replies[0].usage == Usage(100, 20)
    assert replies[1].usage.is_estimated
    assert replies[1].usage.input_tokens > 0
    assert replies[1].usage.output_tokens == 1
    assert model.usage.tokens == sum(reply.usage.tokens for reply in replies)
    assert model.usage.is_estimated
    assert (model.requests, model.tokens_left) == (3, None)


def test_a_request_beyond_the_budget_is_refused_before_it_is_sent() -> None:
    inner = costing(Usage(300, 100), Usage(1, 1))
    model = Metered(inner, TokenBudget(450))
    asyncio.run(model.reply(asking()))
    assert model.tokens_left == 50
    with pytest.raises(BudgetExceededError, match="not asked to plan: .* 50 of 450 tokens are left"):
        asyncio.run(model.reply(asking()))
    assert len(inner.requests) == 1


def test_the_longest_reply_is_cut_to_what_is_left() -> None:
    inner = costing(Usage(300, 100))
    asyncio.run(Metered(inner, TokenBudget(200)).reply(asking(most_tokens=1000)))
    assert 100 < inner.requests[0].most_tokens < 200


def test_requests_are_counted_failed_ones_too() -> None:
    model = Metered(Scripted([{"error": "unavailable"}, "fine", "never said"]), TokenBudget(requests=2))
    with pytest.raises(ModelUnavailableError):
        asyncio.run(model.reply(asking()))
    asyncio.run(model.reply(asking()))
    with pytest.raises(BudgetExceededError, match="may make 2 requests"):
        asyncio.run(model.reply(asking()))


def test_requests_side_by_side_share_the_budget() -> None:
    async def run() -> None:
        model = Metered(Patient(), TokenBudget(250))
        first = asyncio.ensure_future(model.reply(asking(most_tokens=200)))
        await asyncio.sleep(0)
        with pytest.raises(BudgetExceededError):
            await asyncio.wait_for(model.reply(asking(most_tokens=200)), 5)
        await model.close()
        await first
        assert model.tokens_left == 230

    asyncio.run(run())


def test_a_cancelled_request_is_paid_for_and_recorded() -> None:
    async def run() -> None:
        steps: Steps = []
        model = Metered(Patient(), TokenBudget(1000), lambda kind, data: steps.append((kind, data)))
        call = asyncio.ensure_future(model.reply(asking()))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert [(kind, data.get("ended")) for kind, data in steps] == [
            ("model_request", None),
            ("model_reply", "cancelled"),
        ]
        assert model.usage.is_estimated
        assert 0 < model.usage.tokens < 30
        assert model.tokens_left == 1000 - model.usage.tokens

    asyncio.run(run())


def test_what_passed_is_recorded_as_json_without_pixels_and_keys() -> None:
    key = "sk-proj-0123456789abcdef"
    picture = Picture(np.arange(36, dtype=np.uint8).reshape(3, 4, 3), "A ramp.")
    turn = (
        Message("user", ("Look:", picture)),
        Message("assistant", ("I measure.",), (ToolRequest("m1", "size", {"of": "sofa"}),)),
        Message("tool", (f"refused Bearer {key}, hf_abcdefghijkl",), answers="m1"),
    )
    steps: Steps = []
    said = ChatReply("hello", (ToolRequest("m2", "size", {"note": key}),), usage=Usage(5, 6))
    model = Metered(Scripted([said]), record=lambda kind, data: steps.append((kind, data)))
    reply = asyncio.run(model.reply(ChatRequest(turn, "plan", tools=(ToolOffer("size", "long", {}),))))
    assert reply.requests[0].arguments["note"] == key

    written = json.dumps(steps)
    assert key not in written
    assert "abcdefghijkl" not in written
    (kind, asked), (end, came) = steps
    assert (kind, end, asked["number"], came["number"]) == ("model_request", "model_reply", 0, 0)
    digest = hashlib.sha256(bytes(range(36))).hexdigest()
    shown = {"picture": {"width": 4, "height": 3, "sha256": digest, "caption": "A ramp."}}
    assert asked["messages"][0]["parts"] == ["Look:", shown]
    assert asked["messages"][1]["requests"][0]["arguments"] == {"of": "sofa"}
    assert asked["messages"][2]["answers"] == "m1"
    assert asked["tools"] == ["size"]
    assert (came["ended"], came["text"], came["usage"]["output_tokens"]) == ("returned", "hello", 6)
    assert came["seconds"] >= 0


def test_errors_are_recorded_by_class() -> None:
    steps: Steps = []
    model = Metered(
        Scripted([{"error": "request", "text": "too long"}]),
        record=lambda kind, data: steps.append((kind, data)),
    )
    with pytest.raises(Exception, match="too long"):
        asyncio.run(model.reply(asking()))
    assert steps[1][1]["error"] == {"class": "ModelRequestError", "message": "too long"}


def test_pictures_count_as_large_as_they_will_be_sent() -> None:
    huge = Picture(np.zeros((3000, 4000, 3), np.uint8), "")

    def counted(side_px: int) -> int:
        model = Metered(Scripted(["fine"], limits=ModelLimits(picture_side_px=side_px)))
        return asyncio.run(model.reply(asking(huge))).usage.input_tokens

    assert counted(256) < counted(1024) < 2500
