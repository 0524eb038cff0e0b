"""What a server does not take is found out once, gone round, and remembered."""

import json
from collections.abc import Callable, Iterator

import pytest

from spatial_agent.agent.models.chat import ChatRequest, Message, ModelLimits, ToolOffer, ToolRequest
from spatial_agent.agent.models.openai_failures import Failure, what_was_said
from spatial_agent.tools.errors import ModelRequestError
from tests.agent.models.dialects.asking import (
    ANSWERED,
    ASKED,
    CALLED,
    DOCUMENT,
    SYSTEM,
    TOOLS,
    WORDS,
    ask,
    model_of,
    photo,
)
from tests.agent.models.dialects.cloud_servers import GeminiServer
from tests.agent.models.dialects.local_servers import (
    LlamaCppServer,
    OllamaServer,
    StrictProxy,
    VllmServer,
)
from tests.agent.models.dialects.openai_server import refuse
from tests.agent.models.dialects.served import Refusal, Says, Serve, Server, serving

TEXT_CALL = Says('<tool_call>\n{"name": "distance", "arguments": {"a": "sofa"}}\n</tool_call>')
WITHOUT_TOOLS: dict[str, Callable[[], Server]] = {
    "vllm": lambda: VllmServer(has_tool_parser=False),
    "llama.cpp": lambda: LlamaCppServer(has_jinja=False),
    "llama.cpp grammar": lambda: LlamaCppServer(grammar_fails=True),
    "ollama": lambda: OllamaServer(has_tools=False),
    "proxy": StrictProxy,
}


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


@pytest.mark.parametrize("name", WITHOUT_TOOLS)
def test_refused_tools_go_by_words_from_then_on(serve: Serve, name: str) -> None:
    server = serve(WITHOUT_TOOLS[name]())
    server.says = [TEXT_CALL, TEXT_CALL]
    model = model_of(server)
    replies = ask(model, TOOLS, TOOLS)
    assert [reply.requests for reply in replies] == 2 * [(ToolRequest("call-1", "distance", {"a": "sofa"}),)]
    assert ["tools" in body for body in server.received] == [True, False, False]
    assert "novel_view.frame" in server.received[1]["messages"][0]["content"]
    assert not model.limits.has_tools


@pytest.mark.parametrize("name", ["llama.cpp grammar", "proxy"])
def test_refused_schemas_go_by_words_from_then_on(serve: Serve, name: str) -> None:
    server = serve(WITHOUT_TOOLS[name]())
    server.says = 2 * [Says('Here: {"answer": "1 m", "count": 1}')]
    model = model_of(server)
    replies = ask(model, DOCUMENT, DOCUMENT)
    assert [reply.document for reply in replies] == 2 * [{"answer": "1 m", "count": 1}]
    assert ["response_format" in body for body in server.received] == [True, False, False]
    assert model.limits.has_tools


def test_a_schema_of_tools_that_gemini_does_not_know_goes_by_words(serve: Serve) -> None:
    server = serve(GeminiServer())
    server.says = [TEXT_CALL]
    offer = ToolOffer("distance", "", {"type": "object", "properties": {"a": {"const": "sofa"}}})
    (reply,) = ask(model_of(server), ChatRequest((ASKED,), "plan", tools=(offer,)))
    assert reply.requests[0].tool == "distance"


def test_calls_left_in_the_words_are_found(serve: Serve) -> None:
    server = serve(VllmServer())
    server.says = [
        Says('I look. <tool_call>{"name": "novel_view__frame", "arguments": {"frame": 1}}</tool_call>')
    ]
    (reply,) = ask(model_of(server), TOOLS)
    assert [(call.tool, dict(call.arguments)) for call in reply.requests] == [
        ("novel_view.frame", {"frame": 1})
    ]
    assert reply.text == "I look."


def test_the_fields_of_a_stream_are_left_out_where_refused(serve: Serve) -> None:
    server, pieces = serve(StrictProxy()), list[str]()
    ask(model_of(server), WORDS, WORDS, on_text=pieces.append)
    assert ["stream_options" in body for body in server.received] == [True, False, False]
    assert "".join(pieces) == "Yes.Yes."


@pytest.mark.parametrize("most", [1, 0])
def test_no_more_pictures_than_the_server_said_are_sent(serve: Serve, most: int) -> None:
    server = serve(VllmServer(most_pictures=most))
    model = model_of(server)
    ask(model, WORDS, WORDS)
    counts = [json.dumps(body["messages"]).count('"image_url": {') for body in server.received]
    assert counts == [2, most, most]
    assert model.limits.most_pictures == most
    assert "left out" in json.dumps(server.received[-1]["messages"])


def test_llama_cpp_without_a_projector_gets_words_alone(serve: Serve) -> None:
    server = serve(LlamaCppServer(has_projector=False))
    model = model_of(server)
    (reply,) = ask(model, WORDS)
    assert reply.text == "Yes."
    assert model.limits.most_pictures == 0


