"""Finding the images of a recording and pairing them by frame number."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.pixels import SUFFIXES

DIGITS = re.compile(r"\d+")


def list_images(folder: Path) -> list[Path]:
    """Return the image files in a folder, `frame2` before `frame10`; hidden files are left out.

    Raises:
        SourceError: If the folder cannot be read.
    """
    try:
        entries = list(folder.iterdir())
    except OSError as error:
        raise SourceError(f"{folder}: expected a folder of images, but: {error.strerror}") from error
    images = [path for path in entries if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")]
    return sorted((path for path in images if path.is_file()), key=natural_key)


def natural_key(path: Path) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key that compares the numbers in a name as numbers.

    >>> sorted([Path("a10"), Path("a9")], key=natural_key)[0].name
    'a9'
    """
    parts = re.split(r"(\d+)", path.name)
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts)


def by_number(paths: Iterable[Path]) -> dict[int, Path]:
    """Return files by the first number in their name, in ascending order.

    Raises:
        SourceError: If a name has no number, or two have the same.
    """
    numbered: dict[int, Path] = {}
    for path in paths:
        match = DIGITS.search(path.name.partition(".")[0])
        if match is None:
            raise SourceError(f"{path}: expected a frame number in the file name; rename or remove the file")
        number = int(match.group())
        if number in numbered:
            raise SourceError(
                f"{path}: duplicate frame index {number}, also {numbered[number].name}; remove one of the two"
            )
        numbered[number] = path
    return dict(sorted(numbered.items()))


def require_pairs(folder: Path, kinds: Mapping[str, Mapping[int, Path]]) -> list[int]:
    """Return the frame numbers, which must be the same in every kind of file.

    Args:
        folder: Named in messages.
        kinds: Files by number, by what they are (``"colour"``, ``"depth"``, ``"pose"``).

    Raises:
        SourceError: If a kind has no file at all, or a number is missing in one.
    """
    for kind, files in kinds.items():
        if not files:
            raise SourceError(f"{folder}: expected {kind} files, found none")
    numbers = sorted(set().union(*kinds.values()))
    for kind, files in kinds.items():
        missing = [number for number in numbers if number not in files]
        if missing:
            number = missing[0]
            other = next(have[number] for have in kinds.values() if number in have)
            raise SourceError(
                f"{other}: frame {number} has no {kind} file ({len(missing)} frame(s) lack one); "
                f"add it, or remove the rest of the frame"
            )
    return numbers


def first_folder(folder: Path, names: Iterable[str], what: str) -> Path:
    """Return the first of the named sub-folders that exists.

    Raises:
        SourceError: If none does.
    """
    wanted = tuple(names)
    for name in wanted:
        if (folder / name).is_dir():
            return folder / name
    raise SourceError(
        f"{folder}: expected a folder {' or '.join(f'{n}/' for n in wanted)} with {what}, found none"
    )


def inside(folder: Path, relative: str, where: str) -> Path:
    """Return the file that a relative path means.

    Args:
        folder: Without links in it: resolved once by the caller, not once a file.
        relative: What a file of the recording says.
        where: What says it, for messages.

    Raises:
        SourceError: If the path is absolute, leaves the folder (also through a link) or is no file.
    """
    path = folder / relative
    try:
        is_inside = not Path(relative).is_absolute() and path.resolve().is_relative_to(folder)
        is_there = is_inside and path.is_file()
    except (OSError, ValueError) as error:  # no file can be called so: too long, or with a NUL in it
        raise SourceError(f"{where}: expected the path of a file, got {relative[:80]!r} ({error})") from None
    if not is_inside:
        raise SourceError(f"{where}: expected a path inside {folder}, got {relative!r}, which leaves it")
    if not is_there:
        raise SourceError(f"{where}: no such file: {path}")
    return path
