"""Fuzzing of the wire, by hand, with atheris (``pip install atheris``).

From the root of the repository, with the dependencies of the package installed beside atheris::

    make namespace
    PYTHONPATH=.namespace python tests/sandbox/fuzz_wire.py FOLDER -max_total_time=3600

FOLDER keeps what is found from one run to the next; seeds and a dictionary are written into it first. What
follows it is for libFuzzer. An input is a payload as it stands, or, after an ``A``, the JSON of one, a zero
byte, and the bytes of its arrays: lengths would be wrong after nearly every mutation. Every input goes to
`unpack` with and without classes, to both readers of messages, and, cut into pieces, to a `FrameReader`;
nothing but `WireError` may come out of them, and what they make of it must be the same once it was
written and read again.
"""

import copy
import importlib
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from spatial_agent.sandbox import message_checks, messages, strict_json, wire
from spatial_agent.sandbox.environment import ProgramAnswer, ProgramError
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.scene import DepthMap
from spatial_agent.tools.synthetic.room import SyntheticRoom
from spatial_agent.tools.value_file import VALUE_CLASSES

LIMIT_BYTES = 256
LEVELS = 64
FEW_VALUES = 12
# What JSON is made of here, for the mutations: as pieces of text, and as leaves of the parsed tree.
NAMES = (
    *(
        "float",
        "tuple",
        "mapping",
        "array",
        "class",
        "nan",
        "inf",
        "-inf",
        "b1",
        "i8",
        "u1",
        "f2",
        "f4",
        "f8",
    ),
    *("kind", "text", "call", "tool", "arguments", "fetch", "reference", "show", "rgb", "caption", "done"),
    *("answer", "error", "dropped_bytes", "ready", "setup", "imports", "inputs", "cell", "source", "failed"),
    *("returned", "finding", "fetched", "value", "unit", "limit", "wall", "exception", "ToolArgumentError"),
    *VALUE_CLASSES,
)
LEAVES: tuple[Any, ...] = (
    *NAMES,
    None,
    True,
    0,
    1,
    2,
    3,
    -1,
    2**64 - 1,
    2**64,
    2**32,
    0.5,
    1e308,
    math.nan,
    "",
    "\ud800",
    [],
    {},
)
SIGNS = ("NaN", "Infinity", "null", "true", "[[]]", "-1", "1e999", "9" * 40, "\\ud800", "[[[[[[[[", "{}")
SHARE_OF_TREES = 0.5
SHARE_OF_ARRAYS = 0.1


def seeds() -> Iterator[bytes]:
    """Yield payloads of values and messages of every kind."""
    room = SyntheticRoom.example()
    values = (
        [None, True, -1, 2**64 - 1, 1.5, math.nan, "é", (1, [()]), {"a": 1, None: {2: 3.5}}],
        [
            np.arange(6, dtype=np.int16).reshape(2, 3),
            np.array([True, False]),
            np.zeros((0, 4)),
            np.float16(1),
        ],
        *(["[,{:\\", '"[[', 1], np.array([True, False]), (), {1: 2}, "é", math.inf),
        DepthMap(np.ones((2, 3), np.float32)),
        room.scene_map(),
    )
    yield from (b"".join(wire.pack(value)) for value in values)
    to_child: tuple[messages.ToChild, ...] = (
        messages.Setup(("math",), {"scene": (1, np.eye(2))}, 1, 2, 3, True),
        messages.Cell("answer(1)"),
        messages.Returned(Finding("A claim.", 1.5, "m", objects=("a",), details={"b": 1}), "$a/1"),
        messages.Failed("ToolArgumentError", "expected"),
        messages.Fetched(np.ones((2, 2))),
    )
    yield from (messages.to_child(message)[4:] for message in to_child)
    to_parent: tuple[messages.ToParent, ...] = (
        messages.Text("printed"),
        messages.Call("distance", {"a": "chair-1", "b": [1, 2.5, None]}),
        messages.Fetch("$depth/3"),
        messages.Show(np.zeros((2, 1, 3), np.uint8), "caption"),
        messages.Done(ProgramAnswer([1, "a"], "m", 0.5, 2), ProgramError("limit", "x", "wall", 3), 7),
        messages.Ready(),
    )
    yield from (messages.to_parent(message)[4:] for message in to_parent)


