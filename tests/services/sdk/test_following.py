"""Events come once each and in order, over however many connections."""

from collections.abc import Callable, Sequence

import httpx
import pytest

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.events import Answered, StageDone, Started, ToolEnded, ToolStarted, Wrote
from spatial_agent.services.sdk import NotFoundError, ProtocolError, UnreachableError, WaitTimeoutError
from spatial_agent.tools.errors import QuestionError, StoppedError
from tests.services.sdk.conftest import AnyClient, Body, FakeClock
from tests.services.sdk.fakes import ANSWER, QUESTION, SCENE, copy_of, problem, question, told

Connect = Callable[..., AnyClient]
LOST = httpx.ReadError("reset")
EVENTS = [
    told("1.1", "started", {"run": QUESTION}),
    told("1.2", "stage", {"stage": "load", "facts": {"frames": 3}}),
    told("1.3", "tool_call", {"call_id": "c1", "tool": "size", "arguments": {"object": "sofa"}}),
    told(
        "1.4",
        "evidence",
        {"call_id": "c1", "tool": "size", "claims": ["2.10 m"], "error": None, "seconds": 0.1},
    ),
    told("1.5", "token", {"text": "The sofa"}),
    told("1.6", "answer", ANSWER),
]
WHOLE = [
    Started(QUESTION),
    StageDone("load", {"frames": 3}),
    ToolStarted("c1", "size", {"object": "sofa"}),
    ToolEnded("c1", "size", ("2.10 m",), None, 0.1),
    Wrote("The sofa"),
    Answered(Answer.from_json(ANSWER)),
]


