"""What a program finds under its names: tools, handles, pictures, its answer, and Python's own builtins."""

import builtins
import importlib
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from spatial_agent.sandbox import courtesy
from spatial_agent.sandbox.environment import ProgramAnswer
from spatial_agent.sandbox.messages import MOST_CAPTION, MOST_SIDE
from spatial_agent.tools.contract import Finding, Json
from spatial_agent.tools.scene import UNITS, Frame, Measurement, Picture

#: Modules of the geometry package, all at hand as ``geometry.<name>``.
GEOMETRY = (
    "benchmark",
    "boxes",
    "direction",
    "distance",
    "egocentric",
    "facing",
    "free_floor",
    "intervals",
    "measuring",
    "next_view",
    "order",
    "projection",
    "room",
    "route",
    "scale",
    "sight_lines",
    "single_frame",
    "size",
    "splatting",
    "transforms",
    "vertical",
    "viewpoint",
    "visibility",
)
#: Values that may travel in one call or answer, a text counting one for every hundred characters.
MOST_VALUES = 10_000
_DEEPEST = 20
#: Integers that have a form of their own on the way; larger ones must be floats.
_INTEGERS = range(-(2**63), 2**64)


def geometry() -> ModuleType:
    """Return the geometry package with all its modules imported."""
    for name in GEOMETRY:
        importlib.import_module(f"spatial_agent.tools.geometry.{name}")
    return importlib.import_module("spatial_agent.tools.geometry")


class Handle:
    """Stands for a value that is kept outside, such as a depth map; tools take it as an argument.

    Attributes:
        reference: Its name there, such as ``"$depth/1"``.
    """

    def __init__(self, reference: str, fetch: Callable[[str], object]) -> None:
        """Keep the reference, and the way to what it stands for."""
        self.reference = reference
        self._fetch = fetch

    def fetch(self) -> object:
        """Return the value itself, read-only: a scene value or an array."""
        return self._fetch(self.reference)

    def __str__(self) -> str:
        """Return the reference."""
        return self.reference

    def __repr__(self) -> str:
        """Say what it is."""
        return f"<handle {self.reference}; .fetch() returns its value>"

    def __getattr__(self, name: str) -> NoReturn:
        """Say where to look."""
        raise AttributeError(f"a handle has .reference and .fetch(); write .fetch().{name}")


class Tools:
    """Tools by their names: ``tools.<name>(argument=value, ...)``; a name may have dots.

    Args:
        call: Runs a tool and returns what it gave.
        name: Name so far.
    """

    def __init__(self, call: Callable[[str, Mapping[str, Json]], object], name: str = "") -> None:
        """Keep the way to the tools."""
        self.__call = call
        self.__name = name

    def __getattr__(self, name: str) -> "Tools":
        """Return the tool, or the group of tools, of that name."""
        if name.startswith("_"):
            raise AttributeError(f"no tool has a name that begins with an underscore, such as {name!r}")
        return Tools(self.__call, f"{self.__name}.{name}" if self.__name else name)

    def __call__(self, *positional: object, **arguments: object) -> object:
        """Run the tool.

        Returns:
            A `Finding` of a skill, or a `Handle` for a value of any other kind.

        Raises:
            TypeError: If an argument has no name, or is neither plain JSON nor a handle.
            ToolError: If the tool could not do it.
        """
        if not self.__name:
            raise TypeError("tools has no name of a tool; write tools.<name>(argument=value, ...)")
        if positional:
            raise TypeError(
                f"tools.{self.__name} takes arguments by name only, such as "
                f"tools.{self.__name}(scene='$scene'); got {len(positional)} without a name"
            )
        given = {name: plain(value, f"tools.{self.__name}: {name}") for name, value in arguments.items()}
        return self.__call(self.__name, given)

    def __dir__(self) -> list[str]:
        """Show how it is used, as the names are known outside only."""
        return ["<name>(argument=value, ...)"]

    def __repr__(self) -> str:
        """Say how it is used."""
        name = self.__name or "<name>"
        return (
            f"<tools.{name}(argument=value, ...); values that are kept outside by reference: scene='$scene'>"
        )