def check(data: bytes) -> None:
    """Fail where any reader does anything else than it promises.

    Raises:
        AssertionError: If something is not the same once it was written and read again.
    """
    payload = _assembled(data[1:]) if data[:1] == b"A" else data
    _check_sound_if_any(payload)
    _check_bounded(payload)
    _check_stable(payload, wire.unpack, lambda value: b"".join(wire.pack(value, {})))
    _check_stable(
        payload, partial(wire.unpack, classes=VALUE_CLASSES), lambda value: b"".join(wire.pack(value))
    )
    _check_stable(payload, messages.from_child, lambda message: messages.to_parent(message)[4:])
    _check_stable(payload, messages.from_parent, lambda message: messages.to_child(message)[4:])
    _check_frames(data)


def _assembled(data: bytes) -> bytes:
    text, _, arrays = data.partition(b"\0")
    start = len(text).to_bytes(4, "little") + text
    return start + bytes(-len(start) % 8 if arrays else 0) + arrays


def _check_sound_if_any(payload: bytes) -> None:
    try:
        value = wire.unpack(payload, VALUE_CLASSES)
    except WireError:
        return
    check_sound(value)


def _check_bounded(payload: bytes) -> None:
    """Read as few values as few inputs have, so that strings full of brackets matter."""
    try:
        value = wire.unpack(payload, most_values=FEW_VALUES)
    except WireError:
        return
    assert _number_of_values(value) <= FEW_VALUES, f"more than {FEW_VALUES} values: {value!r}"


def _number_of_values(value: object) -> int:
    if isinstance(value, dict):
        return 1 + len(value) + sum(map(_number_of_values, value.values()))
    return 1 + sum(map(_number_of_values, value)) if isinstance(value, list | tuple) else 1


def check_sound(value: object, level: int = 0) -> None:
    """Fail unless a value is what the wire says it carries, whatever it was read from.

    Raises:
        AssertionError: If it, or something in it, is not.
    """
    assert level <= LEVELS, f"more than {LEVELS} levels"
    match value:
        case None | bool() | float():
            return
        case int():
            assert -(2**63) <= value < 2**64
        case str():
            assert not any("\ud800" <= sign <= "\udfff" for sign in value), "a lone surrogate"
        case np.ndarray():
            assert value.dtype.kind in "biuf"
            assert not value.flags.writeable
            assert value.dtype.kind != "b" or set(value.tobytes()) <= {0, 1}, "a truth value that is none"
        case list() | tuple() | dict():
            for item in [*value, *value.values()] if isinstance(value, dict) else value:
                check_sound(item, level + 1)
        case _:
            assert type(value) in VALUE_CLASSES.values(), f"a {type(value).__name__}"
            assert is_dataclass(value)
            for field in fields(value):
                check_sound(getattr(value, field.name), level + 1)


def _check_stable(payload: bytes, read: Callable[[bytes], Any], write: Callable[[Any], bytes]) -> None:
    try:
        value = read(payload)
    except WireError:
        return
    written = write(value)
    again = read(written)
    assert same(value, again), f"{value!r} became {again!r}"
    assert write(again) == written, f"{again!r} is written in two ways"


def same(one: object, other: object) -> bool:
    """Whether two values are equal in kind and content; NaN is equal to itself here."""
    if type(one) is not type(other):
        return False
    match one:
        case np.ndarray():
            assert isinstance(other, np.ndarray)
            is_alike = one.dtype == other.dtype and one.shape == other.shape
            return is_alike and not one.flags.writeable and one.tobytes() == other.tobytes()
        case list() | tuple():
            assert isinstance(other, list | tuple)
            return len(one) == len(other) and all(map(same, one, other))
        case Mapping():
            assert isinstance(other, Mapping)
            return same(list(one.items()), list(other.items()))
        case _ if is_dataclass(one):
            return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
        case _:
            return repr(one) == repr(other)


