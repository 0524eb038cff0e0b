"""What hostile bytes can make `unpack` take of memory, stack and time: no more than they are worth."""

import contextlib
import json
import struct
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from spatial_agent.sandbox import wire
from spatial_agent.tools.errors import WireError


def text_payload(text: str | bytes, arrays: bytes = b"") -> bytes:
    """A payload by the words of the format: length, text, zeros up to a multiple of eight, arrays."""
    text = text.encode() if isinstance(text, str) else text
    start = struct.pack("<I", len(text)) + text
    return start + (bytes(-len(start) % 8) + arrays if arrays else b"")


def array_payload(dtype: object, shape: object, arrays: bytes = b"") -> bytes:
    return text_payload(json.dumps({"array": [dtype, shape]}), arrays)


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_no_text_is_announced_that_does_not_come() -> None:
    payload = struct.pack("<I", 2**32 - 1) + b"1"

    assert peak_bytes(lambda: pytest.raises(WireError, wire.unpack, payload)) < 100_000


@pytest.mark.parametrize("shape", [[2**60], [2**32], [0, 2**32, 2**32], [2**31, 1], [10**18] * 8])
def test_no_memory_is_taken_for_arrays_that_do_not_come(shape: list[int]) -> None:
    payload = array_payload("f8", shape, bytes(8))

    assert peak_bytes(lambda: pytest.raises(WireError, wire.unpack, payload)) < 100_000


@pytest.mark.parametrize(
    "piece", [b"[],", b"{},", b"1,", b'{"tuple":[]},', b'{"float":"nan"},', b'"ab",', b"[[[[[]]]]],"]
)
def test_many_small_values_are_refused_before_they_exist(piece: bytes) -> None:
    payload = text_payload(b"[" + piece * (2**21 // len(piece)) + b"0]")

    peak = peak_bytes(lambda: pytest.raises(WireError, wire.unpack, payload, most_values=2**16))

    # The text without its strings, and what becomes of 65,536 values.
    assert peak < 2 * len(payload) + 2**16 * 300


@pytest.mark.parametrize(
    "piece", ["[],", "7777777,", '{"tuple":[]},', '{"float":"nan"},', '"ab",', '{"mapping":[]},']
)
def test_as_many_values_as_allowed_take_bounded_memory(piece: str) -> None:
    most = 2**16
    per_piece = piece.count(",") + piece.count("[") + piece.count("{") + piece.count(":")
    payload = text_payload("[" + piece * (most // per_piece - 2) + "0]")

    assert peak_bytes(lambda: wire.unpack(payload, most_values=most)) < 4 * len(payload) + most * 300


def test_one_wide_character_does_not_make_text_grow_beyond_its_bound() -> None:
    payload = text_payload('["' + "a" * 2**20 + '\U0001f600"]')

    assert peak_bytes(lambda: wire.unpack(payload)) < 12 * len(payload)


def test_near_the_end_of_the_stack_a_payload_is_read_or_refused() -> None:
    deep: Any = 1
    for _ in range(30):
        deep = {"a": (deep,)} if isinstance(deep, list) else [deep]
    payload = b"".join(wire.pack(deep))

    def at_depth() -> None:
        with contextlib.suppress(RecursionError):
            at_depth()
        try:
            wire.unpack(payload)
        except WireError as error:
            outcomes.add(str(error))
        except RecursionError:
            outcomes.add("before")

    outcomes: set[str] = set()
    at_depth()
    assert any("RecursionError" in outcome for outcome in outcomes)


@pytest.mark.parametrize("piece", ['"', '\\"', '"\\', "\\", '","', "1", "0.", "{", '{"a":', " "])
def test_no_text_takes_longer_than_its_length_is_worth(piece: str) -> None:
    payload = text_payload("[" + piece * (2**21 // len(piece)))
    start = time.process_time()

    with pytest.raises(WireError):
        wire.unpack(payload)

    # Two megabytes; what grows with the square of the length takes hours.
    assert time.process_time() - start < 10


def test_signs_inside_text_are_no_values() -> None:
    text = '[,{:\\"' * 1000

    assert wire.unpack(text_payload(json.dumps([text])), most_values=2) == [text]
    assert wire.unpack(text_payload(json.dumps(["\\", text])), most_values=3) == ["\\", text]
    with pytest.raises(WireError, match="at most 2 values"):
        wire.unpack(text_payload('["' + '\\"[' * 100 + '",1]'), most_values=2)
    with pytest.raises(WireError, match="not JSON"):
        wire.unpack(text_payload('["' + '\\"[' * 200_000), most_values=2)
