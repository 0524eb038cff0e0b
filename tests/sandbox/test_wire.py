"""What the wire carries comes back as it was; `test_wire_hostile` has what it refuses."""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as np_st
from numpy.typing import NDArray

from spatial_agent.sandbox import wire
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.scene import (
    CameraIntrinsics,
    DepthMap,
    Detections,
    InstanceMask,
    OrientedBox,
    PointCloud,
    SceneMap,
    SceneObject,
    SemanticMap,
    Tracks,
)
from spatial_agent.tools.synthetic.room import SyntheticRoom
from spatial_agent.tools.value_file import VALUE_CLASSES

DTYPES = ("?", "i1", "<i2", "<i4", "<i8", "u1", "<u2", "<u4", "<u8", "<f2", "<f4", "<f8")

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"])),
)
keys = scalars.filter(lambda key: not (isinstance(key, float) and not math.isfinite(key)))
arrays = np_st.arrays(
    dtype=st.sampled_from([np.dtype(name) for name in DTYPES]),
    shape=np_st.array_shapes(min_dims=0, max_dims=8, min_side=0, max_side=3),
)
values = st.recursive(
    st.one_of(scalars, arrays),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
    ),
    max_leaves=20,
)


def there_and_back(value: object) -> Any:  # noqa: ANN401 - what any value becomes
    return wire.unpack(b"".join(wire.pack(value)), VALUE_CLASSES)


def text_payload(text: str, arrays: bytes = b"") -> bytes:
    """A payload by the words of the format: length, text, zeros up to a multiple of eight, arrays."""
    start = struct.pack("<I", len(text.encode())) + text.encode()
    return start + (bytes(-len(start) % 8) + arrays if arrays else b"")


def assert_same(one: object, other: object) -> None:
    # Numbers of numpy become Python's.
    other = other.item() if isinstance(other, np.generic) else other
    assert type(one) is type(other)
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray)
        assert (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    elif isinstance(one, list | tuple):
        assert isinstance(other, list | tuple)
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, Mapping):
        assert isinstance(other, Mapping)
        assert_same(list(one.items()), list(other.items()))
    elif is_dataclass(one):
        for field in fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name))
    else:
        # The text of a number tells -0.0 from 0.0 and makes NaN equal to itself.
        assert repr(one) == repr(other)


@given(values)
def test_every_value_comes_back_as_it_was(value: object) -> None:
    assert_same(there_and_back(value), value)


@given(values)
def test_a_value_is_always_written_in_the_same_way(value: object) -> None:
    packed = b"".join(wire.pack(value))

    assert b"".join(wire.pack(wire.unpack(packed))) == packed
    assert wire.payload_size(wire.pack(value)) == len(packed)


def test_the_bytes_are_those_of_the_format() -> None:
    value = [None, True, 1, 0.5, "é", (), {"a": math.nan}, np.array([[1, -2]], "<i2"), np.array([True])]
    text = (
        '[null,true,1,0.5,"é",{"tuple":[]},{"mapping":[["a",{"float":"nan"}]]},'
        '{"array":["i2",[1,2]]},{"array":["b1",[1]]}]'
    )
    arrays = struct.pack("<hh", 1, -2) + bytes(4) + b"\1"

    assert b"".join(wire.pack(value)) == text_payload(text, arrays)
    assert_same(wire.unpack(text_payload(text, arrays)), value)


def test_a_frame_is_a_payload_with_its_length_before_it() -> None:
    assert wire.frame([b"abc", memoryview(b"de")]) == b"\5\0\0\0abcde"


def test_a_frame_has_a_length_of_four_bytes() -> None:
    with pytest.raises(WireError, match="4 GiB"):
        wire.frame([bytes(2**20)] * 2**12)


def test_no_mapping_passes_for_a_tag() -> None:
    for name in ("tuple", "mapping", "array", "class", "float"):
        for content in ([], "nan", ["f4", [2]], ["DepthMap", []]):
            assert_same(there_and_back({name: content}), {name: content})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308])
