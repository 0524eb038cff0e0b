"""Values as bytes and back, exactly and without pickle, for a reader who trusts nobody.

A frame on a pipe is the length of a payload (four bytes, little endian) and the payload. A payload is the
length of a JSON text (likewise), the text in UTF-8, and the bytes of the arrays in the order in which the
text names them, each starting at a multiple of eight bytes from the start of the payload, with zeros between.

In the JSON, null, truth values, finite numbers, text and lists stand for themselves. An object never does:
it has exactly one member, which says what it stands for:

========================================  ==================================================
``{"float": "nan"}``                      a number that JSON has no word for
``{"tuple": [...]}``                      a tuple
``{"mapping": [[key, value], ...]}``      a mapping
``{"array": ["f4", [480, 640]]}``         the next array: its dtype, little endian, and its shape
``{"class": ["Name", [[field, value]]]}`` a dataclass, built through its constructor
========================================  ==================================================

So no mapping can pass for a tag, there is no offset that could point anywhere, and nothing can be named
twice. What is read is checked before memory is taken for it: beside the arrays, which are views of the
payload, a value takes at most what `MOST_VALUES` values take.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.sandbox.strict_json import checked_int, checked_text, parsed, shown, text_of
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import WireError
from spatial_agent.tools.value_file import VALUE_CLASSES

#: Levels of containers within each other.
MOST_LEVELS = 64
#: Axes of an array.
MOST_AXES = 8
#: Values in one payload, tags and keys included, what is inside arrays left out.
MOST_VALUES = 2**20
#: Elements an array would have if none of its axes were empty.
MOST_ELEMENTS = 2**32

_LENGTH_BYTES = 4
_ALIGNMENT = 8
_DTYPES: Mapping[str, np.dtype[Any]] = MappingProxyType(
    {
        name: np.dtype(f"<{name}")
        for name in ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
    }
)
_NON_FINITE: Mapping[str, float] = MappingProxyType({"nan": math.nan, "inf": math.inf, "-inf": -math.inf})
_NO_CLASSES: Mapping[str, type] = MappingProxyType({})

Part = bytes | memoryview


def pack(
    value: object, classes: Mapping[str, type] = VALUE_CLASSES, *, most_values: int = MOST_VALUES
) -> list[Part]:
    """Return a value as the parts of a payload; arrays are not copied where they lie in order.

    Args:
        value: None, truth values, integers from -2^63 to 2^64 - 1, floats, text, lists, tuples, mappings with
            keys of these scalar kinds, numpy scalars (they become Python numbers), plain numpy arrays of
            truth values and of integers and floats up to 64 bits, values of `classes`, and any nesting.
        classes: Dataclasses that may be sent, by the name of the class.
        most_values: How many values it may consist of, as the reader counts them.

    Raises:
        WireError: If it, or something in it, is anything else, or it is too deep or too much.
    """
    packer = _Packer(classes)
    text = text_of(packer.encoded(value, 0), most_values)
    parts: list[Part] = [len(text).to_bytes(_LENGTH_BYTES, "little"), text]
    size = payload_size(parts)
    for array in packer.arrays:
        parts += [bytes(-size % _ALIGNMENT), array.data]
        size += -size % _ALIGNMENT + array.nbytes
    return parts


def payload_size(parts: Sequence[Part]) -> int:
    """Return how many bytes the parts have together."""
    return sum(part.nbytes if isinstance(part, memoryview) else len(part) for part in parts)


def frame(parts: Sequence[Part]) -> bytes:
    """Return a payload as it goes over a pipe, with its length before it.

    Raises:
        WireError: If its length has no room in four bytes.
    """
    size = payload_size(parts)
    if size >= 2 ** (8 * _LENGTH_BYTES):
        raise WireError(f"frame: expected less than 4 GiB, got {size} bytes; send smaller arrays")
    return b"".join([size.to_bytes(_LENGTH_BYTES, "little"), *parts])


def unpack(
    payload: bytes | memoryview,
    classes: Mapping[str, type] = _NO_CLASSES,
    *,
    most_values: int = MOST_VALUES,
) -> object:
    """Return the value of a payload, whoever wrote it; its arrays are read-only views of the payload.

    Args:
        payload: Any bytes.
        classes: Dataclasses that may be built, by the name of the class.
        most_values: How many values it may consist of.

    Raises:
        WireError: If the bytes are not exactly a payload, or a constructor of `classes` raises anything.
    """
    view = memoryview(payload).toreadonly()
    start = _LENGTH_BYTES + int.from_bytes(view[:_LENGTH_BYTES], "little")
    if not _LENGTH_BYTES < start <= len(view):
        raise WireError(f"payload: announces {start} bytes of text with its length, got {len(view)} bytes")
    try:
        data = parsed(bytes(view[_LENGTH_BYTES:start]), most_values)
        unpacker = _Unpacker(view, start, classes)
        value = unpacker.decoded(data, 0)
    except (RecursionError, MemoryError) as error:
        raise WireError(
            f"payload: expected less to hold or less depth, got a {type(error).__name__}"
        ) from error
    if unpacker.position != len(view):
        raise WireError(f"payload: expected {unpacker.position} bytes, got {len(view)}")
    return value


class FrameReader:
    """Puts payloads together from a pipe's bytes, however they are cut.

    Args:
        limit_bytes: Most bytes of one payload.
    """

    def __init__(self, limit_bytes: int) -> None:
        """Start before the first frame."""
        self._limit = limit_bytes
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that are whole now; the rest is kept for the next time.

        Raises:
            WireError: If a frame announces more than the limit; every later call raises it again.
        """
        self._buffer += data
        payloads = []
        while (size := self._wanted()) is not None and len(self._buffer) >= _LENGTH_BYTES + size:
            payloads.append(bytes(memoryview(self._buffer)[_LENGTH_BYTES : _LENGTH_BYTES + size]))
            del self._buffer[: _LENGTH_BYTES + size]
        return payloads

    def _wanted(self) -> int | None:
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        size = int.from_bytes(self._buffer[:_LENGTH_BYTES], "little")
        if size > self._limit:
            # The header stays, so that whatever else is fed is refused as well; nothing else is kept.
            del self._buffer[_LENGTH_BYTES:]
            raise WireError(f"frame: expected at most {self._limit} bytes, {size} are announced")
        return size


