"""Values of the loop as the plain JSON that checkpoints and traces keep, and back."""

import re
from typing import TYPE_CHECKING, Any, TypeVar

from spatial_agent.tools.errors import InvalidValueError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Value = TypeVar("Value")


def to_plain(value: object) -> Any:  # noqa: ANN401 - JSON
    """Return a dataclass of plain values as plain JSON."""
    return _adapter(type(value)).dump_python(value, mode="json")


def from_plain(kind: type[Value], document: object) -> Value:
    """Build a dataclass from what `to_plain` returned.

    Raises:
        InvalidValueError: If the document is not one of that kind.
    """
    try:
        value: Value = _adapter(kind).validate_python(document)
    except ValueError as error:
        raise InvalidValueError(f"not a {_in_words(kind)}: {error}") from error
    return value


def _in_words(kind: type[Any]) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()


def _adapter(kind: type[Any]) -> "TypeAdapter[Any]":
    if kind not in _ADAPTERS:
        from pydantic import TypeAdapter

        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


_ADAPTERS: "dict[type[Any], TypeAdapter[Any]]" = {}
