"""What a model costs, held against a budget, and what passed between it and the agent, for the trace."""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import count

from spatial_agent.agent.models.chat import (
    ChatModel,
    ChatReply,
    ChatRequest,
    Message,
    OnText,
    Part,
    ToolRequest,
    Usage,
)
from spatial_agent.agent.models.request_size import request_tokens, text_tokens
from spatial_agent.agent.models.wrapper import ModelWrapper
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import BudgetExceededError, ModelError

#: ``record(kind, data)``: takes one step of a trace; `data` is plain JSON.
Record = Callable[[str, Mapping[str, Json]], object]

#: A reply shorter than this says nothing worth its request.
SHORTEST_REPLY = 64
#: What keys look like wherever they are quoted: in a server's refusal, or repeated by a model.
KEY = re.compile(
    r"\b(?:sk|pk|rk)-[\w-]{8,}|\b(?:hf|ghp|gsk|xai)_\w{8,}|\bAIza[\w-]{16,}|(?i:\bbearer)\s+[\w.~+/=-]{8,}"
)


@dataclass(frozen=True)
class TokenBudget:
    """What the requests of one run may use; None is no limit.

    Attributes:
        tokens: Tokens read and written.
        requests: Requests, failed ones included.
    """

    tokens: int | None = None
    requests: int | None = None


class Metered(ModelWrapper):
    """A `ChatModel` around another that counts, refuses what the budget does not allow, and records.

    A request is recorded as the step ``model_request`` with ``number``, ``model``, ``purpose``,
    ``messages``, names of ``tools``, ``schema`` and ``most_tokens``; what came of it as ``model_reply`` with
    the same ``number``, ``ended`` (``"returned"``, ``"cancelled"`` or ``"raised"``), ``seconds``, and either
    ``text``, ``requests``, ``document``, ``problem`` and ``usage``, or ``error``. Of a picture there are its
    size, digest and caption; what looks like a key is left out.
    """

    def __init__(
        self, inner: ChatModel, budget: TokenBudget | None = None, record: Record | None = None
    ) -> None:
        """Watch the requests of one run.

        Args:
            inner: The model.
            budget: What the run may use.
            record: Takes the steps; None records nothing.
        """
        super().__init__(inner)
        self._budget = budget or TokenBudget()
        self._record = record
        self._numbers = count()
        self._usage = Usage()
        self._requests = 0
        self._reserved = 0

    @property
    def usage(self) -> Usage:
        """What was used so far; estimated as soon as one part of it is."""
        return self._usage

    @property
    def requests(self) -> int:
        """Requests so far, failed ones included."""
        return self._requests

    @property
    def tokens_left(self) -> int | None:
        """Tokens that the run may still use, those of requests under way taken off; None is no limit."""
        if self._budget.tokens is None:
            return None
        return max(0, self._budget.tokens - self._usage.tokens - self._reserved)

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; its longest reply is cut to what the budget leaves.

        Raises:
            BudgetExceededError: If the budget does not allow the request.
            ModelUnavailableError: If the model cannot be reached.
            ModelRequestError: If the model refuses the request.
        """
        # What does not fit is cut to size further in, before it is sent.
        reads = min(request_tokens(request, self.limits), self.limits.context_tokens)
        request = self._allowed(request, reads)
        number, started = next(self._numbers), time.perf_counter()
        self._note("model_request", {"number": number, "model": self.name} | request_to_json(request))
        self._requests += 1
        self._reserved += reads + request.most_tokens
        ended: dict[str, Json] = {"ended": "cancelled"}
        try:
            reply = await self._inner.reply(request, on_text)
            reply = replace(reply, usage=_counted(reply, reads))
            self._use(reply.usage)
            ended = {"ended": "returned"} | reply_to_json(reply)
        except asyncio.CancelledError:
            self._use(Usage(reads, 0, is_estimated=True))  # it was sent, and so is paid for
            raise
        except Exception as error:
            message = str(error) if isinstance(error, ModelError) else ""
            ended = {"ended": "raised", "error": {"class": type(error).__name__, "message": message}}
            raise
        finally:
            self._reserved -= reads + request.most_tokens
            took = {"number": number, "seconds": round(time.perf_counter() - started, 6)}
            self._note("model_reply", took | ended)
        return reply

    def _allowed(self, request: ChatRequest, reads: int) -> ChatRequest:
        """Return the request with a reply as long as there are tokens for, or refuse it."""
        most = self._budget.requests
        if most is not None and self._requests >= most:
            raise BudgetExceededError(
                f"the model is not asked to {request.purpose}: the run may make {most} requests and has made "
                "them; ask for less, or allow more requests"
            )
        left = self.tokens_left
        if left is None:
            return request
        if left - reads < min(SHORTEST_REPLY, request.most_tokens):
            raise BudgetExceededError(
                f"the model is not asked to {request.purpose}: that takes about {reads} tokens and a reply, "
                f"{left} of {self._budget.tokens} tokens are left; ask for less, or allow more tokens"
            )
        return replace(request, most_tokens=min(request.most_tokens, left - reads))

    def _use(self, usage: Usage) -> None:
        before = self._usage
        self._usage = Usage(
            before.input_tokens + usage.input_tokens,
            before.output_tokens + usage.output_tokens,
            before.is_estimated or usage.is_estimated,
        )

    def _note(self, kind: str, data: Mapping[str, Json]) -> None:
        if self._record is not None:
            self._record(kind, _without_keys(data))


def request_to_json(request: ChatRequest) -> dict[str, Json]:
    """Return a request as a trace keeps it: words whole, pictures as size and digest, tools by name."""
    return {
        "purpose": request.purpose,
        "messages": [_message_to_json(message) for message in request.messages],
        "tools": [offer.name for offer in request.tools],
        "schema": None if request.schema is None else dict(request.schema),
        "most_tokens": request.most_tokens,
    }


def reply_to_json(reply: ChatReply) -> dict[str, Json]:
    """Return a reply as a trace keeps it."""
    return {
        "text": reply.text,
        "requests": [_call_to_json(call) for call in reply.requests],
        "document": reply.document,
        "problem": reply.problem,
        "usage": asdict(reply.usage),
    }


def _message_to_json(message: Message) -> dict[str, Json]:
    return {
        "role": message.role,
        "parts": [_part_to_json(part) for part in message.parts],
        "requests": [_call_to_json(call) for call in message.requests],
        "answers": message.answers,
    }


def _part_to_json(part: Part) -> Json:
    if isinstance(part, str):
        return part
    height, width = part.rgb.shape[:2]
    digest = hashlib.sha256(part.rgb.tobytes()).hexdigest()
    return {"picture": {"width": width, "height": height, "sha256": digest, "caption": part.caption}}


def _call_to_json(call: ToolRequest) -> dict[str, Json]:
    return {"id": call.id, "tool": call.tool, "arguments": dict(call.arguments), "problem": call.problem}


def _counted(reply: ChatReply, reads: int) -> Usage:
    """Return what a reply cost, by estimate where nobody counted."""
    if reply.usage.tokens > 0:
        return reply.usage
    written = text_tokens(reply.text) + sum(text_tokens(str(dict(call.arguments))) for call in reply.requests)
    return Usage(reads, written, is_estimated=True)


def _without_keys(data: Json) -> Json:
    if isinstance(data, str):
        return KEY.sub("(key left out)", data)
    if isinstance(data, Mapping):
        return {name: _without_keys(value) for name, value in data.items()}
    return [_without_keys(item) for item in data] if isinstance(data, list | tuple) else data
