"""Which problem+json an error becomes; the one table of statuses.

Importing this loads no web framework: the SDK reads the same table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from spatial_agent.services.scene_files import errors as scene_files
from spatial_agent.services.store.errors import IdempotencyConflictError, QueueFullError, StoreError
from spatial_agent.services.work.errors import TakenUpTooOftenError
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    BudgetExceededError,
    ConfigurationError,
    InvalidValueError,
    MissingWeightsError,
    ModelError,
    ModelRequestError,
    ModelUnavailableError,
    NoSuchObjectError,
    QuestionError,
    SandboxError,
    ScaleError,
    SourceError,
    SpatialAgentError,
    StoppedError,
    ToolArgumentError,
    ToolCrashedError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
    UnmeasurableError,
    ViewpointError,
)

#: What the ``type`` of a problem begins with.
PREFIX = "urn:spatial-agent:problem:"
MEDIA_TYPE = "application/problem+json"


class RefusedError(SpatialAgentError):
    """A request is refused for what it is, before any work is done for it.

    Attributes:
        retry_after_s: After how many seconds it may be tried again, or None.
        headers: Further headers of the response.
    """

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Keep what belongs into headers beside the message."""
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.headers = dict(headers or {})


class BadRequestError(RefusedError):
    """It cannot be read: malformed JSON, header or multipart."""


class InvalidRequestError(RefusedError):
    """It can be read, and asks for what cannot be."""


class AuthenticationError(RefusedError):
    """It has no API key, or one that is not valid."""


class ForbiddenError(RefusedError):
    """Its key does not allow it."""


class NotFoundError(RefusedError):
    """What it is about is not there, or belongs to another tenant."""


class ConflictError(RefusedError):
    """What it is about is in a state that does not allow it."""


class TimedOutError(RefusedError):
    """Its body did not come."""


class TooLargeError(RefusedError):
    """It brings more than is allowed: bytes, pixels, frames, seconds, files."""


class MediaTypeError(RefusedError):
    """Its body is of a kind that is not taken here."""


class MisdirectedError(RefusedError):
    """It names a host that this service is not."""


class HeadersTooLargeError(RefusedError):
    """Its headers are too large."""


class RateLimitError(RefusedError):
    """Its key sends requests faster than allowed."""


class QuotaError(RefusedError):
    """Its key has used up what it may use."""


class DrainingError(RefusedError):
    """The service is starting or being shut down."""


@dataclass(frozen=True)
class ProblemKind:
    """A kind of problem.

    Attributes:
        status: The HTTP status.
        name: The end of its ``type``, after `PREFIX`: the name of the error in small letters.
        title: The kind in words.
    """

    status: int
    name: str
    title: str

    @property
    def type(self) -> str:
        """The URI that names it."""
        return PREFIX + self.name


INTERNAL = ProblemKind(500, "internal", "The service failed")

