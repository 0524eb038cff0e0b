"""What a client raises beside the package's own errors, sorted by who must act.

::

    SpatialAgentError
    ├── QuestionError, SourceError, …    as in process: what the service reports by the name of an error
    └── ServiceError                     the service, or the way to it
        ├── UnreachableError             it cannot be reached, or the connection broke again and again
        ├── ProtocolError                what came back is no reply of this API
        ├── WaitTimeoutError (TimeoutError)  it takes longer than you wanted to wait
        └── ApiError                     it refused; `status` and `problem` say why
            ├── AuthenticationError      the key is missing, unknown, expired, or may not do this
            ├── NotFoundError            there is no such thing among yours
            ├── ConflictError            it is not in a state to do this, or was asked with other words
            ├── QuotaError               too many, too much, or too fast
            └── UnavailableError         it starts, drains, or is overloaded
"""

from collections.abc import Mapping

from spatial_agent.services.api.schemas import Problem
from spatial_agent.tools.call_json import ERRORS
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    NoSuchObjectError,
    SourceError,
    SpatialAgentError,
)

__all__ = [
    "ApiError",
    "AuthenticationError",
    "ConflictError",
    "NotFoundError",
    "ProtocolError",
    "QuotaError",
    "ServiceError",
    "UnavailableError",
    "UnreachableError",
    "WaitTimeoutError",
    "error_of",
    "unexplained",
]

#: Characters of a reply that a message repeats.
MOST_REPEATED = 2000


class ServiceError(SpatialAgentError):
    """The service failed, or the way to it."""


class UnreachableError(ServiceError):
    """The service cannot be reached, or the connection broke again and again.

    Attributes:
        arrived: Whether the request may have reached the service.
    """

    def __init__(self, message: str, *, arrived: bool = True) -> None:
        """Keep whether the request may have arrived beside the message."""
        super().__init__(message)
        self.arrived = arrived


class ProtocolError(ServiceError):
    """What came back is no reply of this API: another program answers there, or another version."""


class WaitTimeoutError(ServiceError, TimeoutError):
    """It takes longer than the caller wanted to wait."""


class ApiError(ServiceError):
    """The service refused.

    Attributes:
        status: The HTTP status.
        problem: What it said.
        retry_after_s: After how long it may be tried again, seconds; None where it did not say.
    """

    def __init__(self, status: int, problem: Problem, *, retry_after_s: float | None = None) -> None:
        """Say in words what the service said."""
        super().__init__(_in_words(status, problem))
        self.status = status
        self.problem = problem
        self.retry_after_s = retry_after_s


class AuthenticationError(ApiError):
    """The key is missing, unknown, expired, or may not do this."""


class NotFoundError(ApiError):
    """There is no such thing among those of this key."""


class ConflictError(ApiError):
    """It is not in a state to do this, or the same idempotency key came with another request."""


class QuotaError(ApiError):
    """Too many requests, too many questions, or too many bytes."""


class UnavailableError(ApiError):
    """The service starts, drains, or is overloaded."""


BY_STATUS: Mapping[int, type[ApiError]] = {
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    410: NotFoundError,
    412: ConflictError,
    413: QuotaError,
    422: ApiError,
    429: QuotaError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
    507: QuotaError,
}
#: By the last part of a problem's type; a refused upload is a source that cannot be read.
_OWN = {name.lower().removesuffix("error"): kind for name, kind in ERRORS.items()} | {"upload": SourceError}


def error_of(problem: Problem, *, retry_after_s: float | None = None) -> SpatialAgentError:
    """Return the error that a problem stands for.

    Args:
        problem: What the service said.
        retry_after_s: After how long it may be tried again, seconds, where it said so.

    >>> error_of(Problem(type="urn:x:question", title="Not understood", status=422, detail="no objects"))
    QuestionError('no objects')
    """
    own = _own_error(problem)
    if own is None:
        kind = BY_STATUS.get(problem.status, ApiError)
        return kind(problem.status, problem, retry_after_s=retry_after_s)
    if problem.instance:
        own.add_note(f"request {problem.instance[:100]}")
    return own


def unexplained(title: str, status: int) -> Problem:
    """Return a problem that says no more than its title."""
    return Problem(type="about:blank", title=title, status=status, detail="", instance="")


def _own_error(problem: Problem) -> SpatialAgentError | None:
    """Return the package's own error that the problem's type names, or None."""
    last = problem.type.replace("#", "/").replace(":", "/").rpartition("/")[2]
    kind = _OWN.get(last.lower().replace("-", "").replace("_", "").removesuffix("error"))
    if kind is None or kind is SpatialAgentError:
        return None
    message = (problem.detail or problem.title)[:MOST_REPEATED]
    if issubclass(kind, NoSuchObjectError):
        return kind(message, _texts(problem, "suggestions"))
    if issubclass(kind, AmbiguousReferenceError):
        return kind(message, _texts(problem, "candidates"))
    return kind(message)


def _texts(problem: Problem, member: str) -> tuple[str, ...]:
    given = (problem.model_extra or {}).get(member)
    return tuple(str(item) for item in given) if isinstance(given, list) else ()


def _in_words(status: int, problem: Problem) -> str:
    said = f"{problem.title}: {problem.detail}" if problem.detail else problem.title
    request = f"; request {problem.instance[:100]}" if problem.instance else ""
    return f"{said[:MOST_REPEATED]} (HTTP {status}{request})"
