"""The one place where arrays are checked: shape, dtype, finiteness; the result is read-only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from spatial_agent.tools.errors import ShapeError

type_names = {"f": "floating point", "u": "unsigned integer", "i": "integer", "b": "boolean"}


def check_array(
    name: str,
    value: ArrayLike,
    shape: Sequence[int | str],
    dtype: DTypeLike,
    *,
    finite: bool = True,
) -> NDArray[np.generic]:
    """Return `value` as a read-only array of the wanted shape and dtype.

    Args:
        name: How messages call the value.
        value: Anything numpy can turn into an array; it is never modified.
        shape: Wanted size of each axis; a string such as ``"N"`` stands for any size, the same
            string for the same size.
        dtype: Wanted dtype; conversion is allowed only where it keeps the kind of number.
        finite: Whether NaN and infinity are refused.

    Raises:
        ShapeError: If the shape, the kind of number or the content is wrong.

    >>> check_array("xyz_m", [[0, 0, 1]], ("N", 3), np.float64).shape
    (1, 3)
    """
    array = np.asarray(value)
    wanted = np.dtype(dtype)
    if array.dtype != wanted:
        if not np.can_cast(array.dtype, wanted, casting="same_kind"):
            raise ShapeError(
                f"{name}: expected {type_names.get(wanted.kind, wanted.name)} numbers ({wanted}), "
                f"got {array.dtype}; convert them on purpose"
            )
        array = array.astype(wanted)
    _check_shape(name, array.shape, shape)
    if finite and wanted.kind == "f" and not np.isfinite(array).all():
        raise ShapeError(f"{name}: expected finite numbers, got NaN or infinity")
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.ascontiguousarray(array).view()
        array.flags.writeable = False
    return array


def _check_shape(name: str, actual: tuple[int, ...], wanted: Sequence[int | str]) -> None:
    sizes: dict[str, int] = {}
    fits = len(actual) == len(wanted)
    for size, want in zip(actual, wanted, strict=False):
        expected = sizes.setdefault(want, size) if isinstance(want, str) else want
        fits = fits and size == expected
    if not fits:
        text = ", ".join(str(want) for want in wanted)
        raise ShapeError(f"{name}: expected shape ({text}), got {actual}")
