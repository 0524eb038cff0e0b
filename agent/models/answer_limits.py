"""What a server's answer may be before anybody reads it: so long, so many seconds, and as it is written.

A server that nobody trusts can send without end, or a few kilobytes that unpack to gigabytes. OpenAI's client
comes with one of two libraries, httpx or its successor, depending on its version; this works with both.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Protocol

#: Longest answer, bytes: many times that of a long one streamed token by token.
MOST_BYTES = 16 * 2**20
#: Longest time from the head of an answer to its end, seconds.
MOST_S = 900.0
#: Asks servers to pack nothing.
UNPACKED = {"Accept-Encoding": "identity"}

_Parts = AsyncGenerator[bytes, None]


class AnswerLimitError(Exception):
    """A server's answer is none that is read on; the message says why."""


class Response(Protocol):
    """What is used of a response whose body has not been read yet."""

    headers: Mapping[str, str]
    #: Yields the body as it comes; everything else that reads the body goes by it.
    aiter_raw: Callable[..., _Parts]


def limited(most_bytes: int = MOST_BYTES, most_s: float = MOST_S) -> Callable[[Response], Awaitable[None]]:
    """Return what a client calls with every response, as ``event_hooks={"response": [limited()]}``.

    Args:
        most_bytes: Longest body, bytes.
        most_s: Longest time until the body has come whole, seconds; looked at whenever a part of it comes.
    """

    async def limit(response: Response) -> None:
        encoding = response.headers.get("content-encoding", "identity").strip().casefold()
        if encoding not in ("", "identity"):
            raise AnswerLimitError(f"the answer is packed ({encoding[:40]!r}), which was not asked for")
        announced = response.headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:20]) > most_bytes:
            raise AnswerLimitError(f"the answer is longer than {most_bytes} bytes, as its head says")
        read, ends = response.aiter_raw, time.monotonic() + most_s

        async def bounded(chunk_size: int | None = None) -> _Parts:
            count = 0
            async with aclosing(read(chunk_size)) as parts:
                async for part in parts:
                    count += len(part)
                    if count > most_bytes:
                        raise AnswerLimitError(f"the answer is longer than {most_bytes} bytes")
                    if time.monotonic() > ends:
                        raise AnswerLimitError(f"the answer has not ended within {most_s:g} s")
                    yield part

        response.aiter_raw = bounded

    return limit
