"""What the service refuses, and what is no reply of it, become errors that say what to do."""

import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from spatial_agent.services.sdk import (
    ApiError,
    AuthenticationError,
    ConflictError,
    NotFoundError,
    ProtocolError,
    QuotaError,
    Retries,
    UnavailableError,
)
from spatial_agent.tools import errors
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    InvalidValueError,
    NoSuchObjectError,
    QuestionError,
    SpatialAgentError,
    StoppedError,
    ToolArgumentError,
)
from tests.services.sdk.conftest import AnyClient
from tests.services.sdk.fakes import ANSWER, QUESTION, SCENE, copy_of, problem, question, scene

Connect = Callable[..., AnyClient]
PREFIX = "urn:spatial-agent:problem:"


def answering(response: httpx.Response) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: copy_of(response)


OWN = {
    "question": "QuestionError",
    "source": "SourceError",
    "unmeasurable": "UnmeasurableError",
    "tool-failed": "ToolFailedError",
    "no-such-object": "NoSuchObjectError",
    "tool-argument": "ToolArgumentError",
    "missing-weights": "MissingWeightsError",
    "model-unavailable": "ModelUnavailableError",
    "budget-exceeded": "BudgetExceededError",
    "scale": "ScaleError",
    "stopped": "StoppedError",
    "upload": "SourceError",
}


@pytest.mark.parametrize("name", OWN)
def test_what_names_an_error_of_the_package_is_that_error(connect: Connect, name: str) -> None:
    with pytest.raises(SpatialAgentError) as told:
        connect(answering(problem(422, PREFIX + name, instance="req_7"))).ask(SCENE, "How wide is the sofa?")
    assert type(told.value) is getattr(errors, OWN[name])
    assert str(told.value) == "because"
    assert told.value.__notes__ == ["request req_7"]


REFUSED = {
    400: ApiError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    413: QuotaError,
    422: ApiError,
    429: QuotaError,
    500: ApiError,
    503: UnavailableError,
    507: QuotaError,
}


@pytest.mark.parametrize("status", REFUSED)
def test_other_refusals_are_told_by_their_status(connect: Connect, status: int) -> None:
    refused = problem(status, PREFIX + "refused", instance="req_7")
    with pytest.raises(ApiError) as told:
        connect(answering(refused), retries=Retries(attempts=1)).scenes.list()
    assert type(told.value) is REFUSED[status]
    assert (told.value.status, told.value.problem.detail) == (status, "because")
    assert str(told.value) == f"Refused: because (HTTP {status}; request req_7)"


def test_what_may_have_been_meant_comes_along(connect: Connect) -> None:
    meant = problem(422, PREFIX + "no-such-object", suggestions=["sofa", "stool"])
    with pytest.raises(NoSuchObjectError) as none:
        connect(answering(meant)).ask(SCENE, "How wide is the soffa?")
    assert none.value.suggestions == ("sofa", "stool")
    several = problem(422, PREFIX + "ambiguous-reference", candidates=["chair-1", "chair-2"])
    with pytest.raises(AmbiguousReferenceError) as many:
        connect(answering(several)).ask(SCENE, "How wide is the chair?")
    assert many.value.candidates == ("chair-1", "chair-2")


def test_a_question_that_failed_raises_why(connect: Connect) -> None:
    why = {"type": PREFIX + "question", "title": "Not understood", "status": 422, "detail": "no thing named"}
    failed = httpx.Response(200, json=question("failed", problem=why))
    client = connect(answering(failed))
    with pytest.raises(QuestionError, match="no thing named"):
        client.ask(SCENE, "How?")
    seen = client.question(QUESTION)
    assert (seen.state, seen.answer, type(seen.error)) == ("failed", None, QuestionError)
    with pytest.raises(StoppedError, match="cancelled"):
        connect(answering(httpx.Response(200, json=question("cancelled")))).wait(QUESTION)