class Streams:
    """Gives one stream after the other, and remembers what was asked for."""

    def __init__(self, *streams: Sequence[bytes | Exception] | Exception | httpx.Response) -> None:
        self.streams = list(streams)
        self.asked_after: list[str | None] = []
        self.other: list[tuple[str, str]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if not request.url.path.endswith("/events"):
            self.other.append((request.method, request.url.path))
            return httpx.Response(202, json=question("running"))
        assert request.headers["Accept"] == "text/event-stream"
        self.asked_after.append(request.headers.get("Last-Event-ID"))
        stream = self.streams.pop(0) if len(self.streams) > 1 else self.streams[0]
        if isinstance(stream, Exception):
            raise stream
        if isinstance(stream, httpx.Response):
            return copy_of(stream)
        return httpx.Response(200, headers={"Content-Type": "text/event-stream"}, stream=Body(stream))


def test_events_are_those_of_a_run_in_process(connect: Connect) -> None:
    streams = Streams([b": keepalive\n\n", *EVENTS])
    assert list(connect(streams).stream(SCENE, "How wide is the sofa?")) == WHOLE
    assert streams.other == [("POST", "/v1/questions")]


@pytest.mark.parametrize("broken_after", range(len(EVENTS)))
def test_a_broken_stream_goes_on_where_it_was(connect: Connect, clock: FakeClock, broken_after: int) -> None:
    here, rest = EVENTS[:broken_after], EVENTS[broken_after:]
    half = rest[0][: len(rest[0]) // 2]
    streams = Streams([*here, half, LOST], rest)
    assert list(connect(streams).follow(QUESTION)) == WHOLE
    assert streams.asked_after == [None, f"1.{broken_after}" if broken_after else None]
    assert len(clock.pauses) == 1


def test_a_stream_that_ends_early_is_asked_for_again(connect: Connect, clock: FakeClock) -> None:
    pieces = [told(f"1.{number}", "token", {"text": str(number)}) for number in range(1, 21)]
    streams = Streams(*[[piece] for piece in pieces], [told("1.21", "answer", ANSWER)])
    assert list(connect(streams).follow(QUESTION)) == [*[Wrote(str(n)) for n in range(1, 21)], WHOLE[-1]]
    assert streams.asked_after == [None, *[f"1.{number}" for number in range(1, 21)]]
    assert max(clock.pauses) <= 0.5


def test_an_event_that_comes_twice_is_told_once(connect: Connect) -> None:
    streams = Streams([*EVENTS[:3], LOST], EVENTS[2:])
    assert list(connect(streams).follow(QUESTION)) == WHOLE


def test_a_stream_without_progress_is_given_up(connect: Connect, clock: FakeClock) -> None:
    streams = Streams([EVENTS[0], LOST], [LOST])
    with pytest.raises(UnreachableError):
        list(connect(streams).follow(QUESTION))
    assert len(streams.asked_after) == 1 + 5
    assert len(clock.pauses) == 5
    with pytest.raises(UnreachableError, match="ended before"):
        list(connect(Streams([])).follow(QUESTION))


def test_a_draining_service_is_asked_again(connect: Connect, clock: FakeClock) -> None:
    streams = Streams(
        [*EVENTS[:2], LOST], problem(503, retry_after=3), httpx.ConnectError("refused"), EVENTS[2:]
    )
    assert list(connect(streams).follow(QUESTION)) == WHOLE
    assert streams.asked_after == [None, "1.2", "1.2", "1.2"]
    assert sum(clock.pauses) >= 3


def test_what_a_newer_service_tells_is_left_out(connect: Connect) -> None:
    streams = Streams([EVENTS[0], told("1.1.5", "mood", {"is": "good"}), *EVENTS[1:]])
    assert list(connect(streams).follow(QUESTION)) == WHOLE


def test_a_failure_is_raised_when_it_is_told(connect: Connect) -> None:
    why = {
        "type": "urn:spatial-agent:problem:question",
        "title": "Not understood",
        "status": 422,
        "detail": "how",
    }
    client = connect(Streams([EVENTS[0], told("1.2", "failed", why)]))
    events = client.follow(QUESTION)
    assert next(events) == WHOLE[0]
    with pytest.raises(QuestionError, match="how"):
        next(events)
    with pytest.raises(StoppedError):
        list(connect(Streams([told("1.1", "cancelled", {})])).follow(QUESTION))
    with pytest.raises(NotFoundError):
        list(connect(Streams(problem(404))).follow(QUESTION))


MALFORMED: dict[str, list[bytes | Exception]] = {
    "no JSON": [b"id: 1.1\nevent: stage\ndata: {\n\n"],
    "no object": [b"id: 1.1\nevent: stage\ndata: [1]\n\n"],
    "no stage": [told("1.1", "stage", {"facts": {}})],
    "no answer": [told("1.1", "answer", {"text": "2 m"})],
    "no text": [b"data: \xff\n\n"],
    "endless": [b"data: " + b"x" * 2**20] * 17,
}


@pytest.mark.parametrize("kind_of_stream", MALFORMED)
def test_what_is_no_event_is_told(connect: Connect, kind_of_stream: str) -> None:
    with pytest.raises(ProtocolError, match="expected"):
        list(connect(Streams(MALFORMED[kind_of_stream])).follow(QUESTION))


def test_a_page_is_no_stream(connect: Connect) -> None:
    with pytest.raises(ProtocolError, match="expected a stream of events"):
        list(connect(lambda _: httpx.Response(200, html="<p>hello</p>")).follow(QUESTION))


def test_leaving_early_cancels_what_was_asked(connect: Connect) -> None:
    streams = Streams(EVENTS)
    events = connect(streams).stream(SCENE, "How wide is the sofa?")
    assert next(events) == WHOLE[0]
    events.close()
    assert streams.other == [("POST", "/v1/questions"), ("DELETE", f"/v1/questions/{QUESTION}")]


def test_leaving_early_lets_go_on_what_was_submitted(connect: Connect) -> None:
    streams = Streams(EVENTS)
    events = connect(streams).follow(QUESTION)
    next(events)
    events.close()
    assert streams.other == []


def test_nobody_waits_longer_than_they_want(connect: Connect, clock: FakeClock) -> None:
    def silent(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/events"):
            patience: float = request.extensions["timeout"]["read"]
            assert patience <= 7
            clock.pass_by(patience)
            raise httpx.ReadTimeout("")
        return httpx.Response(202, json=question("running"))

    with pytest.raises(WaitTimeoutError, match="within 7 s"):
        list(connect(silent).stream(SCENE, "How wide is the sofa?", timeout_s=7))
