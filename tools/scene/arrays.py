"""The one place where arrays are checked: shape, dtype, finiteness; the result is read-only."""

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spatial_agent.tools.errors import ShapeError

KIND_NAMES = {"f": "floating point", "u": "unsigned integer", "i": "integer", "b": "boolean"}
Scalar = TypeVar("Scalar", bound=np.generic)


def check_array(
    name: str,
    value: ArrayLike,
    shape: Sequence[int | str],
    dtype: type[Scalar],
    *,
    finite: bool = True,
) -> NDArray[Scalar]:
    """Return `value` as a read-only array of the wanted shape and dtype.

    Args:
        name: How messages call the value.
        value: Anything numpy can turn into an array; it is never modified. The result shares its
            memory where nothing had to be converted, so hand over a copy of what is still written to.
        shape: Wanted size of each axis; a string such as ``"N"`` stands for any size, the same
            string for the same size.
        dtype: Wanted dtype; conversion is allowed only where it keeps the kind of number.
        finite: Whether NaN and infinity are refused.

    Raises:
        ShapeError: If the shape, the kind of number or the content is wrong.

    >>> check_array("xyz_m", [[0, 0, 1]], ("N", 3), np.float64).shape
    (1, 3)
    """
    array = _converted(name, value, dtype)
    _check_shape(name, array.shape, shape)
    if finite and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ShapeError(f"{name}: expected finite numbers, got NaN or infinity")
    if array.flags.writeable or not array.flags.c_contiguous:
        array = np.ascontiguousarray(array).view()
        array.flags.writeable = False
    return array


def check_image(
    name: str, value: ArrayLike, shape: Sequence[int | str], dtype: type[Scalar]
) -> NDArray[Scalar]:
    """Return `value` as `check_array` does, if there is a pixel in it.

    Raises:
        ShapeError: If the array is wrong, or empty.
    """
    array = check_array(name, value, shape, dtype)
    if not array.size:
        raise ShapeError(f"{name}: expected at least one pixel, got an array of shape {array.shape}")
    return array


def check_direction(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return `value`, shape (3,), as a read-only unit vector.

    Raises:
        ShapeError: If it is not three finite numbers, or has no length and so no direction.
    """
    vector = check_array(name, value, (3,), np.float64)
    length = math.hypot(*vector)
    if not 1e-9 <= length < math.inf:
        kind = "a zero vector" if length < 1e-9 else "a vector too long to be measured"
        raise ShapeError(f"{name}: expected a direction, got {kind}")
    return check_array(name, vector / length, (3,), np.float64)


def check_rotation(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return `value`, shape (3, 3), as a read-only proper rotation.

    Raises:
        ShapeError: If it stretches or shears by more than 1e-3, or mirrors.
    """
    rotation = check_array(name, value, (3, 3), np.float64)
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3:
        raise ShapeError(f"{name}: not rigid; expected an orthonormal rotation without scale or shear")
    if np.linalg.det(rotation) < 0:
        raise ShapeError(f"{name}: the rotation mirrors; expected determinant +1")
    return rotation


def check_rigid(name: str, value: ArrayLike) -> NDArray[np.float64]:
    """Return `value`, shape (4, 4), as a read-only rigid transform.

    Raises:
        ShapeError: If its rotation is not proper, or its last row is not 0 0 0 1.
    """
    transform = check_array(name, value, (4, 4), np.float64)
    if np.abs(transform[3] - (0, 0, 0, 1)).max() > 1e-6:
        raise ShapeError(f"{name}: last row must be 0 0 0 1, got {transform[3].tolist()}")
    check_rotation(name, transform[:3, :3])
    return transform


def check_score(name: str, value: float) -> None:
    """Refuse a confidence that is not a number from 0 to 1.

    Raises:
        ShapeError: If it is not.
    """
    if not 0 <= value <= 1:
        raise ShapeError(f"{name}: expected a confidence from 0 to 1, got {value!r}")


def _converted(name: str, value: ArrayLike, dtype: type[Scalar]) -> NDArray[Scalar]:
    wanted = np.dtype(dtype)
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{name}: expected an array of {wanted}, got rows of different length") from error
    if not np.can_cast(array.dtype, wanted, casting="same_kind"):
        raise ShapeError(
            f"{name}: expected {KIND_NAMES.get(wanted.kind, wanted.name)} numbers ({wanted}), "
            f"got {array.dtype}; convert them on purpose"
        )
    with np.errstate(over="ignore"):
        converted = array.astype(wanted, copy=False)
    if wanted.kind in "iu" and not np.array_equal(converted, array):
        raise ShapeError(f"{name}: expected numbers that fit {wanted}, got {array.min()} to {array.max()}")
    return converted


def _check_shape(name: str, actual: tuple[int, ...], wanted: Sequence[int | str]) -> None:
    sizes: dict[str, int] = {}
    fits = len(actual) == len(wanted)
    for size, want in zip(actual, wanted, strict=False):
        expected = sizes.setdefault(want, size) if isinstance(want, str) else want
        fits = fits and size == expected
    if not fits:
        text = ", ".join(str(want) for want in wanted)
        raise ShapeError(f"{name}: expected shape ({text}), got {actual}")
