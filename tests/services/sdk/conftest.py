"""Both clients behind one face, so that every test is of both; a clock that nobody waits for."""

import inspect
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from spatial_agent.services.sdk import AsyncClient, AsyncScenes, AsyncSession, Client, Clock

URL, KEY = "http://127.0.0.1:8080", "sa_k1_canary-that-nobody-may-print"
Handler = Callable[[httpx.Request], httpx.Response]
#: A `Client`, or an `AsyncClient` that is waited for: which is decided while the test runs.
AnyClient = Any


class FakeClock(Clock):
    """Goes on only by the pauses that are made, and remembers them."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._now = 0.0

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return 1_700_000_000.0 + self._now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self._now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def pass_by(self, seconds: float) -> None:
        """Let time pass in which nobody paused."""
        self._now += seconds


class Waited:
    """Something asynchronous whose methods are waited for."""

    def __init__(self, target: object, portal: BlockingPortal) -> None:
        self._target = target
        self._portal = portal

    def __repr__(self) -> str:
        return repr(self._target)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the target has
        value = getattr(self._target, name)
        if isinstance(value, AsyncScenes):
            return Waited(value, self._portal)
        return partial(self._called, value) if callable(value) else value

    def _called(self, method: Callable[..., Any], *args: object, **options: object) -> Any:  # noqa: ANN401
        result = method(*args, **options)
        if inspect.isasyncgen(result):
            return self._iterated(result)
        result = self._portal.call(lambda: result)
        return Waited(result, self._portal) if isinstance(result, AsyncSession) else result

    def _iterated(self, items: Any) -> Iterator[Any]:  # noqa: ANN401 - of an asynchronous generator
        try:
            while (item := self._portal.call(anext, items, None)) is not None:
                yield item
        finally:
            self._portal.call(items.aclose)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in pieces, and breaks where one of them is an error."""

    def __init__(self, pieces: Sequence[bytes | Exception]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@contextmanager
def opened(kind: str, url: str, key: str | None, **options: Any) -> Iterator[AnyClient]:  # noqa: ANN401
    """A client of either kind, behind the same face."""
    if kind == "Client":
        with Client(url, key, **options) as client:
            yield client
        return
    with start_blocking_portal() as portal:
        opened = Waited(AsyncClient(url, key, **options), portal)
        yield opened
        opened.aclose()


@pytest.fixture(params=["Client", "AsyncClient"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def connect(kind: str, clock: FakeClock) -> Iterator[Callable[..., AnyClient]]:
    """Opens a client of either kind whose requests a function answers."""
    with ExitStack() as stack:

        def connected(answer: Handler, url: str = URL, key: str | None = KEY, **options: object) -> AnyClient:
            transport = httpx.MockTransport(answer)
            return stack.enter_context(opened(kind, url, key, transport=transport, clock=clock, **options))

        yield connected