def test_one_bad_picture_does_not_make_a_model_blind(serve: Serve) -> None:
    server = serve(Server())
    server.says = [refuse("Invalid base64 image_url: image is larger than 20 MB")]
    model = model_of(server)
    with pytest.raises(ModelRequestError, match="larger than 20 MB"):
        ask(model, WORDS)
    assert model.limits.most_pictures == ModelLimits().most_pictures


def test_the_user_says_what_a_model_without_system_role_is_told(serve: Serve) -> None:
    server = serve(LlamaCppServer(has_system_role=False))
    ask(model_of(server), WORDS, WORDS)
    assert len(server.received) == 3
    message = server.received[-1]["messages"][0]
    assert message["role"] == "user"
    assert message["content"][0] == {"type": "text", "text": "You measure rooms."}


@pytest.mark.parametrize("kind", [VllmServer, LlamaCppServer])
def test_a_longer_conversation_than_the_context_is_cut(
    serve: Serve, kind: type[VllmServer] | type[LlamaCppServer]
) -> None:
    server = serve(kind(context=700))
    earlier = tuple(
        message
        for turn in range(12)
        for message in (
            Message("assistant", (f"Turn {turn}. " + "blah " * 100,)),
            Message("user", ("Go on.",)),
        )
    )
    request = ChatRequest((SYSTEM, Message("user", ("The task.",)), *earlier), "plan", most_tokens=64)
    model = model_of(server)
    replies = ask(model, request, request)
    assert [reply.text for reply in replies] == ["Yes.", "Yes."]
    assert model.limits.context_tokens <= 700
    last = json.dumps(server.received[-1]["messages"])
    assert "The task." in last
    assert "Turn 11" in last


def test_a_server_that_always_finds_it_too_long_is_given_up(serve: Serve) -> None:
    server = serve(VllmServer(context=20))
    with pytest.raises(ModelRequestError, match="tokens"):
        ask(model_of(server), WORDS)
    assert len(server.received) <= 6


def test_a_refusal_that_has_nothing_to_do_with_tools_leaves_them_on(serve: Serve) -> None:
    server = serve(Server())
    server.says = 2 * [Refusal(400, {"error": {"message": "Request contains an invalid argument."}})]
    model = model_of(server)
    with pytest.raises(ModelRequestError, match="an invalid argument"):
        ask(model, TOOLS)
    assert model.limits.has_tools
    assert len(server.received) == 2


def test_what_compacting_left_over_is_made_whole(serve: Serve) -> None:
    from tests.agent.models.dialects.openai_server import OpenAIServer

    server = serve(OpenAIServer())
    orphan, half = (
        (SYSTEM, ASKED, ANSWERED[1]),
        (SYSTEM, ASKED, CALLED, ANSWERED[0], Message("user", ("So?",))),
    )
    replies = ask(model_of(server), ChatRequest(orphan, "plan"), ChatRequest(half, "plan"))
    assert [reply.text for reply in replies] == ["Yes.", "Yes."]
    assert "1.52 m" in json.dumps(server.received[1]["messages"][-1])
    told = [message for message in server.received[2]["messages"] if message["role"] == "tool"]
    assert {message["tool_call_id"]: message["content"] for message in told} == {
        "call_1": "Rendered.",
        "call_2": "(the result of this call was not kept)",
    }


def test_no_more_than_limits_is_sent_from_the_start(serve: Serve) -> None:
    server = serve(VllmServer())
    limits = ModelLimits(picture_side_px=32, has_tools=False)
    server.says = [TEXT_CALL]
    request = ChatRequest((Message("user", ("Look.", photo(size=(64, 128)))),), "plan", tools=TOOLS.tools)
    (reply,) = ask(model_of(server, limits=limits), request)
    assert reply.requests[0].tool == "distance"
    assert len(server.received) == 1


SAID = {
    "openai": ({"error": {"message": "Too big.", "param": "messages", "code": None}}, "Too big."),
    "a list": ([{"error": {"code": 400, "message": "Unknown name", "status": "INVALID"}}], "Unknown name"),
    "old vllm": ({"object": "error", "message": "No.", "type": "BadRequestError", "code": 400}, "No."),
    "router": (
        {
            "error": {
                "message": "Provider returned error",
                "metadata": {"raw": '{"error": {"message": "Deep"}}'},
            }
        },
        "Deep",
    ),
    "words": ("Internal Server Error", "Internal Server Error"),
    "pydantic": (
        {"detail": [{"loc": ["body", "tools"], "msg": "Not permitted", "input": "SECRET"}]},
        "tools",
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_words_are_found_in_the_body_of_any_error(name: str) -> None:
    body, expected = SAID[name]
    assert expected in what_was_said(body)
    assert "SECRET" not in what_was_said(body)


def test_a_failure_says_nothing_twice() -> None:
    assert what_was_said({"error": {"message": "No", "type": "No"}}) == "No"
    assert Failure("refused", 400, "No").wait_s is None
