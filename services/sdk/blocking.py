"""Takes the steps of plans in the thread of the caller."""

from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from typing import Any, TypeVar

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


class BlockingShell:
    """Takes the steps of plans; safe to use from several threads."""

    def __init__(self, address: Address, clock: Clock, transport: httpx.BaseTransport | None) -> None:
        """Prepare; nothing is connected before the first request."""
        self._url = address.url
        self._clock = clock
        self._http = httpx.Client(**address.options(), transport=transport)

    def run(self, plan: Plan[Result]) -> Result:
        """Take all steps of a plan, and return its result."""
        with closing(plan), closing(_Exchange(self._http, self._clock, self._url)) as exchange:
            step = advance(plan)
            while not isinstance(step, Finished):
                step = advance(plan, exchange.outcome(step))
        return step.value

    def stream(self, plan: Plan[None]) -> Generator[Any, None, None]:
        """Take the steps of a plan, and yield what it gives."""
        with closing(plan), closing(_Exchange(self._http, self._clock, self._url)) as exchange:
            step = advance(plan)
            while not isinstance(step, Finished):
                if isinstance(step, Give):
                    yield step.item
                    step = advance(plan)
                else:
                    step = advance(plan, exchange.outcome(step))

    def attempt(self, plan: Plan[None]) -> None:
        """Take the steps of a plan that is worth a try, whatever comes of it."""
        with suppress(ServiceError):
            self.run(plan)

    def close(self) -> None:
        """Close all connections."""
        self._http.close()


class _Exchange:
    """The connection of one plan."""

    def __init__(self, http: httpx.Client, clock: Clock, url: str) -> None:
        self._http = http
        self._clock = clock
        self._url = url
        self._response: httpx.Response | None = None
        self._pieces: Iterator[bytes] = iter(())

    def outcome(self, step: Step) -> object:
        """Take a step; a connection that failed is an outcome, too."""
        try:
            return self._taken(step)
        except httpx.HTTPError as error:
            return failure(error, self._url)

    def close(self) -> None:
        """Leave what was opened."""
        if self._response is not None:
            self._response.close()
            self._response = None

    def _taken(self, step: Step) -> object:
        match step:
            case Send(request):
                return self._sent(request)
            case Open(request):
                return self._opened(request)
            case Receive():
                return next(self._pieces, b"")
            case Pause(seconds):
                self._clock.sleep(seconds)
                return None
            case Work(do):
                return do()
        raise TypeError(f"expected a step to take, got {step!r}")

    def _sent(self, request: Request) -> Reply:
        response = self._http.send(self._built(request), stream=True)
        with closing(response):
            return _whole(response)

    def _opened(self, request: Request) -> Reply:
        self.close()
        self._response = self._http.send(self._built(request), stream=True)
        if not self._response.is_success:
            return _whole(self._response)
        self._pieces = self._response.iter_bytes()
        return head_of(self._response)

    def _built(self, request: Request) -> httpx.Request:
        body = request.body
        content: Content = counted(request, body) if isinstance(body, Payload) else body
        return started(self._http, request, content)


def _whole(response: httpx.Response) -> Reply:
    body = Body()
    for piece in response.iter_bytes():
        body.add(piece)
    return body.of(head_of(response))
