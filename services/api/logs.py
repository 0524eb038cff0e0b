"""One line of log for every request: structured, with its id, without bodies, queries and secrets."""

import json
import logging
import re
import secrets
import sys
import time
from typing import TYPE_CHECKING, Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from spatial_agent.services.api.handlers import LOG, error_response
from spatial_agent.services.api.metrics import METHODS, REQUEST_SECONDS, REQUESTS

if TYPE_CHECKING:
    from spatial_agent.services.api.service import Service

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
#: What routes that nobody knows are called; paths are made up by whoever asks.
UNKNOWN_ROUTE = "unknown"
#: What a client that left before its response is counted as, as nginx does.
LEFT = 499


class RequestLog:
    """Gives every request an id, logs and counts it, and turns what nobody caught into problem+json.

    The id is taken from ``X-Request-Id`` where that is plain, and sent back in it.
    """

    def __init__(self, app: ASGIApp, service: "Service") -> None:
        """Wrap an app."""
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        sending = _Sending(send, request_id)
        try:
            await self._app(scope, receive, sending)
        except Exception as error:
            response = error_response(error, request_id, self._service)
            if sending.status is None:
                await response(scope, receive, sending)
        finally:
            self._record(scope, sending)

    def _record(self, scope: Scope, sending: "_Sending") -> None:
        route = getattr(scope.get("route"), "path", None) or UNKNOWN_ROUTE
        method = scope["method"] if scope["method"] in METHODS else "other"
        status = LEFT if sending.status is None else sending.status
        labels = {"method": method, "route": route}
        self._service.meter.count(REQUESTS, labels | {"status": str(status)})
        self._service.meter.duration(REQUEST_SECONDS, labels, sending.until_response_s)
        caller = scope["state"].get("caller")
        fields = {
            "request_id": sending.request_id,
            "method": method,
            "route": route,
            "path": scope["path"][:200],
            "status": status,
            "seconds": round(sending.seconds, 4),
            "bytes": sending.bytes,
            "tenant": None if caller is None else caller.tenant,
            "key": None if caller is None else caller.key_id,
            "client": (scope.get("client") or ("",))[0],
        }
        level = logging.DEBUG if route in ("/healthz", "/readyz", "/metrics") else logging.INFO
        LOG.log(level, "request", extra={"fields": fields})


class _Sending:
    """Adds the request's id to a response, and remembers what was sent."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status: int | None = None
        self.bytes = 0
        self._began = time.perf_counter()
        self._answered: float | None = None

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @property
    def until_response_s(self) -> float:
        return self.seconds if self._answered is None else self._answered - self._began

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._answered = time.perf_counter()
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            headers["X-Request-Id"] = self.request_id
            headers.setdefault("X-Content-Type-Options", "nosniff")
            # What a tenant is told is kept by no cache on the way, and shown inside no page of others.
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
        elif message["type"] == "http.response.body":
            self.bytes += len(message.get("body", b""))
        await self._send(message)


class JsonLines(logging.Formatter):
    """Writes records as one line of JSON each."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{record.msecs:03.0f}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """Writes records for people: what happened, then its fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields = getattr(record, "fields", {})
        told = " ".join(
            f"{name}={_plain(value)}" for name, value in fields.items() if value not in (None, "")
        )
        when = time.strftime("%H:%M:%S", time.localtime(record.created))
        line = f"{when} {record.levelname.lower()} {_plain(record.getMessage())} {told}".rstrip()
        if not record.exc_info:
            return line
        # What an error says may have been written by anybody: it begins no line.
        why = self.formatException(record.exc_info).splitlines()
        return "\n".join([line, *(f"    {_plain(part)}" for part in why)])


def log_to_stderr(form: str) -> None:
    """Send the log of the service and of its web server to standard error.

    Args:
        form: ``"json"`` for one object a line, else text for people.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    for name, level in (("spatial_agent", logging.INFO), ("uvicorn.error", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            given = str(value.decode("latin-1"))
            return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    return secrets.token_hex(8)


def _plain(value: object) -> str:
    # Paths and errors may hold control characters; a log line must stay one line.
    return "".join(character if character.isprintable() else "?" for character in str(value))