def plain(value: object, what: str) -> Json:
    """Return an argument of a tool as plain JSON; handles become references.

    Args:
        value: JSON, handles, numpy numbers, small arrays, and lists and mappings of them.
        what: What it is, for messages.

    Raises:
        TypeError: If it is anything else.
        ValueError: If a number is not finite, or it is too much.
    """
    return _plain(value, what, [MOST_VALUES], 0)


def _plain(value: object, what: str, room: list[int], depth: int) -> Json:
    room[0] -= _size(value)
    if room[0] < 0 or depth > _DEEPEST:
        raise ValueError(f"{what} holds too much; tools take large values as references such as '$depth/1'")
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    match value:
        case Handle():
            return value.reference
        case None | bool():
            return value
        case str():
            return _whole_text(value, what)
        case int() | float():
            return _finite(value, what)
        case list() | tuple():
            return [_plain(item, what, room, depth + 1) for item in value]
        case Mapping():
            return {_key(key, what): _plain(item, what, room, depth + 1) for key, item in value.items()}
        case _:
            raise TypeError(
                f"{what} is a {type(value).__name__}; tools take numbers, text, lists, and references "
                "such as '$scene' or what a tool returned"
            )


def _key(key: object, what: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{what}: the names in a mapping must be text, got {type(key).__name__}")
    return key


def _size(value: object) -> int:
    match value:
        case np.ndarray():
            # Its numbers are counted when they have become a list; here only what would never fit.
            return value.size if value.size > MOST_VALUES else 0
        case str():
            return 1 + len(value) // 100
        case _:
            return 1


def _whole_text(text: str, what: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what}: half a character (a lone surrogate) in {text!r:.100}") from None
    return text


def _finite(number: float, what: str) -> float:
    if not isinstance(number, int):
        if not math.isfinite(number):
            raise ValueError(f"{what}: expected a finite number, got {number}")
    elif number not in _INTEGERS:
        raise ValueError(f"{what}: expected an integer below 2^64, got one of {number.bit_length()} bits")
    return number


def answer_of(value: object, unit: object, low: object, high: object) -> ProgramAnswer:
    """Check what a program answers.

    Args:
        value: Number, text, truth value, or list of them.
        unit: One of `tools.scene.UNITS`, for numbers.
        low: 5 % end, or None.
        high: 95 % end, or None.

    Raises:
        TypeError: If one is of a type that cannot be answered.
        ValueError: If a number is not finite, the unit unknown, or not low <= value <= high.
    """
    if isinstance(value, Finding | Measurement):
        kind = type(value).__name__
        raise TypeError(
            f"answer: expected a plain value, got a {kind}; write answer(x.value, x.unit, x.low, x.high)"
        )
    given: Json = _plain(value, "answer", [MOST_VALUES], 0)
    items = given if isinstance(given, list) else [given]
    for item in items:
        if item is None or isinstance(item, list | dict):
            raise TypeError(
                "answer: expected a number, text, truth value or flat list of them, "
                f"got {type(item).__name__}"
            )
    is_number = all(isinstance(item, int | float) and not isinstance(item, bool) for item in items)
    _check_unit(unit, is_number)
    ends = [_end(name, end) for name, end in (("low", low), ("high", high))]
    if ends != [None, None] and (isinstance(given, list) or not is_number):
        raise TypeError(f"answer: low and high are the ends of a number, got {type(given).__name__}")
    if ends != [None, None]:
        _check_order(given, *ends)
    return ProgramAnswer(given, unit if isinstance(unit, str) else None, *ends)


def _check_unit(unit: object, is_number: bool) -> None:
    if unit is None:
        return
    if not isinstance(unit, str) or unit not in UNITS:
        raise ValueError(f"answer: expected a unit among {', '.join(UNITS)}, got {unit!r:.100}")
    if not is_number:
        raise ValueError(f"answer: only numbers have a unit, such as {unit!r}; leave it out")


def _end(name: str, end: object) -> float | None:
    if isinstance(end, np.generic):
        end = end.item()
    if end is None:
        return None
    if isinstance(end, bool) or not isinstance(end, int | float):
        raise TypeError(f"answer: {name} must be a number or None, got {type(end).__name__}")
    return _finite(end, f"answer: {name}")


def _check_order(value: float, low: float | None, high: float | None) -> None:
    if (low is not None and low > value) or (high is not None and high < value):
        raise ValueError(f"answer: expected low <= value <= high, got {low}, {value}, {high}")


def picture_of(image: object, caption: object) -> tuple[NDArray[np.uint8], str]:
    """Return what a program shows as a picture and its caption.

    Args:
        image: Shape (H, W, 3), or (H, W) for grey; uint8, truth values, or floats from 0 to 1. Or a
            `Picture`, a `Frame`, or a handle of one.
        caption: What it is.

    Raises:
        TypeError: If it is no picture.
        ValueError: If its shape or its numbers are not those of one.
    """
    if isinstance(image, Handle):
        image = image.fetch()
    if isinstance(image, Picture):
        caption = caption or image.caption
    if isinstance(image, Picture | Frame):
        image = image.rgb
    if not isinstance(image, np.ndarray):
        raise TypeError(f"show: expected an array (H, W, 3) or a Picture, got {type(image).__name__}")
    if not isinstance(caption, str):
        raise TypeError(f"show: the caption must be text, got {type(caption).__name__}")
    is_picture = image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)
    if not is_picture or not all(1 <= side <= MOST_SIDE for side in image.shape[:2]):
        raise ValueError(
            f"show: expected shape (H, W, 3) or (H, W) with 1 to {MOST_SIDE} pixels a side, got {image.shape}"
        )
    rgb = _bytes(image)
    rgb = np.repeat(rgb[:, :, None], 3, axis=2) if rgb.ndim == 2 else rgb
    return np.ascontiguousarray(rgb), _sendable(caption)[:MOST_CAPTION]


