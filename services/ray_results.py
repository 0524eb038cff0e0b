"""Whether what a tool gave back is what it declared; checked before anybody builds on it."""

import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from ray import cloudpickle

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ToolCrashedError


class ReturnCheck:
    """The check of one tool's results.

    Args:
        name: The tool's name, for messages.
        called: The function, or the ``__call__`` of the class.
    """

    def __init__(self, name: str, called: Callable[..., Any]) -> None:
        """Read what the tool declares."""
        self._name = name
        self._declared = typing.get_type_hints(called).get("return", Any)

    def __call__(self, value: object, arguments: Mapping[str, Any]) -> None:
        """Refuse garbage.

        Args:
            value: What came back.
            arguments: What the tool was called with.

        Raises:
            ToolCrashedError: If the value is not of the declared type, holds NaN or infinity, cannot leave
                its process, or is an image of another size than the one it was measured in.
        """
        if not fits(value, self._declared):
            self._refuse(f"a {type(value).__name__} where it declares {_name(self._declared)}")
        for number in _numbers(value):
            if not math.isfinite(number):
                self._refuse(f"the number {number}")
        try:
            # Arrays are left where they are, so that this costs next to nothing.
            cloudpickle.dumps(value, protocol=5, buffer_callback=lambda _: None)  # type: ignore[no-untyped-call]
        except Exception as error:  # foreign classes may raise anything here
            self._refuse(f"a value that cannot be sent between processes ({error})")
        self._check_size(value, arguments)

    def _check_size(self, value: object, arguments: Mapping[str, Any]) -> None:
        size, wanted = _image_size(value), _frame_sizes(arguments)
        if size is not None and wanted and size not in wanted:
            expected = " or ".join(f"{height} x {width}" for height, width in sorted(wanted))
            self._refuse(f"an image of {size[0]} x {size[1]} pixels for a frame of {expected}")

    def _refuse(self, what: str) -> None:
        raise ToolCrashedError(f"{self._name} gave back garbage: {what}; choose another tool")


def fits(value: object, declared: object) -> bool:
    """Return whether a value is of a declared type; what cannot be checked fits.

    >>> fits([1], list[int]), fits(None, int | None), fits("far", Literal["near"])
    (True, True, False)
    """
    origin = typing.get_origin(declared)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, option) for option in typing.get_args(declared))
    if origin is Literal:
        return value in typing.get_args(declared)
    if declared is None:
        return value is None
    kind = origin or declared
    if kind is float:
        return isinstance(value, int | float)
    return not isinstance(kind, type) or isinstance(value, kind)


def _name(declared: object) -> str:
    return declared.__name__ if isinstance(declared, type) else str(declared)


def _numbers(value: object) -> Iterator[float]:
    """Yield the bare numbers of a result; scene values check theirs when they are built."""
    if isinstance(value, float):
        yield value
    elif isinstance(value, Finding):
        yield from _numbers([value.value, value.low, value.high])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, dict):
        yield from _numbers(list(value.values()))
    elif getattr(getattr(value, "dtype", None), "kind", "") == "f":
        # One sum tells of any NaN or infinity in an array without a copy of it.
        yield float(value.sum(dtype="float64"))  # type: ignore[attr-defined]


def _image_size(value: object) -> tuple[int, int] | None:
    """Return height and width of a depth map or of masks."""
    from spatial_agent.tools.scene import DepthMap, Detections

    if isinstance(value, DepthMap):
        return value.z_m.shape[0], value.z_m.shape[1]
    if isinstance(value, Detections) and value.masks is not None:
        return value.masks.shape[1], value.masks.shape[2]
    return None


def _frame_sizes(arguments: Mapping[str, Any]) -> set[tuple[int, int]]:
    """Return the sizes an image measured in the one frame of these arguments may have; empty if not one."""
    from spatial_agent.tools.scene import Frame

    frames = [value for value in arguments.values() if isinstance(value, Frame)]
    if len(frames) != 1:
        return set()
    depth = frames[0].depth
    parts = [frames[0].rgb, depth.z_m if depth else None]
    return {(part.shape[0], part.shape[1]) for part in parts if part is not None}
