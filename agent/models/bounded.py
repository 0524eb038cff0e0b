"""What every reply is held to before anybody works with it: text that can be written down, JSON that is."""

import asyncio
import json
import math
import time
from collections.abc import Mapping
from dataclasses import replace

from spatial_agent.agent.models.chat import (
    ChatModel,
    ChatReply,
    ChatRequest,
    OnText,
    ToolRequest,
)
from spatial_agent.agent.models.wrapper import ModelWrapper
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import BudgetExceededError

#: Deepest nesting of arguments and documents; ours need four.
DEEPEST = 32
#: Longest name of a tool, and longest arguments as text, characters; programs are the longest.
MOST_NAME, MOST_ARGUMENTS = 200, 40_000
TOO_DEEP = f"it is nested deeper than {DEEPEST} levels; write it flat"


class Bounded(ModelWrapper):
    """A model that ends with its run, and whose replies have nothing in them that breaks what they pass.

    Args:
        inner: The model.
        seconds: Time from now on in which it may reply; None is no limit.
    """

    def __init__(self, inner: ChatModel, seconds: float | None = None) -> None:
        """Start the clock."""
        super().__init__(inner)
        self._seconds = seconds
        self._ends = None if seconds is None else time.monotonic() + seconds

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; see `ChatModel.reply`.

        Raises:
            BudgetExceededError: If the time of the run is up.
        """
        left = None if self._ends is None else self._ends - time.monotonic()
        try:
            if left is not None and left <= 0:
                raise TimeoutError
            async with asyncio.timeout(left):
                return plain(await self._inner.reply(request, on_text))
        except TimeoutError:
            raise BudgetExceededError(
                f"the run may take {self._seconds:g} s, and the model has not replied by then; "
                "allow more seconds, or take a faster model"
            ) from None


def plain(reply: ChatReply) -> ChatReply:
    """Return a reply without half characters, and without arguments or a document that never end."""
    document, problem = reply.document, reply.problem
    if _is_deep(document):
        document, problem = None, TOO_DEEP
    return replace(
        reply,
        text=_whole(reply.text),
        requests=tuple(_plain_request(request) for request in reply.requests),
        document=_cleaned(document),
        problem=None if problem is None else _whole(problem),
    )


def _plain_request(request: ToolRequest) -> ToolRequest:
    named = replace(request, id=_whole(request.id)[:MOST_NAME], tool=_whole(request.tool)[:MOST_NAME])
    if _is_deep(dict(request.arguments)):
        return replace(named, arguments={}, problem=TOO_DEEP)
    arguments = _cleaned(dict(request.arguments))
    length = len(json.dumps(arguments))
    if length > MOST_ARGUMENTS:
        why = f"its arguments are {length} characters long, at most {MOST_ARGUMENTS} are read; write less"
        return replace(named, arguments={}, problem=why)
    problem = None if request.problem is None else _whole(request.problem)
    return replace(named, arguments=arguments, problem=problem)


def _is_deep(value: Json) -> bool:
    """Return whether JSON is nested deeper than allowed, level by level, so that no depth overflows."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [item for item in level if isinstance(item, Mapping | list)]
        level = [below for item in inner for below in (item.values() if isinstance(item, Mapping) else item)]
        if not level:
            return False
    return True


def _cleaned(value: Json) -> Json:
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {_whole(str(name)): _cleaned(item) for name, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def _whole(text: str) -> str:
    """Return a text in which half characters, which nothing can write down, are question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")
