"""Answers of servers that send without end or send packed: read no further than they may be."""

import asyncio
import gzip
import importlib
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from spatial_agent.agent.models.answer_limits import UNPACKED, AnswerLimitError, limited

URL = "http://server.test/v1/chat/completions"


def library() -> Any:  # noqa: ANN401 - httpx, or its successor, whose classes are others
    """Return the library that OpenAI's client sends with."""
    from openai import DefaultAsyncHttpxClient

    bases = [base.__module__.partition(".")[0] for base in DefaultAsyncHttpxClient.__mro__]
    return importlib.import_module(next(name for name in bases if name.startswith("httpx")))


class Body:
    """A body that counts what was taken of it."""

    def __init__(self, *parts: bytes, is_endless: bool = False, pause_s: float = 0.0) -> None:
        self.parts, self.is_endless, self.pause_s = parts, is_endless, pause_s
        self.taken = 0
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            for part in self.parts:
                await asyncio.sleep(self.pause_s)
                self.taken += len(part)
                yield part
            if not self.is_endless:
                return

    async def aclose(self) -> None:
        self.is_closed = True


def asked(
    body: Body, headers: dict[str, str] | None = None, *, most_bytes: int = 10_000, most_s: float = 5.0
) -> bytes:
    """Return the answer that a client gets that is limited; it is the one that OpenAI's library makes."""
    from openai import DefaultAsyncHttpxClient

    sending = library()
    does = {"__aiter__": lambda _: body.__aiter__(), "aclose": lambda _: body.aclose()}
    stream = type("Stream", (sending.AsyncByteStream,), does)

    async def ask() -> bytes:
        answer = sending.Response(200, headers=headers, stream=stream())
        transport = sending.MockTransport(lambda request: answer)
        hooks = {"response": [limited(most_bytes, most_s)]}
        async with DefaultAsyncHttpxClient(
            transport=transport, event_hooks=hooks, headers=UNPACKED
        ) as client:
            response = await client.post(URL, json={})
            assert response.request.headers["accept-encoding"] == "identity"
            return bytes(response.content)

    return asyncio.run(ask())


def test_an_answer_within_the_limits_comes_whole() -> None:
    assert asked(Body(b"a" * 6000, b"b" * 4000)) == b"a" * 6000 + b"b" * 4000


def test_a_body_without_end_is_let_go_of_at_the_limit() -> None:
    body = Body(b"x" * 1000, is_endless=True)
    with pytest.raises(AnswerLimitError, match="longer than 10000 bytes"):
        asked(body)
    assert body.taken == 11_000
    assert body.is_closed


def test_a_body_that_says_it_is_too_long_is_not_begun() -> None:
    body = Body(b"x")
    with pytest.raises(AnswerLimitError, match="as its head says"):
        asked(body, {"content-length": "10001"})
    assert body.taken == 0
    assert body.is_closed


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "GZIP"])
def test_a_packed_body_is_not_unpacked(encoding: str) -> None:
    bomb = gzip.compress(b"x" * 5_000_000)
    assert len(bomb) < 10_000
    body = Body(bomb)
    with pytest.raises(AnswerLimitError, match="packed"):
        asked(body, {"content-encoding": encoding})
    assert body.taken == 0


def test_an_answer_that_trickles_for_ever_is_let_go_of() -> None:
    body = Body(b"data: {}\n\n", is_endless=True, pause_s=0.01)
    started = time.monotonic()
    with pytest.raises(AnswerLimitError, match=r"not ended within 0\.1 s"):
        asked(body, most_s=0.1)
    assert time.monotonic() - started < 2
    assert body.is_closed
