"""Servers of the chat completions interface for tests: on 127.0.0.1, each strict in its own way.

A dialect refuses what the real server refuses, in its words, and shapes answers as the real server does. What
the model says comes from the test. None of this is the real server: it is what its public reference, its
source or its users' reports say of it.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

Body = dict[str, Any]


@dataclass(frozen=True)
class Called:
    """A call that the model makes: arguments as it writes them."""

    name: str
    arguments: str = "{}"
    id: str = "call_1"


@dataclass(frozen=True)
class Says:
    """What the model says next."""

    text: str = ""
    calls: tuple[Called, ...] = ()
    ended: str | None = None
    tokens: tuple[int, int] = (11, 7)

    @property
    def finish(self) -> str:
        return self.ended or ("tool_calls" if self.calls else "stop")

    @property
    def pieces(self) -> list[str]:
        """The words one by one; of long texts, many at once."""
        if len(self.text) > 2000:
            return [self.text[start : start + 1000] for start in range(0, len(self.text), 1000)]
        *words, last = self.text.split(" ")
        return [*(word + " " for word in words), last]


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


@dataclass
class Server:
    """One dialect, served; the base refuses nothing.

    Attributes:
        says: What it answers, one after the other, to requests that it does not refuse; then "Yes.".
        received: Bodies of all requests.
        headers: Headers of all requests.
        url: Where it is served.
        said: How many of its answers were given.
    """

    says: Sequence[Says | Response | Refusal] = ()
    received: list[Body] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    url: str = ""
    said: int = 0

    def check(self, body: Body, headers: Mapping[str, str]) -> None:
        """Raise a refusal of what the real server does not take."""

    def message(self, says: Says, body: Body) -> Body:
        calls = [self.call(call, place) for place, call in enumerate(says.calls)]
        return {"role": "assistant", "content": says.text or None} | ({"tool_calls": calls} if calls else {})

    def call(self, call: Called, place: int) -> Body:
        function = {"name": call.name, "arguments": call.arguments}
        return {"id": call.id, "type": "function", "function": function}

    def usage(self, says: Says) -> Body:
        read, written = says.tokens
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}

    def completion(self, says: Says, body: Body) -> Body:
        choice = {"index": 0, "message": self.message(says, body), "finish_reason": says.finish}
        return self.head("chat.completion", body) | {"choices": [choice], "usage": self.usage(says)}

    def head(self, kind: str, body: Body) -> Body:
        return {"id": "chatcmpl-1", "object": kind, "created": 1_760_000_000, "model": body.get("model")}

    def chunk(self, body: Body, delta: Body, finish: str | None = None, **more: object) -> Body:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return self.head("chat.completion.chunk", body) | {"choices": [choice]} | more

    def chunks(self, says: Says, body: Body) -> Iterator[Body]:
        """Yield the pieces of a streamed answer as OpenAI writes them."""
        yield self.chunk(body, {"role": "assistant", "content": ""})
        for piece in says.pieces:
            yield self.chunk(body, {"content": piece})
        for place, call in enumerate(says.calls):
            begin = {"name": call.name, "arguments": ""}
            head = {"index": place, "id": call.id, "type": "function", "function": begin}
            yield self.chunk(body, {"tool_calls": [head]})
            step = max(4, len(call.arguments) // 100)
            for start in range(0, len(call.arguments), step):
                part = {"arguments": call.arguments[start : start + step]}
                yield self.chunk(body, {"tool_calls": [{"index": place, "function": part}]})
        yield self.chunk(body, {}, says.finish)
        if (body.get("stream_options") or {}).get("include_usage"):
            yield self.head("chat.completion.chunk", body) | {"choices": [], "usage": self.usage(says)}

    def events(self, says: Says, body: Body) -> list[str]:
        return [*(json.dumps(chunk) for chunk in self.chunks(says, body)), "[DONE]"]

    async def answer(self, request: Request) -> Response:
        body = await request.json()
        self.received.append(body)
        self.headers.append(dict(request.headers))
        try:
            self.check(body, request.headers)
            says = self.says[self.said] if self.said < len(self.says) else Says("Yes.")
            self.said += 1
            if isinstance(says, Refusal):
                raise says
        except Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status, refusal.headers)
        if isinstance(says, Response):
            return says
        if body.get("stream"):
            return event_stream(self.events(says, body))
        return JSONResponse(self.completion(says, body))


def event_stream(events: Sequence[str], *, is_cut: bool = False) -> Response:
    """Return events as a server sends them; a cut stream ends in the middle of the connection."""

    async def sent() -> AsyncIterator[bytes]:
        for event in events:
            yield f"data: {event}\n\n".encode()
            await asyncio.sleep(0)
        if is_cut:
            raise ConnectionAbortedError

    return StreamingResponse(sent(), media_type="text/event-stream")


class Hanging(Response):
    """An answer that never comes.

    Attributes:
        gone: Set when the client has closed the request.
    """

    def __init__(self, events: Sequence[str] = ()) -> None:
        super().__init__()
        self.gone = threading.Event()
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._events:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        for event in self._events:
            await send(
                {"type": "http.response.body", "body": f"data: {event}\n\n".encode(), "more_body": True}
            )
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()


Serve = Callable[[Server], Server]


@contextmanager
def serving() -> Iterator[Serve]:
    """Serve whatever is handed in, each under an address of its own, which it then knows."""
    servers: dict[str, Server] = {}

    async def answer(request: Request) -> Response:
        return await servers[request.path_params["name"]].answer(request)

    app = Starlette(routes=[Route("/{name}/v1/chat/completions", answer, methods=["POST"])])
    config = uvicorn.Config(app, "127.0.0.1", 0, log_config=None, lifespan="off", ws="none")
    uvicorn_server = uvicorn.Server(config)
    thread = threading.Thread(target=uvicorn_server.run, daemon=True)
    thread.start()
    while not uvicorn_server.started and thread.is_alive():
        thread.join(0.005)
    port = uvicorn_server.servers[0].sockets[0].getsockname()[1]

    def serve(server: Server) -> Server:
        name = f"server-{len(servers)}"
        servers[name] = server
        server.url = f"http://127.0.0.1:{port}/{name}/v1"
        return server

    try:
        yield serve
    finally:
        uvicorn_server.should_exit = True
        thread.join(5)
