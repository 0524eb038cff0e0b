"""What a session and its program say to each other, and what neither takes for a message."""

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.sandbox import messages, wire
from spatial_agent.sandbox.environment import ProgramAnswer, ProgramError
from spatial_agent.sandbox.messages import (
    Call,
    Cell,
    Done,
    Failed,
    Fetch,
    Fetched,
    Ready,
    Returned,
    Setup,
    Show,
    Text,
    from_child,
    from_parent,
    to_child,
    to_parent,
)
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.scene import DepthMap, SceneMap
from spatial_agent.tools.synthetic.room import SyntheticRoom

ANSWER = {"value": 1, "unit": None, "low": None, "high": None}
ERROR = {"kind": "exception", "message": "x", "limit": None, "line": None}
DONE = {"kind": "done", "answer": None, "error": None, "dropped_bytes": 0}
FROM_PARENT: tuple[messages.ToChild, ...] = (
    Cell("answer(1)"),
    Returned(Finding("A claim.", [1, "a"], "m", 0.5, objects=("a",), details={"b": {"c": 1}}), None),
    Returned(None, "$depth/3"),
    Failed("ToolArgumentError", "expected a label, got 3"),
)
FROM_CHILD: tuple[messages.ToParent, ...] = (
    Text("printed\n\u00e9\U0001f600\0"),
    Call("distance", {"a": "chair-1", "b": [1, 2.5, None, True, {"c": []}], "": {}}),
    Fetch("$depth/3"),
    Done(None, None, 0),
    Done(ProgramAnswer(1.5, "m", 1, 2.0), None, 7),
    Done(ProgramAnswer(["left", 1, True]), ProgramError("exception", "line 3: ...", line=3), 0),
    Done(None, ProgramError("limit", "stopped", "wall"), 0),
    Done(None, ProgramError("limit", "too large", "memory"), 0),
    Ready(),
)
CYCLE: list[Any] = []
CYCLE.append(CYCLE)


def payload(members: object) -> bytes:
    """The payload of a mapping of plain JSON, by the words of the format."""

    def tagged(value: object) -> object:
        if isinstance(value, list):
            return [tagged(item) for item in value]
        if isinstance(value, dict):
            return {"mapping": [[key, tagged(item)] for key, item in value.items()]}
        return value

    text = json.dumps(tagged(members)).encode()
    return struct.pack("<I", len(text)) + text


@pytest.mark.parametrize("message", FROM_PARENT, ids=lambda message: type(message).__name__)
def test_messages_to_a_process_arrive(message: messages.ToChild) -> None:
    framed = to_child(message)

    assert struct.unpack("<I", framed[:4]) == (len(framed) - 4,)
    assert from_parent(framed[4:]) == message


@pytest.mark.parametrize("message", FROM_CHILD, ids=lambda message: type(message).__name__)
def test_messages_from_a_process_arrive(message: messages.ToParent) -> None:
    framed = to_parent(message)

    assert struct.unpack("<I", framed[:4]) == (len(framed) - 4,)
    assert from_child(framed[4:]) == message


def test_what_programs_may_have_arrives() -> None:
    scene = SyntheticRoom.example().scene_map()
    inputs = {"scene": scene, "limits_m": (1, 2.5), "grid": np.eye(3)}
    setup = from_parent(to_child(Setup(("math", "numpy"), inputs, 20_000, 2**20, 4, True))[4:])

    assert isinstance(setup, Setup)
    assert setup.imports == ("math", "numpy")
    assert (setup.output_bytes, setup.message_bytes, setup.images, setup.is_checked) == (
        20_000,
        2**20,
        4,
        True,
    )
    assert list(setup.inputs) == ["scene", "limits_m", "grid"]
    back = setup.inputs["scene"]
    assert isinstance(back, SceneMap)
    assert [item.id for item in back.objects] == [item.id for item in scene.objects]


def test_values_that_were_asked_for_arrive() -> None:
    message = from_parent(to_child(Fetched({"depth": DepthMap(np.full((2, 3), 1.5, np.float32))}))[4:])

    assert isinstance(message, Fetched)
    assert isinstance(message.value, dict)
    assert message.value["depth"].z_m.tolist() == [[1.5] * 3] * 2


def test_pictures_arrive_and_cannot_be_written_to() -> None:
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)[:, ::2]
    message = from_child(to_parent(Show(rgb, "corner"))[4:])

    assert isinstance(message, Show)
    assert message.caption == "corner"
    assert np.array_equal(message.rgb, rgb)
    assert not message.rgb.flags.writeable


def test_a_message_by_hand_is_one() -> None:
    assert from_child(payload({"kind": "text", "text": "a"})) == Text("a")
    assert from_child(payload(DONE | {"answer": ANSWER})) == Done(ProgramAnswer(1), None, 0)
    assert from_child(payload({"dropped_bytes": 0, "error": ERROR, "answer": None, "kind": "done"})) == Done(
        None, ProgramError("exception", "x"), 0
    )


