import inspect
import re
from pathlib import Path

import pytest

from spatial_agent.services.api.handlers import error_response
from spatial_agent.services.api.openapi import problem_types
from spatial_agent.services.api.problems import (
    INTERNAL,
    KINDS,
    AuthenticationError,
    QuotaError,
    headers_of,
    kind_of,
    plain_problem,
    problem_of,
)
from spatial_agent.services.store.errors import QueueFullError, StoreUnavailableError
from spatial_agent.tools import errors
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    ConfigurationError,
    MissingWeightsError,
    NoSuchObjectError,
    QuestionError,
    SandboxUnavailableError,
    ShapeError,
    SourceError,
    SpatialAgentError,
    ToolTimeoutError,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "api.md"
OWN = [
    error
    for _, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, SpatialAgentError) and error is not SpatialAgentError
]


class TestKinds:
    @pytest.mark.parametrize("error", OWN, ids=lambda error: error.__name__)
    def test_every_error_raised_on_purpose_has_one(self, error: type[SpatialAgentError]) -> None:
        assert kind_of(error("why")) is not INTERNAL

    def test_types_tell_all_of_them_apart(self) -> None:
        named = [(kind.name, error.__module__) for error, kind in KINDS.items()]
        assert len(set(named)) == len(named)
        assert "urn:spatial-agent:problem:no-such-object" in problem_types()

    @pytest.mark.parametrize(
        ("error", "status", "name"),
        [
            (QuestionError("no verb"), 422, "question"),
            (SourceError("no depth"), 422, "source"),
            (ShapeError("of (3,)"), 422, "invalid-value"),
            (ToolTimeoutError("60 s"), 504, "tool-timeout"),
            (MissingWeightsError("pull them"), 409, "missing-weights"),
            (SandboxUnavailableError("no userns"), 503, "sandbox"),
            (StoreUnavailableError("down"), 503, "store"),
            (QueueFullError("500 wait"), 429, "queue-full"),
            (ValueError("what"), 500, "internal"),
            (SpatialAgentError("some"), 500, "internal"),
        ],
    )
    def test_a_problem_is_of_the_nearest_kind(self, error: Exception, status: int, name: str) -> None:
        problem = problem_of(error)
        assert (problem["status"], problem["type"]) == (status, f"urn:spatial-agent:problem:{name}")


class TestWhatIsTold:
    def test_what_to_do_is(self) -> None:
        assert problem_of(QuestionError("expected a question"))["detail"] == "expected a question"
        assert problem_of(QueueFullError("500 jobs wait; later"))["detail"] == "500 jobs wait; later"
        assert problem_of(NoSuchObjectError("no piano", ("sofa",)))["suggestions"] == ["sofa"]
        assert problem_of(AmbiguousReferenceError("two", ("chair-1", "chair-2")))["candidates"] == [
            "chair-1",
            "chair-2",
        ]

    @pytest.mark.parametrize(
        "error",
        [
            RuntimeError("password=hunter2"),
            ConfigurationError("/etc/hunter2 is missing"),
            StoreUnavailableError("postgresql://me:hunter2@db is down"),
            SandboxUnavailableError("hunter2"),
        ],
    )
    def test_what_is_for_the_operator_is_not(self, error: Exception) -> None:
        assert "hunter2" not in str(problem_of(error))

    def test_a_plain_status_says_no_more(self) -> None:
        assert plain_problem(404) == {
            "type": "about:blank",
            "title": "Not Found",
            "status": 404,
            "detail": "",
        }


class TestResponses:
    def test_headers_say_what_to_show_and_when_to_come_back(self) -> None:
        assert headers_of(AuthenticationError("no key"))["WWW-Authenticate"] == "Bearer"
        assert headers_of(QuotaError("enough", retry_after_s=3.2))["Retry-After"] == "4"
        assert headers_of(QuotaError("enough", retry_after_s=0.01))["Retry-After"] == "1"
        assert int(headers_of(QueueFullError("full"))["Retry-After"]) > 0
        assert "Retry-After" not in headers_of(QuestionError("what?"))

    def test_a_response_carries_the_id_of_its_request(self) -> None:
        response = error_response(QuestionError("what?"), "abc")
        assert response.status_code == 422
        assert response.headers["content-type"] == "application/problem+json"
        assert b'"instance": "abc"' in response.body


def test_the_documentation_lists_every_problem_with_its_status() -> None:
    listed = set(
        re.findall(r"^\| (\d{3}) \| `([a-z-]+)` \| (.+) \|$", DOCUMENT.read_text("utf-8"), re.MULTILINE)
    )
    known = {(str(kind.status), kind.name, kind.title) for kind in (*KINDS.values(), INTERNAL)}
    assert listed == known