def test_odd_numbers_come_back(value: float) -> None:
    assert_same(there_and_back([value]), [value])


@pytest.mark.parametrize(
    ("scalar", "number"),
    [
        (np.float32(0.1), float(np.float32(0.1))),
        (np.float16(2), 2.0),
        (np.int8(-3), -3),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.float64("inf"), math.inf),
    ],
)
def test_numpy_scalars_become_numbers(scalar: np.generic, number: object) -> None:
    assert_same(there_and_back(scalar), number)
    assert_same(there_and_back({"a": [scalar]}), {"a": [number]})


def test_numpy_scalars_can_be_keys() -> None:
    assert_same(there_and_back({np.int64(3): 1, np.float32(0.5): 2}), {3: 1, 0.5: 2})


def test_members_of_enumerations_become_numbers() -> None:
    class Colour(IntEnum):
        RED = 1

    assert_same(there_and_back(Colour.RED), 1)


@pytest.mark.parametrize("array", [np.arange(24).reshape(4, 6)[::2, ::-1], np.arange(3, dtype=">f4")])
def test_arrays_that_lie_in_another_order_come_back_in_ours(array: NDArray[Any]) -> None:
    back = there_and_back(array)

    assert back.flags.c_contiguous
    assert back.dtype == array.dtype.newbyteorder("<")
    assert np.array_equal(back, array)


def test_arrays_are_not_copied() -> None:
    array = np.arange(1000.0)
    packed = b"".join(wire.pack(array))
    back = wire.unpack(packed)

    assert any(isinstance(part, memoryview) and np.shares_memory(part, array) for part in wire.pack(array))
    assert isinstance(back, np.ndarray)
    assert np.shares_memory(back, np.frombuffer(packed, np.uint8))


def test_arrays_cannot_be_written_to_whatever_holds_the_payload() -> None:
    for held in (b"".join(wire.pack(np.ones(2))), memoryview(bytearray(b"".join(wire.pack(np.ones(2)))))):
        back = wire.unpack(held)
        assert isinstance(back, np.ndarray)
        with pytest.raises(ValueError, match="read-only"):
            back[0] = 3
        with pytest.raises(ValueError, match="WRITEABLE"):
            back.flags.writeable = True


def test_arrays_start_at_multiples_of_eight_bytes() -> None:
    packed = b"".join(wire.pack([np.ones(3, np.uint8), np.full(2, 7.0), np.ones(5, np.uint8), np.full(1, 9)]))

    assert packed.index(struct.pack("<dd", 7, 7)) % 8 == 0
    assert packed.index(struct.pack("<q", 9)) % 8 == 0


def test_a_scene_comes_back_exactly() -> None:
    scene = SyntheticRoom.example().scene_map()
    back = there_and_back(scene)

    assert isinstance(back, SceneMap)
    assert [item.id for item in back.objects] == [item.id for item in scene.objects]
    assert_same(back, scene)


@pytest.mark.parametrize(
    "value",
    [
        DepthMap(np.array([[1, 0, 0.5]], np.float32), "relative", 0.2),
        Finding(
            "A claim.", [1, "a"], "m", 0.5, 2.5, objects=("a",), details={"x": [1]}, marks=({"a": (1, 2)},)
        ),
        CameraIntrinsics(500.0, 500.0, 320.0, 240.0, 640, 480),
        Detections(np.zeros((0, 4)), np.zeros(0), ()),
        Detections(np.ones((1, 4)), np.ones(1), ("chair",), np.ones((1, 2, 3), np.bool_)),
        PointCloud(np.ones((4, 3)), np.ones((4, 3), np.uint8)),
        SemanticMap(np.zeros((2, 2), np.uint16), ("wall",)),
        Tracks((0, 5), ((InstanceMask(np.ones((2, 2), np.bool_), "cup", 0.5, 3),), ())),
    ],
    ids=lambda value: type(value).__name__,
)
def test_scene_values_come_back_exactly(value: object) -> None:
    assert_same(there_and_back({"value": (value,)}), {"value": (value,)})


