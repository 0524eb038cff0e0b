"""Tools and documents in plain text, told, read tolerantly, and repaired once."""

import asyncio
import json
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.agent.models.chat import (
    ChatReply,
    ChatRequest,
    Message,
    ModelLimits,
    ToolOffer,
    ToolRequest,
    Usage,
)
from spatial_agent.agent.models.scripted import Scripted, ScriptedReply
from spatial_agent.agent.models.text_protocol import MOST_CALLS, TextProtocol, read_calls
from spatial_agent.tools.errors import ModelRequestError
from spatial_agent.tools.scene import Picture

PLAIN = ModelLimits(has_tools=False, has_schemas=False)
SIZE = ToolOffer("size", "Measure an object.", {"type": "object", "properties": {"of": {"type": "string"}}})
SCHEMA = {"type": "object", "properties": {"count": {"type": "integer"}}, "required": ["count"]}
TASK = (Message("system", ("You measure.",)), Message("user", ("How long is the sofa?",)))
PLANNING = ChatRequest(TASK, "plan", tools=(SIZE,))
ANSWERING = ChatRequest(TASK, "answer", schema=SCHEMA)

marks = st.sampled_from(
    [
        *[
            "<tool_call>",
            "</tool_call>",
            "[TOOL_CALLS]",
            "<|python_tag|>",
            "```json\n",
            "```tool_code",
            "```",
        ],
        *[
            "<think>",
            "</think>",
            '{"name": "size"',
            '"arguments": {"of": "sofa"}',
            '"args"',
            ":",
            ",",
            "}",
            "{",
        ],
        *["[", "]", '"', "'", "\\", " ", "\n", "size", "1", '{"tool_calls": [', '"function": {', "\ud800"],
    ]
)


def asked(replies: list[ScriptedReply], request: ChatRequest) -> tuple[ChatReply, Scripted]:
    inner = Scripted(replies, limits=PLAIN)
    return asyncio.run(TextProtocol(inner).reply(request)), inner


def calls(text: str) -> list[tuple[str, object]]:
    return [(call.tool, dict(call.arguments)) for call in read_calls(text, ["size", "room"]).requests]


def test_the_model_is_told_the_protocol_and_its_words_and_calls_are_told_apart() -> None:
    said = 'I measure it.\n<tool_call>\n{"name": "size", "arguments": {"of": "sofa"}}\n</tool_call>'
    reply, inner = asked([said], PLANNING)
    assert reply.text == "I measure it."
    assert reply.requests == (ToolRequest("call-1", "size", {"of": "sofa"}),)
    (sent,) = inner.requests
    assert (sent.tools, sent.schema, sent.messages[1:]) == ((), None, TASK[1:])
    rules = sent.messages[0].text
    assert rules.startswith("You measure.\n")
    assert "<tool_call>" in rules
    assert f"- size: Measure an object.\n  arguments: {json.dumps(SIZE.parameters)}" in rules


def test_the_example_that_the_model_is_shown_is_itself_a_call() -> None:
    _, inner = asked(["no call"], PLANNING)
    assert calls(inner.requests[0].messages[0].text)[0] == ("tool name", {"argument": "value"})


def test_the_model_is_shown_its_calls_and_their_results_as_words() -> None:
    picture = Picture(np.zeros((4, 4, 3), np.uint8), "black")
    turn = (
        Message(
            "assistant", ("Both.",), (ToolRequest("m1", "size", {"of": "sofa"}), ToolRequest("m2", "room"))
        ),
        Message("tool", ("1.9 m",), answers="m1"),
        Message("tool", ("12 m²", picture), answers="m2"),
        Message("user", ("One call is left.",)),
    )
    _, inner = asked(["done"], ChatRequest((*TASK, *turn), "plan", tools=(SIZE,)))
    sent = inner.requests[0].messages
    assert [message.role for message in sent] == ["system", "user", "assistant", "user"]
    assert calls(sent[2].text) == [("size", {"of": "sofa"}), ("room", {})]
    assert [part for part in sent[3].parts if part != picture] == [
        *['<tool_result name="size">', "1.9 m", "</tool_result>"],
        *['<tool_result name="room">', "12 m²", "</tool_result>", "One call is left."],
    ]
    assert sent[3].pictures == (picture,)