class _Packer:
    """Turns a value into JSON and collects its arrays in the order in which the JSON names them."""

    def __init__(self, classes: Mapping[str, type]) -> None:
        self.arrays: list[NDArray[np.uint8]] = []
        self._classes = classes

    def encoded(self, value: object, level: int) -> Json:
        match value:
            case None | bool() | str():
                return value
            case np.generic():
                return self.encoded(_python_number(value), level)
            case int():
                return checked_int(int(value))
            case float():
                return value if math.isfinite(value) else {"float": repr(float(value))}
            case np.ndarray():
                return self._array(value)
            case _:
                _check_level(level)
                return self._container(value, level + 1)

    def _container(self, value: object, level: int) -> Json:
        match value:
            case list():
                return [self.encoded(item, level) for item in value]
            case tuple():
                return {"tuple": [self.encoded(item, level) for item in value]}
            case Mapping():
                pairs = [[self._key(key), self.encoded(item, level)] for key, item in value.items()]
                return {"mapping": pairs}
            case _ if self._classes.get(type(value).__name__) is type(value):
                members = [[name, self.encoded(getattr(value, name), level)] for name in _names(type(value))]
                return {"class": [type(value).__name__, members]}
            case _:
                raise WireError(f"expected JSON, arrays of numbers and scene values, got {shown(value)}")

    def _key(self, key: object) -> Json:
        return _checked_key(_python_number(key) if isinstance(key, np.generic) else key)

    def _array(self, array: NDArray[Any]) -> Json:
        name = array.dtype.str[1:]
        if type(array) not in (np.ndarray, np.memmap) or name not in _DTYPES:
            raise WireError(
                f"array: expected a plain array of truth values, integers or floats up to 64 bits, got "
                f"{type(array).__name__} of {str(array.dtype)[:80]}"
            )
        _check_shape(list(array.shape))
        flat = np.ascontiguousarray(array, _DTYPES[name]).reshape(-1)
        self.arrays.append(flat.view(np.uint8))
        return {"array": [name, list(array.shape)]}


