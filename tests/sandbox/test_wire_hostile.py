"""Whatever bytes come, `unpack` gives a value or a `WireError`; `test_wire_memory` has what it costs."""

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.sandbox import wire
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.scene import DepthMap, OrientedBox, SceneObject
from spatial_agent.tools.synthetic.room import SyntheticRoom
from spatial_agent.tools.value_file import VALUE_CLASSES


def text_payload(text: str | bytes, arrays: bytes = b"") -> bytes:
    """A payload by the words of the format: length, text, zeros up to a multiple of eight, arrays."""
    text = text.encode() if isinstance(text, str) else text
    start = struct.pack("<I", len(text)) + text
    return start + (bytes(-len(start) % 8) + arrays if arrays else b"")


def array_payload(dtype: object, shape: object, arrays: bytes = b"") -> bytes:
    return text_payload(json.dumps({"array": [dtype, shape]}), arrays)


def read_or_refuse(payload: bytes) -> None:
    """Read a payload in every way; anything but `WireError` gets out."""
    for classes in ({}, VALUE_CLASSES):
        try:
            wire.unpack(payload, classes)
        except WireError:
            continue


VALID = (
    b"".join(wire.pack(SyntheticRoom.example().scene_map())),
    b"".join(wire.pack(DepthMap(np.ones((2, 3), np.float32)))),
    b"".join(wire.pack(Finding("A claim.", 1.5, "m", details={"a": (1, math.inf)}))),
    b"".join(wire.pack([np.arange(6, dtype=np.int16), np.array([True, False]), {None: np.zeros((0, 4))}])),
    b"".join(wire.pack([{"a": 1, 2: (3.5, "é")}, 2**64 - 1, None, math.nan])),
)
tags = st.sampled_from(["tuple", "mapping", "array", "class", "float", "other"])
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters()),
    st.sampled_from(
        ["nan", "f4", "b1", "u1", "O", "Finding", "DepthMap", "SceneMap", "z_m", "claim", "objects"]
    ),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(tags, inner, min_size=1, max_size=1),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
        st.tuples(leaves, st.lists(st.tuples(leaves, inner), max_size=4)).map(lambda pair: {"class": pair}),
        st.lists(st.tuples(inner, inner), max_size=3).map(lambda pairs: {"mapping": pairs}),
        st.tuples(leaves, st.lists(st.integers(-2, 2**70), max_size=9)).map(lambda pair: {"array": pair}),
    ),
    max_leaves=15,
)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    read_or_refuse(payload)


@given(st.binary(max_size=60), st.binary(max_size=20))
def test_any_text_is_read_or_refused(text: bytes, arrays: bytes) -> None:
    read_or_refuse(text_payload(text, arrays))


@given(trees, st.binary(max_size=40))
def test_any_json_is_read_or_refused(tree: object, arrays: bytes) -> None:
    # Surrogates are escaped here, and NaN, huge integers and repeated members are left as they are.
    read_or_refuse(text_payload(json.dumps(tree), arrays))


@given(st.sampled_from(VALID), st.data())
def test_valid_payloads_with_flipped_bits_are_read_or_refused(payload: bytes, data: st.DataObject) -> None:
    changed = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(payload) - 1))
        changed[position] ^= data.draw(st.integers(1, 255))
    read_or_refuse(bytes(changed))


@given(st.sampled_from(VALID), st.data())
def test_valid_payloads_that_are_cut_or_lengthened_are_refused(payload: bytes, data: st.DataObject) -> None:
    shorter = payload[: data.draw(st.integers(0, len(payload) - 1))]
    longer = payload + data.draw(st.binary(min_size=1, max_size=20))

    for changed in (shorter, longer):
        with pytest.raises(WireError):
            wire.unpack(changed, VALUE_CLASSES)


@given(st.sampled_from(VALID), st.sampled_from(VALID), st.data())
def test_valid_payloads_put_together_wrongly_are_read_or_refused(
    one: bytes, other: bytes, data: st.DataObject
) -> None:
    read_or_refuse(
        one[: data.draw(st.integers(0, len(one)))] + other[data.draw(st.integers(0, len(other))) :]
    )


