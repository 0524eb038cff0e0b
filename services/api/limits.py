"""What a request may bring before anything reads it: pure ASGI, problem+json."""

import asyncio
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spatial_agent.services.api.config import LOOPBACK_HOSTS
from spatial_agent.services.api.handlers import error_response
from spatial_agent.services.api.problems import (
    BadRequestError,
    ForbiddenError,
    HeadersTooLargeError,
    MediaTypeError,
    MisdirectedError,
    RefusedError,
    TimedOutError,
    TooLargeError,
)

if TYPE_CHECKING:
    from spatial_agent.services.api.config import ServiceConfig

HEALTH_PATHS = frozenset({"/healthz", "/readyz"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
#: What browsers say of requests that come from a page of the service itself, or from no page.
_OWN_SITE = frozenset({"same-origin", "none"})
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\[\]:@/]*))(?::[0-9]{1,5})?", re.IGNORECASE)


class Limits:
    """Refuses requests by their host, origin, headers and bodies, and bodies that stand still."""

    def __init__(self, app: ASGIApp, config: "ServiceConfig") -> None:
        """Wrap an app.

        Args:
            app: The app.
            config: Says what is allowed.
        """
        self._app = app
        self._config = config
        self._hosts = allowed_hosts(config)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            self._check(scope, headers)
        except RefusedError as error:
            await _refuse(error, scope, receive, send)
            return
        limits = self._config.limits
        body = _Body(receive, send, self._most_bytes(scope), limits.body_seconds)
        await self._app(scope, body.receive, body.send)
        if body.refusal is not None:
            await _refuse(body.refusal, scope, receive, send)

    def _check(self, scope: Scope, headers: dict[str, str]) -> None:
        limits = self._config.limits
        size = len(scope.get("query_string", b"")) + len(scope.get("raw_path") or b"")
        size += sum(len(name) + len(value) + 4 for name, value in scope["headers"])
        if size > limits.header_bytes:
            raise HeadersTooLargeError(f"expected at most {limits.header_bytes} bytes of headers, got {size}")
        # Whatever watches the service does so by the address of its machine.
        if scope["path"] not in HEALTH_PATHS:
            self._check_place(scope["method"], headers)
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise MediaTypeError("expected a body without Content-Encoding; send archives as files")
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy in front may go by the other one, and take the rest of the body for a request.
            raise BadRequestError(
                "expected either Content-Length or Transfer-Encoding, got both",
                headers={"Connection": "close"},
            )
        length = headers.get("content-length", "")
        most = self._most_bytes(scope)
        if length.isdecimal() and int(length) > most:
            raise _too_large(most)

    def _check_place(self, method: str, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if self._hosts and host_name(host) not in self._hosts:
            raise MisdirectedError(
                f"this service is not {host[:100]!r}; the operator lists the names it answers to in 'hosts'"
            )
        if self._config.needs_keys or method in _READING:
            return
        # Without keys a page of somebody else's could act through the browser of whoever runs the service.
        origin = headers.get("origin")
        if origin is None:
            is_own = headers.get("sec-fetch-site", "none") in _OWN_SITE
        else:
            is_own = origin in self._config.origins or (host != "" and _place_of(origin) == host)
        if not is_own:
            raise ForbiddenError(
                f"pages of {(origin or 'others')[:100]!r} may not use this service; the operator lists "
                "origins in 'origins'"
            )

    def _most_bytes(self, scope: Scope) -> int:
        limits = self._config.limits
        path = scope["path"]
        is_upload = path == "/v1/scenes" or path.startswith("/v1/uploads")
        return max(limits.upload_bytes, limits.request_bytes) if is_upload else limits.request_bytes


class _Body:
    """A request's body, counted while it comes; once it is refused the app's response is held back."""

    def __init__(self, receive: Receive, send: Send, most_bytes: int, patience_s: float) -> None:
        self._receive = receive
        self._send = send
        self._most_bytes = most_bytes
        self._patience_s = patience_s
        self._bytes = 0
        self._is_whole = False
        self._has_begun = False
        self.refusal: RefusedError | None = None

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._patience_s):
                message = await self._receive()
        except TimeoutError:
            error = TimedOutError(
                f"expected the body to go on within {self._patience_s:g} s", headers={"Connection": "close"}
            )
            return self._refused(error)
        self._bytes += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        return self._refused(_too_large(self._most_bytes)) if self._bytes > self._most_bytes else message

    async def send(self, message: Message) -> None:
        if self.refusal is not None and not self._has_begun:
            return
        self._has_begun = True
        await self._send(message)

    def _refused(self, error: RefusedError) -> Message:
        """Return what the app is told: nobody is there any more."""
        if not self._has_begun:
            self.refusal = error
        self._is_whole = True
        return {"type": "http.disconnect"}


def allowed_hosts(config: "ServiceConfig") -> frozenset[str]:
    """Return the names a service answers to; all where empty.

    On loopback those of this machine, so that no page can reach it under a name of its own (DNS rebinding).
    """
    own = frozenset() if config.beyond_this_machine else LOOPBACK_HOSTS
    return own | {name.lower() for name in config.hosts}


def host_name(host: str) -> str:
    """Return the name in a ``Host`` header, without its port; "" for what is no host.

    >>> host_name("[::1]:8080"), host_name("Example.org:80"), host_name("localhost")
    ('::1', 'example.org', 'localhost')
    """
    found = _HOST.fullmatch(host)
    return (found[1] or found[2] or "").lower() if found else ""


def _place_of(origin: str) -> str | None:
    """Return the host and port of an origin; None where it has none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _too_large(most_bytes: int) -> TooLargeError:
    return TooLargeError(f"expected a body of at most {most_bytes} bytes", headers={"Connection": "close"})


async def _refuse(error: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
    response = error_response(error, scope.get("state", {}).get("request_id", ""))
    await response(scope, receive, send)
