"""Requests are repeated where that helps and does no harm; no test waits."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from spatial_agent.agent.regions import MaskRuns, Region
from spatial_agent.services.sdk import (
    NotFoundError,
    QuotaError,
    Retries,
    UnavailableError,
    UnreachableError,
    WaitTimeoutError,
)
from spatial_agent.tools.errors import QuestionError, ToolUnavailableError
from tests.services.sdk.conftest import AnyClient, FakeClock
from tests.services.sdk.fakes import ANSWER, QUESTION, SCENE, copy_of, problem, question, scene

Connect = Callable[..., AnyClient]
Step = httpx.Response | Exception


class Script:
    """Answers requests one after the other, and remembers them."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return copy_of(step)


def ok(document: object) -> httpx.Response:
    return httpx.Response(200, json=document)


@pytest.mark.parametrize("asked", ["7", "Tue, 14 Nov 2023 22:13:27 GMT"])
def test_as_long_is_waited_as_the_service_asks(connect: Connect, clock: FakeClock, asked: str) -> None:
    script = Script(problem(429, retry_after=asked), ok(scene()))
    assert connect(script).scenes.get(SCENE).id == SCENE
    (pause,) = clock.pauses
    assert 7.0 <= pause <= 7.5


def test_pauses_grow_and_are_spread_while_the_service_drains(connect: Connect, clock: FakeClock) -> None:
    script = Script(*[problem(503)] * 5, ok(scene()))
    assert connect(script).scenes.get(SCENE).state == "ready"
    assert len(clock.pauses) == 5
    assert all(0 <= pause <= 0.5 * 2**place for place, pause in enumerate(clock.pauses))
    assert len(set(clock.pauses)) == 5


def test_a_service_that_stays_away_is_given_up(connect: Connect, clock: FakeClock) -> None:
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(UnreachableError, match="see whether the service runs there"):
        connect(script).scenes.list()
    assert len(script.requests) == 6
    assert len(clock.pauses) == 5


def test_a_quota_of_hours_is_told_at_once(connect: Connect, clock: FakeClock) -> None:
    with pytest.raises(QuotaError) as told:
        connect(Script(problem(429, retry_after=7200))).ask(SCENE, "How wide is the sofa?")
    assert told.value.retry_after_s == 7200
    assert clock.pauses == []


def test_how_often_is_the_callers_choice(connect: Connect) -> None:
    script = Script(problem(503))
    with pytest.raises(UnavailableError):
        connect(script, retries=Retries(attempts=1)).scenes.list()
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "lost", [httpx.ReadError("reset"), httpx.ReadTimeout(""), problem(502), problem(504)]
)
def test_a_question_is_asked_once_however_often_it_is_sent(connect: Connect, lost: Step) -> None:
    script = Script(lost, lost, ok(question()))
    assert connect(script).ask(SCENE, "How wide is the sofa?").text == ANSWER["text"]
    keys = {request.headers["Idempotency-Key"] for request in script.requests}
    assert len(script.requests) == 3
    assert len(keys) == 1
    assert {request.content for request in script.requests} == {script.requests[0].content}


def test_two_questions_are_two_however_alike(connect: Connect) -> None:
    script = Script(ok(question()))
    client = connect(script)
    for _ in range(2):
        client.ask(SCENE, "How wide is the sofa?")
    first, second = script.requests
    assert first.content == second.content
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


CALL = {"tool": "zoom", "text": "closer"}


@pytest.mark.parametrize(
    ("lost", "is_repeated"),
    [
        (httpx.ConnectError("refused"), True),
        (problem(503), True),
        (problem(429), True),
        (httpx.ReadError("reset"), False),
        (problem(502), False),
    ],
)
def test_an_expert_is_called_again_only_where_it_was_not_called(
    connect: Connect, lost: Step, is_repeated: bool
) -> None:
    script = Script(lost, ok(CALL))
    client = connect(script)
    if is_repeated:
        assert client.call("zoom", scene=SCENE).text == "closer"
    else:
        with pytest.raises((UnreachableError, UnavailableError)):
            client.call("zoom", scene=SCENE)
    assert len(script.requests) == 1 + is_repeated


def test_an_expert_that_is_broken_is_told_at_once(connect: Connect, clock: FakeClock) -> None:
    broken = problem(503, "urn:spatial-agent:problem:tool-unavailable", retry_after=10)
    with pytest.raises(ToolUnavailableError, match="because"):
        connect(Script(broken)).call("zoom")
    assert clock.pauses == []


