"""Requests that every dialect is asked, and how."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np

from spatial_agent.agent.models.chat import ChatReply, ChatRequest, Message, OnText, ToolOffer, ToolRequest
from spatial_agent.agent.models.openai_compatible import OpenAICompatible
from spatial_agent.tools.scene import Picture
from tests.agent.models.dialects.openai_server import KEY
from tests.agent.models.dialects.served import Server

Result = TypeVar("Result")

VIEW = ToolOffer(
    "novel_view.frame",
    "Render a frame.",
    {"type": "object", "properties": {"frame": {"type": "integer"}}, "required": ["frame"]},
)
DISTANCE = ToolOffer("distance", "Measure.", {"type": "object", "properties": {"a": {"type": "string"}}})
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"answer": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["answer", "count"],
    "additionalProperties": False,
}


def photo(seed: int = 0, size: tuple[int, int] = (40, 60)) -> Picture:
    """Return a picture of many colours."""
    rng = np.random.default_rng(seed)
    return Picture(rng.integers(0, 256, (*size, 3), dtype=np.uint8), "a photo")


def drawing(size: tuple[int, int] = (40, 60)) -> Picture:
    """Return a picture of two colours."""
    rgb = np.full((*size, 3), 255, np.uint8)
    rgb[10:12, :] = (200, 0, 0)
    return Picture(rgb, "a drawing")


SYSTEM = Message("system", ("You measure rooms.",))
ASKED = Message("user", ("How far is the sofa from the lamp?", photo(), drawing()))
CALLED = Message(
    "assistant",
    (),
    (
        ToolRequest("call_1", "novel_view.frame", {"frame": 3}),
        ToolRequest("call_2", "distance", {"a": "sofa"}),
    ),
)
ANSWERED = (
    Message("tool", ("Rendered.", photo(1)), answers="call_1"),
    Message("tool", ("1.52 m, give or take 0.03 m",), answers="call_2"),
)

WORDS = ChatRequest((SYSTEM, ASKED), "answer", most_tokens=64)
TOOLS = ChatRequest((SYSTEM, ASKED), "plan", tools=(VIEW, DISTANCE), most_tokens=64)
DOCUMENT = ChatRequest((SYSTEM, ASKED), "answer", schema=SCHEMA, most_tokens=64)
SECOND_TURN = ChatRequest((SYSTEM, ASKED, CALLED, *ANSWERED), "plan", tools=(VIEW, DISTANCE), most_tokens=64)


async def at_once(_seconds: float) -> None:
    """Wait no time at all."""


def model_of(server: Server, **more: Any) -> OpenAICompatible:  # noqa: ANN401
    """Return the model of a server, which waits for nothing."""
    usual: dict[str, Any] = {"pause": at_once, "timeout_s": 20.0}
    return OpenAICompatible("gpt-test", server.url, KEY, **usual | more)


def with_model(model: OpenAICompatible, use: Callable[[OpenAICompatible], Awaitable[Result]]) -> Result:
    """Use a model in an event loop of its own, and close it."""

    async def used() -> Result:
        try:
            return await use(model)
        finally:
            await model.close()

    return asyncio.run(used())


def ask(model: OpenAICompatible, *requests: ChatRequest, on_text: OnText | None = None) -> list[ChatReply]:
    """Return what a model says to each request."""

    async def asked(model: OpenAICompatible) -> list[ChatReply]:
        return [await model.reply(request, on_text) for request in requests]

    return with_model(model, asked)
