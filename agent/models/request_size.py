"""How many tokens a request takes, by estimate: what limits and budgets are held against beforehand."""

import json
from functools import lru_cache

from spatial_agent.agent.models.chat import ChatRequest, Message, ModelLimits, ToolOffer
from spatial_agent.prompts import tokens
from spatial_agent.tools.scene import Picture

#: What a chat template writes around a message or a tool.
TOKENS_AROUND = 8


def request_tokens(request: ChatRequest, limits: ModelLimits) -> int:
    """Return how many tokens a model reads: messages, pictures, tools and schema, without the reply."""
    side = limits.picture_side_px
    schema = 0 if request.schema is None else text_tokens(json.dumps(request.schema))
    messages = sum(message_tokens(message, side) for message in request.messages)
    return schema + messages + sum(map(offer_tokens, request.tools))


def message_tokens(message: Message, side_px: int) -> int:
    """Return how many tokens a message takes, its pictures scaled down to a longest side."""
    calls = (json.dumps({"tool": call.tool, "arguments": dict(call.arguments)}) for call in message.requests)
    return (
        TOKENS_AROUND
        + sum(text_tokens(part) for part in message.parts if isinstance(part, str))
        + sum(tokens.picture_tokens(*scaled_size(picture, side_px)) for picture in message.pictures)
        + sum(map(text_tokens, calls))
    )


def offer_tokens(offer: ToolOffer) -> int:
    """Return how many tokens the description of a tool takes."""
    return TOKENS_AROUND + text_tokens(
        f"{offer.name} {offer.description} {json.dumps(dict(offer.parameters))}"
    )


def scaled_size(picture: Picture, side_px: int) -> tuple[int, int]:
    """Return width and height of a picture that is scaled down to a longest side, and never up."""
    height, width = picture.rgb.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    return max(1, round(width * scale)), max(1, round(height * scale))


@lru_cache(maxsize=256)
def text_tokens(text: str) -> int:
    """Return how many tokens a text takes; counted once, since a conversation says it again and again."""
    return tokens.text_tokens(text)
