"""What a server's answer may be before anybody reads it: so long, so many seconds, and as it is written.

A server that nobody trusts can send without end, or a few kilobytes that unpack to gigabytes, or send the
request on to somebody else. Importing this takes httpx: import it where a client is made.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx

#: Longest answer, bytes: a hundred times that of 1,500 tokens streamed one by one.
MOST_BYTES = 16 * 2**20
#: Longest time from the head of an answer to its end, seconds.
MOST_S = 900.0
#: Asks servers to pack nothing.
UNPACKED = {"Accept-Encoding": "identity"}


class AnswerLimitError(Exception):
    """A server's answer is none that is read on; the message says why."""


def limited(
    most_bytes: int = MOST_BYTES, most_s: float = MOST_S
) -> Callable[[httpx.Response], Awaitable[None]]:
    """Return what an httpx client calls with every response, as ``event_hooks={"response": [...]}``.

    Args:
        most_bytes: Longest body, bytes.
        most_s: Longest time until the body has come whole, seconds; looked at whenever a part of it comes.
    """

    async def limit(response: httpx.Response) -> None:
        encoding = response.headers.get("content-encoding", "identity").strip().casefold()
        if encoding not in ("", "identity"):
            raise AnswerLimitError(f"the answer is packed ({encoding[:40]!r}), which was not asked for")
        announced = response.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > most_bytes:
            raise AnswerLimitError(f"the answer is longer than {most_bytes} bytes, as its head says")
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Limited(response.stream, most_bytes, most_s)

    return limit


class _Limited(httpx.AsyncByteStream):
    """A body that ends with an error where it does not end by itself."""

    def __init__(self, inner: httpx.AsyncByteStream, most_bytes: int, most_s: float) -> None:
        self._inner = inner
        self._most_bytes, self._most_s = most_bytes, most_s
        self._ends = time.monotonic() + most_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for part in self._inner:
            count += len(part)
            if count > self._most_bytes:
                raise AnswerLimitError(f"the answer is longer than {self._most_bytes} bytes")
            if time.monotonic() > self._ends:
                raise AnswerLimitError(f"the answer has not ended within {self._most_s:g} s")
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
