"""What conversations, names, schemas and pictures become on the wire."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spatial_agent.agent.models.chat import Message, ToolRequest
from spatial_agent.agent.models.openai_messages import (
    ToolNames,
    WireMessage,
    data_url,
    is_strict,
    wire_messages,
)
from tests.agent.models.dialects.asking import drawing, photo
from tests.agent.models.dialects.openai_server import NAME, check_messages, check_strict
from tests.agent.models.dialects.served import Refusal

PICTURE = photo(size=(4, 4))
PART = st.one_of(st.text(max_size=5), st.just(PICTURE))
CALL = st.builds(
    ToolRequest,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["novel_view.frame", "größe", ""]),
    st.just({}),
)
MESSAGE = st.builds(
    Message,
    st.sampled_from(["user", "assistant", "tool", "system"]),
    st.lists(PART, max_size=3).map(tuple),
    st.just(()),
    st.sampled_from(["a", "b", "c", None]),
) | st.builds(
    Message,
    st.just("assistant"),
    st.lists(PART, max_size=2).map(tuple),
    st.lists(CALL, max_size=3, unique_by=lambda call: call.id).map(tuple),
)


def written(messages: list[Message], **more: Any) -> list[WireMessage]:  # noqa: ANN401
    return wire_messages(messages, ToolNames(["novel_view.frame"]), side_px=1024, **more)


@settings(max_examples=60)
@given(st.lists(MESSAGE, max_size=8))
def test_any_conversation_is_one_that_openai_takes(messages: list[Message]) -> None:
    wire = written(messages)
    check_messages(wire)
    said = [message for message in wire if message["role"] != "tool"]
    for before, after in zip(said, said[1:], strict=False):
        is_turn = before["role"] != after["role"] or before["role"] == "system" or "tool_calls" in before
        assert is_turn or "tool_calls" in after


@settings(max_examples=60)
@given(st.lists(MESSAGE, max_size=8))
def test_no_word_and_no_picture_is_lost(messages: list[Message]) -> None:
    sent = str(written(messages))
    pictures = sum(len(message.pictures) for message in messages)
    assert sent.count("data:image/") == pictures
    words = [
        part for message in messages for part in message.parts if isinstance(part, str) and part.isalnum()
    ]
    assert all(word in sent for word in words)


@given(st.lists(st.text(min_size=1, max_size=90), max_size=12, unique=True))
def test_names_that_servers_take_and_back(names: list[str]) -> None:
    table = ToolNames(names)
    sent = [table.written(name) for name in names]
    assert all(NAME.match(name) for name in sent)
    assert len(set(sent)) == len(names)
    assert [table.read(name) for name in sent] == names


def test_names_stay_readable() -> None:
    names = ToolNames(["depth.sensor", "depth__sensor", "size"])
    assert [names.written(name) for name in ("depth.sensor", "depth__sensor", "size")] == [
        "depth__sensor",
        "depth__sensor_2",
        "size",
    ]
    assert names.read("made_up.tool") == "made_up.tool"
    assert NAME.match(names.written("not.offered at all"))


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}
STRICT: list[dict[str, Any]] = [
    CLOSED,
    CLOSED | {"properties": {"a": {"type": "array", "items": CLOSED}}},
    CLOSED | {"properties": {"a": {"type": ["string", "null"], "enum": ["x", None]}}},
]
LOOSE: list[dict[str, Any]] = [
    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
    CLOSED | {"required": []},
    CLOSED | {"properties": {"a": {"type": "array", "items": {"type": "object"}}}},
    CLOSED | {"properties": {"a": {"oneOf": [{"type": "string"}]}}},
    CLOSED | {"properties": {"a": {}}},
    {"type": "array", "items": CLOSED},
]


@pytest.mark.parametrize("schema", STRICT)
def test_schemas_that_strict_mode_takes(schema: dict[str, Any]) -> None:
    assert is_strict(schema)
    check_strict(schema, ())


@pytest.mark.parametrize("schema", LOOSE)
def test_schemas_that_strict_mode_refuses(schema: dict[str, Any]) -> None:
    assert not is_strict(schema)


def test_what_the_server_calls_strict_is_not_our_own_word() -> None:
    with pytest.raises(Refusal):
        check_strict(LOOSE[0], ())


def test_large_pictures_are_scaled_down_and_drawings_stay_drawings() -> None:
    import base64
    import io

    from PIL import Image

    for picture, kind in ((photo(size=(300, 200)), "jpeg"), (drawing((300, 200)), "png")):
        url = data_url(picture, 150)
        match = re.fullmatch(r"data:image/(\w+);base64,(.*)", url)
        assert match is not None
        assert match[1] == kind
        assert Image.open(io.BytesIO(base64.b64decode(match[2]))).size == (100, 150)


def test_pictures_of_a_result_say_whose_they_are() -> None:
    calls = (ToolRequest("a", "novel_view.frame"), ToolRequest("b", "draw"))
    wire = written(
        [
            Message("assistant", ("Looking.",), calls),
            Message("tool", ("First.", PICTURE), answers="a"),
            Message("tool", (PICTURE,), answers="b"),
            Message("user", ("What do you see?",)),
        ]
    )
    assert [message["role"] for message in wire] == ["assistant", "tool", "tool", "user"]
    assert [part.get("text") for part in wire[-1]["content"]] == [
        "Pictures in the result of novel_view__frame:",
        None,
        "Pictures in the result of draw:",
        None,
        "What do you see?",
    ]
