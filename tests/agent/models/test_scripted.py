"""Scripts are played in order, by purpose, and refused with what was expected."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from spatial_agent.agent.models.chat import (
    ChatReply,
    ChatRequest,
    Message,
    Purpose,
    ToolOffer,
    ToolRequest,
    Usage,
)
from spatial_agent.agent.models.scripted import FORMAT, Scripted, ScriptedReply
from spatial_agent.tools.errors import (
    InvalidValueError,
    ModelRequestError,
    ModelUnavailableError,
    SourceError,
)

SCHEMA = {"type": "object"}


def asking(
    purpose: Purpose, tools: tuple[ToolOffer, ...] = (), schema: Mapping[str, str] | None = None
) -> ChatRequest:
    return ChatRequest((Message("user", ("How far?",)),), purpose, tools, schema)


def played(model: Scripted, *requests: ChatRequest) -> list[ChatReply]:
    return [asyncio.run(model.reply(request)) for request in requests]


def test_replies_come_in_order_each_for_its_purpose() -> None:
    model = Scripted(
        [{"purpose": "answer", "text": "1.2 m"}, "first", {"purpose": "plan", "text": "third"}, "second"]
    )
    texts = [
        reply.text
        for reply in played(model, asking("plan"), asking("plan"), asking("answer"), asking("formalise"))
    ]
    assert texts == ["first", "third", "1.2 m", "second"]
    assert [request.purpose for request in model.requests] == ["plan", "plan", "answer", "formalise"]
    with pytest.raises(ModelUnavailableError, match="no reply for a request to plan: 4 were played"):
        played(model, asking("plan"))


def test_calls_get_ids_of_their_own_and_bad_arguments_are_a_problem() -> None:
    calls = [
        {"tool": "size", "arguments": {"of": "sofa"}},
        {"tool": "size", "id": "mine"},
        {"tool": "size", "arguments": "sofa"},
    ]
    model = Scripted([{"calls": calls}, {"calls": calls[:1]}])
    first, second = played(model, asking("plan", tools=(ToolOffer("size", "", {}),)), asking("plan"))
    assert first.requests[:2] == (ToolRequest("call-1", "size", {"of": "sofa"}), ToolRequest("mine", "size"))
    assert first.requests[2].problem == "expected the arguments as a JSON object, got 'sofa'"
    assert second.requests[0].id not in {call.id for call in first.requests}


def test_words_are_read_as_a_document_where_one_is_wanted() -> None:
    model = Scripted(["so: {'a': 1,}", "no", {"document": {"a": 2}}, {"document": {"a": 3}}, "{'a': 1}"])
    read, unread, given, unwanted, words = played(
        model, *[asking("answer", schema=SCHEMA)] * 3, *[asking("answer")] * 2
    )
    assert (read.document, read.problem) == ({"a": 1}, None)
    assert unread.document is None
    assert unread.problem == "expected a JSON object, got 'no'"
    assert (given.document, json.loads(given.text)) == ({"a": 2}, {"a": 2})
    assert (unwanted.document, json.loads(unwanted.text)) == (None, {"a": 3})
    assert words.document is None


def test_errors_usage_and_whole_replies_are_played() -> None:
    whole = ChatReply("as it is", usage=Usage(3, 4))
    model = Scripted(
        [
            whole,
            {"text": "hi", "usage": {"input_tokens": 5}},
            {"error": "unavailable", "text": "down"},
            {"error": "request"},
        ]
    )
    first, second = played(model, asking("plan"), asking("plan"))
    assert first == whole
    assert second.usage == Usage(5, 0)
    with pytest.raises(ModelUnavailableError, match="down"):
        played(model, asking("plan"))
    with pytest.raises(ModelRequestError):
        played(model, asking("plan"))


def test_a_function_sees_the_request_and_streams_word_by_word() -> None:
    model = Scripted(lambda request: f"  you asked:\n{request.messages[-1].text} ", name="echo")
    pieces: list[str] = []
    reply = asyncio.run(model.reply(asking("plan"), pieces.append))
    assert reply.text == "".join(pieces) == "  you asked:\nHow far? "
    assert len(pieces) == 4
    assert model.name == "echo"


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (3, "expected words or an object, got int"),
        ({}, "got none"),
        ({"value": 3}, r"got \['value'\]"),
        ({"purpose": "guess", "text": ""}, "got 'guess'"),
        ({"error": "later"}, "got 'later'"),
        ({"calls": [{"name": "size"}]}, "expected calls with a tool each"),
    ],
)
def test_what_is_no_reply_is_refused(reply: Any, problem: str) -> None:  # noqa: ANN401 - what is no reply
    with pytest.raises(InvalidValueError, match=f"reply 2: .*{problem}"):
        Scripted(["fine", reply])
    with pytest.raises(InvalidValueError, match=problem):
        played(Scripted(lambda request: reply), asking("plan"))


def test_a_file_is_played(tmp_path: Path) -> None:
    replies: list[ScriptedReply] = ["hello", {"purpose": "answer", "document": {"a": 1}}]
    path = tmp_path / "polite.json"
    path.write_text(json.dumps({"format": FORMAT, "limits": {"most_pictures": 2}, "replies": replies}))
    model = Scripted.from_file(path)
    assert (model.name, model.limits.most_pictures, model.limits.has_tools) == ("polite", 2, True)
    assert [reply.text for reply in played(model, asking("plan"), asking("answer"))] == ["hello", '{"a": 1}']


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ("{", "Expecting"),
        ("[]", "expected an object with format"),
        ('{"format": "other"}', "expected an object with format"),
        (json.dumps({"format": FORMAT}), "'replies' is missing"),
        (json.dumps({"format": FORMAT, "replies": [3]}), "reply 1: expected words"),
        (json.dumps({"format": FORMAT, "replies": [], "limits": {"letters": 3}}), "letters"),
    ],
)
def test_a_file_that_is_no_script_is_refused(tmp_path: Path, script: str, problem: str) -> None:
    path = tmp_path / "script.json"
    path.write_text(script)
    with pytest.raises(SourceError, match=rf"script\.json is no model script: .*{problem}"):
        Scripted.from_file(path)
    with pytest.raises(SourceError, match=r"missing\.json"):
        Scripted.from_file(tmp_path / "missing.json")