@given(st.sampled_from(VALID), st.integers(0, 2**32 - 1))
def test_another_length_of_the_text_is_refused(payload: bytes, length: int) -> None:
    changed = struct.pack("<I", length) + payload[4:]
    if changed != payload:
        with pytest.raises(WireError):
            wire.unpack(changed, VALUE_CLASSES)


@pytest.mark.parametrize(
    "payload", [b"", b"\0", b"\0\0\0\0", b"\1\0\0\0", b"\xff\xff\xff\xff1", b"\2\0\0\0001"]
)
def test_a_payload_without_its_text_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError, match="payload"):
        wire.unpack(payload)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "announces"),
        (" ", "not JSON"),
        ("1 2", "not JSON"),
        ("[1,]", "not JSON"),
        ("'a'", "not JSON"),
        ("\ufeff1", "not JSON"),
        ('"a\nb"', "not JSON"),
        (b'"\xff"', "not JSON"),
        (b'"\xed\xa0\x80"', "not JSON"),
        ("NaN", "not JSON"),
        ("[Infinity]", "not JSON"),
        ("-Infinity", "not JSON"),
        ("1e999", "finite"),
        ("-1e999", "finite"),
        ("0." + "0" * 40, "finite"),
        ("18446744073709551616", "2\\^64"),
        ("-9223372036854775809", "2\\^63"),
        ("9" * 5000, "5000 digits"),
        ("-" + "9" * 100_000, "100001 digits"),
        (r'"\ud800"', "surrogate"),
        (r'["a", "b\udfff\ud800"]', "surrogate"),
        (r'{"mapping":[["\ud800",1]]}', "surrogate"),
        ("{}", "exactly one member"),
        ('{"tuple":[],"tuple":[]}', "exactly one member"),
        ('{"tuple":[],"list":[]}', "exactly one member"),
        ('{"a":1}', "expected one of"),
        ('{"__class__":1}', "expected one of"),
        ('{"tuple":1}', "list"),
        ('{"tuple":"abc"}', "list"),
        ('{"tuple":{"tuple":[]}}', "list"),
        ('{"float":1}', "float"),
        ('{"float":"1.5"}', "float"),
        ('{"float":["nan"]}', "float"),
        ('{"mapping":1}', "pairs"),
        ('{"mapping":[[1]]}', "pairs"),
        ('{"mapping":["ab"]}', "pairs"),
        ('{"mapping":[{"a":1}]}', "pairs"),
        ('{"mapping":[["a",1],["a",1]]}', "twice"),
        ('{"mapping":[[1,1],[true,1]]}', "twice"),
        ('{"mapping":[[0.0,1],[-0.0,1]]}', "twice"),
        ('{"mapping":[[[],1]]}', "levels"),
        ('{"mapping":[[{"tuple":[]},1]]}', "levels"),
        ('{"mapping":[[{"float":"nan"},1]]}', "finite"),
        ('{"class":["DepthMap",[["z_m",1]]]}', "class"),
        ('{"class":["os",[]]}', "class"),
        ('{"class":[["DepthMap"],[]]}', "class"),
        ('{"class":1}', "class"),
        ("[" * 65 + "]" * 65, "levels"),
        ("[" * 100_000, "not JSON|RecursionError"),
        ("[" * 100_000 + "]" * 100_000, "RecursionError"),
        ('{"tuple":[' * 100_000, "RecursionError"),
        ('{"tuple":' * 65 + "[]" + "}" * 65, "list"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_text_that_is_no_value_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        wire.unpack(text_payload(text))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (array_payload("f4", [2], bytes(7)), "ends at byte"),
        (array_payload("f4", [2], bytes(9)), "expected .* bytes, got"),
        (array_payload("f4", [2**60]), "elements"),
        (array_payload("f8", [2**32], bytes(8)), "ends at byte"),
        (array_payload("u1", [2**31, 2**31], bytes(8)), "elements"),
        (array_payload("u1", [2**16] * 8, bytes(8)), "elements"),
        (array_payload("u1", [0, 2**33]), "elements"),
        (array_payload("u1", [0, 2**20, 2**20]), "elements"),
        (array_payload("f4", [-1], bytes(4)), "elements"),
        (array_payload("f4", [-1, -1], bytes(4)), "elements"),
        (array_payload("f4", [1] * 9, bytes(4)), "8 axes"),
        (array_payload("f4", [True], bytes(4)), "elements"),
        (array_payload("f4", [1.0], bytes(4)), "elements"),
        (array_payload("f4", ["1"], bytes(4)), "elements"),
        (array_payload("f4", [[1]], bytes(4)), "elements"),
        (array_payload("f4", 1, bytes(4)), "dtype"),
        (array_payload("f4", "1", bytes(4)), "dtype"),
        (array_payload(["f4"], [1], bytes(4)), "dtype"),
        (array_payload("O", [1], bytes(8)), "dtype"),
        (array_payload("|O", [1], bytes(8)), "dtype"),
        (array_payload(">f4", [1], bytes(4)), "dtype"),
        (array_payload("c8", [1], bytes(8)), "dtype"),
        (array_payload("S4", [1], bytes(4)), "dtype"),
        (array_payload("V8", [1], bytes(8)), "dtype"),
        (array_payload("f4,i4", [1], bytes(8)), "dtype"),
        (array_payload("M8", [1], bytes(8)), "dtype"),
        (array_payload("b1", [2], b"\1\2"), "0 or 1"),
        (array_payload("b1", [1], b"\xff"), "0 or 1"),
        (text_payload('[{"array":["u1",[8]]},{"array":["u1",[8]]}]', bytes(8)), "ends at byte"),
        (text_payload('{"array":["u1",[1]] }') + b"\1\0\0\0\0\0\0\7", "zeros"),
        (text_payload('{"array":["u1",[1],0]}', bytes(1)), "dtype"),
        (text_payload('{"array":[]}'), "dtype"),
        (text_payload('{"mapping":[[{"array":["u1",[1]]},1]]}', b"\1"), "key"),
        (text_payload('{"array":"f4"}'), "dtype"),
    ],
)
def test_arrays_that_are_none_are_refused(payload: bytes, message: str) -> None:
    with pytest.raises(WireError, match=message):
        wire.unpack(payload)


