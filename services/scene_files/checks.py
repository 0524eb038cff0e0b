"""Checks of pictures that decode none: what their headers promise, and whether the file goes to its end."""

import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from spatial_agent.services.api.config import Limits
from spatial_agent.services.scene_files.errors import TooLargeError, UploadError
from spatial_agent.tools.errors import SourceError
from spatial_agent.tools.media.pixels import ImageHeader, TooManyPixelsError, read_image_header

PNG_START_BYTES = 8
#: Length and type before a chunk's data, check sum after it.
CHUNK_HEADER_BYTES, CHUNK_SUM_BYTES = 8, 4
START_OF_SCAN = 0xDA
END_OF_IMAGE = b"\xff\xd9"
#: JPEG segments without a length: restarts, start of image, temporary.
BARE_SEGMENTS = frozenset({0x01, *range(0xD0, 0xD9)})


def check_pictures(
    pictures: Iterable[tuple[Path, str]], limits: Limits, stopped: Callable[[], bool] = lambda: False
) -> None:
    """Check pictures by their headers.

    Args:
        pictures: Files and their formats.
        limits: What a picture may bring.
        stopped: Asked between pictures whether nobody waits for it any more.

    Raises:
        SourceError: If one is damaged.
        UploadError: If one is truncated.
        TooLargeError: If one has too many pixels.
    """
    for path, form in pictures:
        if stopped():
            raise UploadError("the upload was broken off")
        header = _header(path)
        if header.width * header.height > limits.pixels:
            raise TooLargeError(
                f"{path}: expected at most {limits.pixels / 1e6:.1f} million pixels, "
                f"got {header.width}x{header.height}; resample the picture"
            )
        if form in ENDS and not _reaches_end(path, ENDS[form]):
            raise UploadError(f"{path}: the picture is truncated: its end is missing; copy it again")


def _header(path: Path) -> ImageHeader:
    try:
        with damaged(path):
            return read_image_header(path)
    except TooManyPixelsError as error:
        raise TooLargeError(str(error)) from error


@contextmanager
def damaged(path: Path) -> Iterator[None]:
    """Take whatever readers of pictures do not foresee for the fault of the file, and of it alone."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        raise UploadError(
            f"{path}: the picture is damaged: something in it makes no sense ({type(error).__name__}); "
            "export it again"
        ) from error


def _reaches_end(path: Path, has_end: Callable[[mmap.mmap], bool]) -> bool:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return has_end(data)


def _png_has_end(data: mmap.mmap) -> bool:
    at = PNG_START_BYTES
    while at + CHUNK_HEADER_BYTES <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        after = at + CHUNK_HEADER_BYTES + length + CHUNK_SUM_BYTES
        if data[at + 4 : at + 8] == b"IEND":
            return after <= len(data)
        at = after
    return False


def _jpeg_has_end(data: mmap.mmap) -> bool:
    """Look for the end behind the start of the pixels: previews before it have ends of their own.

    What some cameras append behind the end is left alone.
    """
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        kind = data[at + 1]
        if kind == START_OF_SCAN:
            return data.find(END_OF_IMAGE, at) >= 0
        if kind == 0xFF:
            at += 1
        elif kind in BARE_SEGMENTS:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


ENDS: dict[str, Callable[[mmap.mmap], bool]] = {"PNG": _png_has_end, "JPEG": _jpeg_has_end}
