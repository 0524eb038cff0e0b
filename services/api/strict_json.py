"""JSON of requests, read strictly: what could not be stored or sent back is refused at the door."""

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from spatial_agent.services.api.auth import identified
from spatial_agent.services.api.problems import BadRequestError, TooLargeError

MOST_DEPTH = 64
MOST_DIGITS = 300
#: Objects, lists and commas: so many values at most. Each takes many times its letters in memory, and nothing
#: else of the process runs while they are read.
MOST_VALUES = 500_000


class StrictRequest(Request):
    """A request whose body is read only for those who may come in, and whose JSON by `strict_json`."""

    async def body(self) -> bytes:
        """Return the body; FastAPI would read it before it asks who sends it."""
        if not hasattr(self, "_body"):
            await identified(self)
        return await super().body()

    async def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body as plain JSON."""
        if not hasattr(self, "_json"):
            self._json = strict_json(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """A route that reads JSON strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, given strict requests."""
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive, request._send))

        return strictly


def strict_json(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return JSON, of which everything can be stored and sent back.

    Raises:
        BadRequestError: If it is not UTF-8, has numbers that are none, is nested too deeply, says something
            twice, or holds text that cannot be written.
        TooLargeError: If it has too many values.
        json.JSONDecodeError: If it is not JSON.

    >>> strict_json(b'{"question": "how far?"}')
    {'question': 'how far?'}
    """
    if sum(map(body.count, (b",", b"[", b"{"))) > MOST_VALUES:
        raise TooLargeError(f"expected JSON of at most {MOST_VALUES} values, got more")
    try:
        text = body.decode("utf-8")
        document = json.loads(
            text,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=_integer,
            object_pairs_hook=_said_once,
        )
    except UnicodeDecodeError:
        raise BadRequestError("expected JSON in UTF-8") from None
    except RecursionError:
        raise _too_deep() from None
    _check(document)
    return document


def _check(document: Any) -> None:  # noqa: ANN401 - JSON
    """Walk level by level: what is nested deeply must not be walked recursively."""
    level = [document]
    for _ in range(MOST_DEPTH + 1):
        if not level:
            return
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_text(value)
            elif isinstance(value, dict):
                below += value.keys()
                below += value.values()
            elif isinstance(value, list):
                below += value
        level = below
    raise _too_deep()


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadRequestError("expected text without the character U+0000")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise BadRequestError("expected text, got half of a surrogate pair") from None


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a name that comes twice: whoever else reads the request may take the other value."""
    said = dict(pairs)
    if len(said) != len(pairs):
        raise BadRequestError("expected every name of an object once, got one twice")
    return said


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise BadRequestError(f"expected numbers up to 1.8e308, got {text[:40]}")
    return number


def _integer(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise BadRequestError(f"expected integers of at most {MOST_DIGITS} digits, got {len(text)}")
    return int(text)


def _no_number(text: str) -> NoReturn:
    raise BadRequestError(f"expected JSON, which has no {text}")


def _too_deep() -> BadRequestError:
    return BadRequestError(f"expected JSON nested at most {MOST_DEPTH} deep")
