"""Bad requests as values, sent byte by byte as they stand."""

import json
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPException, HTTPResponse
from typing import Any

PATIENCE_S = 60.0
#: In paths, headers and bodies, ``@name@`` stands for what the server under test knows under that name.
PLACE = re.compile(rb"@([a-z]+)@")
Headers = Mapping[str, str] | tuple[tuple[str, str], ...]
JSON = {"Content-Type": "application/json"}
#: An answer in OpenAI's format; what else is expected is problem+json.
OPENAI = "openai:"


@dataclass(frozen=True)
class Case:
    """A bad request, and how it must be answered.

    Attributes:
        name: What is bad about it.
        status: The status of the answer.
        kind: The kind of the problem: the end of its ``type``, or "about:blank"; for OpenAI's format `OPENAI`
            and its ``code``, or its ``type`` where there is no code.
        method: The method.
        path: The path, sent as it is.
        headers: Beside ``Host``, ``Content-Length``, ``Connection`` and the key, which one may replace.
        body: The body, or what makes it: bombs are made when they are sent.
        pieces: The whole request instead, in pieces.
        waits: Whether the server is meant to wait before it answers.
    """

    name: str
    status: int
    kind: str
    method: str = "GET"
    path: str = "/v1/questions"
    headers: Headers = field(default_factory=dict)
    body: bytes | Callable[[], bytes] = b""
    pieces: tuple[bytes, ...] = ()
    waits: bool = False

    def written(self, known: Mapping[str, str]) -> list[bytes]:
        """Return what is sent."""
        if self.pieces:
            return [_filled(piece, known) for piece in self.pieces]
        body = self.body() if callable(self.body) else self.body
        if len(body) < 100_000:
            body = _filled(body, known)
        given = self.headers.items() if isinstance(self.headers, Mapping) else self.headers
        usual = {"Host": "@host@", "Authorization": "Bearer @key@", "Connection": "close"}
        if body or self.method in ("POST", "PATCH", "PUT"):
            usual["Content-Length"] = str(len(body))
        replaced = {name.lower() for name, _ in given}
        lines = [(name, value) for name, value in usual.items() if name.lower() not in replaced]
        head = f"{self.method} {self.path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in (*lines, *given)
        )
        return [_filled(head.encode("utf-8", "surrogateescape") + b"\r\n", known) + body]


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)


def reply_of(address: tuple[str, int], pieces: list[bytes], method: str = "GET") -> Reply:
    """Send bytes over a connection of their own, and read one response."""
    with socket.create_connection(address, timeout=PATIENCE_S) as connection:
        # A server that has had enough may close before it has read everything; its reply counts.
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
        response = HTTPResponse(connection, method=method)
        try:
            response.begin()
            body = response.read()
        except (HTTPException, OSError) as error:
            raise AssertionError(f"no whole reply: {error!r}") from error
        finally:
            response.close()
    return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)


def _filled(text: bytes, known: Mapping[str, str]) -> bytes:
    return PLACE.sub(lambda found: known[found[1].decode()].encode(), text)