class _Unpacker:
    """Builds a value from parsed JSON and takes its arrays from the payload, one after the other."""

    def __init__(self, payload: memoryview, position: int, classes: Mapping[str, type]) -> None:
        self.position = position
        self._payload = payload
        self._classes = classes
        self._builders = {
            "float": self._float,
            "tuple": self._tuple,
            "mapping": self._mapping,
            "array": self._array,
            "class": self._class,
        }

    def decoded(self, data: Json, level: int) -> Any:  # noqa: ANN401 - a value of any kind
        match data:
            case str():
                return checked_text(data)
            case list():
                _check_level(level)
                return [self.decoded(item, level + 1) for item in data]
            case (name, content):
                build = self._builders.get(name)
                if build is None:
                    raise WireError(f"object: expected one of {', '.join(self._builders)}, got {shown(name)}")
                return build(content, level)
            case _:
                return data

    def _float(self, content: Json, level: int) -> float:
        if not isinstance(content, str) or content not in _NON_FINITE:
            raise WireError(f"float: expected one of {', '.join(_NON_FINITE)}, got {shown(content)}")
        return _NON_FINITE[content]

    def _tuple(self, content: Json, level: int) -> tuple[Any, ...]:
        if not isinstance(content, list):
            raise WireError(f"tuple: expected a list, got {shown(content)}")
        return tuple(self.decoded(content, level))

    def _mapping(self, content: Json, level: int) -> dict[Any, Any]:
        _check_level(level)
        mapping = {}
        for key, item in _pairs(content):
            key = _checked_key(self.decoded(key, MOST_LEVELS))
            if key in mapping:
                raise WireError(f"mapping: the key {shown(key)} comes twice")
            mapping[key] = self.decoded(item, level + 1)
        return mapping

    def _array(self, content: Json, level: int) -> NDArray[Any]:
        match content:
            case [str() as name, list() as shape] if name in _DTYPES:
                _check_shape(shape)
                return self._next_array(_DTYPES[name], shape)
            case _:
                raise WireError(f"array: expected [dtype, shape] with a known dtype, got {shown(content)}")

    def _next_array(self, dtype: np.dtype[Any], shape: list[int]) -> NDArray[Any]:
        start = self.position + -self.position % _ALIGNMENT
        end = start + math.prod(shape) * dtype.itemsize
        if end > len(self._payload):
            raise WireError(f"array: {shape} of {dtype} ends at byte {end} of {len(self._payload)}")
        if any(self._payload[self.position : start]):
            raise WireError("array: expected zeros before it")
        self.position = end
        array = np.frombuffer(self._payload[start:end], np.uint8).view(dtype).reshape(shape)
        if dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
            raise WireError("array: expected truth values of 0 or 1, got another byte")
        return array

    def _class(self, content: Json, level: int) -> object:
        _check_level(level)
        match content:
            case [str() as name, list() as members] if name in self._classes:
                kind = self._classes[name]
            case _:
                raise WireError(f"class: expected a known name and its fields, got {shown(content)}")
        names, given = _names(kind), {}
        for field, item in _pairs(members):
            if not isinstance(field, str) or field in given:
                raise WireError(f"{name}: expected each of its fields once, got {shown(field)}")
            given[field] = self.decoded(item, level + 1)
        if set(given) != set(names):
            raise WireError(f"{name}: expected exactly its fields {', '.join(names)}, got others")
        return _built(kind, given)


def _python_number(number: np.generic) -> bool | int | float:
    if number.dtype.str[1:] not in _DTYPES:
        raise WireError(f"number: expected at most 64 bits, got {shown(number)}")
    converted: bool | int | float = number.item()
    return converted


def _checked_key(key: object) -> Json:
    is_scalar = isinstance(key, str | int | float | None)
    if not is_scalar or (isinstance(key, float) and not math.isfinite(key)):
        raise WireError(f"key: expected text, a finite number, a truth value or None, got {shown(key)}")
    return checked_int(key) if type(key) is int else key


def _check_level(level: int) -> None:
    if level >= MOST_LEVELS:
        raise WireError(f"expected at most {MOST_LEVELS} levels of containers, got more")


def _check_shape(shape: list[Json]) -> None:
    sizes_fit = all(type(size) is int and 0 <= size <= MOST_ELEMENTS for size in shape)
    if len(shape) > MOST_AXES or not sizes_fit or math.prod(max(size, 1) for size in shape) > MOST_ELEMENTS:
        raise WireError(
            f"array: expected at most {MOST_AXES} axes and {MOST_ELEMENTS} elements, got {shown(shape)}"
        )


def _pairs(content: Json) -> list[list[Json]]:
    if not isinstance(content, list) or not all(
        isinstance(pair, list) and len(pair) == 2 for pair in content
    ):
        raise WireError(f"expected a list of pairs, got {shown(content)}")
    return content


def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _built(kind: type, given: Mapping[str, Any]) -> object:
    try:
        # What overflows has made no value: a vector too long to have a length is no direction.
        with np.errstate(over="raise", divide="raise", invalid="raise"):
            value = kind(**given)
            for name, exact in given.items():
                _keep_exact(value, name, exact)
    except Exception as error:
        raise WireError(f"{kind.__name__}: cannot be built, its constructor raised an error") from error
    return value


def _keep_exact(value: object, name: str, exact: object) -> None:
    """Undo that a unit vector, made one once more, moves in its last digit."""
    built = getattr(value, name)
    if isinstance(exact, np.ndarray) and isinstance(built, np.ndarray) and built is not exact:
        is_same_kind = built.dtype == exact.dtype and built.shape == exact.shape
        if is_same_kind and exact.dtype.kind == "f" and np.allclose(built, exact, rtol=0, atol=1e-15):
            object.__setattr__(value, name, exact)