def test_every_array_has_bytes_of_its_own() -> None:
    arrays = wire.unpack(text_payload('[{"array":["u1",[8]]},{"array":["u1",[8]]}]', bytes(16)))

    assert isinstance(arrays, list)
    one, other = arrays
    assert not np.shares_memory(one, other)


@dataclass(frozen=True)
class Fragile:
    """Raises what its field says."""

    error: str

    def __post_init__(self) -> None:
        raise ERRORS[self.error]


@dataclass(frozen=True)
class Holder:
    held: object = None


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


def endless() -> Iterator[int]:
    return endless()


ERRORS: dict[str, Exception] = {
    type(error).__name__: error
    for error in (
        *(
            ValueError("x" * 10**6),
            TypeError(),
            KeyError("a"),
            RecursionError(),
            MemoryError(),
            OSError(2, "no"),
        ),
        *(StopIteration(), ZeroDivisionError(), AssertionError(), WireError("inner"), SpeechlessError()),
        *(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), np.linalg.LinAlgError(), Warning("w")),
    )
}


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_a_constructor_raises_is_a_wire_error(error: str) -> None:
    payload = text_payload(json.dumps({"class": ["Fragile", [["error", error]]]}))

    with pytest.raises(WireError, match="Fragile") as caught:
        wire.unpack(payload, {"Fragile": Fragile})
    assert len(str(caught.value)) < 1000


