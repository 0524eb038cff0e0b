"""Chat completions over HTTP: what is asked becomes a job, what comes of it an ordinary completion."""

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from spatial_agent.agent.answer import Answer
from spatial_agent.services.api.config import Limits
from spatial_agent.services.store.records import LOCAL_TENANT, SceneRecord
from spatial_agent.tools.errors import (
    MissingWeightsError,
    NoSuchObjectError,
    QuestionError,
    ToolCrashedError,
    UnmeasurableError,
)
from tests.services.api.chatting import PATIENCE_S, Chatting, Content, chatting, frame, pictures, words

QUESTION = "How long is the sofa?"
DIRECTLY = "Answer with the option's letter from the given choices directly."


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chatting]:
    with chatting(tmp_path_factory.mktemp("service"), limits=Limits(chat_pictures=4)) as running:
        yield running


def said(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    content: str = response.json()["choices"][0]["message"]["content"]
    return content


def is_error(response: httpx.Response, status: int, code: str | None, param: str | None = None) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    (error,) = response.json().values()
    assert (error["code"], error["param"]) == (code, param)
    assert error["type"] in ("invalid_request_error", "server_error", "requests", "insufficient_quota")
    message: str = error["message"]
    return message


def test_a_completion_is_the_answer_with_its_evidence(chat: Chatting) -> None:
    response = chat.complete(QUESTION)
    assert said(response) == "The sofa is 2.12 m long, ± 0.03 m."
    completion = response.json()
    answer = Answer.from_json(completion["spatial"])
    assert (answer.value, answer.unit, answer.margin) == (2.12, "m", 0.03)
    assert completion["object"] == "chat.completion"
    assert completion["choices"][0]["finish_reason"] == "stop"
    assert completion["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert abs(completion["created"] - time.time()) < 60
    question = completion["spatial_links"]["self"]
    assert completion["id"] == f"chatcmpl-{question.rpartition('/')[2]}"
    kept = chat.http.get(question.removeprefix("/v1"))
    assert (kept.json()["state"], kept.json()["answer"]) == ("done", completion["spatial"])


def test_a_job_is_told_the_question_its_options_and_the_profile(chat: Chatting) -> None:
    text = (
        f"These are frames of a video.\nIs the sofa left or right?\nOptions:\nA. left\nB. right\n{DIRECTLY}"
    )
    assert said(chat.complete(text, model="spatial-agent/open")) == "B"
    asked = chat.oracle.asked[-1]
    assert asked["question"] == "Is the sofa left or right?"
    assert (asked["options"], asked["profile"]) == (["A. left", "B. right"], "open")


def test_what_only_this_service_knows(chat: Chatting) -> None:
    region = {"frame": 3, "point_px": [10.0, 20.0]}
    spatial = {
        "scene": chat.scene,
        "options": ["left", "right"],
        "regions": [region],
        "profile": "open",
        "priority": 3,
    }
    assert said(chat.complete("Where is <region 1>?\nA. up\nB. down", spatial=spatial)) == "B"
    asked = chat.oracle.asked[-1]
    assert (asked["options"], asked["profile"], asked["priority"]) == (["left", "right"], "open", 3)
    assert (asked["regions"][0]["frame"], asked["regions"][0]["point_px"]) == (3, [10.0, 20.0])
    assert asked["question"] == "Where is <region 1>?"


def test_a_dialogue_and_what_the_system_says_reach_the_job(chat: Chatting) -> None:
    messages = [
        {"role": "system", "content": "The den is the north end."},
        {"role": "user", "content": "How tall is the sofa?"},
        {"role": "assistant", "content": "0.82 m."},
        {"role": "user", "content": "And the lamp?"},
    ]
    said(chat.complete("", messages=messages))
    told = [(item["question"], item["answer"]) for item in chat.oracle.asked[-1]["dialogue"]]
    assert told == [
        ("(said beforehand) The den is the north end.", "noted"),
        ("How tall is the sofa?", "0.82 m."),
    ]


class TestPictures:
    def test_they_become_a_short_lived_scene_in_their_order(self, chat: Chatting) -> None:
        said(chat.complete([*pictures(frame(10), frame(20, "JPEG")), words(QUESTION)], spatial=None))
        record = self.scene(chat)
        assert (record.short_lived, record.state, record.facts["frames"]) == (True, "ready", 2)
        folder = chat.service.scenes.source(record)
        assert [path.name for path in sorted(folder.iterdir())] == ["00000.png", "00001.jpg"]
        assert record.bytes == sum(path.stat().st_size for path in folder.iterdir())

    def test_the_same_pictures_are_the_same_scene(self, chat: Chatting) -> None:
        both = pictures(frame(30), frame(40))
        for content in (
            [*both, words(QUESTION)],
            [words("How tall is it?"), *both],
            [*both[::-1], words(QUESTION)],
        ):
            said(chat.complete(content, spatial=None))
        first, again, turned = chat.oracle.scenes[-3:]
        assert first == again
        assert turned != first

    def test_a_picture_alone_is_a_photograph(self, chat: Chatting) -> None:
        said(chat.complete([*pictures(frame(50, "WEBP")), words(QUESTION)], spatial=None))
        assert chat.service.scenes.source(self.scene(chat)).name == "00000.webp"

    def test_a_follow_up_without_pictures_is_about_those_before(self, chat: Chatting) -> None:
        first = {"role": "user", "content": [*pictures(frame(60)), words(QUESTION)]}
        answer = {"role": "assistant", "content": "2.12 m."}
        said(chat.complete("", messages=[first], spatial=None))
        said(
            chat.complete(
                "", messages=[first, answer, {"role": "user", "content": "And how tall?"}], spatial=None
            )
        )
        assert chat.oracle.scenes[-1] == chat.oracle.scenes[-2]
        assert len(chat.oracle.asked[-1]["dialogue"]) == 1

    def test_damaged_ones_leave_nothing_behind(self, chat: Chatting) -> None:
        before = len(chat.service.store.scenes.listed(LOCAL_TENANT))
        cut_off = frame(70, "JPEG", size=(300, 200))[:-400]
        response = chat.complete([*pictures(frame(71), cut_off), words(QUESTION)], spatial=None)
        assert "picture 2" in is_error(response, 400, "image_parse_error", "messages")
        assert len(chat.service.store.scenes.listed(LOCAL_TENANT)) == before

    @staticmethod
    def scene(chat: Chatting) -> SceneRecord:
        record = chat.service.store.scenes.scene(LOCAL_TENANT, chat.oracle.scenes[-1])
        assert record is not None
        return record


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (QuestionError("cannot make sense of 'xyzzy'"), "cannot make sense"),
        (NoSuchObjectError("there is no piano"), "no piano"),
        (UnmeasurableError("a single picture"), "a single picture"),
        (MissingWeightsError("fetch the weights"), "fetch the weights"),
    ],
)
def test_what_cannot_be_answered_is_an_ordinary_message(chat: Chatting, error: Exception, part: str) -> None:
    chat.oracle.answers["Why?"] = error
    response = chat.complete("Why?\nAnswer with a single number.")
    assert said(response).startswith("No answer (")
    assert part in said(response)
    assert response.json()["spatial"]["abstained"] is True
    assert response.json()["choices"][0]["finish_reason"] == "stop"


