"""Requests cut to what a model can take: pictures scaled and dropped by age, history compacted.

The task, which is everything before the model's first message, and the last turn, which is its last message
and what came after, keep their words. In between, and among pictures, the oldest go first. Something is
said in the place of whatever goes.
"""

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from spatial_agent.agent.models.chat import (
    ChatReply,
    ChatRequest,
    Message,
    ModelLimits,
    OnText,
    Part,
)
from spatial_agent.agent.models.request_size import request_tokens, scaled_size
from spatial_agent.agent.models.wrapper import ModelWrapper
from spatial_agent.prompts.untrusted import quoted
from spatial_agent.tools.errors import ModelRequestError
from spatial_agent.tools.scene import Picture

#: Letters that stay of a text of an earlier turn, and of the model's own words in the last one.
SHORT_LETTERS, SAID_LETTERS = 240, 2000
#: Sides at which pictures are tried before they are dropped, as shares of the model's own side.
SCALES = (0.75, 0.5)
#: Side at which pictures are tried at last, as a share likewise.
LAST_SCALE = 0.35
#: Shortest reply for which room is kept; a shorter one says too little.
SHORTEST_REPLY = 128
#: Share of the context that estimates may fill.
FILLED = 0.95

_TOO_LONG = re.compile(r"context|too long|too many|token|length", re.IGNORECASE)


class Fitted(ModelWrapper):
    """A `ChatModel` that sends a model no more than it takes."""

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says to as much of the request as it can take.

        A request that fits by estimate and is refused as too long nevertheless is tried once more at half
        the length.

        Raises:
            ModelUnavailableError: If the model cannot be reached.
            ModelRequestError: If the model refuses the request, or task and last turn alone are too long.
        """
        limits = self.limits
        cut = await asyncio.to_thread(fit, request, limits)
        try:
            return await self._inner.reply(cut, on_text)
        except ModelRequestError as error:
            if not _TOO_LONG.search(str(error)):
                raise
            less = replace(limits, context_tokens=(request_tokens(cut, limits) + cut.most_tokens) // 2)
            try:
                shorter = await asyncio.to_thread(fit, request, less)
            except ModelRequestError:
                raise error from None
        return await self._inner.reply(shorter, on_text)


def fit(request: ChatRequest, limits: ModelLimits) -> ChatRequest:
    """Return a request that a model can take by estimate; one that fits is returned as it is.

    Raises:
        ModelRequestError: If task and last turn alone are too long.
    """
    room = _Room(limits)
    request = _with_pictures(request, limits.most_pictures, limits.picture_side_px)
    for cut in _cuts(request, limits):
        if room.holds(request):
            return request
        request = cut(request)
    request = room.with_shorter_reply(request)
    if room.holds(request):
        return request
    raise ModelRequestError(
        f"the request takes about {request_tokens(request, limits)} tokens and {request.most_tokens} for the "
        f"reply with everything left out that may be, the model takes {limits.context_tokens}; choose a "
        "model with a longer context, or ask about less"
    )


@dataclass(frozen=True)
class _Room:
    """Room in a model's context."""

    limits: ModelLimits

    def holds(self, request: ChatRequest) -> bool:
        return self._left(request) >= request.most_tokens

    def with_shorter_reply(self, request: ChatRequest) -> ChatRequest:
        shortest = min(request.most_tokens, SHORTEST_REPLY)
        return replace(request, most_tokens=min(request.most_tokens, max(shortest, self._left(request))))

    def _left(self, request: ChatRequest) -> int:
        return int(FILLED * self.limits.context_tokens) - request_tokens(request, self.limits)


_Cut = Callable[[ChatRequest], ChatRequest]


def _cuts(request: ChatRequest, limits: ModelLimits) -> Iterator[_Cut]:
    """Yield what to leave out next, in the order of what is missed least."""
    task_ends, last_begins = _ends(request)
    earlier = range(task_ends, last_begins)
    yield from (_changing(place, _without_pictures) for place in earlier)
    yield from (_scaling(int(scale * limits.picture_side_px)) for scale in SCALES)
    yield from (_changing(place, _shortened) for place in earlier)
    yield from (_without_oldest_turn for place in earlier if request.messages[place].role == "assistant")
    yield _with_short_offers
    yield _scaling(int(LAST_SCALE * limits.picture_side_px))
    yield from (_keeping(most) for most in reversed(range(_count(request))))
    yield _with_less_said


def _ends(request: ChatRequest) -> tuple[int, int]:
    """Return where the task ends, and where the last turn begins: both behind everything without a turn."""
    by_model = [place for place, message in enumerate(request.messages) if message.role == "assistant"]
    return (by_model[0], by_model[-1]) if by_model else (len(request.messages), len(request.messages))