def test_a_scene_that_failed_raises_why(connect: Connect) -> None:
    why = {
        "type": PREFIX + "unmeasurable",
        "title": "Nothing to measure",
        "status": 422,
        "detail": "no depth",
    }
    with pytest.raises(errors.UnmeasurableError, match="no depth"):
        connect(answering(httpx.Response(200, json=scene("failed", problem=why)))).scenes.wait_until_ready(
            SCENE
        )


MALFORMED = {
    "a page": httpx.Response(200, html="<h1>Welcome to nginx</h1>"),
    "nothing": httpx.Response(200),
    "half of it": httpx.Response(200, content=json.dumps(question()).encode()[:-9]),
    "a list": httpx.Response(200, json=[question()]),
    "no question": httpx.Response(200, json=scene()),
    "an unknown state": httpx.Response(200, json=question("pondering")),
    "no answer": httpx.Response(200, json=question(answer=None)),
    "another answer": httpx.Response(
        200, json=question(answer=ANSWER | {"format": "spatial-agent/answer@9"})
    ),
    "unknown fields": httpx.Response(200, json=question(answer=ANSWER | {"mood": "good"})),
    "not text": httpx.Response(200, content=b'{"id": "\xff\xfe"}'),
    "nesting": httpx.Response(200, content=b"[" * 100_000),
}


@pytest.mark.parametrize("kind_of_reply", MALFORMED)
def test_what_is_no_reply_of_the_service_is_told(connect: Connect, kind_of_reply: str) -> None:
    with pytest.raises(ProtocolError, match="expected"):
        connect(answering(MALFORMED[kind_of_reply])).ask(SCENE, "How wide is the sofa?")


@pytest.mark.parametrize("body", [b"<h1>Bad gateway</h1>", b"{", b'{"title": 7}', b""])
def test_a_refusal_without_a_reason_is_told_by_its_status(connect: Connect, body: bytes) -> None:
    refused = httpx.Response(500, headers={"Content-Type": "application/json"}, content=body)
    with pytest.raises(ApiError, match="HTTP 500"):
        connect(answering(refused)).scenes.list()


class Huge(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that is too much for a reply, counted as it is read."""

    read = 0

    def __iter__(self) -> Iterator[bytes]:
        for _ in range(80):
            self.read += 2**20
            yield b" " * 2**20

    async def __aiter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
        for piece in self:
            yield piece


@pytest.mark.parametrize("status", [200, 500])
def test_a_huge_reply_is_left(connect: Connect, status: int) -> None:
    body = Huge()
    with pytest.raises(ProtocolError, match="at most 67108864 bytes"):
        connect(lambda _: httpx.Response(status, stream=body)).scenes.list()
    assert body.read <= 66 * 2**20


def test_a_redirect_is_not_followed(connect: Connect) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return httpx.Response(307, headers={"Location": "https://elsewhere.example/v1/scenes?token=abc"})

    with pytest.raises(ProtocolError, match="redirects elsewhere") as told:
        connect(answer).scenes.list()
    assert seen == ["127.0.0.1"]
    assert "token" not in str(told.value)


@pytest.mark.parametrize("id", ["../../metrics", "..", "", "a b", "sc_1/../x", "sc_1?x=1", "sc_1%2e%2e", "ü"])
def test_an_id_leads_nowhere_else(connect: Connect, id: str) -> None:
    client = connect(answering(httpx.Response(200, json=scene())))
    with pytest.raises(InvalidValueError):
        client.scenes.get(id)
    with pytest.raises(InvalidValueError):
        client.scenes.artifact(SCENE, id)
    with pytest.raises(InvalidValueError):
        client.session(id)


def test_what_no_question_can_be_is_told_before_anything_is_sent(connect: Connect) -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(f"{request.method} {request.url} was sent")

    client = connect(never)
    with pytest.raises(QuestionError):
        client.ask(SCENE, "")
    with pytest.raises(QuestionError):
        client.submit(SCENE, "x" * 8001)
    with pytest.raises(InvalidValueError):
        client.ask("no id", "How wide is the sofa?")
    with pytest.raises(InvalidValueError):
        client.ask(SCENE, "Which?", options=["x"] * 27)
    with pytest.raises(ToolArgumentError):
        client.call("zoom", {"box": object()})