def test_what_is_gone_after_a_lost_reply_was_deleted(connect: Connect) -> None:
    connect(Script(httpx.ReadError("reset"), problem(404))).scenes.delete(SCENE)
    with pytest.raises(NotFoundError):
        connect(Script(problem(404))).scenes.delete(SCENE)


def test_an_answer_is_waited_for_over_many_requests(connect: Connect, clock: FakeClock) -> None:
    running = httpx.Response(202, json=question("running"))
    script = Script(
        running, ok(question("running")), httpx.ReadError("reset"), ok(question("running")), ok(question())
    )
    answer = connect(script).ask(SCENE, "How wide is the sofa?")
    assert (answer.value, answer.unit, answer.margin) == (2.1, "m", 0.05)
    assert [request.method for request in script.requests] == ["POST", "GET", "GET", "GET", "GET"]
    assert {request.headers["Prefer"] for request in script.requests} == {"wait=30"}


def test_a_caller_who_no_longer_waits_cancels_the_question(connect: Connect, clock: FakeClock) -> None:
    script = Script(ok(question("running")))
    with pytest.raises(WaitTimeoutError, match="within 5 s"):
        connect(script).ask(SCENE, "How wide is the sofa?", timeout_s=5)
    assert clock.now() == pytest.approx(5)
    assert (script.requests[-1].method, script.requests[-1].url.path) == (
        "DELETE",
        f"/v1/questions/{QUESTION}",
    )


def test_a_question_of_unknown_id_is_cancelled_too(connect: Connect, clock: FakeClock) -> None:
    """The reply to the question was lost for ever: the same request under the same key tells its id."""
    lost = [httpx.ReadError("reset")] * 6
    script = Script(*lost, ok(question("running")), ok(question("cancelled")))
    with pytest.raises(UnreachableError):
        connect(script).ask(SCENE, "How wide is the sofa?")
    assert [request.method for request in script.requests] == ["POST"] * 7 + ["DELETE"]
    assert len({request.headers["Idempotency-Key"] for request in script.requests[:7]}) == 1


def test_waiting_for_what_was_submitted_does_not_cancel_it(connect: Connect) -> None:
    script = Script(ok(question("queued")))
    client = connect(script)
    handed_in = client.submit(SCENE, "How wide is the sofa?")
    assert not handed_in.is_final
    with pytest.raises(WaitTimeoutError, match="it is not there yet"):
        client.wait(handed_in, timeout_s=3)
    assert {request.method for request in script.requests} == {"POST", "GET"}


def test_a_pause_ends_with_the_patience_of_the_caller(connect: Connect, clock: FakeClock) -> None:
    script = Script(problem(503, retry_after=20))
    with pytest.raises(WaitTimeoutError) as told:
        connect(script).ask(SCENE, "How wide is the sofa?", timeout_s=2)
    assert isinstance(told.value, TimeoutError)
    assert clock.now() == pytest.approx(2)


def test_everything_that_was_asked_goes_to_the_service(connect: Connect) -> None:
    script = Script(ok(question()))
    regions = [Region(3, xyxy_px=(1.0, 2.0, 30.0, 40.0), label="mug"), Region(0, point_px=(5.0, 6.0))]
    regions.append(Region(1, mask=MaskRuns((2, 3), (1, 2, 3))))
    connect(script).ask(
        SCENE, "Which is nearer?", options=["A. mug", "B. sofa"], regions=regions, profile="open", priority=-3
    )
    (request,) = script.requests
    unmarked = {"xyxy_px": None, "point_px": None, "outline_px": None, "mask": None}
    mask = {"size": [2, 3], "counts": [1, 2, 3]}
    expected: dict[str, Any] = {
        "question": "Which is nearer?",
        "scene": SCENE,
        "options": ["A. mug", "B. sofa"],
        "regions": [
            unmarked | {"frame": 3, "xyxy_px": [1.0, 2.0, 30.0, 40.0], "label": "mug"},
            unmarked | {"frame": 0, "point_px": [5.0, 6.0], "label": "region"},
            unmarked | {"frame": 1, "mask": mask, "label": "region"},
        ],
        "profile": "open",
        "priority": -3,
    }
    assert json.loads(request.content) == expected


def test_what_was_refused_is_not_cancelled(connect: Connect) -> None:
    script = Script(problem(422, "urn:spatial-agent:problem:question"))
    client = connect(script)
    with pytest.raises(QuestionError):
        client.ask(SCENE, "How?")
    with pytest.raises(QuestionError):
        list(client.stream(SCENE, "How?"))
    assert [request.method for request in script.requests] == ["POST", "POST"]
