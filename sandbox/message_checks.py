"""What the members of messages are held to; each check raises `WireError` with what was expected and came."""

import math
from collections.abc import Mapping

import numpy as np

from spatial_agent.sandbox.strict_json import checked_int, checked_text, shown
from spatial_agent.sandbox.wire import MOST_LEVELS
from spatial_agent.tools.errors import WireError


def require(is_so: bool, expected: str, value: object) -> None:
    """Refuse a value unless it is as expected."""
    if not is_so:
        raise WireError(f"{expected} expected, got {shown(value)}")


def check_choice(name: str, value: object, choices: tuple[str | None, ...]) -> None:
    """Refuse what is none of the choices."""
    # Arrays are compared element by element, so what is not text must not be looked for.
    is_one = isinstance(value, str | None) and value in choices
    require(is_one, f"{name}: one of {choices}", value)


def check_text(name: str, text: object, most: int, *, least: int = 0) -> None:
    """Refuse what is no text of such a length."""
    is_text = isinstance(text, str) and least <= len(text) <= most
    require(is_text, f"{name}: a text of {least} to {most} characters", text)
    check_json_scalar(name, text)


def check_count(name: str, count: object) -> None:
    """Refuse what is no number of things."""
    is_count = type(count) is int and 0 <= count < 2**63
    require(is_count, f"{name}: an integer from 0 to 2^63 - 1", count)


def check_picture(rgb: object, most: int) -> None:
    """Refuse what is no picture."""
    shape: tuple[int, ...] = rgb.shape if isinstance(rgb, np.ndarray) and rgb.dtype == np.uint8 else ()
    is_sized = len(shape) == 3 and shape[2] == 3 and all(1 <= side <= most for side in shape[:2])
    require(is_sized, f"rgb: an array (H, W, 3) uint8 of 1 to {most} pixels a side", rgb)


def check_json(name: str, value: object, level: int = 0) -> None:
    """Refuse what is not plain JSON, finite numbers and text as keys included."""
    require(level < MOST_LEVELS, f"{name}: at most {MOST_LEVELS} levels", value)
    match value:
        case list():
            for item in value:
                check_json(name, item, level + 1)
        case Mapping():
            for key, item in value.items():
                require(isinstance(key, str), f"{name}: text as keys", key)
                check_json(name, item, level + 1)
        case _:
            check_json_scalar(name, value)


def check_json_scalar(name: str, value: object) -> None:
    """Refuse what is not null, a truth value, a finite number of 64 bits or text that UTF-8 has."""
    match value:
        case str():
            checked_text(value)
        case int():
            checked_int(value)
        case float():
            require(math.isfinite(value), f"{name}: finite numbers", value)
        case _:
            require(value is None, f"{name}: JSON", value)
