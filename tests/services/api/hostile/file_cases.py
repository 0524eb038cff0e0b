"""Files and archives that are none, claim to be large, or are called what nothing may be called."""

import json
import tarfile
from collections.abc import Callable, Iterator
from functools import cache

from tests.services.api.hostile.bombs import (
    MIB,
    deflated_zeros,
    gif,
    gzip_bomb,
    huge_but_small_files,
    lying_zip,
    many_files,
    nested,
    png_bomb,
    png_text_bomb,
    svg,
    tar_with,
    zip_bomb,
    zip_with,
)
from tests.services.api.hostile.requests import Case
from tests.services.scene_files.making import picture, quoting_bomb, scan, tarred, video, zipped

SCENES = "/v1/scenes"
BOUNDARY = "a3f1c0"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
UPLOAD, LARGE, BAD, SOURCE = "upload", "too-large", "bad-request", "source"
Content = bytes | Callable[[], bytes]


def form(*parts: tuple[bytes, bytes], end: bytes = f"--{BOUNDARY}--\r\n".encode()) -> bytes:
    """Return a form of parts, each a file's name as it stands on the wire and its content."""
    written = b""
    for name, content in parts:
        head = b'Content-Disposition: form-data; name="files"; filename="%s"' % name
        written += b"--%s\r\n%s\r\n\r\n%s\r\n" % (BOUNDARY.encode(), head, content)
    return written + end


def _sent(name: str, status: int, kind: str, file: str, content: Content) -> Case:
    @cache
    def body() -> bytes:
        return form((file.encode(), content() if callable(content) else content))

    return Case(f"file: {name}", status, kind, "POST", SCENES, FORM, body)


def _all_sent(name: str, status: int, kind: str, files: dict[str, bytes]) -> Case:
    def body() -> bytes:
        return form(*((key.encode(), content) for key, content in files.items()))

    return Case(f"files: {name}", status, kind, "POST", SCENES, FORM, body)


#: Names as they stand in a header, in UTF-8 where not said otherwise; two bytes in quotes are escapes.
NAMES: dict[str, bytes] = {
    "that leads upwards": b"../a.png",
    "that leads upwards within": b"scan/../../a.png",
    "that is absolute": b"/etc/cron.d/a.png",
    "of another system that leads upwards": b"..\\\\..\\\\a.png",
    "with a drive": b"c:a.png",
    "with a drive and a folder": b"C:/Windows/a.png",
    "with NUL": b"a.png\0.txt",
    "with a line feed in it": b"a\x0bb.png",
    "with an escape": b"\x1b[2J.png",
    "that turns round": "a\u202egnp.exe.png".encode(),
    "with an invisible letter": "a\u200b.png".encode(),
    "that is no UTF-8": b"\xff\xfe.png",
    "with a surrogate": b"\xed\xa0\x80.png",
    "of 256 bytes": b"a" * 252 + b".png",
    "of 300 letters of three bytes": "界".encode() * 300,
    "17 folders deep": b"a/" * 17 + b"a.png",
    "that is empty": b"",
    "of dots": b"./.",
    "of slashes": b"///",
}
NAME_CASES = tuple(
    Case(f"name: {name}", 422, UPLOAD, "POST", SCENES, FORM, form((given, picture(size=(8, 8)))))
    for name, given in NAMES.items()
)
BOMB_CASES = (
    _sent("a zip bomb of 2 GiB", 413, LARGE, "a.zip", zip_bomb),
    _sent("a zip bomb that says it has 10 bytes", 422, UPLOAD, "a.zip", lying_zip),
    _sent("a zip bomb in a zip", 422, UPLOAD, "a.zip", lambda: nested(zip_bomb(count_mib=100))),
    _sent("a zip bomb whose files quote one another", 413, LARGE, "a.zip", lambda: quoting_bomb(30, 4 * MIB)),
    _sent(
        "a zip bomb of four files below the limit",
        413,
        LARGE,
        "a.zip",
        lambda: zipped({f"{n}.png": bytes(7 * MIB) for n in range(4)}),
    ),
    _sent("a zip of 5000 files", 413, LARGE, "a.zip", lambda: many_files(5000)),
    _sent("a gzip bomb of 4 GiB", 413, LARGE, "a.tar.gz", gzip_bomb),
    _sent("a gzip bomb called a picture", 413, LARGE, "a.png", lambda: gzip_bomb(64)),
    _sent(
        "a gzip of a gzip bomb", 422, UPLOAD, "a.tar.gz", lambda: tarred({"b.gz": gzip_bomb(64)}, packed=True)
    ),
    _sent("a PNG of 7 GB", 413, LARGE, "a.png", png_bomb),
    _sent("a PNG whose comment is 512 MiB", 422, SOURCE, "a.png", png_text_bomb),
    *(
        _sent(f"{name[2:]} of billions of pixels", 413, LARGE, name, content)
        for name, content in huge_but_small_files()
    ),
    _sent("a PNG bomb in a zip", 413, LARGE, "a.zip", lambda: zipped({"a.png": png_bomb()})),
    _sent("a video of 31 pictures", 413, LARGE, "a.mp4", lambda: video(31)),
    _sent("a video of 4.1 million pixels", 413, LARGE, "a.mp4", lambda: video(1, (2560, 1600))),
    _sent("a file of 9 MiB", 413, LARGE, "a.bmp", lambda: b"BM" + bytes(9 * MIB)),
    _all_sent("41 of them", 413, LARGE, {f"{number}.png": b"" for number in range(41)}),
    _sent("JSON nested 100000 deep", 422, UPLOAD, "a.json", b'{"a":' * 100_000),
    _sent("JSON of a number of a million digits", 422, UPLOAD, "a.json", b'{"format": ' + b"9" * MIB + b"}"),
)


