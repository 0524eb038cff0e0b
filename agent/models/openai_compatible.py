"""Models behind an address that speaks OpenAI's chat completions: OpenAI itself, and whoever is compatible.

What a server does not take is found out when it refuses it, and remembered: fields, the system role, tools
and schemas (which then go by the text protocol), more pictures or a longer context than it has.
"""

import asyncio
import importlib.util
import random
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from spatial_agent.agent.models.chat import ChatReply, ChatRequest, ModelLimits, OnText
from spatial_agent.agent.models.fitted import fit
from spatial_agent.agent.models.openai_failures import Dialect, Failure, failure_of, learned
from spatial_agent.agent.models.openai_messages import ToolNames, wire_messages, wire_schema, wire_tools
from spatial_agent.agent.models.openai_replies import Heard, read_reply
from spatial_agent.agent.models.text_protocol import TextProtocol
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import (
    ConfigurationError,
    ModelError,
    ModelRequestError,
    ModelUnavailableError,
)

if TYPE_CHECKING:
    from spatial_agent.agent.models.openai_client import CompatibleChat

OPENAI_URL = "https://api.openai.com/v1"
#: Hosts whose models limit a reply by the newer field only.
OPENAI_HOSTS = ("api.openai.com", ".openai.azure.com")
#: Hosts that say in their reference that they ignore schemas.
SCHEMA_IGNORING_HOSTS = ("api.anthropic.com",)

#: Longest wait for an answer where nobody says otherwise, seconds.
TIMEOUT_S = 120.0
#: Wait before the second, third, ... attempt: the first doubled each time, up to the longest, seconds.
FIRST_WAIT_S, LONGEST_BACKOFF_S = 0.5, 8.0
#: Longest wait that a server may ask for before it counts as unavailable, seconds.
LONGEST_WAIT_S = 60.0
#: Refusals from which one request learns.
MOST_LESSONS = 6

Pause = Callable[[float], Awaitable[None]]


