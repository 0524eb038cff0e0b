"""Requests that are sent until they are answered, and what their replies say."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from spatial_agent.services.api.schemas import Problem
from spatial_agent.services.sdk.errors import (
    ApiError,
    ProtocolError,
    UnreachableError,
    WaitTimeoutError,
    error_of,
    unexplained,
)
from spatial_agent.services.sdk.pacing import Deadline, Pace, retry_after_s
from spatial_agent.services.sdk.steps import Pause, Plan, Reply, Request, Send
from spatial_agent.tools.errors import InvalidValueError, SpatialAgentError

Document = TypeVar("Document", bound=BaseModel)
#: The service did not take the request up, and may another time.
TURNED_AWAY = frozenset({429, 503})
#: Something between here and the service failed; the request may have arrived.
LOST_BEYOND = frozenset({502, 504})
#: A reply is waited for at least so long, seconds, however soon the deadline is.
LEAST_PATIENCE_S = 0.05
NAME = re.compile(r"[\w-][\w.-]{0,99}", re.ASCII)


def send(pace: Pace, request: Request, deadline: Deadline | None = None) -> Plan[Reply]:
    """Plan to send a request until the service does what it asks for.

    Raises:
        UnreachableError: If no reply comes, again and again, or once where it cannot be repeated.
        SpatialAgentError: If the service refuses; see `error_of`.
        WaitTimeoutError: If the deadline passes before.
    """
    for failures in count(1):
        try:
            reply: Reply = yield Send(within(request, pace, deadline))
        except UnreachableError as lost:
            yield from paused(pace, failures, request, lost, deadline)
            continue
        if reply.is_success:
            return reply
        yield from paused(pace, failures, request, refusal(reply, pace), deadline)
    raise AssertionError("counts for ever")


def within(request: Request, pace: Pace, deadline: Deadline | None) -> Request:
    """Return a request whose reply is waited for as long as is usual, or until the deadline."""
    usual_s = pace.timeout_s if request.patience_s is None else request.patience_s
    left_s = usual_s if deadline is None else max(LEAST_PATIENCE_S, min(usual_s, deadline.left_s))
    return replace(request, patience_s=left_s)


def paused(
    pace: Pace,
    failures: int,
    request: Request,
    error: SpatialAgentError,
    deadline: Deadline | None = None,
) -> Plan[None]:
    """Plan to wait before a request is sent again; raises the error where it is not to be.

    Args:
        pace: When something is tried again.
        failures: How often it failed, at least 1.
        request: What failed.
        error: Why.
        deadline: When nobody wants to wait any longer.
    """
    asked_s = error.retry_after_s if isinstance(error, ApiError) else None
    pause_s = pace.pause_s(failures, asked_s) if _may_repeat(request, error) else None
    if pause_s is None:
        raise error
    if deadline is None:
        yield Pause(pause_s)
        return
    try:
        yield from deadline.pause(pause_s, "a reply")
    except WaitTimeoutError as late:
        raise late from error


def refusal(reply: Reply, pace: Pace) -> SpatialAgentError:
    """Return the error that a reply other than success stands for."""
    if 300 <= reply.status < 400:
        return ProtocolError(
            "expected a reply of the service, it redirects elsewhere, which is not followed because the key "
            f"would go along (HTTP {reply.status}); give the address that it redirects to"
        )
    asked_s = retry_after_s(reply.headers.get("retry-after"), pace.clock.wall())
    return error_of(_problem(reply), retry_after_s=asked_s)


def document(reply: Reply, kind: type[Document]) -> Document:
    """Return the JSON document of a reply.

    Raises:
        ProtocolError: If it is none of that kind.
    """
    try:
        return kind.model_validate_json(reply.body)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, found["loc"])) or "the document"
        raise ProtocolError(f"expected a {kind.__name__} from the service, {where}: {found['msg']}") from None


def json_object(text: str | bytes, what: str) -> Mapping[str, Any]:
    """Return a JSON object.

    Raises:
        ProtocolError: If it is none.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(f"expected {what} as JSON from the service, got something else") from None
    if not isinstance(value, dict):
        raise ProtocolError(f"expected {what} as a JSON object, got {type(value).__name__}")
    return value


def path(*names: str) -> str:
    """Return a path of the API.

    Raises:
        InvalidValueError: If a name could lead elsewhere.

    >>> path("scenes", "scn_0123456789", "artifacts", "frames/0.jpg")
    '/v1/scenes/scn_0123456789/artifacts/frames/0.jpg'
    """
    for name in names:
        if not all(NAME.fullmatch(part) for part in name.split("/")):
            raise InvalidValueError(f"expected an id or name that the service gave, got {name[:100]!r}")
    return quote("/".join(("/v1", *names)))


def json_request(method: str, to: str, body: BaseModel, **options: Any) -> Request:  # noqa: ANN401 - of Request
    """Return a request whose body is a document, without what was left out."""
    headers = {"Content-Type": "application/json"} | options.pop("headers", {})
    return Request(method, to, headers, body=body.model_dump_json(exclude_unset=True).encode(), **options)


def _may_repeat(request: Request, error: SpatialAgentError) -> bool:
    """Return whether trying again may help, and does no harm; an expert that is broken is told at once."""
    if isinstance(error, UnreachableError):
        return request.repeatable or not error.arrived
    if not isinstance(error, ApiError):
        return False
    return error.status in TURNED_AWAY or (request.repeatable and error.status in LOST_BEYOND)


def _problem(reply: Reply) -> Problem:
    """Return what a refusal says, or that it says nothing of this API."""
    if "json" in reply.headers.get("content-type", ""):
        try:
            return Problem.model_validate_json(reply.body).model_copy(update={"status": reply.status})
        except ValidationError:
            pass
    return unexplained("Refused without a reason that this client reads", reply.status)