SHOW = {"kind": "show", "rgb": 1, "caption": ""}
CALL = {"kind": "call", "tool": "a", "arguments": {}}


@pytest.mark.parametrize(
    "members",
    [
        None,
        1,
        "text",
        [],
        {},
        {"kind": None},
        {"kind": "unknown"},
        {"kind": ["text"], "text": "a"},
        {"kind": {"text": 1}, "text": "a"},
        {"kind": "cell", "source": "1"},
        {"kind": "setup"},
        {"kind": "returned", "finding": None, "reference": None},
        {"kind": "fetched", "value": 1},
        {"text": "a"},
        {"kind": "ready", "text": "a"},
        {"kind": "ready", "kind_": 1},
        {"kind": "text"},
        {"kind": "text", "text": "a", "more": 1},
        {"kind": "text", "text": 1},
        {"kind": "text", "text": None},
        {"kind": "text", "text": ["a"]},
        {"kind": "text", "text": "a" * (messages.MOST_TEXT + 1)},
        {"kind": "fetch", "reference": ""},
        {"kind": "fetch", "reference": "a" * (messages.MOST_NAME + 1)},
        CALL | {"tool": ""},
        CALL | {"tool": 1},
        CALL | {"arguments": []},
        CALL | {"arguments": None},
        CALL | {"arguments": {"a": [1] * 2**16}},
        SHOW,
        SHOW | {"rgb": [[[0, 0, 0]]]},
        DONE | {"dropped_bytes": -1},
        DONE | {"dropped_bytes": 1.0},
        DONE | {"dropped_bytes": True},
        DONE | {"dropped_bytes": 2**63},
        {"kind": "done", "answer": None, "error": None},
        {"kind": "done", "error": None, "dropped_bytes": 0},
        DONE | {"answer": 1},
        DONE | {"answer": []},
        DONE | {"answer": {"value": 1}},
        DONE | {"answer": ANSWER | {"more": 1}},
        DONE | {"answer": ANSWER | {"value": None}},
        DONE | {"answer": ANSWER | {"value": {"a": 1}}},
        DONE | {"answer": ANSWER | {"value": [[1]]}},
        DONE | {"answer": ANSWER | {"value": [None]}},
        DONE | {"answer": ANSWER | {"unit": "parsec"}},
        DONE | {"answer": ANSWER | {"unit": 1}},
        DONE | {"answer": ANSWER | {"unit": ["m"]}},
        DONE | {"answer": ANSWER | {"low": "1"}},
        DONE | {"answer": ANSWER | {"high": True}},
        DONE | {"answer": ANSWER | {"low": [1]}},
        DONE | {"error": "x"},
        DONE | {"error": ERROR | {"more": 1}},
        DONE | {"error": ERROR | {"kind": "crash"}},
        DONE | {"error": ERROR | {"kind": "violation"}},
        DONE | {"error": ERROR | {"kind": ["limit"]}},
        DONE | {"error": ERROR | {"kind": "limit"}},
        DONE | {"error": ERROR | {"limit": "wall"}},
        DONE | {"error": ERROR | {"kind": "limit", "limit": "cpu"}},
        DONE | {"error": ERROR | {"kind": "limit", "limit": "calls"}},
        DONE | {"error": ERROR | {"kind": "limit", "limit": ["wall"]}},
        DONE | {"error": ERROR | {"message": None}},
        DONE | {"error": ERROR | {"message": "a" * (messages.MOST_EXPLANATION + 1)}},
        DONE | {"error": ERROR | {"line": -1}},
        DONE | {"error": ERROR | {"line": "3"}},
    ],
    ids=lambda members: json.dumps(members)[:60],
)
def test_what_is_no_message_of_a_program_is_refused(members: object) -> None:
    with pytest.raises(WireError):
        from_child(payload(members))


@pytest.mark.parametrize(
    "value",
    [
        (),
        (1,),
        {1: 2},
        {None: 1},
        np.zeros(2),
        np.zeros(()),
        float("nan"),
        [float("inf")],
        {"a": {"b": np.zeros(1)}},
    ],
    ids=repr,
)
@pytest.mark.parametrize(
    "place",
    [
        lambda value: {"kind": value},
        lambda value: {"kind": "text", "text": value},
        lambda value: {"kind": "fetch", "reference": value},
        lambda value: CALL | {"tool": value},
        lambda value: CALL | {"arguments": {"a": value}},
        lambda value: SHOW | {"rgb": value},
        lambda value: SHOW | {"caption": value, "rgb": np.zeros((1, 1, 3), np.uint8)},
        lambda value: DONE | {"dropped_bytes": value},
        lambda value: DONE | {"answer": value},
        lambda value: DONE | {"error": value},
        *(lambda value, name=name: DONE | {"answer": ANSWER | {name: value}} for name in ANSWER),
        *(lambda value, name=name: DONE | {"error": ERROR | {name: value}} for name in ERROR),
    ],
)
def test_programs_send_no_values_but_plain_json_and_pictures(
    place: Callable[[object], Mapping[str, object]], value: object
) -> None:
    with pytest.raises(WireError):
        from_child(b"".join(wire.pack(place(value))))


