"""Servers that send the prompt on, answer without end, or repeat the key."""

import gzip
from collections.abc import Iterator

import pytest
from starlette.responses import Response

from spatial_agent.tools.errors import ModelUnavailableError
from tests.agent.models.dialects.asking import TOOLS, WORDS, ask, model_of
from tests.agent.models.dialects.openai_server import KEY
from tests.agent.models.dialects.served import Called, Refusal, Says, Serve, Server, serving


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_prompt_is_not_sent_on_to_another_server(serve: Serve, status: int) -> None:
    other = serve(Server())
    server = serve(Server())
    server.says = [Refusal(status, {}, {"Location": f"{other.url}/chat/completions"})]
    with pytest.raises(ModelUnavailableError, match=str(status)):
        ask(model_of(server, retries=0), WORDS)
    assert other.received == []


def test_an_answer_that_never_ends_is_let_go_of_and_not_fetched_again(serve: Serve) -> None:
    server = serve(Server())
    server.says = 3 * [Response(b"x" * (17 * 2**20), media_type="application/json")]
    with pytest.raises(ModelUnavailableError, match="longer than"):
        ask(model_of(server, retries=2), WORDS)
    assert len(server.received) == 1


def test_a_packed_answer_is_refused(serve: Serve) -> None:
    server = serve(Server())
    packed = gzip.compress(b'{"choices": []}')
    server.says = [Response(packed, media_type="application/json", headers={"Content-Encoding": "gzip"})]
    with pytest.raises(ModelUnavailableError, match="packed"):
        ask(model_of(server, retries=0), WORDS)


@pytest.mark.parametrize("streamed", [False, True])
def test_a_key_that_is_repeated_in_an_answer_is_taken_out(serve: Serve, streamed: bool) -> None:
    server = serve(Server())
    server.says = [Says(f"You said {KEY}."), Says(calls=(Called("size", f'{{"of": "{KEY}"}}'),))]
    heard: list[str] = []
    words, calls = ask(model_of(server), WORDS, TOOLS, on_text=heard.append if streamed else None)
    assert bool(heard) is streamed
    assert words.text == "You said (key)."
    assert KEY not in str(calls)
    assert calls.requests[0].arguments == {"of": "(key)"}
