"""Frames come out of a pipe's bytes as they went in, however they are cut; and the fuzzing itself works."""

import importlib.util
import struct
import tracemalloc
from collections.abc import Callable
from itertools import count, pairwise
from pathlib import Path
from random import Random
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spatial_agent.sandbox import messages, wire
from spatial_agent.sandbox.wire import FrameReader
from spatial_agent.tools.errors import WireError

LIMIT = 64
NUMBERS = count()
NOTHING: dict[str, object] = {}
payloads = st.lists(st.binary(max_size=LIMIT), max_size=8)


def framed(payload: bytes) -> bytes:
    """A frame by the words of the format."""
    return struct.pack("<I", len(payload)) + payload


@given(payloads, st.data())
def test_frames_arrive_whole_however_they_are_cut(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(framed, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    reader = FrameReader(LIMIT)

    arrived: list[bytes] = []
    for start, end in pairwise([0, *cuts, len(stream)]):
        arrived += reader.feed(stream[start:end])

    assert arrived == sent


@given(payloads)
def test_frames_arrive_byte_by_byte_as_soon_as_they_are_whole(sent: list[bytes]) -> None:
    reader = FrameReader(LIMIT)

    for payload in sent:
        *before, last = (reader.feed(bytes([byte])) for byte in framed(payload))
        assert before == [[]] * len(before)
        assert last == [payload]


@given(payloads, st.integers(LIMIT + 1, 2**32 - 1), st.binary(max_size=100), st.data())
def test_a_frame_above_the_limit_is_refused_by_its_header(
    sent: list[bytes], size: int, rest: bytes, data: st.DataObject
) -> None:
    good, bad = b"".join(map(framed, sent)), struct.pack("<I", size)
    reader = FrameReader(LIMIT)
    assert reader.feed(good + bad[:3]) == sent

    with pytest.raises(WireError, match=f"{size} are announced"):
        reader.feed(bad[3:] + rest)
    for piece in data.draw(st.lists(st.binary(max_size=100), max_size=3)):
        with pytest.raises(WireError, match=f"{size} are announced"):
            reader.feed(piece)


def test_the_limit_itself_is_allowed() -> None:
    assert FrameReader(LIMIT).feed(framed(b"a" * LIMIT)) == [b"a" * LIMIT]
    with pytest.raises(WireError, match="65 are announced"):
        FrameReader(LIMIT).feed(framed(b"a" * (LIMIT + 1)))


def test_no_memory_is_taken_for_what_is_announced() -> None:
    reader = FrameReader(2**31)
    tracemalloc.start()
    try:
        assert reader.feed(struct.pack("<I", 2**31) + b"a") == []
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()


def test_a_refused_reader_keeps_nothing_it_is_fed() -> None:
    reader = FrameReader(LIMIT)
    piece = bytes(2**20)
    tracemalloc.start()
    try:
        for _ in range(3):
            with pytest.raises(WireError):
                reader.feed(b"\xff" * 4 + piece)
        assert tracemalloc.get_traced_memory()[0] < 2**16
    finally:
        tracemalloc.stop()


def test_a_large_frame_takes_its_own_size_a_few_times_at_most() -> None:
    size = 2**22
    stream = framed(bytes(size))
    reader = FrameReader(size)
    tracemalloc.start()
    try:
        arrived = [
            frame
            for start in range(0, len(stream), 2**16)
            for frame in reader.feed(stream[start : start + 2**16])
        ]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert [len(frame) for frame in arrived] == [size]
    assert peak < 8 * size


def test_messages_go_through_a_pipe_in_order() -> None:
    sent: list[messages.ToParent] = [
        messages.Text("a"),
        messages.Call("count", {"label": "chair"}),
        messages.Ready(),
    ]
    reader = FrameReader(2**20)

    arrived = reader.feed(b"".join(messages.to_parent(message) for message in sent))

    assert [messages.from_child(payload) for payload in arrived] == sent


@pytest.fixture(scope="module")
def fuzzing() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_wire", Path(__file__).with_name("fuzz_wire.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_fuzzing_finds_nothing_in_its_seeds_and_in_what_it_makes_of_them(
    fuzzing: ModuleType, tmp_path: Path
) -> None:
    dictionary = fuzzing.write_corpus(tmp_path / "corpus")
    seeds = [path.read_bytes() for path in sorted((tmp_path / "corpus").iterdir())]
    random = Random(0)

    assert '"\\"kind\\""' in dictionary.read_text(encoding="utf-8")
    assert len(seeds) >= 3 * 11
    changed = [fuzzing.mutated(seed, random) for seed in seeds for _ in range(10) if seed[:1] == b"A"]
    for data in (*seeds, *filter(None, changed)):
        fuzzing.check(data)


@pytest.mark.parametrize(
    "unpack",
    [
        lambda *_, **__: NOTHING["missing"],
        lambda *_, **__: "\ud800",
        lambda *_, **__: {1, 2},
        lambda *_, **__: 2**64,
        lambda *_, **__: np.zeros(3),
        lambda *_, **__: np.frombuffer(b"\2", np.bool_),
        lambda *_, **__: [0] * 100,
        lambda *_, **__: [next(NUMBERS)],
    ],
)
def test_the_fuzzing_finds_a_reader_that_lets_something_through(
    fuzzing: ModuleType, monkeypatch: pytest.MonkeyPatch, unpack: Callable[..., object]
) -> None:
    fuzzing.check(b"A1")

    monkeypatch.setattr(wire, "unpack", unpack)
    with pytest.raises((AssertionError, KeyError)):
        fuzzing.check(b"A1")


def test_the_fuzzing_finds_frames_that_are_cut_wrongly(
    fuzzing: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrameReader, "feed", lambda self, data: [data])

    with pytest.raises(AssertionError):
        fuzzing.check(framed(b"1"))