@given(st.tuples(*[st.floats(-5, 5)] * 3).filter(lambda vector: math.hypot(*vector) > 1e-3))
def test_directions_keep_their_last_digit(vector: tuple[float, float, float]) -> None:
    box = OrientedBox(np.zeros(3), np.ones(3), np.eye(3))
    chair = SceneObject("chair-1", "chair", box, facing=np.array(vector))

    assert_same(there_and_back(chair), chair)


def test_what_a_constructor_puts_right_stays_right() -> None:
    box = OrientedBox(np.zeros(3), np.ones(3), np.eye(3))
    chair = SceneObject("chair-1", "chair", box)
    object.__setattr__(chair, "facing", np.array([0.0, 2.0, 0.0]))

    assert there_and_back(chair).facing.tolist() == [0, 1, 0]


def test_mappings_of_other_kinds_come_back_as_dicts() -> None:
    assert_same(there_and_back(MappingProxyType({"a": 1})), {"a": 1})


def test_as_many_levels_as_allowed_and_no_more() -> None:
    def nested(levels: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(levels - 1):
            value = [value]
        return value

    assert_same(there_and_back(nested(wire.MOST_LEVELS)), nested(wire.MOST_LEVELS))
    with pytest.raises(WireError, match="levels"):
        wire.pack(nested(wire.MOST_LEVELS + 1))


@dataclass(frozen=True)
class Unknown:
    a: int = 1


CYCLE: list[Any] = []
CYCLE.append(CYCLE)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (2**64, "2\\^64"),
        (-(2**63) - 1, "2\\^63"),
        (10**5000, "bits"),
        (1j, "complex"),
        ({1}, "set"),
        (b"bytes", "bytes"),
        (Unknown(), "Unknown"),
        (Unknown, "type"),
        (print, "builtin"),
        ("a\ud800", "surrogate"),
        ({"\udfff": 1}, "surrogate"),
        ({math.nan: 1}, "key"),
        ({(1, 2): 1}, "key"),
        ({np.float64("nan"): 1}, "key"),
        ({2**64: 1}, "2\\^64"),
        (CYCLE, "levels"),
        (np.array([object()]), "object"),
        (np.array(["text"]), "array"),
        (np.zeros(1, "f4,i4"), "array"),
        (np.zeros(1, "datetime64[s]"), "datetime64"),
        (np.zeros(1, np.complex64), "complex64"),
        (np.zeros(1, np.longdouble), "64 bits"),
        (np.ma.masked_array([1.0], [True]), "MaskedArray"),
        (np.zeros((1,) * 9), "8 axes"),
        (np.zeros((0, 2**40)), "elements"),
        (np.datetime64(1, "s"), "64 bits"),
        (np.timedelta64(1, "s"), "64 bits"),
        (np.longdouble(1), "64 bits"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
def test_what_cannot_be_sent_is_refused(value: object, message: str) -> None:
    with pytest.raises(WireError, match=message):
        wire.pack([value])


def test_a_class_of_the_same_name_is_not_the_class() -> None:
    same_name: Any = dataclass(frozen=True)(type("DepthMap", (), {"__annotations__": {"z_m": int}}))

    with pytest.raises(WireError, match="DepthMap"):
        wire.pack(same_name(1))


def test_more_values_than_allowed_are_not_sent() -> None:
    assert wire.unpack(b"".join(wire.pack([1, 2, 3], most_values=4)), most_values=4) == [1, 2, 3]
    with pytest.raises(WireError, match="at most 3 values"):
        wire.pack([1, 2, 3], most_values=3)
    assert there_and_back("[,{:" * 10) == "[,{:" * 10
    assert wire.pack(['",[]\\"' * 100], most_values=2)
