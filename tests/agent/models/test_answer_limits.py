"""Answers of servers that send without end, send packed, or send on: read no further than they may be."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from spatial_agent.agent.models.answer_limits import UNPACKED, AnswerLimitError, limited

URL = "http://server.test/v1/chat/completions"


class Endless(httpx.AsyncByteStream):
    """A body that never ends, and counts what was taken of it."""

    def __init__(self, part: bytes, pause_s: float = 0.0) -> None:
        self.part, self.pause_s = part, pause_s
        self.taken = 0
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(self.pause_s)
            self.taken += len(self.part)
            yield self.part

    async def aclose(self) -> None:
        self.is_closed = True


def asked(response: httpx.Response, *, most_bytes: int = 10_000, most_s: float = 5.0) -> httpx.Response:
    """Return what a client that is limited gets."""

    async def ask() -> httpx.Response:
        transport = httpx.MockTransport(lambda request: response)
        hooks = {"response": [limited(most_bytes, most_s)]}
        async with httpx.AsyncClient(transport=transport, event_hooks=hooks, headers=UNPACKED) as client:
            return await client.post(URL, json={})

    return asyncio.run(ask())


def test_an_answer_within_the_limits_comes_whole() -> None:
    assert asked(httpx.Response(200, json={"a": "b" * 9000})).json() == {"a": "b" * 9000}


def test_a_body_without_end_is_let_go_of_at_the_limit() -> None:
    body = Endless(b"x" * 1000)
    with pytest.raises(AnswerLimitError, match="longer than 10000 bytes"):
        asked(httpx.Response(200, stream=body))
    assert body.taken == 11_000
    assert body.is_closed


def test_a_body_that_says_it_is_too_long_is_not_begun() -> None:
    body = Endless(b"x")
    with pytest.raises(AnswerLimitError, match="as its head says"):
        asked(httpx.Response(200, headers={"content-length": "10001"}, stream=body))
    assert body.taken == 0


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip", "GZIP"])
def test_a_packed_body_is_not_unpacked(encoding: str) -> None:
    bomb = gzip.compress(b"x" * 10_000_000)
    assert len(bomb) < 10_000
    transported = httpx.ByteStream(bomb)
    with pytest.raises(AnswerLimitError, match="packed"):
        asked(httpx.Response(200, headers={"content-encoding": encoding}, stream=transported))


def test_an_answer_that_trickles_for_ever_is_let_go_of() -> None:
    body = Endless(b"data: {}\n\n", pause_s=0.01)
    started = time.monotonic()
    with pytest.raises(AnswerLimitError, match=r"not ended within 0\.1 s"):
        asked(httpx.Response(200, stream=body), most_s=0.1)
    assert time.monotonic() - started < 2
    assert body.is_closed