class OpenAICompatible:
    """A `ChatModel` behind an address."""

    def __init__(
        self,
        model: str,
        url: str | None,
        key: str | None = None,
        *,
        limits: ModelLimits | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: int = 4,
        pause: Pause = asyncio.sleep,
    ) -> None:
        """Describe the model; nothing is connected or imported before it is first asked.

        Args:
            model: Name of the model at the server.
            url: Address up to and with ``/v1``, such as ``"http://127.0.0.1:8000/v1"``; None for OpenAI.
            key: Key for the server; None where it needs none.
            limits: What the model takes and does; what is refused later is taken off.
            timeout_s: Longest wait for an answer, or for the next piece of one that is streamed, seconds.
            retries: Attempts after the first one, where a failure may pass.
            pause: Waits for a number of seconds between attempts.

        Raises:
            ConfigurationError: If langchain-openai is not installed.
        """
        if importlib.util.find_spec("langchain_openai") is None:
            raise ConfigurationError(
                "models behind an address need langchain-openai, which is not installed; "
                "pip install 'spatial-reasoning-agent[llm]'"
            )
        self._model, self._url, self._key = model, url or OPENAI_URL, _Secret(key)
        self._timeout_s, self._retries, self._pause = timeout_s, retries, pause
        host = urlsplit(self._url).hostname or ""
        is_openai = host.endswith(OPENAI_HOSTS)
        self._limits = limits or ModelLimits(has_schemas=host not in SCHEMA_IGNORING_HOSTS)
        self._own_limits = self._limits
        self._dialect = Dialect("max_completion_tokens" if is_openai else "max_tokens")
        self._clients: dict[asyncio.AbstractEventLoop, CompatibleChat] = {}

    def __repr__(self) -> str:
        """Return name and host, without key, user or query."""
        return f"OpenAICompatible({self._model!r}, {self._host!r})"

    @property
    def name(self) -> str:
        """Name for traces and people, without address and key, and without the folders of a local model."""
        is_folder = self._model.startswith("/")
        return f"openai:{PurePosixPath(self._model).name if is_folder else self._model}"

    @property
    def limits(self) -> ModelLimits:
        """What the model takes and does, as far as it is known by now."""
        return self._limits

    async def reply(self, request: ChatRequest, on_text: OnText | None = None) -> ChatReply:
        """Return what the model says; cancelling the call closes the request.

        Where an answer breaks off after `on_text` got some of it, it is asked for again, and `on_text` gets
        no more: what is returned is the whole second answer.

        Raises:
            ModelUnavailableError: If the server cannot be reached, refuses the key, or keeps failing.
            ModelRequestError: If it refuses the request, and nothing in it that could be left out is why.
        """
        before = self._limits
        if before is not self._own_limits:
            request = await asyncio.to_thread(fit, request, before)
        lessons = 0
        while True:
            if self._lacks(request):
                return await self._in_words(request, on_text, before)
            names = ToolNames(offer.name for offer in request.tools)
            heard = await self._ask(request, names, on_text)
            if isinstance(heard, Heard):
                reply = read_reply(heard, request, self._limits, names)
                if not self._learn_from(heard, reply):
                    return reply
            elif lessons >= MOST_LESSONS or not self._learn(heard, request):
                raise self._error(heard)
            else:
                request = await asyncio.to_thread(fit, request, self._limits)
            lessons += 1

    async def close(self) -> None:
        """Close all connections of this event loop; those of loops that have ended are gone with them."""
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.root_async_client.close()

    @property
    def _host(self) -> str:
        return urlsplit(self._url).hostname or "?"

    def _lacks(self, request: ChatRequest) -> bool:
        return bool(request.tools and not self._limits.has_tools) or (
            request.schema is not None and not self._limits.has_schemas
        )

    async def _in_words(self, request: ChatRequest, on_text: OnText | None, before: ModelLimits) -> ChatReply:
        """Ask by the text protocol; where that is refused too, it was not tools or schemas that were."""
        try:
            return await TextProtocol(self).reply(request, on_text)
        except ModelRequestError:
            self._limits = replace(self._limits, has_tools=before.has_tools, has_schemas=before.has_schemas)
            raise

    def _learn(self, failure: Failure, request: ChatRequest) -> bool:
        """Remember what a refusal teaches; return whether it teaches anything."""
        if failure.kind != "refused":
            return False
        lesson = learned(failure, request, self._limits, self._dialect)
        if lesson is None or lesson == (self._limits, self._dialect):
            return False
        self._limits, self._dialect = lesson
        return True

    def _learn_from(self, heard: Heard, reply: ChatReply) -> bool:
        """Remember that a server ignores schemas, if its answer is none that a schema allows."""
        is_ignored = reply.problem is not None and heard.ended in ("stop", None) and "{" not in heard.text
        if is_ignored:
            self._limits = replace(self._limits, has_schemas=False)
        return is_ignored

    async def _ask(self, request: ChatRequest, names: ToolNames, on_text: OnText | None) -> Heard | Failure:
        """Ask until there is an answer, or a failure that does not pass."""
        listener = None if on_text is None else _Listener(on_text)
        asked = await self._written(request, names)
        attempt = 0
        while True:
            heard = await self._attempt(asked, listener)
            if isinstance(heard, Heard) or heard.kind != "passing":
                return heard
            wait_s = _backoff_s(attempt) if heard.wait_s is None else heard.wait_s
            if attempt >= (min(1, self._retries) if heard.is_slow else self._retries):
                return replace(heard, said=f"{heard.said} (tried {attempt + 1} times)")
            if wait_s > LONGEST_WAIT_S:
                return replace(heard, said=f"{heard.said} (it asks to wait for {wait_s:.0f} s)")
            if listener is not None and listener.has_heard:
                listener = None
            attempt += 1
            await self._pause(wait_s)

    async def _written(self, request: ChatRequest, names: ToolNames) -> "_Asked":
        body: dict[str, Json] = {self._dialect.tokens_field: request.most_tokens}
        if request.schema is not None:
            body["response_format"] = wire_schema(request.schema, request.purpose)
        messages = await asyncio.to_thread(
            wire_messages,
            request.messages,
            names,
            side_px=self._limits.picture_side_px,
            has_system_role=self._dialect.has_system_role,
        )
        options: dict[str, Any] = {"extra_body": body}
        if request.tools:
            options["tools"] = wire_tools(request.tools, names)
        return _Asked(messages, options)

    async def _attempt(self, asked: "_Asked", listener: "_Listener | None") -> Heard | Failure:
        """Ask once. Nothing of the client library's errors goes on: they hold requests, and so the key."""
        client = await self._client()
        from langsmith import tracing_context  # here it is loaded

        try:
            # Prompts and pictures go to the model alone, whatever else the environment asks for.
            with tracing_context(enabled=False):
                if listener is not None:
                    return await self._streamed(client, asked, listener)
                async with asyncio.timeout(self._timeout_s):
                    heard = Heard()
                    message = await client.ainvoke(asked.messages, {"callbacks": []}, **asked.options)
                    heard.add(message, is_piece=False)
                    return heard.without(self._key.value)
        except _ListenerError as error:
            caught = error.caught
        except Exception as error:
            return failure_of(error, self._key.value)
        raise caught

    async def _streamed(
        self, client: "CompatibleChat", asked: "_Asked", listener: "_Listener"
    ) -> Heard | Failure:
        heard = Heard()
        stream = client.astream(
            asked.messages,
            {"callbacks": []},
            stream_usage=self._dialect.has_stream_options,
            **asked.options,
        )
        try:
            async with aclosing(stream):  # type: ignore[type-var]
                async for piece in stream:
                    _check_wanted()
                    listener.hear(heard.add(piece, is_piece=True))
        except ValueError as error:
            failure = failure_of(error, self._key.value)
            return replace(failure, kind="passing", is_slow=True) if failure.status is None else failure
        if not heard.ended:
            return Failure("passing", None, "the answer broke off")
        return heard.without(self._key.value)

    async def _client(self) -> "CompatibleChat":
        """Return the client of this event loop: connections do not outlive the loop that opened them."""
        loop = asyncio.get_running_loop()
        if loop not in self._clients:
            client = await asyncio.to_thread(self._open_client)
            still_there = {known: kept for known, kept in self._clients.items() if not known.is_closed()}
            self._clients = {loop: client} | still_there
        return self._clients[loop]

    def _open_client(self) -> "CompatibleChat":
        from spatial_agent.agent.models.openai_client import open_client

        return open_client(self._model, self._url, self._key.value, self._timeout_s)

    def _error(self, failure: Failure) -> ModelError:
        status = "" if failure.status is None else f" ({failure.status})"
        who = f"{self.name} at {self._host}"
        if failure.kind == "refused":
            return ModelRequestError(f"{who} refused the request{status}: {failure.said}")
        if failure.status in (401, 403):
            return ModelUnavailableError(f"{who} refused the key{status}: {failure.said}; set another key")
        if failure.status == 404:
            return ModelUnavailableError(
                f"{who} was not found{status}: {failure.said}; check the name of the model and the address"
            )
        return ModelUnavailableError(f"{who} is unavailable{status}: {failure.said}")