def test_ids_are_not_given_twice_in_a_conversation() -> None:
    turn = (
        Message("assistant", (), (ToolRequest("call-1", "size"),)),
        Message("tool", ("1",), answers="call-1"),
    )
    reply, _ = asked(
        ['{"name": "size"} {"name": "size"}'], ChatRequest((*TASK, *turn), "plan", tools=(SIZE,))
    )
    assert [call.id for call in reply.requests] == ["call-2", "call-3"]


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "size", "arguments": {"of": "sofa"}}',
        "First:\n```json\n{'tool': 'size', 'parameters': {'of': 'sofa',}}\n```",
        '<tool_call>{"name": "size", "arguments": {"of": "sofa"}}',
        '<tool_call>\n```json\n{"name": "size", "args": {"of": "sofa"}}\n```\n</tool_call>',
        '[TOOL_CALLS] [{"name": "size", "arguments": {"of": "sofa"}}]',
        '<|python_tag|>{"type": "function", "name": "size", "parameters": {"of": "sofa"}}',
        '{"tool_calls": [{"id": "x", "type": "function", '
        '"function": {"name": "size", "arguments": "{\\"of\\": \\"sofa\\"}"}}]}',
        '{"tool": "size", "of": "sofa"}',
        '<think>{"name": "room"}?</think>{"name": "size", "input": {"of": "sofa"}}',
    ],
)
def test_forms_that_models_were_taught_are_read(text: str) -> None:
    assert calls(text) == [("size", {"of": "sofa"})]
    assert "sofa" not in read_calls(text, ["size"]).text


def test_objects_that_are_no_calls_stay_words() -> None:
    text = 'The box is {"name": "sofa", "length_m": 1.9} and {"a": 1}.'
    assert read_calls(text, ["size"]) == read_calls(text, [])
    assert (calls(text), read_calls(text, ["size"]).text) == ([], text)
    # What is marked as a call is one, whatever it names: the planner says that there is no such tool.
    assert calls('<tool_call>{"name": "teleport", "arguments": {}}</tool_call>') == [("teleport", {})]


def test_arguments_that_are_no_object_are_a_problem_of_their_call_only() -> None:
    read = read_calls(
        '{"name": "size", "arguments": [1]} {"name": "room", "arguments": {}}', ["size", "room"]
    )
    assert [call.problem for call in read.requests] == [
        "expected the arguments as a JSON object, got [1]",
        None,
    ]


def test_no_more_than_the_most_calls_are_read() -> None:
    assert len(calls('{"name": "size"}' * 500)) == MOST_CALLS


def test_an_unreadable_call_is_put_to_the_model_once_with_what_was_wrong() -> None:
    broken = '<tool_call>{"name": "size", "arguments": {"of": sofa}}</tool_call>'
    usage = {"input_tokens": 10, "output_tokens": 5}
    replies: list[ScriptedReply] = [
        {"text": broken, "usage": usage},
        {"text": '{"name": "size", "arguments": {"of": "sofa"}}', "usage": usage},
    ]
    reply, inner = asked(replies, PLANNING)
    assert [call.arguments for call in reply.requests] == [{"of": "sofa"}]
    assert reply.usage == Usage(20, 10)
    assert inner.requests[1].messages[-2] == Message("assistant", (broken,))
    assert "no value near" in inner.requests[1].messages[-1].text
    assert "sofa}}" in inner.requests[1].messages[-1].text


