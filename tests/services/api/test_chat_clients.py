"""Chat completions as OpenAI's own client and LangChain's ask for them."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
langchain_openai = pytest.importorskip("langchain_openai")

from spatial_agent.agent.answer import Answer  # noqa: E402 - only where the clients are
from spatial_agent.tools.errors import NoSuchObjectError, ToolCrashedError  # noqa: E402
from tests.services.api.chatting import PATIENCE_S, Chatting, chatting, frame, pictures, words  # noqa: E402

MODEL = "spatial-agent/recorded"
#: The clients are loaded only where they are installed.
Client = Any
QUESTION = "How long is the sofa?"
SAID = "The sofa is 2.12 m long, ± 0.03 m."


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatting]:
    with chatting(tmp_path_factory.mktemp("service")) as running:
        yield running


@pytest.fixture
def client(chat: Chatting) -> Iterator[Client]:
    with openai.OpenAI(base_url=chat.url, api_key="sk-not-needed", max_retries=0) as opened:
        yield opened


def about(chat: Chatting) -> dict[str, Any]:
    return {"spatial": {"scene": chat.scene}}


def asking(text: str = QUESTION) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def test_models(client: Client) -> None:
    assert [model.id for model in client.models.list()] == ["spatial-agent/recorded", "spatial-agent/open"]
    assert client.models.retrieve("spatial-agent/open").owned_by == "spatial-agent"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("spatial-agent/best")
    assert caught.value.code == "model_not_found"


def test_an_answer_with_its_evidence(chat: Chatting, client: Client) -> None:
    completion = client.chat.completions.create(model=MODEL, messages=asking(), extra_body=about(chat))
    assert completion.choices[0].message.content == SAID
    assert completion.usage.total_tokens == 0
    answer = Answer.from_json(completion.spatial)
    assert (answer.value, answer.unit, answer.margin) == (2.12, "m", 0.03)
    assert completion.spatial_links["scene"] == f"/v1/scenes/{chat.scene}"
    assert {"trace", "picture"} < completion.spatial_links.keys()


def test_what_clients_set_besides_makes_no_difference(chat: Chatting, client: Client) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    completion = client.chat.completions.create(
        model=MODEL,
        messages=asking(),
        extra_body=about(chat) | {"top_k": 1, "chat_template_kwargs": {"enable_thinking": False}},
        temperature=0,
        top_p=1.0,
        max_tokens=16,
        max_completion_tokens=16,
        seed=7,
        stop=["\n"],
        logprobs=True,
        top_logprobs=5,
        logit_bias={"50256": -100},
        presence_penalty=0.0,
        frequency_penalty=0.0,
        response_format={"type": "text"},
        tools=[tool],
        tool_choice="auto",
        parallel_tool_calls=False,
        user="someone",
        metadata={"run": "1"},
        store=False,
        n=1,
    )
    assert completion.choices[0].message.content == SAID
    assert completion.choices[0].logprobs is None
    assert completion.choices[0].message.tool_calls is None


def test_a_stream_ends_with_answer_evidence_and_usage(chat: Chatting, client: Client) -> None:
    stream = client.chat.completions.create(
        model=MODEL,
        messages=asking(),
        extra_body=about(chat),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == SAID
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].usage.total_tokens == 0
    assert chunks[-1].choices == []
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert Answer.from_json(chunks[-2].spatial).value == 2.12
    assert {"trace", "picture"} < chunks[-2].spatial_links.keys()
    told = [chunk.spatial_event for chunk in chunks if hasattr(chunk, "spatial_event")]
    assert [item["event"] for item in told] == ["started", "stage"]
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_without_usage_has_none(chat: Chatting, client: Client) -> None:
    stream = client.chat.completions.create(
        model=MODEL, messages=asking(), extra_body=about(chat), stream=True
    )
    assert all(chunk.usage is None and chunk.choices for chunk in stream)


def test_the_helper_that_gathers_a_stream(chat: Chatting, client: Client) -> None:
    with client.chat.completions.stream(model=MODEL, messages=asking(), extra_body=about(chat)) as stream:
        completion = stream.get_final_completion()
    assert completion.choices[0].message.content == SAID


def test_a_message_that_is_sent_back_as_it_came(chat: Chatting, client: Client) -> None:
    messages: list[Any] = asking()
    first = client.chat.completions.create(model=MODEL, messages=messages, extra_body=about(chat))
    messages += [first.choices[0].message, {"role": "user", "content": "And how tall?"}]
    client.chat.completions.create(model=MODEL, messages=messages, extra_body=about(chat))
    assert chat.oracle.asked[-1]["dialogue"] == [{"question": QUESTION, "answer": SAID, "objects": []}]


def test_asynchronously_and_side_by_side(chat: Chatting) -> None:
    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=chat.url, api_key="sk-not-needed") as client:
            create = client.chat.completions.create

            async def whole(text: str) -> str:
                completion = await create(model=MODEL, messages=asking(text), extra_body=about(chat))
                return str(completion.choices[0].message.content)

            async def in_pieces(text: str) -> str:
                stream = await create(model=MODEL, messages=asking(text), extra_body=about(chat), stream=True)
                return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])

            asked = [(whole, in_pieces)[number % 2](f"How long is sofa {number}?") for number in range(8)]
            return list(await asyncio.gather(*asked))

    chat.oracle.answers |= {f"How long is sofa {number}?": Answer(f"{number} m") for number in range(8)}
    assert asyncio.run(ask_all()) == [f"{number} m" for number in range(8)]


def test_the_same_pictures_side_by_side_are_one_scene(chat: Chatting) -> None:
    content = [*pictures(frame(200), frame(201)), words(QUESTION)]

    async def ask_all() -> None:
        async with openai.AsyncOpenAI(base_url=chat.url, api_key="sk-not-needed", max_retries=0) as client:
            messages = [{"role": "user", "content": content}]
            await asyncio.gather(
                *(client.chat.completions.create(model=MODEL, messages=messages) for _ in range(8))
            )

    asyncio.run(ask_all())
    assert len(set(chat.oracle.scenes[-8:])) == 1


@pytest.mark.parametrize(
    ("fields", "kind", "code"),
    [
        ({"model": "gpt-4o"}, openai.NotFoundError, "model_not_found"),
        (
            {"extra_body": {"spatial": {"scene": "sc_0123456789abcdef"}}},
            openai.NotFoundError,
            "scene_not_found",
        ),
        ({"n": 99}, openai.BadRequestError, None),
        ({"messages": asking("Crash.")}, openai.InternalServerError, "tool_crashed"),
    ],
)
def test_errors_are_the_clients_own(
    chat: Chatting, client: Client, fields: dict[str, Any], kind: type[Exception], code: str | None
) -> None:
    chat.oracle.answers["Crash."] = ToolCrashedError("it ran out of memory")
    asked = {"model": MODEL, "messages": asking(), "extra_body": about(chat)} | fields
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**asked)
    assert caught.value.code == code  # type: ignore[attr-defined]


def test_an_error_on_the_way_of_a_stream_is_raised(chat: Chatting, client: Client) -> None:
    chat.oracle.answers["Crash."] = ToolCrashedError("it ran out of memory")
    asked = {"model": MODEL, "messages": asking("Crash."), "extra_body": about(chat)}
    with pytest.raises(openai.APIError, match="out of memory"):
        list(client.chat.completions.create(**asked, stream=True))


def test_leaving_a_stream_cancels_the_question(chat: Chatting, client: Client) -> None:
    chat.oracle.begun.clear()
    chat.oracle.released.clear()
    before = len(chat.oracle.cancelled)
    asked = {"model": MODEL, "messages": asking("wait for me"), "extra_body": about(chat)}
    with client.chat.completions.create(**asked, stream=True) as stream:
        next(iter(stream))
        # A question that nobody has begun is cancelled in the queue.
        assert chat.oracle.begun.wait(PATIENCE_S)
    until = time.monotonic() + PATIENCE_S
    while len(chat.oracle.cancelled) == before:
        assert time.monotonic() < until, "the question went on"
        client.models.list()


class TestLangChain:
    @pytest.fixture
    def model(self, chat: Chatting) -> Client:
        return langchain_openai.ChatOpenAI(
            model=MODEL, base_url=chat.url, api_key="sk-not-needed", extra_body=about(chat), max_retries=0
        )

    def test_asking(self, model: Client) -> None:
        reply = model.invoke(QUESTION)
        assert reply.content == SAID
        assert reply.response_metadata["finish_reason"] == "stop"
        assert reply.usage_metadata["total_tokens"] == 0

    def test_streaming(self, model: Client) -> None:
        assert "".join(chunk.content for chunk in model.stream(QUESTION)) == SAID

    def test_asynchronously(self, model: Client) -> None:
        assert asyncio.run(model.ainvoke(QUESTION)).content == SAID

    def test_several_at_once(self, model: Client) -> None:
        assert [reply.content for reply in model.batch([QUESTION] * 3)] == [SAID] * 3

    def test_a_dialogue(self, chat: Chatting, model: Client) -> None:
        model.invoke(
            [("system", "Be brief."), ("human", QUESTION), ("ai", "2.12 m."), ("human", "And how tall?")]
        )
        told = [(item["question"], item["answer"]) for item in chat.oracle.asked[-1]["dialogue"]]
        assert (QUESTION, "2.12 m.") in told
        assert chat.oracle.asked[-1]["question"] == "And how tall?"

    def test_pictures(self, chat: Chatting) -> None:
        model = langchain_openai.ChatOpenAI(model=MODEL, base_url=chat.url, api_key="sk-not-needed")
        content = [*pictures(frame(90), frame(91)), words(QUESTION)]
        assert model.invoke([{"role": "user", "content": content}]).content == SAID
        record = chat.service.store.scenes.scene("local", chat.oracle.scenes[-1])
        assert record is not None
        assert record.short_lived

    def test_the_whole_answer_as_json(self, model: Client) -> None:
        reply = model.bind(response_format={"type": "json_object"}).invoke(QUESTION)
        assert json.loads(reply.content)["value"] == 2.12

    def test_a_refusal_is_an_ordinary_reply(self, chat: Chatting, model: Client) -> None:
        chat.oracle.answers["Where is the piano?"] = NoSuchObjectError("there is no piano")
        assert model.invoke("Where is the piano?").content == "No answer: there is no piano"
