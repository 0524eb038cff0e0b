"""One adapter, seven dialects: every one gets requests it takes, and what it says is read."""

import base64
import io
from collections.abc import Callable, Iterator

import pytest
from PIL import Image

from spatial_agent.agent.models.chat import ToolRequest, Usage
from tests.agent.models.dialects.asking import (
    DOCUMENT,
    SECOND_TURN,
    TOOLS,
    WORDS,
    ask,
    drawing,
    model_of,
    photo,
)
from tests.agent.models.dialects.cloud_servers import AnthropicServer, GeminiServer
from tests.agent.models.dialects.local_servers import (
    LlamaCppServer,
    OllamaServer,
    TransformersServer,
    VllmServer,
)
from tests.agent.models.dialects.openai_server import OpenAIServer
from tests.agent.models.dialects.served import Body, Called, Says, Serve, Server, serving

NATIVE = [OpenAIServer, VllmServer, LlamaCppServer, OllamaServer, GeminiServer]
IGNORING = [TransformersServer, AnthropicServer]
EVERY = pytest.mark.parametrize("kind", [*NATIVE, *IGNORING])
STREAMED = pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
BOTH_CALLS = Says(
    "I look.",
    (Called("novel_view__frame", '{"frame": 3}', "call_1"), Called("distance", '{"a": "sofa"}', "call_2")),
)


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


def accepted(server: Server) -> list[Body]:
    """Return the requests that came behind those from which the adapter learned this server's fields."""
    return [
        body for body in server.received if "max_tokens" not in body or not isinstance(server, OpenAIServer)
    ]


@EVERY
@STREAMED
def test_words_and_their_cost(serve: Serve, kind: Callable[[], Server], is_streamed: bool) -> None:
    server, pieces = serve(kind()), list[str]()
    server.says = [Says("About 1.5 m, I think.", tokens=(321, 9))]
    (reply,) = ask(model_of(server), WORDS, on_text=pieces.append if is_streamed else None)
    assert reply.text == "About 1.5 m, I think."
    if kind is OllamaServer:
        assert reply.usage.is_estimated
        assert reply.usage.tokens > 0
    else:
        assert reply.usage == Usage(321, 9)
    if is_streamed:
        assert "".join(pieces) == reply.text
        assert len(pieces) > 3


