"""How errors inside routes become responses with problem+json."""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from spatial_agent.services.api.problems import (
    MEDIA_TYPE,
    BadRequestError,
    InvalidRequestError,
    MediaTypeError,
    NotFoundError,
    RefusedError,
    headers_of,
    plain_problem,
    problem_of,
)
from spatial_agent.services.work.redaction import without_folders
from spatial_agent.tools.errors import SpatialAgentError

if TYPE_CHECKING:
    from spatial_agent.services.api.service import Service

LOG = logging.getLogger("spatial_agent.api")
#: Mistakes of one request that are told.
MOST_TOLD = 8
#: Characters of what came that are repeated.
MOST_REPEATED = 80


class ProblemResponse(Response):
    """A response with problem+json."""

    media_type = MEDIA_TYPE

    def __init__(self, problem: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        """Say a problem, with its own status."""
        super().__init__(json.dumps(problem).encode(), int(problem["status"]), dict(headers or {}))


def error_response(error: Exception, request_id: str, service: "Service | None" = None) -> ProblemResponse:
    """Return the response that an error becomes; what nobody foresaw, and what the operator needs, is logged.

    Args:
        error: What was raised.
        request_id: Of the request.
        service: Whose folders must not be named.
    """
    problem = problem_of(error)
    if problem["status"] == 500 or not isinstance(error, SpatialAgentError):
        LOG.error("request failed", exc_info=error, extra={"fields": {"request_id": request_id}})
    if service is not None:
        problem["detail"] = without_folders(problem["detail"], service.folders)
    return ProblemResponse(problem | {"instance": request_id}, headers_of(error))


def add_handlers(app: FastAPI) -> None:
    """Make every error inside the app's routes problem+json."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(SpatialAgentError, _ours)


async def _ours(request: Request, error: Exception) -> Response:
    return error_response(error, request_id_of(request), request.app.state.service)


async def _http(request: Request, error: Exception) -> Response:
    if isinstance(error.__cause__, RefusedError):
        # FastAPI makes an error of its own of whatever is raised while a body is read.
        return await _ours(request, error.__cause__)
    assert isinstance(error, HTTPException)
    detail = "" if error.status_code in (404, 405) else str(error.detail)
    problem = plain_problem(error.status_code, detail) | {"instance": request_id_of(request)}
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = _allowed(request, headers.get("Allow", ""))
    return ProblemResponse(problem, headers)


def _allowed(request: Request, known: str) -> str:
    """Return the methods of a path: a path has a route for each, of which only one knows of the refusal."""
    path = getattr(request.scope.get("route"), "path", "")
    return ", ".join(sorted(name.upper() for name in request.app.openapi()["paths"].get(path, {}))) or known


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return await _ours(request, _refusal(error.errors(), request.headers.get("content-type", "")))


def request_id_of(request: Request) -> str:
    """Return the id of a request."""
    return str(getattr(request.state, "request_id", ""))


def _refusal(mistakes: Any, content_type: str) -> RefusedError:  # noqa: ANN401 - of pydantic
    """Return why a request was refused: in words, without what it brought beyond a few characters."""
    told = "; ".join(_in_words(mistake) for mistake in mistakes[:MOST_TOLD])
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return BadRequestError(f"expected JSON: {told}")
    if any(mistake["loc"][0] == "path" for mistake in mistakes):
        return NotFoundError(f"there is no such thing: {told}")
    whole_body = any(
        tuple(mistake["loc"]) == ("body",) and mistake["type"] != "missing" for mistake in mistakes
    )
    if whole_body and "json" not in content_type:
        return MediaTypeError(
            f"expected a body of application/json, got {content_type[:MOST_REPEATED] or 'none'}"
        )
    return InvalidRequestError(told)


def _in_words(mistake: Mapping[str, Any]) -> str:
    where = ".".join(str(part)[:MOST_REPEATED] for part in mistake["loc"])
    if mistake["type"] == "json_invalid":
        return f"{where}: {mistake['ctx']['error']}"
    came = mistake.get("input")
    short = (
        f", got {came!r}" if isinstance(came, int | float | str) and len(str(came)) <= MOST_REPEATED else ""
    )
    return f"{where}: {mistake['msg']}{short}"