@dataclass(frozen=True)
class _Asked:
    """A request as it is sent."""

    messages: list[dict[str, Any]]
    options: dict[str, Any]


@dataclass(frozen=True, repr=False)
class _Secret:
    """A key that does not show itself."""

    value: str | None


class _ListenerError(Exception):
    """The caller's own `on_text` failed.

    Attributes:
        caught: With what.
    """

    def __init__(self, caught: Exception) -> None:
        super().__init__()
        self.caught = caught


class _Listener:
    """Hands pieces of an answer to the caller.

    Attributes:
        has_heard: Whether there were any.
    """

    def __init__(self, on_text: OnText) -> None:
        self._on_text = on_text
        self.has_heard = False

    def hear(self, piece: str) -> None:
        if not piece:
            return
        self.has_heard = True
        try:
            self._on_text(piece)
        except Exception as error:
            raise _ListenerError(error) from error


def _backoff_s(attempt: int) -> float:
    """Return how long to wait after an attempt; not all callers at once come back at the same time."""
    return min(LONGEST_BACKOFF_S, FIRST_WAIT_S * 2.0**attempt) * random.uniform(0.75, 1.25)


def _check_wanted() -> None:
    """Stop where nobody waits any more: the library's `asyncio.wait_for` swallows a cancellation at times.

    Python before 3.12 gives back what came at the same moment, and forgets that it was cancelled.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
