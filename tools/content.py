"""Telling values apart by what they hold: equal content, equal hash, in every process and every run."""

import hashlib
import struct
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.scene import FrameSet

#: Bytes of a digest; two of a billion values share one with a chance of about 1e-21.
DIGEST_BYTES = 20
#: Kinds of numbers an array may hold: bool, integers, floating point, complex.
NUMBERS = "biufc"


class _Hasher(Protocol):
    def update(self, data: Any, /) -> None: ...  # noqa: ANN401 - anything with the buffer protocol


class _Digests:
    """The digests of values that are still alive, so that a large one is read once."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], bytes]] = {}

    def get(self, value: object) -> bytes | None:
        reference, digest = self._known.get(id(value), (None, b""))
        return digest if reference is not None and reference() is value else None

    def put(self, value: object, digest: bytes) -> None:
        key = id(value)

        def forget(gone: weakref.ref[Any]) -> None:
            if self._known.get(key, (None, b""))[0] is gone:
                del self._known[key]

        try:
            self._known[key] = (weakref.ref(value, forget), digest)
        except TypeError:  # made with slots: read again each time
            return


_digests = _Digests()


def content_hash(value: object) -> str:
    """Return a hash of what a value holds.

    A tuple counts as the list JSON makes of it, a numpy number as the Python number it equals, an array
    as its dtype, shape and numbers wherever they lie in memory, a `FrameSet` as its own ``content_hash``,
    and any other frozen dataclass as the name of its class with its fields. The hash of a value without
    lists and mappings of its own is remembered while it lives.

    Args:
        value: Plain JSON, numpy arrays of numbers, frozen dataclasses, and any nesting of them.

    Raises:
        TypeError: If it, or something in it, is anything else.

    >>> content_hash({"a": 1, "b": (2, 3)}) == content_hash({"b": [2, 3], "a": 1})
    True
    """
    return _digest(value).hex()


def content_bytes(value: object) -> int:
    """Return about how many bytes of memory a value takes: those of its arrays and texts.

    Args:
        value: What `content_hash` takes.
    """
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, str):
        return len(value)
    return 64 + sum(content_bytes(part) for part in _parts(value))


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple):
        yield from value
    elif is_dataclass(value):
        yield from (getattr(value, field.name) for field in fields(value))


def _digest(value: object) -> bytes:
    known = _digests.get(value)
    if known is not None:
        return known
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    if is_dataclass(value) and not isinstance(value, type):
        _feed_dataclass(hasher, value)
        if not any(isinstance(part, list | Mapping) for part in _parts(value)):
            _digests.put(value, hasher.digest())
    else:
        _feed(hasher, value)
    return hasher.digest()


def _feed(hasher: _Hasher, value: object) -> None:
    """Add a value so that no two different ones add the same bytes: kind, length, content."""
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None | bool() | int():
            _feed_text(hasher, b"n", repr(value))
        case float():
            hasher.update(b"f" + struct.pack("<d", value))
        case str():
            _feed_text(hasher, b"s", value)
        case np.ndarray():
            _feed_array(hasher, value)
        case list() | tuple():
            hasher.update(b"l%d:" % len(value))
            for item in value:
                _feed(hasher, item)
        case Mapping():
            _feed_mapping(hasher, value)
        case _ if is_dataclass(value) and not isinstance(value, type):
            hasher.update(b"d" + _digest(value))
        case _:
            raise TypeError(
                f"content: expected JSON, arrays or frozen dataclasses, got {type(value).__name__}"
            )


def _feed_text(hasher: _Hasher, kind: bytes, text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    hasher.update(b"%s%d:%s" % (kind, len(data), data))


def _feed_array(hasher: _Hasher, array: NDArray[Any]) -> None:
    if array.dtype.kind not in NUMBERS:
        raise TypeError(f"content: expected an array of numbers, got {array.dtype}")
    plain = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    _feed_text(hasher, b"a", f"{plain.dtype.str}{array.shape}")
    hasher.update(plain.reshape(-1).view(np.uint8).data)


def _feed_mapping(hasher: _Hasher, mapping: Mapping[Any, object]) -> None:
    hasher.update(b"m%d:" % len(mapping))
    for key in sorted(mapping, key=lambda key: (type(key).__name__, key)):
        _feed(hasher, key)
        _feed(hasher, mapping[key])


def _feed_dataclass(hasher: _Hasher, value: Any) -> None:  # noqa: ANN401 - any frozen dataclass
    if not type(value).__dataclass_params__.frozen:
        raise TypeError(f"content: expected a frozen dataclass, got {type(value).__name__}, which can change")
    _feed_text(hasher, b"c", type(value).__name__)
    if isinstance(value, FrameSet):
        _feed(hasher, value.content_hash)
        return
    for field in fields(value):
        _feed_text(hasher, b"k", field.name)
        _feed(hasher, getattr(value, field.name))