def _bytes(image: NDArray[Any]) -> NDArray[np.uint8]:
    if image.dtype == np.uint8:
        return image
    if image.dtype == np.bool_:
        return image.astype(np.uint8) * np.uint8(255)
    if image.dtype.kind != "f":
        raise TypeError(f"show: expected uint8, or floats from 0 to 1, got {image.dtype}")
    if not np.all((image >= 0) & (image <= 1)):
        raise ValueError(
            f"show: floats must be from 0 to 1, got {image.min():g} to {image.max():g}; scale them first, "
            "such as d / d.max()"
        )
    return np.round(image * 255).astype(np.uint8)


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def program_builtins(imports: Collection[str]) -> dict[str, object]:
    """Return Python's builtins as programs have them.

    Args:
        imports: Modules they may import.
    """
    # Python's site module adds some that the interpreter itself does not know.
    names = {
        name: value
        for name, value in vars(builtins).items()
        if name not in ("copyright", "credits", "license")
    }
    return (
        names | {name: _absent(name) for name in courtesy.ABSENT} | {"__import__": _limited_import(imports)}
    )


def _absent(name: str) -> Callable[..., NoReturn]:
    def absent(*positional: object, **arguments: object) -> NoReturn:
        raise RuntimeError(f"{name!r} is not for programs: {courtesy.ABSENT[name]}")

    absent.__name__ = absent.__qualname__ = name
    return absent


def _limited_import(imports: Collection[str]) -> Callable[..., object]:
    full_import = builtins.__import__

    def limited_import(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        """Import what a program may import."""
        # A library written in C that imports what it needs comes by here too, with a list.
        is_library = isinstance(fromlist, list)
        if not is_library and (level or not courtesy.may_import(name, fromlist or (), imports)):
            raise ImportError(courtesy.import_refusal(name, imports))
        return full_import(name, globals, locals, fromlist or (), level)

    return limited_import
