"""What a file is by its first bytes, whatever it is called."""

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Literal

from spatial_agent.tools.media.pixels import SUFFIXES as PICTURE_SUFFIXES
from spatial_agent.tools.media.video import SUFFIXES as VIDEO_SUFFIXES

#: So many first bytes tell.
HEAD_BYTES = 512
#: What readers of scans open besides pictures: poses, intrinsics, lists, descriptions.
TEXT_SUFFIXES = frozenset({".txt", ".log", ".json"})
Content = Literal["picture", "video", "archive", "text", "foreign"]

#: Brands of ISO media files that hold still pictures, which no reader here opens.
STILLS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1", b"avif", b"avis"})
ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip"})
WHITE = b" \t\r\n#"
#: What may stand before JSON: white space and the mark of UTF-8.
BLANK = b" \t\r\n\xef\xbb\xbf"

Test = Callable[[bytes], bool]
#: Format, content and suffix, by what the first bytes say. Playlists and lists of files are none of them on
#: purpose: decoders of video would follow them to other files.
FORMATS: tuple[tuple[str, Content, str, Test], ...] = (
    ("PNG", "picture", ".png", lambda head: head.startswith(b"\x89PNG\r\n\x1a\n")),
    ("JPEG", "picture", ".jpg", lambda head: head.startswith(b"\xff\xd8\xff")),
    ("WebP", "picture", ".webp", lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP"),
    ("TIFF", "picture", ".tif", lambda head: head.startswith((b"II*\0", b"MM\0*"))),
    ("PPM", "picture", ".ppm", lambda head: head[:2] in (b"P3", b"P6") and head[2:3] in WHITE),
    ("PGM", "picture", ".pgm", lambda head: head[:2] in (b"P2", b"P5") and head[2:3] in WHITE),
    ("BMP", "picture", ".bmp", lambda head: head.startswith(b"BM") and head[6:10] == bytes(4)),
    ("HEIF", "foreign", ".heic", lambda head: head[4:8] == b"ftyp" and head[8:12] in STILLS),
    ("MP4", "video", ".mp4", lambda head: head[4:8] in ATOMS),
    ("Matroska", "video", ".mkv", lambda head: head.startswith(b"\x1aE\xdf\xa3")),
    ("AVI", "video", ".avi", lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI "),
    ("MPEG", "video", ".mpg", lambda head: head.startswith((b"\0\0\1\xba", b"\0\0\1\xb3"))),
    ("MPEG-TS", "video", ".mpg", lambda head: head[:1] == b"G" and head[188:189] == b"G"),
    ("ZIP", "archive", ".zip", lambda head: head.startswith((b"PK\3\4", b"PK\5\6"))),
    ("gzip", "archive", ".tar.gz", lambda head: head.startswith(b"\x1f\x8b\x08")),
    ("tar", "archive", ".tar", lambda head: head[257:262] == b"ustar"),
    ("JSON", "text", ".json", lambda head: head.lstrip(BLANK)[:1] == b"{" and _is_text(head)),
)


def format_of(head: bytes) -> str:
    """Return the format of a file by its first `HEAD_BYTES` bytes.

    One of `FORMATS`, or ``"text"``, ``"empty"`` or ``"unknown"``.
    """
    if not head:
        return "empty"
    known = next((name for name, _, _, fits in FORMATS if fits(head)), None)
    if known is not None:
        return known
    return "text" if _is_text(head) else "unknown"


def content_of(form: str) -> Content:
    """Return what a file of a format holds."""
    if form == "text":
        return "text"
    return next((content for name, content, _, _ in FORMATS if name == form), "foreign")


def promised_by(name: PurePosixPath) -> Content:
    """Return what readers will take a file for by its name; "foreign" for what none of them opens."""
    suffix = name.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        return "picture"
    if suffix in VIDEO_SUFFIXES:
        return "video"
    return "text" if suffix in TEXT_SUFFIXES else "foreign"


def usual_suffix(form: str) -> str:
    """Return the suffix of files of a format, for those that came without a fitting one."""
    return next(suffix for name, _, suffix, _ in FORMATS if name == form)


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    try:
        head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # The last letter may go on beyond the head.
        return len(head) - error.start < 4 and len(head) == HEAD_BYTES
    return True