def _cut(name: str, file: str, content: bytes, kind: str = UPLOAD) -> Case:
    return _sent(f"cut off: {name}", 422, kind, file, content)


TRUNCATED_CASES = (
    _cut("a PNG in its header", "a.png", picture()[:20], SOURCE),
    _cut("a PNG in its pixels", "a.png", picture()[:-100]),
    _cut("a JPEG in its header", "a.jpg", picture("JPEG")[:30], SOURCE),
    _cut("a JPEG in its pixels", "a.jpg", picture("JPEG")[:-100]),
    _cut("a WebP", "a.webp", picture("WEBP")[:40], SOURCE),
    _cut("a TIFF in its header", "a.tif", picture("TIFF")[:6], SOURCE),
    _cut("a BMP in its header", "a.bmp", picture("BMP")[:20], SOURCE),
    _cut("a PPM in its header", "a.ppm", picture("PPM")[:5], SOURCE),
    _cut("an MP4 in its beginning", "a.mp4", video()[:300]),
    _cut("an MP4 before its end", "a.mp4", video()[:-300]),
    _cut("a Matroska file", "a.mkv", video(form="matroska")[:200]),
    _cut("an AVI", "a.avi", video(form="avi")[:200]),
    _cut("a zip", "a.zip", zipped({"a.png": picture()})[:-30]),
    _cut("a zip in its file", "a.zip", zipped({"a.png": picture()})[:200]),
    _cut("a tar", "a.tar", tarred({"a.png": picture()})[:2000]),
    _cut("a tar.gz", "a.tar.gz", tarred({"a.png": picture()}, packed=True)[:-30]),
    _cut("a scene file", "a.json", b'{"format": "spatial-agent/scene@1", "objects": ['),
    _cut("nothing at all", "a.png", b""),
)
WRONG_CASES = (
    _sent("a GIF", 422, UPLOAD, "a.gif", gif()),
    _sent("a GIF called a PNG", 422, UPLOAD, "a.png", gif()),
    _sent("a drawing (SVG)", 422, UPLOAD, "a.svg", svg()),
    _sent("a program", 422, UPLOAD, "a.exe", b"MZ\x90\0" + bytes(100)),
    _sent("a pickle", 422, UPLOAD, "a.pt", b"\x80\x04\x95cos\nsystem\n"),
    _sent("a playlist called a video", 422, UPLOAD, "a.mp4", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"),
    _sent(
        "a list of files called a video", 422, UPLOAD, "a.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n"
    ),
    _sent("a session description called a video", 422, UPLOAD, "a.mp4", b"v=0\no=- 0 0 IN IP4 127.0.0.1\n"),
    _sent("an archive of another kind", 422, UPLOAD, "a.7z", b"7z\xbc\xaf\x27\x1c" + bytes(100)),
    _sent("a scene of another format", 422, UPLOAD, "a.json", b'{"format": "x@1", "objects": []}'),
    _sent(
        "a scene with NaN", 422, UPLOAD, "a.json", b'{"format": "spatial-agent/scene@1", "up": [NaN, 0, 1]}'
    ),
    _all_sent(
        "an archive among pictures", 422, UPLOAD, {"a.png": picture(), "b.zip": zipped({"a.png": b""})}
    ),
    _all_sent("two of one name", 422, UPLOAD, {"a.png": picture(), "A.PNG": picture()}),
    _all_sent("a file that is a folder", 422, UPLOAD, {"a": picture(), "a/b.png": picture()}),
    *(
        _all_sent(f"a scan that names {name!r}", 422, UPLOAD, scan(color=name))
        for name in ("../../../../etc/passwd", "file:///etc/passwd", "http://169.254.169.254/a.png")
    ),
)


def _packed(name: str, content: bytes, kind: str = UPLOAD, status: int = 422) -> Case:
    return _sent(f"archive: {name}", status, kind, "a.zip", content)


MEMBER_CASES = (
    *(
        _packed(f"a zip with {name!r}", zip_with(name))
        for name in (
            "../a.png",
            "/etc/a.png",
            "..\\..\\a.png",
            "C:/a.png",
            "a.png\0.exe",
            "a/../../b.png",
            "\\\\host\\share\\a.png",
            "a\u202e.png",
        )
    ),
    _packed("a zip with a link", zip_with("a.png", b"/etc/passwd", 0o120777)),
    _packed("a zip with a pipe", zip_with("a.png", b"", 0o010644)),
    _packed("a tar with a link", tar_with("a.png", tarfile.SYMTYPE, "/etc/passwd")),
    _packed("a tar with a hard link", tar_with("a.png", tarfile.LNKTYPE, "../../service.sqlite")),
    _packed("a tar with a device", tar_with("a.png", tarfile.CHRTYPE)),
    _packed("a tar with a pipe", tar_with("a.png", tarfile.FIFOTYPE)),
    _packed("a tar that leads upwards", tar_with("../../a.png")),
    _packed("a tar that is absolute", tar_with("/etc/a.png")),
    _packed("a tar with a sparse file", tar_with("a.png", tarfile.GNUTYPE_SPARSE)),
    _packed("a zip of nothing", zipped({})),
    _packed("gzip that holds no tar", deflated_zeros(1, 31)),
)


def _form(name: str, status: int, kind: str, body: bytes, content_type: str = FORM["Content-Type"]) -> Case:
    return Case(f"form: {name}", status, kind, "POST", SCENES, {"Content-Type": content_type}, body)


def _field(name: str, value: str) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
    return head.encode()


PICTURE = form((b"a.png", picture(size=(8, 8))), end=b"")
END = f"--{BOUNDARY}--\r\n".encode()
FORM_CASES = (
    _form("no boundary", 400, BAD, END, "multipart/form-data"),
    _form("an empty boundary", 400, BAD, END, 'multipart/form-data; boundary=""'),
    _form("a boundary of 300 letters", 400, BAD, END, "multipart/form-data; boundary=" + "x" * 300),
    _form("another boundary", 400, BAD, END, "multipart/form-data; boundary=other"),
    _form("no end", 400, BAD, PICTURE),
    _form("nothing", 400, BAD, b""),
    _form("no files", 422, UPLOAD, _field("name", "kitchen") + END),
    _form("a field that nobody knows", 422, "invalid-request", PICTURE + _field("path", "/etc/passwd") + END),
    _form(
        "a field with a URL", 422, "invalid-request", PICTURE + _field("url", "http://169.254.169.254/") + END
    ),
    _form("an unknown profile", 422, "invalid-request", PICTURE + _field("profile", "../open") + END),
    _form("a name of 3000 letters", 413, LARGE, PICTURE + _field("name", "n" * 3000) + END),
    _form("20 fields", 413, LARGE, b"".join(_field(f"f{number}", "x") for number in range(20)) + END),
    _form("a header of 5000 bytes", 400, BAD, f"--{BOUNDARY}\r\nX: {'x' * 5000}\r\n\r\n\r\n".encode() + END),
    _form(
        "20 headers",
        400,
        BAD,
        f"--{BOUNDARY}\r\n{'X: y' + chr(13) + chr(10)}".encode() * 20 + b"\r\n\r\n" + END,
    ),
    _form(
        "a form in a form",
        422,
        UPLOAD,
        form((b"a.png", form((b"b.png", b"x")).replace(BOUNDARY.encode(), b"zz"))),
    ),
    _form("the reference of a scene", 400, BAD, json.dumps({"sample": "living_room"}).encode()),
)


def cases() -> Iterator[Case]:
    """Yield the cases of this file."""
    yield from (*NAME_CASES, *BOMB_CASES, *TRUNCATED_CASES, *WRONG_CASES, *MEMBER_CASES, *FORM_CASES)