@pytest.mark.parametrize(
    ("content", "fields", "part"),
    [
        (QUESTION, {"spatial": None}, "nothing to look at"),
        ("", {}, "no words"),
        ([], {}, "no words"),
    ],
)
def test_where_nothing_is_asked_of_anything_nothing_is_done(
    chat: Chatting, content: Content, fields: dict[str, Any], part: str
) -> None:
    before = len(chat.oracle.asked)
    response = chat.complete(content, **fields)
    assert part in said(response)
    assert response.json()["spatial"]["abstained"] is True
    assert len(chat.oracle.asked) == before


@pytest.mark.parametrize(
    ("error", "status", "code", "part"),
    [
        (ToolCrashedError("the depth network ran out of memory"), 502, "tool_crashed", "out of memory"),
        (ZeroDivisionError("secret of the house"), 500, "internal", "the operator finds why"),
    ],
)
def test_failures_of_the_service_are_errors(
    chat: Chatting, error: Exception, status: int, code: str, part: str
) -> None:
    chat.oracle.answers["Why?"] = error
    message = is_error(chat.complete("Why?"), status, code)
    assert part in message
    assert "secret" not in message


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"model": "gpt-4o"}, 404, "model_not_found", "model"),
        ({"model": "spatial-agent/best"}, 404, "model_not_found", "model"),
        ({"model": "recorded"}, 404, "model_not_found", "model"),
        ({"spatial": {"scene": "sc_0123456789abcdef"}}, 404, "scene_not_found", "spatial.scene"),
        ({"spatial": {"scene": "../../etc"}}, 400, None, "spatial.scene"),
        ({"spatial": {"profile": "best"}}, 404, "model_not_found", "spatial.profile"),
        ({"spatial": {"unknown": 1}}, 400, None, "spatial.unknown"),
        ({"messages": []}, 400, None, "messages"),
        ({"messages": [{"role": "robot", "content": "x"}]}, 400, None, "messages.0.role"),
        ({"n": 0}, 400, None, "n"),
        ({"n": 17}, 400, None, "n"),
        ({"response_format": {"type": "json_schema"}}, 400, None, "response_format.type"),
        ({"tool_choice": "required"}, 400, None, "tool_choice"),
        ({"tool_choice": {"type": "function"}}, 400, None, "tool_choice"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_cannot_be_is_refused_as_openai_does(
    chat: Chatting, fields: dict[str, Any], status: int, code: str | None, param: str | None
) -> None:
    before = len(chat.oracle.asked)
    is_error(chat.complete(QUESTION, **fields), status, code, param)
    assert len(chat.oracle.asked) == before


def test_pictures_elsewhere_are_not_fetched(chat: Chatting) -> None:
    content = [*pictures("https://127.0.0.1:9/sofa.png"), words(QUESTION)]
    message = is_error(
        chat.complete(content, spatial=None), 400, "invalid_image_url", "messages.0.content.0.image_url"
    )
    assert "nothing is fetched here" in message


def test_pictures_beside_a_scene_are_refused(chat: Chatting) -> None:
    response = chat.complete([*pictures(frame(80)), words(QUESTION)])
    assert "got both" in is_error(response, 400, None, "spatial.scene")


def test_too_many_pictures_are_refused(chat: Chatting) -> None:
    content = [*pictures(*map(frame, range(5))), words(QUESTION)]
    is_error(chat.complete(content, spatial=None), 400, "too_many_images", "messages.0.content.4.image_url")


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b'{"model": NaN}', b""])
def test_what_is_no_json_is_refused_as_openai_does(chat: Chatting, body: bytes) -> None:
    response = chat.http.post("/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["error"]["type"] == "invalid_request_error"


def test_the_whole_answer_as_json(chat: Chatting) -> None:
    response = chat.complete(QUESTION, response_format={"type": "json_object"})
    assert json.loads(said(response)) == response.json()["spatial"]


def test_as_many_choices_as_asked_for_say_the_same(chat: Chatting) -> None:
    choices = chat.complete(QUESTION, n=3).json()["choices"]
    assert [choice["index"] for choice in choices] == [0, 1, 2]
    assert len({choice["message"]["content"] for choice in choices}) == 1


def test_the_same_request_under_one_key_is_asked_once(chat: Chatting) -> None:
    asked = {
        "model": "spatial-agent/recorded",
        "messages": [{"role": "user", "content": QUESTION}],
        "spatial": {"scene": chat.scene},
    }
    headers = {"Idempotency-Key": "chat-1"}
    one, other = (chat.http.post("/chat/completions", json=asked, headers=headers) for _ in range(2))
    assert one.json()["id"] == other.json()["id"]
    third = chat.http.post("/chat/completions", json=asked | {"model": "spatial-agent/open"}, headers=headers)
    assert third.json()["error"]["code"] == "idempotency_conflict"


def test_a_question_that_somebody_cancels_ends_as_an_error(chat: Chatting) -> None:
    chat.oracle.begun.clear()
    chat.oracle.released.clear()
    with chat.http.stream("POST", "/chat/completions", json=asking(chat, "wait for it")) as response:
        assert response.status_code == 200
        assert chat.oracle.begun.wait(PATIENCE_S)
        (job,) = chat.service.store.jobs.listed(LOCAL_TENANT, state="running")
        chat.http.delete(f"/questions/{job.id}")
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert json.loads(lines[-2].removeprefix("data: "))["error"]["code"] == "conflict"
    assert lines[-1] == "data: [DONE]"


@pytest.mark.parametrize("stream", [False, True])
def test_whoever_leaves_cancels_the_question(chat: Chatting, stream: bool) -> None:
    chat.oracle.begun.clear()
    chat.oracle.released.clear()
    before = len(chat.oracle.cancelled)

    async def leave() -> None:
        async with httpx.AsyncClient(base_url=chat.url, timeout=PATIENCE_S) as leaving:
            asked = asking(chat, "wait for me") | {"stream": stream}
            request = asyncio.create_task(leaving.post("/chat/completions", json=asked))
            assert await asyncio.to_thread(chat.oracle.begun.wait, PATIENCE_S)
            request.cancel()
            with pytest.raises(asyncio.CancelledError):
                await request

    asyncio.run(leave())
    until = time.monotonic() + PATIENCE_S
    while len(chat.oracle.cancelled) == before:
        assert time.monotonic() < until, "the question went on"
        chat.http.get("/models")


def asking(chat: Chatting, question: str) -> dict[str, Any]:
    return {
        "model": "spatial-agent/recorded",
        "messages": [{"role": "user", "content": question}],
        "spatial": {"scene": chat.scene},
        "stream": True,
    }
