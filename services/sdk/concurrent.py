"""Takes the steps of plans in a task, on any event loop that `anyio` knows."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, closing, suppress
from typing import Any, TypeVar

import anyio
import httpx

from spatial_agent.services.sdk.connecting import Address, Body, Content, counted, failure, head_of, started
from spatial_agent.services.sdk.errors import ServiceError
from spatial_agent.services.sdk.pacing import Clock
from spatial_agent.services.sdk.payload import Payload
from spatial_agent.services.sdk.steps import (
    Finished,
    Give,
    Open,
    Pause,
    Plan,
    Receive,
    Reply,
    Request,
    Send,
    Step,
    Work,
    advance,
)

Result = TypeVar("Result")
#: How long a task that is being cancelled goes on to cancel its question, seconds.
FAREWELL_S = 3.0


class ConcurrentShell:
    """Takes the steps of plans; many may be under way at once."""

    def __init__(self, address: Address, clock: Clock, transport: httpx.AsyncBaseTransport | None) -> None:
        """Prepare; nothing is connected before the first request."""
        self._url = address.url
        self._clock = clock
        self._http = httpx.AsyncClient(**address.options(), transport=transport)

    async def run(self, plan: Plan[Result]) -> Result:
        """Take all steps of a plan, and return its result."""
        with closing(plan):
            async with aclosing(_Exchange(self._http, self._clock, self._url)) as exchange:
                step = advance(plan)
                while not isinstance(step, Finished):
                    step = advance(plan, await exchange.outcome(step))
        return step.value

    async def stream(self, plan: Plan[None]) -> AsyncGenerator[Any, None]:
        """Take the steps of a plan, and yield what it gives."""
        with closing(plan):
            async with aclosing(_Exchange(self._http, self._clock, self._url)) as exchange:
                step = advance(plan)
                while not isinstance(step, Finished):
                    if isinstance(step, Give):
                        yield step.item
                        step = advance(plan)
                    else:
                        step = advance(plan, await exchange.outcome(step))

    async def attempt(self, plan: Plan[None]) -> None:
        """Take the steps of a plan that is worth a try, also in a task that is being cancelled."""
        with anyio.move_on_after(FAREWELL_S, shield=True), suppress(ServiceError):
            await self.run(plan)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()


class _Exchange:
    """The connection of one plan."""

    def __init__(self, http: httpx.AsyncClient, clock: Clock, url: str) -> None:
        self._http = http
        self._clock = clock
        self._url = url
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None

    async def outcome(self, step: Step) -> object:
        """Take a step; a connection that failed is an outcome, too."""
        try:
            return await self._taken(step)
        except httpx.HTTPError as error:
            return failure(error, self._url)

    async def aclose(self) -> None:
        """Leave what was opened."""
        if self._response is not None:
            await self._response.aclose()
            self._response = None

    async def _taken(self, step: Step) -> object:
        match step:
            case Send(request):
                return await self._sent(request)
            case Open(request):
                return await self._opened(request)
            case Receive():
                return b"" if self._pieces is None else await anext(self._pieces, b"")
            case Pause(seconds):
                await self._clock.asleep(seconds)
                return None
            case Work(do):
                return await anyio.to_thread.run_sync(do)
        raise TypeError(f"expected a step to take, got {step!r}")

    async def _sent(self, request: Request) -> Reply:
        response = await self._http.send(self._built(request), stream=True)
        async with aclosing(response):
            return await _whole(response)

    async def _opened(self, request: Request) -> Reply:
        await self.aclose()
        self._response = await self._http.send(self._built(request), stream=True)
        if not self._response.is_success:
            return await _whole(self._response)
        self._pieces = self._response.aiter_bytes()
        return head_of(self._response)

    def _built(self, request: Request) -> httpx.Request:
        body = request.body
        content: Content = _read_aside(request, body) if isinstance(body, Payload) else body
        return started(self._http, request, content)


async def _read_aside(request: Request, body: Payload) -> AsyncIterator[bytes]:
    """Yield a body whose files are read in another thread."""
    pieces = counted(request, body)
    while piece := await anyio.to_thread.run_sync(next, pieces, b""):
        yield piece


async def _whole(response: httpx.Response) -> Reply:
    body = Body()
    async for piece in response.aiter_bytes():
        body.add(piece)
    return body.of(head_of(response))
