"""What goes wrong on the way: what passes is tried again, what does not is said, and no key is in it."""

import asyncio
import email.utils
import json
import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from spatial_agent.agent.models.chat import ChatRequest, Message
from spatial_agent.agent.models.openai_compatible import OpenAICompatible
from spatial_agent.tools.errors import ModelRequestError, ModelUnavailableError
from tests.agent.models.dialects.asking import (
    DOCUMENT,
    TOOLS,
    WORDS,
    ask,
    at_once,
    model_of,
    with_model,
)
from tests.agent.models.dialects.openai_server import KEY, OpenAIServer, refuse
from tests.agent.models.dialects.served import (
    Called,
    Hanging,
    Refusal,
    Says,
    Serve,
    Server,
    event_stream,
    serving,
)

BUSY = {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}}


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


class Waits:
    """Remembers how long it was asked to wait, and does not."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 529])
def test_what_may_pass_is_tried_again(serve: Serve, status: int) -> None:
    server, waits = serve(Server()), Waits()
    server.says = [Refusal(status, BUSY), Refusal(status, BUSY), Says("At last.")]
    (reply,) = ask(model_of(server, pause=waits), WORDS)
    assert reply.text == "At last."
    assert 0.375 <= waits.seconds[0] <= 0.625
    assert 0.75 <= waits.seconds[1] <= 1.25


def test_the_server_says_how_long_to_wait(serve: Serve) -> None:
    server, waits = serve(Server()), Waits()
    date = email.utils.formatdate(time.time() + 20, usegmt=True)
    server.says = [
        Refusal(429, BUSY, {"Retry-After": "7"}),
        Refusal(503, BUSY, {"retry-after-ms": "1500"}),
        Refusal(429, BUSY, {"Retry-After": date}),
        Refusal(429, BUSY, {"Retry-After": "soon"}),
    ]
    ask(model_of(server, pause=waits), WORDS)
    assert waits.seconds[:2] == [7.0, 1.5]
    assert 15 < waits.seconds[2] <= 20
    assert 3 <= waits.seconds[3] <= 5


def test_nobody_waits_an_hour(serve: Serve) -> None:
    server, waits = serve(Server()), Waits()
    server.says = [Refusal(429, BUSY, {"Retry-After": "3600"})]
    with pytest.raises(ModelUnavailableError, match="wait for 3600 s"):
        ask(model_of(server, pause=waits), WORDS)
    assert waits.seconds == []


def test_it_is_given_up_after_so_many_attempts(serve: Serve) -> None:
    server = serve(Server())
    server.says = 9 * [Refusal(503, {"error": {"code": 503, "message": "Loading model"}})]
    with pytest.raises(ModelUnavailableError, match=r"\(503\): Loading model .*tried 3 times"):
        ask(model_of(server, retries=2), WORDS)
    assert len(server.received) == 3


NOT_AGAIN = {
    401: (refuse("Incorrect API key provided", status=401), ModelUnavailableError, "refused the key"),
    403: (refuse("Country not supported", status=403), ModelUnavailableError, "refused the key"),
    404: (refuse("The model `x` does not exist", status=404), ModelUnavailableError, "name of the model"),
    402: (refuse("Pay first", status=402), ModelUnavailableError, "Pay first"),
    429: (refuse("You exceeded your current quota", status=429), ModelUnavailableError, "quota"),
    400: (refuse("messages: bad"), ModelRequestError, "messages: bad"),
}


@pytest.mark.parametrize("status", NOT_AGAIN)
def test_what_does_not_pass_is_said_at_once(serve: Serve, status: int) -> None:
    refusal, error, words = NOT_AGAIN[status]
    server = serve(Server())
    server.says = [refusal]
    with pytest.raises(error, match=words):
        ask(model_of(server), WORDS)
    assert len(server.received) == 1


def test_nobody_listens_there() -> None:
    model = OpenAICompatible("m", "http://127.0.0.1:9/v1", retries=1, pause=at_once)
    with pytest.raises(ModelUnavailableError, match=r"connection failed.*tried 2 times"):
        ask(model, WORDS)


GARBAGE: dict[str, Response] = {
    "a page": HTMLResponse("<html>Welcome to the router!</html>"),
    "no JSON": Response("{'choices'", media_type="application/json"),
    "no choices": JSONResponse({"object": "chat.completion"}),
    "null choices": JSONResponse({"choices": None}),
    "empty choices": JSONResponse({"choices": []}),
    "no message": JSONResponse({"choices": [{"index": 0, "message": None}]}),
    "a list": JSONResponse([1, 2]),
    "an error in a success": JSONResponse({"error": {"message": "out of memory"}}),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_no_answer(serve: Serve, name: str) -> None:
    server = serve(Server())
    server.says = [GARBAGE[name]]
    with pytest.raises(ModelUnavailableError, match="no chat completion"):
        ask(model_of(server), WORDS)


def first_half(server: Server) -> list[str]:
    return [json.dumps(chunk) for chunk in server.chunks(Says("One two three."), {})][:3]


STREAMS: dict[str, Callable[[Server], Response]] = {
    "ends early": lambda server: event_stream(first_half(server)),
    "is cut": lambda server: event_stream(first_half(server), is_cut=True),
    "has an error": lambda server: event_stream(
        [*first_half(server), '{"error": {"message": "engine died"}}']
    ),
    "has garbage": lambda server: event_stream([*first_half(server), '{"choi']),
    "is empty": lambda server: event_stream([]),
    "is a page": lambda server: HTMLResponse("<html></html>"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_that_breaks_off_is_asked_for_again(serve: Serve, name: str) -> None:
    server, pieces = serve(Server()), list[str]()
    server.says = [STREAMS[name](server), Says("One two three.")]
    (reply,) = ask(model_of(server), WORDS, on_text=pieces.append)
    assert reply.text == "One two three."
    assert "".join(pieces) in ("One two ", "One ", "One two three.")


def test_a_stream_that_always_breaks_off_is_no_answer(serve: Serve) -> None:
    server = serve(Server())
    server.says = [event_stream(first_half(server)[:1]) for _ in range(5)]
    with pytest.raises(ModelUnavailableError, match="broke off .*tried 5 times"):
        ask(model_of(server), WORDS, on_text=lambda piece: None)
    assert len(server.received) == 5


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_server_that_does_not_answer_in_time(serve: Serve, is_streamed: bool) -> None:
    server = serve(Server())
    server.says = [Hanging(first_half(server) if is_streamed else ()) for _ in range(3)]
    on_text = (lambda piece: None) if is_streamed else None
    started = time.monotonic()
    with pytest.raises(ModelUnavailableError, match=r"in time .*tried 2 times"):
        ask(model_of(server, timeout_s=0.2), WORDS, on_text=on_text)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("is_streamed", [False, True])
def test_cancelling_closes_the_request(serve: Serve, is_streamed: bool) -> None:
    server = serve(Server())
    hanging = Hanging(first_half(server) if is_streamed else ())
    server.says = [hanging]
    heard = threading.Event()

    async def cancelled(model: OpenAICompatible) -> bool:
        on_text = (lambda piece: heard.set()) if is_streamed else None
        task = asyncio.create_task(model.reply(WORDS, on_text))
        while not (heard.is_set() if is_streamed else server.received):
            await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await asyncio.to_thread(hanging.gone.wait, 5)

    assert with_model(model_of(server), cancelled)
    assert len(server.received) == 1


def test_what_the_listener_raises_is_not_the_models_fault(serve: Serve) -> None:
    def fail(piece: str) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ask(model_of(serve(Server())), WORDS, on_text=fail)


def test_long_replies_are_read(serve: Serve) -> None:
    server = serve(Server())
    text, argument = "word " * 20_000, json.dumps({"a": "x" * 100_000})
    server.says = [Says(text), Says(calls=(Called("distance", argument),)), Says("[" * 100_000)]
    words, calls, document = ask(model_of(server), WORDS, TOOLS, DOCUMENT, on_text=lambda piece: None)
    assert words.text == text
    assert len(calls.requests[0].arguments["a"]) == 100_000
    assert document.document is None
    assert document.problem


BAD_ARGUMENTS = ['{"a": "so', "[1, 2]", "sofa", '"sofa"', "[" * 5000, '{"a": NaN}']


@pytest.mark.parametrize("is_streamed", [False, True])
def test_arguments_that_are_none_are_a_problem_of_the_call(serve: Serve, is_streamed: bool) -> None:
    server = serve(Server())
    server.says = [Says(calls=(Called("distance", arguments),)) for arguments in BAD_ARGUMENTS]
    on_text = (lambda piece: None) if is_streamed else None
    for reply in ask(model_of(server), *[TOOLS] * len(BAD_ARGUMENTS), on_text=on_text):
        (call,) = reply.requests
        assert call.tool == "distance"
        assert dict(call.arguments) == {}
        assert call.problem
        assert "expected the arguments as a JSON object" in call.problem


def test_arguments_with_slips_are_read(serve: Serve) -> None:
    server = serve(Server())
    slips = ["{'a': 'sofa',}", '"{\\"a\\": \\"sofa\\"}"', '```json\n{"a": "sofa"}\n```']
    server.says = [Says(calls=(Called("distance", slip),)) for slip in slips]
    for reply in ask(model_of(server), *[TOOLS] * len(slips)):
        assert [dict(call.arguments) for call in reply.requests] == [{"a": "sofa"}]


def test_a_reply_cut_off_for_its_length_says_so(serve: Serve) -> None:
    server = serve(Server())
    server.says = [
        Says('{"answer": "1', ended="length"),
        Says(calls=(Called("distance", '{"a'),), ended="length"),
    ]
    document, call = ask(model_of(server), DOCUMENT, TOOLS)
    assert document.problem
    assert "cut off" in document.problem
    assert "cut off" in str(call.requests[0].problem)
    assert len(server.received) == 2


def test_no_key_is_ever_said(
    serve: Serve, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user-for-another-server")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-user")
    caplog.set_level(logging.DEBUG)
    server = serve(OpenAIServer())
    wrong = OpenAICompatible("gpt-test", server.url, KEY + "-wrong", pause=at_once)
    echoing = serve(Server())
    echoing.says = [Refusal(400, {"error": {"message": f"bad header: Bearer {KEY}"}})]
    said = [repr(wrong), str(wrong), wrong.name, repr(model_of(echoing))]
    for model in (wrong, model_of(echoing)):
        with pytest.raises((ModelUnavailableError, ModelRequestError)) as caught:
            ask(model, WORDS)
        said += traceback.format_exception(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__context__ is None
    said += [record.getMessage() for record in caplog.records]
    assert not any(KEY in text or KEY[:8] in text for text in said)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}-wrong"


def test_nothing_of_the_user_is_sent_to_a_server_that_needs_no_key(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = serve(Server())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-the-user")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-of-the-user")
    monkeypatch.setenv("OPENAI_API_BASE", away.url)
    monkeypatch.setenv("OPENAI_BASE_URL", away.url)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", away.url)
    monkeypatch.setenv("LANGSMITH_API_KEY", "lsv2_of-the-user")
    server = serve(Server())
    ask(OpenAICompatible("m", server.url), WORDS)
    assert "of-the-user" not in json.dumps([server.headers, server.received])
    assert away.received == []


def test_one_model_serves_one_event_loop_after_the_other(serve: Serve) -> None:
    server = serve(Server())
    model = model_of(server)
    assert ask(model, WORDS)[0].text == "Yes."
    (reply,) = ask(model, ChatRequest((Message("user", ("half a \ud83d pair",)),), "plan"))
    assert reply.text == "Yes."
    assert server.received[-1]["messages"][0]["content"] == "half a \ufffd pair"
