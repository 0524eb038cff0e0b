"""The web server: uvicorn, with problem+json for what is no HTTP, and an end that loses nothing."""

import asyncio
import json
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from spatial_agent.services.api.problems import MEDIA_TYPE, BadRequestError, problem_of
from spatial_agent.tools.errors import ConfigurationError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from spatial_agent.services.api.service import Service

#: Seconds that connections may take to end once all work is done.
LAST_SECONDS = 5
#: Seconds between looks whether a second signal wants the end at once.
LOOK_S = 0.1


class ProblemProtocol(H11Protocol):
    """Answers malformed HTTP with problem+json, and leaves connections on which no request comes."""

    #: Seconds until a connection's request must be there, from its first byte or from the connection.
    patience_s = 60.0
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take what came, and go on waiting where that is no whole request."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._unwatch()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP."""
        body = json.dumps(problem_of(BadRequestError(f"expected an HTTP request: {msg}"))).encode()
        headers = [
            ("content-type", MEDIA_TYPE),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (response, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _watch(self) -> None:
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            self._unwatch()
        elif self._waiting is None:
            self._waiting = self.loop.call_later(self.patience_s, self.transport.close)

    def _unwatch(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


class ApiServer(uvicorn.Server):
    """Drains its service at the signal, while it still answers; then ends streams and connections."""

    def __init__(
        self, app: "FastAPI", service: "Service", on_started: Callable[[], None] | None = None
    ) -> None:
        """Prepare to serve; nothing listens yet.

        Args:
            app: The app of the service.
            service: The service.
            on_started: Called once requests are answered.
        """
        super().__init__(_server_config(app, service))
        self._service = service
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the app, and listen."""
        await super().startup(sockets)
        if self._on_started is not None:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let running jobs finish, then end; a second signal ends at once."""
        draining = asyncio.ensure_future(self._service.drain())
        while not draining.done() and not self.force_exit:
            await asyncio.wait({draining}, timeout=LOOK_S)
        self._service.leaving.set()
        if not draining.done():
            draining.cancel()
        await super().shutdown(sockets)


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        host: Name or address to listen on.
        port: Its port; 0 for any free one.

    Raises:
        ConfigurationError: If that is not possible.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address, family=family, backlog=2048)
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def address_of(listening: socket.socket) -> str:
    """Return the URL of a socket that listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _server_config(app: "FastAPI", service: "Service") -> uvicorn.Config:
    limits = service.config.limits
    protocol: Any = type("Protocol", (ProblemProtocol,), {"patience_s": limits.body_seconds})
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=LAST_SECONDS,
        # The app itself refuses headers above the limit in words; this bounds what is kept before that.
        h11_max_incomplete_event_size=4 * limits.header_bytes,
    )
