"""Routes that take large bodies, and may have had enough before the end of one."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from fastapi import Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from spatial_agent.services.api.handlers import error_response, request_id_of
from spatial_agent.services.api.problems import BadRequestError, NotFoundError
from spatial_agent.services.api.strict_json import StrictRoute
from spatial_agent.services.scene_files.resumable import NoSuchUploadError
from spatial_agent.tools.errors import SpatialAgentError

#: So much of a body is still taken, and so long, though nobody wants it: whoever sends it can read the reply
#: then, which is lost where the connection is closed on them.
MOST_DRAINED_BYTES = 8 * 2**20
MOST_DRAINED_S = 2.0


class UploadRoute(StrictRoute):
    """A route that closes the connection where the rest of a body would come for nothing."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler, with that."""
        handle = super().get_route_handler()

        async def answering_early(request: Request) -> Response:
            body = _Watched(request.receive)
            try:
                response = await handle(Request(request.scope, body.receive, request._send))
            except (ClientDisconnect, SpatialAgentError) as error:
                response = _refused(request, error)
            if _has_body(request) and not await body.drained():
                response.headers["Connection"] = "close"
            return response

        return answering_early


def _refused(request: Request, error: ClientDisconnect | SpatialAgentError) -> Response:
    told = error if isinstance(error, SpatialAgentError) else BadRequestError("the connection broke")
    if isinstance(error, NoSuchUploadError):
        told = NotFoundError(str(error))
    return error_response(told, request_id_of(request), request.app.state.service)


def _has_body(request: Request) -> bool:
    return request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers


class _Watched:
    """A body of which is known whether all of it came."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._is_whole = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._is_whole = not message.get("more_body", False)
        return message

    async def drained(self) -> bool:
        """Take some more of the body; return whether that was all."""
        count = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(MOST_DRAINED_S):
                while not self._is_whole and count < MOST_DRAINED_BYTES:
                    count += len((await self.receive()).get("body", b""))
        return self._is_whole
