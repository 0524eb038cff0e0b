"""Errors as OpenAI's clients read them: ``{"error": {"message", "type", "param", "code"}}``."""

import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from spatial_agent.services.api.handlers import ProblemResponse, error_response, request_id_of
from spatial_agent.services.api.problems import (
    KINDS,
    MEDIA_TYPE,
    PREFIX,
    AuthenticationError,
    ForbiddenError,
    InvalidRequestError,
    NotFoundError,
    QuotaError,
    RateLimitError,
    problem_of,
)
from spatial_agent.services.api.strict_json import StrictRoute
from spatial_agent.services.store.errors import QueueFullError
from spatial_agent.tools.errors import SpatialAgentError

INVALID = "invalid_request_error"
SERVER = "server_error"
#: What OpenAI calls a problem, by its ``type``: type and code.
CALLED: Mapping[str, tuple[str, str | None]] = {
    KINDS[AuthenticationError].type: (INVALID, "invalid_api_key"),
    KINDS[ForbiddenError].type: (INVALID, "insufficient_permissions"),
    KINDS[RateLimitError].type: ("requests", "rate_limit_exceeded"),
    KINDS[QueueFullError].type: ("requests", "rate_limit_exceeded"),
    KINDS[QuotaError].type: ("insufficient_quota", "insufficient_quota"),
    KINDS[InvalidRequestError].type: (INVALID, None),
    "about:blank": (INVALID, None),
}
#: What cannot be is a bad request in OpenAI's protocol.
STATUS_OF = {422: 400}
MOST_PARAM = 200
Handler = Callable[[Request, Exception], Response | Awaitable[Response]]


class ChatRequestError(InvalidRequestError):
    """A chat completion asks for what cannot be.

    Attributes:
        param: What of the request is wrong, such as ``"messages.0.content.1"``.
        code: OpenAI's or a similar word for it, or None.
    """

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        """Keep what OpenAI's clients read beside the message."""
        super().__init__(message)
        self.param = param
        self.code = code


class NoSuchModelError(NotFoundError):
    """The model that is asked for is not on offer.

    Attributes:
        param: The field that names it.
        code: OpenAI's word for it.
    """

    code = "model_not_found"

    def __init__(self, message: str, *, param: str = "model") -> None:
        """Keep what names it beside the message."""
        super().__init__(message)
        self.param = param


class JobFailedError(SpatialAgentError):
    """A question failed for reasons of the service.

    Attributes:
        problem: Why, as problem+json.
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        """Keep why it failed."""
        super().__init__(str(problem.get("detail", "")))
        self.problem = {"type": "about:blank", "title": "The service failed", "status": 500, **problem}


class ChatRoute(StrictRoute):
    """A route whose errors are in OpenAI's format, those of keys and quotas too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the route's handler."""
        handle = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:  # every error of the route leaves it in one format
                return as_openai(await _response_of(request, error), error)

        return translated


def as_openai(response: Response, error: Exception | None = None) -> Response:
    """Return a response with problem+json as one in OpenAI's format, with its headers; others as they are."""
    if response.media_type != MEDIA_TYPE:
        return response
    problem = json.loads(bytes(response.body))
    headers = {
        name: value
        for name, value in response.headers.items()
        if name not in ("content-type", "content-length")
    }
    status = STATUS_OF.get(response.status_code, response.status_code)
    return JSONResponse(openai_error(problem, error), status, headers)


def openai_error(problem: Mapping[str, Any], error: Exception | None = None) -> dict[str, Any]:
    """Return a problem in OpenAI's format.

    Args:
        problem: The problem, as problem+json.
        error: What was raised, which may know what of the request is wrong.

    >>> openai_error({"type": "about:blank", "title": "Not Found", "status": 404})["error"]["type"]
    'invalid_request_error'
    """
    name = str(problem.get("type", "about:blank"))
    usual = (INVALID, name.removeprefix(PREFIX).replace("-", "_"))
    kind, code = CALLED.get(name, usual)
    return {
        "error": {
            "message": str(problem.get("detail") or problem.get("title", "")),
            "type": kind if int(problem["status"]) < HTTPStatus.INTERNAL_SERVER_ERROR else SERVER,
            "param": _param(error),
            "code": getattr(error, "code", None) or code,
        }
    }


def error_in_words(error: SpatialAgentError) -> dict[str, Any]:
    """Return an error in OpenAI's format."""
    problem = error.problem if isinstance(error, JobFailedError) else problem_of(error)
    return openai_error(problem, error)


def _param(error: Exception | None) -> str | None:
    """Return what of the request is wrong, as a path of names and numbers."""
    if isinstance(error, RequestValidationError):
        place = [str(part) for part in error.errors()[0]["loc"] if part != "body"]
        return ".".join(place)[:MOST_PARAM] or None
    param: str | None = getattr(error, "param", None)
    return param


async def _response_of(request: Request, error: Exception) -> Response:
    """Return what the app answers to an error everywhere else."""
    if isinstance(error, JobFailedError):
        return ProblemResponse(error.problem | {"instance": request_id_of(request)})
    handlers: Mapping[Any, Handler] = request.app.exception_handlers
    known = next((handlers[kind] for kind in type(error).__mro__ if kind in handlers), None)
    if known is None:
        return error_response(error, request_id_of(request), getattr(request.app.state, "service", None))
    response = known(request, error)
    return response if isinstance(response, Response) else await response