def _changing(place: int, change: Callable[[Message], Message]) -> _Cut:
    def cut(request: ChatRequest) -> ChatRequest:
        messages = list(request.messages)
        messages[place] = change(messages[place])
        return replace(request, messages=tuple(messages))

    return cut


def _scaling(side_px: int) -> _Cut:
    return lambda request: _with_pictures(request, _count(request), max(1, side_px))


def _keeping(most: int) -> _Cut:
    return lambda request: _with_pictures(request, most, None)


def _count(request: ChatRequest) -> int:
    return sum(len(message.pictures) for message in request.messages)


def _without_pictures(message: Message) -> Message:
    return replace(message, parts=tuple(_instead(p) if isinstance(p, Picture) else p for p in message.parts))


def _instead(picture: Picture) -> str:
    """Return what stands in the place of a picture; captions may hold words of the scene."""
    return f"(picture left out: {quoted(picture.caption)})"


def _shortened(message: Message, letters: int = SHORT_LETTERS) -> Message:
    parts = (_cut(part, letters) if isinstance(part, str) else part for part in message.parts)
    return replace(message, parts=tuple(parts))


def _cut(text: str, letters: int) -> str:
    """Return the beginning of a text; data that it fences stays fenced."""
    if len(text) <= letters:
        return text
    kept = text[:letters]
    closing = "\n</data>" if kept.count("<data>") > kept.count("</data>") else ""
    return f"{kept}{closing}\n(the rest, {len(text) - letters} characters, is left out)"


def _without_oldest_turn(request: ChatRequest) -> ChatRequest:
    """Return a request without the first message of the model and what answers it; the task says so."""
    task_ends, last_begins = _ends(request)
    messages = request.messages
    turns = (at for at in range(task_ends + 1, last_begins + 1) if messages[at].role == "assistant")
    task, rest = messages[:task_ends], messages[next(turns, task_ends) :]
    note = "(earlier turns are left out for lack of room)"
    if not task or task[-1].role == "system":
        task = (*task, Message("user", (note,)))
    elif note not in task[-1].parts:
        task = (*task[:-1], replace(task[-1], parts=(*task[-1].parts, note)))
    return replace(request, messages=(*task, *rest))


def _with_short_offers(request: ChatRequest) -> ChatRequest:
    """Return a request whose tools have the first line of their description only."""
    offers = (replace(o, description=o.description.strip().partition("\n")[0]) for o in request.tools)
    return replace(request, tools=tuple(offers))


def _with_less_said(request: ChatRequest) -> ChatRequest:
    """Return a request in which the model's own words of the last turn are short."""
    _, last_begins = _ends(request)
    if last_begins == len(request.messages):
        return request
    return _changing(last_begins, lambda message: _shortened(message, SAID_LETTERS))(request)


def _with_pictures(request: ChatRequest, most: int, side_px: int | None) -> ChatRequest:
    """Return a request with at most so many pictures, none longer than a side (None: as they are)."""
    kept = _worth_most(request, most)
    messages = []
    for place, message in enumerate(request.messages):
        parts: list[Part] = []
        for number, part in enumerate(message.parts):
            if isinstance(part, str):
                parts.append(part)
            else:
                parts.append(_scaled(part, side_px) if (place, number) in kept else _instead(part))
        messages.append(replace(message, parts=tuple(parts)))
    return replace(request, messages=tuple(messages))


def _worth_most(request: ChatRequest, most: int) -> frozenset[tuple[int, int]]:
    """Return the places of the pictures that stay, each as its message's and its own in it.

    Those of the last turn come first, then those of the task, evenly chosen since they may be the frames of
    a video, then those in between; of turns the later ones.
    """
    task_ends, last_begins = _ends(request)
    places = [
        (place, number)
        for place, message in enumerate(request.messages)
        for number, part in enumerate(message.parts)
        if isinstance(part, Picture)
    ]
    task = [at for at in places if at[0] < task_ends]
    earlier = [at for at in places if task_ends <= at[0] < last_begins]
    last = [at for at in places if at[0] >= last_begins]
    kept = last[::-1][:most]
    kept += _evenly(task, most - len(kept))
    kept += earlier[::-1][: most - len(kept)]
    return frozenset(kept)


def _evenly(places: list[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    """Return at most so many, the first among them, evenly over all."""
    if most >= len(places):
        return places
    return [places[round(number * (len(places) - 1) / max(1, most - 1))] for number in range(most)]


def _scaled(picture: Picture, side_px: int | None) -> Picture:
    """Return a picture that is scaled down to a longest side, averaging what becomes one pixel."""
    if side_px is None or max(picture.rgb.shape[:2]) <= side_px:
        return picture
    from PIL import Image

    size = scaled_size(picture, side_px)
    image = Image.fromarray(picture.rgb).resize(size, Image.Resampling.BOX)
    return Picture(np.asarray(image, dtype=np.uint8), picture.caption)
