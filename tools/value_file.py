"""Scene values as bytes and back, exactly, without pickle: arrays in an ``.npz``, the rest as JSON in it.

In the JSON, text, numbers, truth values, null and lists stand for themselves; an object has one member
that says what it stands for: ``tuple``, ``mapping``, ``array``, ``bits`` (an array of truth values, eight
to a byte) or ``class`` (with its ``fields``).
"""

import io
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools import scene
from spatial_agent.tools.contract import Finding, Json

#: Where the JSON stands among the arrays.
CONTENT = "content"
Arrays = dict[str, NDArray[Any]]


def _scene_classes() -> dict[str, type]:
    public = {name: getattr(scene, name) for name in scene.__all__}
    # A frame set holds a way to read files, not what is in them.
    return {
        name: kind
        for name, kind in public.items()
        if isinstance(kind, type) and is_dataclass(kind) and name != "FrameSet"
    }


#: What can be written, by name: every scene value, and findings.
VALUE_CLASSES: Mapping[str, type] = MappingProxyType(_scene_classes() | {"Finding": Finding})


def value_to_bytes(value: object, classes: Mapping[str, type] = VALUE_CLASSES) -> bytes:
    """Return a value as the bytes of an ``.npz`` file.

    Args:
        value: Plain JSON, arrays of numbers, values of `classes`, and any nesting of them.
        classes: Dataclasses that may be written, by the name of the class.

    Raises:
        TypeError: If it, or something in it, is anything else.
    """
    arrays: Arrays = {}
    text = json.dumps(_encoded(value, arrays, classes))
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{CONTENT: np.frombuffer(text.encode(), np.uint8)}, **arrays)
    return buffer.getvalue()


def value_from_bytes(data: bytes, classes: Mapping[str, type] = VALUE_CLASSES) -> object:
    """Build a value from what `value_to_bytes` returned; its arrays are read-only.

    Raises:
        Exception: Of many kinds, if the bytes are damaged or name a class that is not among `classes`.
    """
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        return _decoded(json.loads(bytes(arrays[CONTENT])), arrays, classes)


def _encoded(value: object, arrays: Arrays, classes: Mapping[str, type]) -> Json:
    if isinstance(value, np.generic):
        value = value.item()
    match value:
        case None | bool() | int() | float() | str():
            return value
        case list():
            return [_encoded(item, arrays, classes) for item in value]
        case tuple():
            return {"tuple": [_encoded(item, arrays, classes) for item in value]}
        case Mapping():
            pairs = [[_encoded(part, arrays, classes) for part in pair] for pair in value.items()]
            return {"mapping": pairs}
        case np.ndarray():
            return _encoded_array(value, arrays)
        case _ if classes.get(type(value).__name__) is type(value):
            return _encoded_fields(value, arrays, classes)
        case _:
            raise TypeError(f"values on disk are JSON, arrays and scene values, not {type(value).__name__}")


def _encoded_array(array: NDArray[Any], arrays: Arrays) -> Json:
    if array.dtype.kind not in "biufc":
        raise TypeError(f"values on disk hold arrays of numbers, not of {array.dtype}")
    name = f"array{len(arrays)}"
    if array.dtype == np.bool_:
        arrays[name] = np.packbits(array)
        return {"bits": name, "shape": list(array.shape)}
    arrays[name] = array
    return {"array": name}


def _encoded_fields(value: Any, arrays: Arrays, classes: Mapping[str, type]) -> Json:  # noqa: ANN401
    encoded = {field.name: _encoded(getattr(value, field.name), arrays, classes) for field in fields(value)}
    return {"class": type(value).__name__, "fields": encoded}


def _decoded(data: Json, arrays: Mapping[str, NDArray[Any]], classes: Mapping[str, type]) -> Any:  # noqa: ANN401
    match data:
        case list():
            return [_decoded(item, arrays, classes) for item in data]
        case {"tuple": items}:
            return tuple(_decoded(item, arrays, classes) for item in items)
        case {"mapping": pairs}:
            return {_decoded(key, arrays, classes): _decoded(item, arrays, classes) for key, item in pairs}
        case {"array": name}:
            return _read_only(arrays[name])
        case {"bits": name, "shape": shape}:
            bits = np.unpackbits(arrays[name], count=math.prod(shape)).reshape(shape)
            return _read_only(bits.view(np.bool_))
        case {"class": name, "fields": encoded}:
            given = {key: _decoded(item, arrays, classes) for key, item in encoded.items()}
            return _built(classes[name], given)
        case _:
            return data


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _built(kind: type, given: Mapping[str, Any]) -> object:
    value = kind(**given)
    # Checking a direction makes it a unit vector once more, which may move its last digit.
    for name, exact in given.items():
        object.__setattr__(value, name, exact)
    return value