_TABLE: Mapping[type[BaseException], tuple[int, str]] = {
    BadRequestError: (400, "The request cannot be read"),
    AuthenticationError: (401, "A valid API key is needed"),
    ForbiddenError: (403, "This is not allowed"),
    NotFoundError: (404, "There is no such thing"),
    TimedOutError: (408, "The body of the request did not come"),
    ConflictError: (409, "Its state does not allow this"),
    TooLargeError: (413, "The request brings more than is allowed"),
    MediaTypeError: (415, "The body is of a kind that is not taken"),
    MisdirectedError: (421, "The request is meant for another host"),
    InvalidRequestError: (422, "The request asks for what cannot be"),
    RateLimitError: (429, "Requests come too fast"),
    QuotaError: (429, "The quota is used up"),
    HeadersTooLargeError: (431, "The headers are too large"),
    DrainingError: (503, "The service takes no work now"),
    IdempotencyConflictError: (409, "The idempotency key was used for another request"),
    QueueFullError: (429, "Too many jobs are waiting"),
    StoreError: (503, "The store of the service does not answer"),
    TakenUpTooOftenError: (500, "The job failed too often"),
    scene_files.UploadError: (422, "The upload cannot be taken"),
    scene_files.TooLargeError: (413, "The request brings more than is allowed"),
    scene_files.UploadConflictError: (409, "The upload is not where it was thought to be"),
    scene_files.QuotaExceededError: (507, "There is no room left for more scenes"),
    QuestionError: (422, "The question cannot be understood"),
    UnmeasurableError: (422, "Nothing in the source can be measured"),
    SourceError: (422, "The source cannot be read"),
    ScaleError: (422, "The scene has no metric scale"),
    ViewpointError: (422, "A direction needs a viewpoint"),
    InvalidValueError: (422, "A value cannot exist"),
    ToolArgumentError: (422, "The arguments of the tool are wrong"),
    NoSuchObjectError: (422, "Nothing in the scene is what was named"),
    AmbiguousReferenceError: (422, "Several things in the scene are what was named"),
    ToolTimeoutError: (504, "The tool took too long"),
    ToolCrashedError: (502, "The tool crashed"),
    ToolFailedError: (422, "This cannot be measured this way"),
    # Not a 5xx: asking again does not help until somebody fetches the weights.
    MissingWeightsError: (409, "The weights of the tool are not here"),
    ToolUnavailableError: (503, "The tool cannot be used now"),
    ToolError: (422, "The tool could not do it"),
    StoppedError: (503, "The work was given up"),
    BudgetExceededError: (422, "The question needs more than its budget"),
    ModelUnavailableError: (503, "The model cannot be reached"),
    ModelRequestError: (422, "The model refuses the request"),
    ModelError: (502, "The model failed"),
    SandboxError: (503, "Programs cannot be run now"),
    ConfigurationError: (500, "The service is not set up for this"),
}


def _named(error: type[BaseException]) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "-", error.__name__.removesuffix("Error")).lower()


#: The kind of problem of every error; an error is of the kind of its nearest ancestor here.
KINDS: Mapping[type[BaseException], ProblemKind] = {
    error: ProblemKind(status, _named(error), title) for error, (status, title) in _TABLE.items()
}

#: Kinds whose message is for the operator and may speak of the machine; callers get the title alone.
_FOR_THE_OPERATOR = (StoreError, SandboxError, ConfigurationError)
_RETRY_AFTER_S = {
    "queue-full": 5.0,
    "stopped": 5.0,
    "store": 2.0,
    "tool-unavailable": 10.0,
    "model-unavailable": 10.0,
}


def kind_of(error: BaseException) -> ProblemKind:
    """Return the kind of problem an error is; what nobody foresaw is a failure of the service."""
    return next((KINDS[known] for known in type(error).__mro__ if known in KINDS), INTERNAL)


def problem_of(error: BaseException) -> dict[str, Json]:
    """Return an error as problem+json: plain JSON, without traceback.

    Messages of errors raised on purpose are told, except those for the operator.
    """
    kind = kind_of(error)
    problem: dict[str, Json] = {"type": kind.type, "title": kind.title, "status": kind.status}
    problem["detail"] = _detail(error, kind)
    if isinstance(error, NoSuchObjectError) and error.suggestions:
        problem["suggestions"] = list(error.suggestions)
    if isinstance(error, AmbiguousReferenceError) and error.candidates:
        problem["candidates"] = list(error.candidates)
    return problem


def plain_problem(status: int, detail: str = "") -> dict[str, Json]:
    """Return problem+json that says no more than an HTTP status does."""
    return {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}


def headers_of(error: BaseException) -> dict[str, str]:
    """Return the headers that belong to the response of an error."""
    headers = dict(error.headers) if isinstance(error, RefusedError) else {}
    kind = kind_of(error)
    if kind.status == 401:
        headers.setdefault("WWW-Authenticate", "Bearer")
    wait = error.retry_after_s if isinstance(error, RefusedError) else _RETRY_AFTER_S.get(kind.name)
    if wait is not None:
        headers["Retry-After"] = str(max(1, round(wait + 0.5)))
    return headers


def _detail(error: BaseException, kind: ProblemKind) -> str:
    is_conflict = isinstance(error, IdempotencyConflictError | QueueFullError)
    if kind is INTERNAL or (isinstance(error, _FOR_THE_OPERATOR) and not is_conflict):
        return "the operator finds why in the log, under the id of the request"
    return str(error)
