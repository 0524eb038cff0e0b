"""JSON for readers who trust nobody: bounded, without words of its own for odd numbers or repeated names.

In what `parsed` returns, every tuple is an object: the name and the content of its one member.
"""

import json
import math

import numpy as np

from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import WireError

LEAST_INT, MOST_INT = -(2**63), 2**64 - 1
# The shortest text that gives a float back has at most 24 characters, and an integer in range 20.
_MOST_DIGITS = 32
# All values but the first stand behind one of these.
_SEPARATORS = b",[{:"


def text_of(data: Json, most_values: int) -> bytes:
    """Return plain JSON data as text that `parsed` takes.

    Raises:
        WireError: If there are more values, or a text in it has a lone surrogate.
    """
    try:
        text = _ENCODER.encode(data).encode()
    except UnicodeEncodeError as error:
        raise WireError("text: expected characters that UTF-8 has, got a lone surrogate") from error
    _check_count(text, most_values)
    return text


def parsed(text: bytes, most_values: int) -> Json:
    """Return the data of a text, whoever wrote it; its texts may still hold lone surrogates.

    Args:
        text: Any bytes.
        most_values: How many values it may have; names of members count.

    Raises:
        WireError: If it is not UTF-8 or not JSON, has more values, objects with another number of members
            than one, integers outside `LEAST_INT` to `MOST_INT`, or floats beyond their range.
        RecursionError: If it is too deep for the interpreter.
        MemoryError: If there is not enough.
    """
    _check_count(text, most_values)
    try:
        return _DECODER.decode(text.decode())
    except ValueError as error:
        raise WireError(f"payload: its text is not JSON: {str(error)[:200]}") from error


def checked_int(number: int) -> int:
    """Return a number that has room in 64 bits, or raise `WireError`."""
    if not LEAST_INT <= number <= MOST_INT:
        raise WireError(f"integer: expected -2^63 to 2^64 - 1, got one of {number.bit_length()} bits")
    return number


def checked_text(text: str) -> str:
    """Return a text that UTF-8 can hold, or raise `WireError`."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise WireError("text: expected characters that UTF-8 has, got a lone surrogate") from error
    return text


def shown(value: object) -> str:
    """Return what fits into a message, however large or strange the value is."""
    if isinstance(value, str):
        return repr(value[:60])
    if isinstance(value, bool | float | None):
        return repr(value)
    return f"{value}" if type(value) is int and abs(value) < 2**64 else f"a {type(value).__name__}"


def _check_count(text: bytes, most_values: int) -> None:
    if _count(text) > most_values and (count := _count(_without_strings(text))) > most_values:
        raise WireError(f"payload: expected at most {most_values} values, got {count}; send arrays instead")


def _count(text: bytes) -> int:
    return 1 + sum(map(text.count, _SEPARATORS))


def _without_strings(text: bytes) -> bytes:
    # Vectorised, as a hostile text may consist of nothing but strings; exact up to where it is no JSON.
    bare = np.frombuffer(text.replace(b"\\\\", b"").replace(b'\\"', b""), np.uint8)
    is_inside = np.logical_xor.accumulate(bare == ord('"'))
    return bare[~is_inside].tobytes()


def _only_member(pairs: list[tuple[str, Json]]) -> tuple[str, Json]:
    if len(pairs) != 1:
        raise WireError(f"object: expected exactly one member, got {len(pairs)}")
    return pairs[0]


def _parsed_int(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise WireError(f"integer: expected -2^63 to 2^64 - 1, got {len(digits)} digits")
    return checked_int(int(digits))


def _parsed_float(digits: str) -> float:
    number = float(digits) if len(digits) <= _MOST_DIGITS else math.inf
    if not math.isfinite(number):
        raise WireError(f"number: expected a finite one in at most {_MOST_DIGITS} signs, got {shown(digits)}")
    return number


def _refuse_constant(name: str) -> None:
    raise WireError(f"number: {name} is not JSON")


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, check_circular=False, separators=(",", ":"))
_DECODER = json.JSONDecoder(
    object_pairs_hook=_only_member,
    parse_int=_parsed_int,
    parse_float=_parsed_float,
    parse_constant=_refuse_constant,
)
