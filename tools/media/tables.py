"""Text files of numbers: poses, intrinsics, trajectories and file lists."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spatial_agent.tools.errors import InvalidValueError, SourceError
from spatial_agent.tools.scene import CameraPose

MAX_TEXT_BYTES = 256_000_000
Numbers = list[float]


def read_text(path: Path, what: str) -> str:
    """Read a text file.

    Raises:
        SourceError: If it is missing, absurdly large or not text.
    """
    try:
        size = path.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise SourceError(f"{path}: expected {what}, got {size} bytes; that is no such file")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise SourceError(f"{path}: missing; expected {what}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: expected {what}, but it cannot be read as text: {error}") from error


def read_rows(path: Path, what: str) -> list[tuple[int, list[str]]]:
    """Split a text file into words; blank lines and comments (#) are left out.

    Returns:
        Line number and words of each line.
    """
    lines = enumerate(read_text(path, what).splitlines(), start=1)
    rows = [(number, line.replace(",", " ").split()) for number, line in lines if not line.startswith("#")]
    return [(number, words) for number, words in rows if words]


def numbers_of(path: Path, line: int, words: Sequence[str], counts: Sequence[int], what: str) -> Numbers:
    """Turn the words of one line into numbers.

    Raises:
        SourceError: If a word is no number or there are not as many as one of `counts`.
    """
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise SourceError(f"{path}, line {line}: expected {what}: {error}") from error
    if len(numbers) not in counts:
        raise SourceError(
            f"{path}, line {line}: expected {what} ({' or '.join(map(str, counts))} numbers), "
            f"got {len(numbers)} numbers"
        )
    return numbers


def read_matrix(path: Path, what: str) -> NDArray[np.float64]:
    """Read a file that holds one 4x4 matrix, which may contain infinities.

    Raises:
        SourceError: If it holds anything else.
    """
    rows = [numbers_of(path, line, words, (4,), what) for line, words in read_rows(path, what)]
    if len(rows) != 4:
        raise SourceError(f"{path}: expected {what} as 4 rows of 4 numbers, got {len(rows)} rows")
    return np.array(rows)


def matrix_pose(where: str, world_from_camera: NDArray[np.float64]) -> CameraPose:
    """Build a pose from a 4x4 matrix that came from `where`.

    Raises:
        SourceError: If it is not finite and rigid; the message names `where`.
    """
    try:
        return CameraPose(world_from_camera)
    except InvalidValueError as error:
        raise SourceError(f"{where}: {error}") from error


def quaternion_pose(where: str, numbers: Sequence[float]) -> CameraPose:
    """Build a pose from ``tx ty tz qx qy qz qw``, world from camera.

    Raises:
        SourceError: If a number is not finite or the quaternion is not of unit length (1 %).
    """
    position_m, quaternion = np.array(numbers[:3]), np.array(numbers[3:])
    norm = float(np.linalg.norm(quaternion))
    if not (np.isfinite(position_m).all() and abs(norm - 1) <= 0.01):
        raise SourceError(
            f"{where}: expected finite tx ty tz and a unit quaternion qx qy qz qw, got {list(numbers)}"
        )
    matrix = np.eye(4)
    matrix[:3, :3] = _rotation(quaternion / norm)
    matrix[:3, 3] = position_m
    return matrix_pose(where, matrix)


def _rotation(quaternion: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rotation of a unit quaternion x y z w.

    Source: Shoemake, Animating rotation with quaternion curves, 1985.
    """
    x, y, z, w = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def require_count(path: Path, poses: int, frames: int) -> None:
    """Check that there is one pose per frame.

    Raises:
        SourceError: If not.
    """
    if poses != frames:
        raise SourceError(
            f"{path}: expected one pose for each of the {frames} frames, got {poses}; "
            "remove the frames without a pose, or write the missing poses"
        )