def test_a_constructor_without_end_is_a_wire_error() -> None:
    @dataclass(frozen=True)
    class Endless:
        a: int

        def __post_init__(self) -> None:
            endless()

    with pytest.raises(WireError, match="Endless"):
        wire.unpack(text_payload('{"class":["Endless",[["a",1]]]}'), {"Endless": Endless})


@pytest.mark.parametrize(
    "members",
    [
        [],
        [["claim", "a"]],
        [["claim", "a"], ["value", 1], ["value", 1]],
        [["claim", "a"], ["secret", 1]],
        [["__class__", "a"]],
        [[1, "a"]],
        [[["claim"], "a"]],
        ["claim"],
        {"tuple": []},
        None,
    ],
)
def test_fields_other_than_those_of_the_class_are_refused(members: object) -> None:
    with pytest.raises(WireError):
        wire.unpack(text_payload(json.dumps({"class": ["Finding", members]})), VALUE_CLASSES)


@pytest.mark.parametrize(
    "members", [[["held", 1], ["held", 2]], [["held", 1], ["more", 2]], [["more", 2]], []], ids=str
)
def test_no_field_is_repeated_added_or_left_to_its_default(members: object) -> None:
    with pytest.raises(WireError, match="fields"):
        wire.unpack(text_payload(json.dumps({"class": ["Holder", members]})), {"Holder": Holder})


@pytest.mark.parametrize("length", [1.7e308, 0.0, 1e-200])
def test_vectors_without_a_direction_are_refused(length: float) -> None:
    chair = SceneObject("chair-1", "chair", OrientedBox(np.zeros(3), np.ones(3), np.eye(3)))
    object.__setattr__(chair, "facing", np.full(3, length))

    # As in a process that has warnings off.
    with np.errstate(all="ignore"), pytest.raises(WireError, match="SceneObject"):
        wire.unpack(b"".join(wire.pack(chair)), VALUE_CLASSES)


@pytest.mark.parametrize(
    "members",
    [
        {"z_m": None, "scale": "metric", "scale_error": 0.1, "shape_error": 0.1},
        {"z_m": "text", "scale": "metric", "scale_error": 0.1, "shape_error": 0.1},
        {"z_m": [[1], [1, 2]], "scale": "metric", "scale_error": 0.1, "shape_error": 0.1},
        {"z_m": [[{"float": "nan"}]], "scale": "metric", "scale_error": 0.1, "shape_error": 0.1},
        {"z_m": [], "scale": "metric", "scale_error": 0.1, "shape_error": 0.1},
    ],
)
def test_values_that_their_class_refuses_are_refused(members: dict[str, object]) -> None:
    payload = text_payload(json.dumps({"class": ["DepthMap", list(map(list, members.items()))]}))

    with pytest.raises(WireError, match="DepthMap"):
        wire.unpack(payload, MappingProxyType({"DepthMap": DepthMap}))


@pytest.mark.parametrize("container", ["list", "tuple", "mapping", "class"])
def test_every_kind_of_container_counts_as_a_level(container: str) -> None:
    def nested(levels: int) -> bytes:
        text = "1"
        for _ in range(levels):
            text = {
                "list": f"[{text}]",
                "tuple": f'{{"tuple":[{text}]}}',
                "mapping": f'{{"mapping":[["a",{text}]]}}',
                "class": f'{{"class":["Holder",[["held",{text}]]]}}',
            }[container]
        return text_payload(text)

    wire.unpack(nested(wire.MOST_LEVELS), {"Holder": Holder})
    with pytest.raises(WireError, match="levels"):
        wire.unpack(nested(wire.MOST_LEVELS + 1), {"Holder": Holder})


def test_a_message_of_an_error_stays_short() -> None:
    for text in (
        '{"' + "a" * 10**6 + '":1}',
        '{"float":"' + "b" * 10**6 + '"}',
        "1" * 10**6 + ".5",
        "x" * 10**6,
    ):
        with pytest.raises(WireError) as caught:
            wire.unpack(text_payload(text))
        assert len(str(caught.value)) < 1000