def test_programs_send_no_scene_values() -> None:
    finding = Finding("A claim.", 1)

    with pytest.raises(WireError, match="class"):
        from_child(b"".join(wire.pack(CALL | {"arguments": {"a": finding}})))
    with pytest.raises(WireError, match="class"):
        from_child(to_child(Returned(finding, None))[4:])


@pytest.mark.parametrize(
    "rgb",
    [
        np.zeros((2, 2, 3), np.int8),
        np.zeros((2, 2, 3), np.float32),
        np.zeros((2, 2, 4), np.uint8),
        np.zeros((2, 2), np.uint8),
        np.zeros(3, np.uint8),
        np.zeros((), np.uint8),
        np.zeros((1, 2, 2, 3), np.uint8),
        np.zeros((0, 2, 3), np.uint8),
        np.zeros((2, 0, 3), np.uint8),
        np.zeros((messages.MOST_SIDE + 1, 1, 3), np.uint8),
    ],
    ids=lambda rgb: f"{rgb.dtype}{rgb.shape}",
)
def test_what_is_no_picture_is_refused(rgb: Any) -> None:  # noqa: ANN401 - wrong on purpose
    with pytest.raises(WireError, match="rgb"):
        Show(rgb, "")
    with pytest.raises(WireError, match="rgb"):
        from_child(b"".join(wire.pack(SHOW | {"rgb": rgb})))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: Text("a\ud800"), "surrogate"),
        (lambda: Text("a" * (messages.MOST_TEXT + 1)), "text"),
        (lambda: Show(np.zeros((1, 1, 3), np.uint8), "a" * (messages.MOST_CAPTION + 1)), "caption"),
        (lambda: Call("a", {"b": float("nan")}), "finite"),
        (lambda: Call("a", {"b": 2**64}), "2\\^64"),
        (lambda: Call("a", {"b": "\ud800"}), "surrogate"),
        (lambda: Call("a", {"b": (1, 2)}), "tuple"),
        (lambda: Call("a", {"b": CYCLE}), "levels"),
        (lambda: Done(ProgramAnswer(float("inf")), None, 0), "finite"),
        (lambda: Done(ProgramAnswer((1, 2)), None, 0), "tuple"),
        (lambda: Done(None, ProgramError("crash", "x"), 0), "crash"),
        (lambda: Cell("a" * (messages.MOST_SOURCE + 1)), "source"),
        (lambda: Failed("KeyError", "x"), "tools.errors"),
        (lambda: Setup((), {"not a name": 1}, 1, 1, 1, True), "names that Python allows"),
        (lambda: Setup((), {}, -1, 1, 1, True), "output_bytes"),
        (lambda: Setup((1,), {}, 1, 1, 1, True), "imports"),  # type: ignore[arg-type]
        (lambda: to_child(Setup((), {"a": object()}, 1, 1, 1, True)), "object"),
        (lambda: to_parent(Call("a", {"b": [0] * 2**16})), "values"),
    ],
)
def test_whoever_writes_what_cannot_be_sent_is_told(make: Callable[[], object], expected: str) -> None:
    with pytest.raises(WireError, match=expected):
        make()


@pytest.mark.parametrize("message", FROM_CHILD, ids=lambda message: type(message).__name__)
def test_a_process_takes_no_message_of_a_process(message: messages.ToParent) -> None:
    with pytest.raises(WireError, match="expected one of setup"):
        from_parent(to_parent(message)[4:])


json_values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(allow_nan=False), st.text()
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
KINDS: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "call": ("tool", "arguments"),
    "fetch": ("reference",),
    "show": ("rgb", "caption"),
    "done": ("answer", "error", "dropped_bytes"),
    "setup": ("imports", "inputs", "output_bytes", "message_bytes", "images", "is_checked"),
    "cell": ("source",),
    "returned": ("finding", "reference"),
    "failed": ("error", "message"),
    "fetched": ("value",),
}


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_members_of_any_kind_make_a_message_or_are_refused(kind: str, data: st.DataObject) -> None:
    parts = st.sampled_from([None, ANSWER, ERROR, "a", 0, np.zeros((1, 1, 3), np.uint8), (), ("a",)])
    members = {name: data.draw(st.one_of(json_values, parts)) for name in KINDS[kind]}
    packed = b"".join(wire.pack({"kind": kind} | members)) if encodable(members) else b""
    for read in (from_child, from_parent):
        try:
            message = read(packed)
        except WireError:
            continue
        assert type(message).__name__.lower() == kind


def encodable(members: object) -> bool:
    try:
        wire.pack(members)
    except WireError:
        return False
    return True


@given(st.binary(max_size=100))
def test_any_bytes_are_a_message_or_refused(data: bytes) -> None:
    for content in (data, struct.pack("<I", len(data)) + data):
        for read in (from_child, from_parent):
            with pytest.raises(WireError):
                read(content)