def test_a_call_that_stays_unreadable_is_a_call_with_a_problem() -> None:
    broken = '<tool_call>{"name": "size", "arguments": {"of": sofa}}</tool_call>'
    reply, inner = asked([broken, broken, "never asked for"], PLANNING)
    assert [(call.tool, dict(call.arguments)) for call in reply.requests] == [("size", {})]
    assert "no value near" in (reply.requests[0].problem or "")
    assert (reply.problem, len(inner.requests)) == (None, 2)


def test_a_document_is_read_checked_and_repaired_once() -> None:
    reply, inner = asked(['Sure! ```json\n{"count": 2,}\n```'], ANSWERING)
    assert (reply.document, reply.problem) == ({"count": 2}, None)
    assert json.dumps(SCHEMA) in inner.requests[0].messages[0].text

    reply, inner = asked(['{"count": "two"}', '{"count": 2}'], ANSWERING)
    assert reply.document == {"count": 2}
    assert "count: expected integer, got 'two'" in inner.requests[1].messages[-1].text

    reply, inner = asked(["Two.", "x" * 100_000, "never asked for"], ANSWERING)
    assert reply.document is None
    assert reply.problem is not None
    assert reply.problem.startswith("expected a JSON object, got 'xxx")
    assert len(inner.requests) == 2


def test_a_long_unreadable_reply_is_not_sent_back_whole() -> None:
    _, inner = asked(["x" * 100_000, '{"count": 2}'], ANSWERING)
    assert len(inner.requests[1].messages[-2].text) <= 2000


def test_where_the_repair_is_refused_the_first_reply_stands() -> None:
    reply, _ = asked(["Two.", {"error": "request"}], ANSWERING)
    assert (reply.text, reply.document) == ("Two.", None)
    assert reply.problem is not None
    with pytest.raises(ModelRequestError):
        asked([{"error": "request"}], ANSWERING)


def test_what_the_model_has_of_its_own_is_left_to_it() -> None:
    inner = Scripted(["{}"] * 3, limits=ModelLimits(has_tools=True, has_schemas=False))
    model = TextProtocol(inner)
    asyncio.run(model.reply(PLANNING))
    reply = asyncio.run(model.reply(ANSWERING))
    assert inner.requests[0] == PLANNING
    assert inner.requests[1].schema is None
    assert reply.problem == "the document: count missing, got []"
    assert (model.limits.has_tools, model.limits.has_schemas) == (True, True)


def test_words_are_streamed_as_they_come_and_calls_not_at_all() -> None:
    pieces: list[str] = []
    model = TextProtocol(Scripted(["one two three", 'So: {"name": "size"}'], limits=PLAIN))
    asyncio.run(model.reply(ChatRequest(TASK, "answer"), pieces.append))
    assert len(pieces) == 3
    reply = asyncio.run(model.reply(PLANNING, pieces.append))
    assert pieces[3:] == [reply.text] == ["So:"]


@settings(max_examples=60)
@given(st.lists(marks).map("".join) | st.text(), st.integers(1, 30))
def test_no_reply_raises_and_calls_are_plain_json(text: str, times: int) -> None:
    read = read_calls(text * times, ["size"])
    assert len({call.id for call in read.requests}) == len(read.requests) <= MOST_CALLS
    for call in read.requests:
        assert isinstance(call.tool, str)
        assert json.loads(json.dumps(dict(call.arguments))) == dict(call.arguments)
        assert call.problem is None or not call.arguments
    assert not (read.requests and read.problem)


@pytest.mark.parametrize(
    "piece",
    [
        "<tool_call>",
        '<tool_call>{"name":',
        '{"name": "size"}',
        "[TOOL_CALLS][",
        "</think>{",
        '{"function": {',
        "```json\n",
    ],
)
def test_a_hostile_reply_costs_no_more_than_its_length(piece: str) -> None:
    def seconds(letters: int) -> float:
        text = (piece * letters)[:letters]
        started = time.process_time()
        read_calls(text, ["size"])
        return time.process_time() - started

    long, short = min(seconds(40_000) for _ in range(2)), min(seconds(4_000) for _ in range(3))
    assert long < 40 * short + 0.05