def _check_frames(data: bytes) -> None:
    """Cut bytes by themselves, and compare with a reader that has them all at once."""
    sizes = [1 + byte % 7 for byte in data[:16]] or [1]
    reader, position = wire.FrameReader(LIMIT_BYTES), 0
    read: list[bytes] = []
    refused = False
    while position < len(data) and not refused:
        size = sizes[len(read) % len(sizes)]
        try:
            read += reader.feed(data[position : position + size])
        except WireError:
            refused = True
        position += size
    expected, is_refused = _all_frames(data)
    assert (read, refused) == (expected, is_refused) or (
        refused and is_refused and expected[: len(read)] == read
    )


def _all_frames(data: bytes) -> tuple[list[bytes], bool]:
    frames: list[bytes] = []
    while len(data) >= 4:
        size = int.from_bytes(data[:4], "little")
        if size > LIMIT_BYTES:
            return frames, True
        if len(data) < 4 + size:
            break
        frames.append(data[4 : 4 + size])
        data = data[4 + size :]
    return frames, False


def mutated(data: bytes, random: Random) -> bytes | None:
    """Return an input with one change to the tree of its JSON, or to its arrays; None where it has none."""
    text, zero, arrays = data[1:].partition(b"\0")
    if arrays and random.random() < SHARE_OF_ARRAYS:
        index = random.randrange(len(arrays))
        return b"A" + text + zero + arrays[:index] + random.randbytes(1) + arrays[index + 1 :]
    try:
        root = [json.loads(text)]
        _change(random, *random.choice(list(_places(root))), *random.choice(list(_places(root))))
        return b"A" + json.dumps(root[0]).encode() + zero + arrays
    except (ValueError, RecursionError):
        return None


def _change(random: Random, holder: Any, index: Any, other_holder: Any, other_index: Any) -> None:  # noqa: ANN401
    node, other = holder[index], copy.deepcopy(other_holder[other_index])
    changes: tuple[Any, ...] = (
        *(random.choice(LEAVES), other, [node, other], {"tuple": [node]}, {"mapping": [[other, node]]}),
        *({random.choice(NAMES): node}, node * 2 if is_short(node) else [node]),
    )
    holder[index] = random.choice(changes)


def is_short(node: object) -> bool:
    """Whether doubling a node keeps its kind and does not make it long."""
    return isinstance(node, str | list) and len(node) < 100


def _places(node: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - JSON
    if isinstance(node, list | dict):
        for index in range(len(node)) if isinstance(node, list) else list(node):
            yield node, index
            yield from _places(node[index])


def write_corpus(folder: Path) -> Path:
    """Write the seeds in both forms, and return the path of the dictionary beside the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, payload in enumerate(seeds()):
        size = 4 + int.from_bytes(payload[:4], "little")
        arrays = payload[size + -size % 8 :]
        (folder / f"seed-{number}").write_bytes(payload)
        (folder / f"seed-{number}-frame").write_bytes(wire.frame([payload]))
        (folder / f"seed-{number}-text").write_bytes(b"A" + payload[4:size] + b"\0" * bool(arrays) + arrays)
    dictionary = folder.with_suffix(".dict")
    words = (*SIGNS, *(f'"{name}"' for name in NAMES))
    dictionary.write_text("".join(f"{json.dumps(word)}\n" for word in words), encoding="utf-8")
    return dictionary


def main() -> None:
    """Fuzz until libFuzzer ends."""
    atheris = importlib.import_module("atheris")

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        tree = mutated(data, random) if data[:1] == b"A" and random.random() < SHARE_OF_TREES else None
        changed: bytes = atheris.Mutate(data, most) if tree is None or len(tree) > most else tree
        return changed

    dictionary = write_corpus(Path(sys.argv[1]))
    with atheris.instrument_imports(include=["spatial_agent"]):
        for module in (strict_json, wire, message_checks, messages):
            importlib.reload(module)
    atheris.Setup([*sys.argv, f"-dict={dictionary}"], check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
