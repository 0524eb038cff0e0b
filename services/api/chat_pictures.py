"""Pictures that come in messages: data URLs, checked before anything decodes them in full."""

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from urllib.parse import unquote

from PIL import Image, UnidentifiedImageError

from spatial_agent.services.api.chat_errors import ChatRequestError
from spatial_agent.services.api.config import Limits
from spatial_agent.tools.media.pixels import SIXTEEN_BIT

#: What is taken, by content, and the suffix it is kept with.
SUFFIX_OF = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp"}
HEADER = re.compile(
    r"data:(?P<kind>image/(?:png|jpe?g|webp)|video/jpeg)(?:;[\w=.+-]{1,40}){0,4};base64\s*", re.IGNORECASE
)
#: Frames of a video in one data URL: JPEGs, with commas between.
FRAMES = "video/jpeg"
WHITE = str.maketrans("", "", " \t\r\n")


@dataclass(frozen=True)
class SentPicture:
    """A picture as it came.

    Attributes:
        content: The file, PNG, JPEG or WebP.
        suffix: What files of its format are called.
        width: Pixels.
        height: Pixels.
    """

    content: bytes
    suffix: str
    width: int
    height: int


@dataclass(frozen=True)
class PictureUrl:
    """Where a picture of a message is.

    Attributes:
        url: The URL as it came.
        place: Where it stands in the request, for messages about it.
    """

    url: str
    place: str


def read_pictures(urls: Sequence[PictureUrl], limits: Limits) -> tuple[SentPicture, ...]:
    """Return the pictures of data URLs, in order; nothing is decoded beyond their headers.

    Raises:
        ChatRequestError: If there are too many, one is elsewhere, damaged, too large, or of another kind.
    """
    found: list[SentPicture] = []
    for url in urls:
        for payload in _payloads(url):
            if len(found) == limits.chat_pictures:
                raise ChatRequestError(
                    f"expected at most {limits.chat_pictures} pictures, got more; send fewer frames, or "
                    "upload the recording as a scene and name it in 'spatial'",
                    param=url.place,
                    code="too_many_images",
                )
            found.append(_read_one(payload, url.place, limits))
    return tuple(found)


def check_decodes(pictures: Sequence[SentPicture], place: str = "messages") -> None:
    """Decode pictures once, so that what is cut off or damaged is refused at the door.

    Raises:
        ChatRequestError: If one cannot be decoded.
    """
    for number, picture in enumerate(pictures, start=1):
        _guarded(picture.content, lambda image: image.load(), f"picture {number}", place)


def digest_of(pictures: Sequence[SentPicture]) -> str:
    """Return what tells these pictures in this order from all others: 64 hexadecimal digits."""
    whole = hashlib.sha256()
    for picture in pictures:
        whole.update(len(picture.content).to_bytes(8, "big"))
        whole.update(picture.content)
    return whole.hexdigest()


def _payloads(url: PictureUrl) -> list[str]:
    head, comma, payload = url.url.partition(",")
    found = HEADER.fullmatch(head.strip()) if len(head) <= 200 else None
    if not comma or found is None:
        raise ChatRequestError(_elsewhere(url.url), param=url.place, code="invalid_image_url")
    return payload.split(",") if found["kind"].lower() == FRAMES else [payload]


def _elsewhere(url: str) -> str:
    wanted = "expected a picture as a data URL such as 'data:image/png;base64,...' (PNG, JPEG or WebP)"
    kind = url.strip()[:60].partition(":")[0].lower()
    if kind in ("http", "https", "ftp", "file", "s3", "gs"):
        return f"{wanted}, got a {kind} URL; nothing is fetched here: put the picture itself into the request"
    if kind == "data":
        return f"{wanted}, got {ascii(url.strip()[:40].partition(',')[0])}"
    return f"{wanted}, got something else"


def _read_one(payload: str, place: str, limits: Limits) -> SentPicture:
    content = _decoded(payload, place)
    found: list[SentPicture] = []
    _guarded(
        content, lambda image: found.append(_checked(image, content, place, limits)), "the picture", place
    )
    return found[0]


def _decoded(payload: str, place: str) -> bytes:
    text = (unquote(payload) if "%" in payload else payload).translate(WHITE)
    try:
        content = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ChatRequestError(
            "expected the picture in base64 behind 'base64,', got something else; encode the file's bytes",
            param=place,
            code="invalid_base64",
        ) from None
    if not content:
        raise ChatRequestError("expected a picture, got no bytes", param=place, code="image_parse_error")
    return content


def _checked(image: Image.Image, content: bytes, place: str, limits: Limits) -> SentPicture:
    pixels = image.width * image.height
    if not 0 < pixels <= limits.pixels:
        raise ChatRequestError(
            f"expected a picture of at most {limits.pixels / 1e6:g} million pixels, "
            f"got {image.width}x{image.height}; resample it",
            param=place,
            code="image_too_large",
        )
    if getattr(image, "n_frames", 1) != 1:
        raise ChatRequestError(
            "expected a single picture, got an animation; send its frames as pictures, in order",
            param=place,
            code="image_parse_error",
        )
    if image.mode in (*SIXTEEN_BIT, "I", "F"):
        raise ChatRequestError(
            f"expected a colour picture, got {image.mode} numbers (a depth image?); upload scans as a scene",
            param=place,
            code="image_parse_error",
        )
    return SentPicture(content, SUFFIX_OF[str(image.format)], image.width, image.height)


def _guarded(content: bytes, look: Callable[[Image.Image], object], what: str, place: str) -> None:
    """Open a picture and look at it, with every way in which that fails as an error of the request."""
    try:
        with Image.open(BytesIO(content), formats=tuple(SUFFIX_OF)) as image:
            look(image)
    except ChatRequestError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        problem, code = "has too many pixels; resample it", "image_too_large"
    except (UnidentifiedImageError, ImportError):
        problem, code = "is no PNG, JPEG or WebP", "image_parse_error"
    except (OSError, SyntaxError, ValueError, struct.error, EOFError):
        problem, code = "is damaged or cut off; encode the whole file", "image_parse_error"
    else:
        return
    raise ChatRequestError(f"{what} {problem}", param=place, code=code)
