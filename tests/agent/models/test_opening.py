"""Models by choice, wrapped so that the agent need not know what they lack."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spatial_agent.agent.models.chat import ChatModel, ChatRequest, ModelLimits
from spatial_agent.agent.models.conformance import check_model
from spatial_agent.agent.models.fitted import Fitted
from spatial_agent.agent.models.openai_compatible import OpenAICompatible
from spatial_agent.agent.models.opening import open_model
from spatial_agent.tools.errors import ConfigurationError
from tests.agent.models.dialects.asking import DOCUMENT, TOOLS, WORDS, model_of
from tests.agent.models.dialects.local_servers import LlamaCppServer, OllamaServer, VllmServer
from tests.agent.models.dialects.served import Says, Serve, Server, serving


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    with serving() as serve:
        yield serve


def opened(choice: str, key: str | None = None) -> ChatModel:
    model = open_model(choice, key=key)
    assert model is not None
    return model


def test_none_is_no_model() -> None:
    assert open_model("none", key=None) is None
    assert open_model(" none ", key="sk-unused-key") is None


WRONG = {
    "": "expected a model as",
    "gpt-4o": "expected a model as openai:NAME@URL",
    "azure:gpt-4o": "expected a model as",
    "openai:": "expected a model as",
    "openai:@http://127.0.0.1:1": "no name",
    "openai:m@http://": "expected an address",
    "openai:m@http://127.0.0.1:99999/v1": "expected an address",
    "openai:m@http://user:sk-abcdefgh1234@host/v1": "give the key as a setting",
    "openai:m@http://host/v1?context=many": "expected context=a whole number above 0, got context='many'",
    "openai:m?context=0": "above 0",
    "openai:m?tools=maybe": "expected tools=native or text",
    "openai:m?timeout=nan": "expected timeout=a number of seconds",
    "openai:m?device=cpu": "expected any of context, pictures, side, tools, schemas, timeout",
    "openai:m?api-key=sk-abcdefgh1234": "got 'api-key'",
    "hf:/no/such/folder": "/no/such/folder",
    "scripted:/no/such/file.json": "no model script",
    "scripted:x.json?context=8192": "its limits itself",
}


@pytest.mark.parametrize("choice", WRONG)
def test_what_is_no_choice_is_said_with_what_was_expected(choice: str) -> None:
    with pytest.raises(ConfigurationError, match=WRONG[choice].replace("?", ".")) as caught:
        open_model(choice, key=None)
    assert "sk-abcdefgh1234" not in str(caught.value)


def test_addresses_as_people_paste_them(serve: Serve) -> None:
    server = serve(Server())
    for url in (server.url, server.url + "/", server.url + "/chat/completions"):
        reply = asyncio.run(told(opened(f"openai:some/model@{url}"), WORDS))
        assert reply == "Yes."
    assert server.received[-1]["model"] == "some/model"
    assert server.headers[-1]["authorization"] == "Bearer no-key"


async def told(model: ChatModel, request: ChatRequest) -> str:
    try:
        return (await model.reply(request)).text
    finally:
        await model.close()


def test_an_address_without_a_path_gets_the_usual_one() -> None:
    from spatial_agent.agent.models.opening import _address

    assert _address("http://127.0.0.1:8000") == "http://127.0.0.1:8000/v1"
    assert _address("https://host/v1beta/openai/") == "https://host/v1beta/openai"


def test_limits_behind_the_question_mark() -> None:
    model = opened(
        "openai:m@http://127.0.0.1:1/v1?context=8192&pictures=4&side=512&tools=native&schemas=native"
    )
    assert model.limits == ModelLimits(8192, 4, 512, True, True)
    assert isinstance(model, Fitted)
    assert model.name == "openai:m"


def test_text_tools_behind_the_question_mark(serve: Serve) -> None:
    server = serve(OllamaServer(has_tools=False))
    server.says = [Says('<tool_call>{"name": "distance", "arguments": {"a": "sofa"}}</tool_call>')]
    model = opened(f"openai:m@{server.url}?tools=text")

    async def asked() -> None:
        reply = await model.reply(TOOLS)
        assert [(call.tool, dict(call.arguments)) for call in reply.requests] == [("distance", {"a": "sofa"})]
        await model.close()

    asyncio.run(asked())
    assert len(server.received) == 1


def test_anthropic_says_itself_that_it_ignores_schemas() -> None:
    assert not OpenAICompatible("claude", "https://api.anthropic.com/v1").limits.has_schemas
    assert OpenAICompatible("gpt", None).limits.has_schemas


def test_scripts(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(json.dumps({"format": "spatial-agent/model-script@1", "replies": ["One metre."]}))
    assert asyncio.run(told(opened(f"scripted:{script}"), WORDS)) == "One metre."


def test_models_of_the_weights_folder_come_first(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 512}))
    model = open_model("hf:tiny?context=256", key=None, weights_folder=tmp_path)
    assert model is not None
    assert model.name == "hf:tiny"
    assert model.limits.context_tokens == 256
    assert model.limits.has_tools  # by the text protocol


@pytest.mark.parametrize("kind", [VllmServer, LlamaCppServer])
def test_it_keeps_the_contract(serve: Serve, kind: type[VllmServer]) -> None:
    def answering() -> OpenAICompatible:
        server = serve(kind())
        server.says = [Says('{"object": "sofa", "count": 2}') for _ in range(8)]
        return model_of(server)

    assert asyncio.run(check_model(answering)) == []


def test_opening_imports_nothing_heavy() -> None:
    code = (
        "import sys; from spatial_agent.agent.models.opening import open_model; "
        "open_model('openai:m@http://127.0.0.1:1/v1', key='k'); "
        "print([n for n in ('openai', 'langchain_openai', 'torch', 'transformers') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"


def test_documents_through_everything(serve: Serve) -> None:
    server = serve(VllmServer())
    server.says = [Says('{"answer": "1 m", "count": 1}')]

    async def asked() -> None:
        model = opened(f"openai:m@{server.url}", key="sk-test-key-0123")
        assert (await model.reply(DOCUMENT)).document == {"answer": "1 m", "count": 1}
        await model.close()

    asyncio.run(asked())
    assert server.headers[0]["authorization"] == "Bearer sk-test-key-0123"