@EVERY
def test_pictures_are_sent_whole(serve: Serve, kind: Callable[[], Server]) -> None:
    server = serve(kind())
    ask(model_of(server), WORDS)
    content = accepted(server)[-1]["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["text", "image_url", "image_url"]
    urls = [part["image_url"]["url"] for part in content[1:]]
    assert urls[0].startswith("data:image/jpeg;base64,")
    assert urls[1].startswith("data:image/png;base64,")
    sent = [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]
    assert [image.size for image in sent] == [(60, 40), (60, 40)]
    assert sent[1].convert("RGB").tobytes() == drawing().rgb.tobytes()
    assert max(abs(a - b) for a, b in zip(mean_of(sent[0]), photo().rgb.mean((0, 1)), strict=True)) < 3


def mean_of(image: Image.Image) -> list[float]:
    pixels = list(image.convert("RGB").resize((1, 1), Image.Resampling.BOX).tobytes())
    return [float(value) for value in pixels]


@EVERY
@STREAMED
def test_calls_and_their_results_go_round(
    serve: Serve, kind: Callable[[], Server], is_streamed: bool
) -> None:
    server = serve(kind())
    server.says = [BOTH_CALLS, Says("1.52 m.")]
    on_text = (lambda piece: None) if is_streamed else None
    first, second = ask(model_of(server), TOOLS, SECOND_TURN, on_text=on_text)
    assert first.requests == (
        ToolRequest("call_1", "novel_view.frame", {"frame": 3}),
        ToolRequest("call_2", "distance", {"a": "sofa"}),
    )
    assert first.text == "I look."
    assert second.text == "1.52 m."
    sent = server.received[-1]
    roles = [message["role"] for message in sent["messages"]]
    assert roles == ["system", "user", "assistant", "tool", "tool", "user"]
    assert {tool["function"]["name"] for tool in sent["tools"]} == {"novel_view__frame", "distance"}
    assert [message["content"] for message in sent["messages"][3:5]] == [
        "Rendered.",
        "1.52 m, give or take 0.03 m",
    ]
    assert [part["type"] for part in sent["messages"][5]["content"]] == ["text", "image_url"]


@pytest.mark.parametrize("kind", NATIVE)
@STREAMED
def test_documents_by_schema(serve: Serve, kind: Callable[[], Server], is_streamed: bool) -> None:
    server = serve(kind())
    server.says = [Says('{"answer": "1.5 m", "count": 2}')]
    (reply,) = ask(model_of(server), DOCUMENT, on_text=(lambda piece: None) if is_streamed else None)
    assert reply.document == {"answer": "1.5 m", "count": 2}
    assert reply.problem is None
    form = server.received[-1]["response_format"]
    assert form["json_schema"]["schema"] == DOCUMENT.schema
    assert form["json_schema"]["strict"] is True


@pytest.mark.parametrize("kind", IGNORING)
def test_a_server_that_ignores_schemas_is_told_in_words_from_then_on(
    serve: Serve, kind: Callable[[], Server]
) -> None:
    server = serve(kind())
    server.says = [
        Says("I would say one and a half metres."),
        Says('Gladly: {"answer": "1.5 m", "count": 2}'),
        Says('{"answer": "2 m", "count": 1}'),
    ]
    first, second = ask(model_of(server), DOCUMENT, DOCUMENT)
    assert first.document == {"answer": "1.5 m", "count": 2}
    assert second.document == {"answer": "2 m", "count": 1}
    assert ["response_format" in body for body in server.received] == [True, False, False]
    assert "additionalProperties" in server.received[1]["messages"][0]["content"]


def test_openai_itself_is_asked_by_the_newer_field_after_one_refusal(serve: Serve) -> None:
    server = serve(OpenAIServer())
    ask(model_of(server), WORDS, WORDS)
    fields = [sorted({"max_tokens", "max_completion_tokens"} & set(body)) for body in server.received]
    assert fields == [["max_tokens"], ["max_completion_tokens"], ["max_completion_tokens"]]
    assert server.received[-1]["max_completion_tokens"] == 64


def test_others_are_asked_by_the_field_that_all_of_them_know(serve: Serve) -> None:
    server = serve(OllamaServer())
    ask(model_of(server), WORDS)
    assert server.received[0]["max_tokens"] == 64


def test_gemini_gets_the_signatures_of_its_own_calls_and_no_others(serve: Serve) -> None:
    server = serve(GeminiServer())
    server.says = [BOTH_CALLS, Says("Done.")]
    ask(model_of(server), TOOLS, SECOND_TURN, on_text=lambda piece: None)
    calls = server.received[-1]["messages"][2]["tool_calls"]
    assert [call["extra_content"]["google"]["thought_signature"] for call in calls] == [
        "signed-call_1",
        "signed-call_2",
    ]
    other = serve(VllmServer())
    ask(model_of(other), SECOND_TURN)
    assert all("extra_content" not in call for call in other.received[0]["messages"][2]["tool_calls"])


def test_equal_names_and_ids_are_told_apart(serve: Serve) -> None:
    server = serve(VllmServer())
    twice = Called("distance", '{"a": "lamp"}', "call_1")
    server.says = [
        Says(calls=(twice, Called("distance", '{"a": "sofa"}', "call_1"), Called("distance", id="")))
    ]
    (reply,) = ask(model_of(server), SECOND_TURN)
    ids = [call.id for call in reply.requests]
    assert len(set(ids)) == 3
    assert not {"call_1", "call_2", ""} & set(ids)
    assert [dict(call.arguments) for call in reply.requests] == [{"a": "lamp"}, {"a": "sofa"}, {}]
