"""Pictures as data URLs: what is taken, and what is refused before it is decoded."""

import base64
import io
import struct
import zlib

import pytest
from PIL import Image

from spatial_agent.services.api.chat_errors import ChatRequestError
from spatial_agent.services.api.chat_pictures import (
    PictureUrl,
    SentPicture,
    check_decodes,
    digest_of,
    read_pictures,
)
from spatial_agent.services.api.config import Limits

LIMITS = Limits(pixels=10_000, chat_pictures=3)
PLACE = "messages.0.content.1.image_url"


def encoded(form: str, size: tuple[int, int] = (40, 30), mode: str = "RGB", colour: int = 0) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, form)
    return buffer.getvalue()


def url_of(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def read(*urls: str, limits: Limits = LIMITS) -> tuple[SentPicture, ...]:
    return read_pictures([PictureUrl(url, PLACE) for url in urls], limits)


def bomb_png(width: int, height: int) -> bytes:
    """A PNG of few bytes whose header promises many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def animation() -> bytes:
    buffer = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(buffer, "WEBP", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


@pytest.mark.parametrize(("form", "suffix"), [("PNG", ".png"), ("JPEG", ".jpg"), ("WEBP", ".webp")])
@pytest.mark.parametrize("said", ["image/png", "image/jpeg", "image/jpg", "image/webp", "IMAGE/PNG"])
def test_the_content_says_what_a_picture_is(form: str, suffix: str, said: str) -> None:
    content = encoded(form)
    assert read(url_of(content, said)) == (SentPicture(content, suffix, 40, 30),)


def test_base64_as_some_clients_write_it() -> None:
    content = encoded("PNG")
    text = base64.b64encode(content).decode()
    lines = "\r\n".join(text[at : at + 60] for at in range(0, len(text), 60))
    percent = text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D")
    for payload in (lines, percent, text.rstrip("=")):
        assert read(f"data:image/png;base64,{payload}")[0].content == content
    assert read(f"data:image/png;charset=utf-8;base64,{text}")[0].content == content


def test_frames_of_a_video_in_one_url() -> None:
    frames = [encoded("JPEG", colour=colour) for colour in (1, 200)]
    together = ",".join(base64.b64encode(frame).decode() for frame in frames)
    assert [item.content for item in read(f"data:video/jpeg;base64,{together}")] == frames


def test_the_same_pictures_in_the_same_order_have_one_digest() -> None:
    one, other = (read(url_of(encoded("PNG", colour=colour)))[0] for colour in (1, 2))
    assert digest_of([one, other]) == digest_of(read(*(url_of(item.content) for item in (one, other))))
    assert (
        len({digest_of([one, other]), digest_of([other, one]), digest_of([one]), digest_of([one, one])}) == 4
    )


@pytest.mark.parametrize(
    ("url", "code", "part"),
    [
        ("https://example.org/sofa.png", "invalid_image_url", "got a https URL; nothing is fetched here"),
        ("http://169.254.169.254/latest/meta-data", "invalid_image_url", "nothing is fetched here"),
        ("file:///etc/passwd", "invalid_image_url", "got a file URL"),
        ("/etc/passwd", "invalid_image_url", "data URL"),
        ("", "invalid_image_url", "data URL"),
        ("data:image/png;base64", "invalid_image_url", "data URL"),
        ("data:image/png,abc", "invalid_image_url", "data URL"),
        ("data:image/svg+xml;base64,PHN2Zy8+", "invalid_image_url", "'data:image/svg+xml;base64'"),
        ("data:text/html;base64,PGI+", "invalid_image_url", "PNG, JPEG or WebP"),
        ("data:video/mp4;base64,AAAA", "invalid_image_url", "PNG, JPEG or WebP"),
        ("data:image/png;base64,", "image_parse_error", "no bytes"),
        ("data:image/png;base64,!!!!", "invalid_base64", "base64"),
        ("data:image/png;base64,äöü", "invalid_base64", "base64"),
        (url_of(b"no picture at all"), "image_parse_error", "no PNG, JPEG or WebP"),
        (url_of(encoded("GIF")), "image_parse_error", "no PNG, JPEG or WebP"),
        (url_of(encoded("BMP")), "image_parse_error", "no PNG, JPEG or WebP"),
        (url_of(encoded("PNG", (101, 100))), "image_too_large", "0.01 million pixels, got 101x100"),
        (url_of(bomb_png(5000, 5000)), "image_too_large", "got 5000x5000"),
        (url_of(bomb_png(60000, 60000)), "image_too_large", "resample it"),
        (url_of(animation()), "image_parse_error", "animation"),
        (url_of(encoded("PNG", mode="I;16")), "image_parse_error", "depth image"),
        (url_of(encoded("PNG")[:20]), "image_parse_error", "damaged or cut off"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_no_picture_is_refused(url: str, code: str, part: str) -> None:
    with pytest.raises(ChatRequestError) as caught:
        read(url)
    assert (caught.value.param, caught.value.code) == (PLACE, code)
    assert part in str(caught.value)
    assert len(str(caught.value)) < 300


def test_no_more_pictures_than_allowed() -> None:
    one = url_of(encoded("PNG"))
    assert len(read(one, one, one)) == 3
    with pytest.raises(ChatRequestError, match="at most 3 pictures"):
        read(one, one, one, one)
    frames = base64.b64encode(encoded("JPEG")).decode()
    with pytest.raises(ChatRequestError, match="at most 3 pictures"):
        read(f"data:video/jpeg;base64,{','.join([frames] * 4)}")


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_pictures_that_are_cut_off_are_refused_when_they_are_decoded(form: str) -> None:
    noise = Image.effect_noise((100, 100), 80).convert("RGB")
    buffer = io.BytesIO()
    noise.save(buffer, form)
    whole = buffer.getvalue()
    check_decodes(read(url_of(whole)))
    # WebP does not open at all when something is missing.
    with pytest.raises(ChatRequestError, match="cut off|no PNG"):
        check_decodes(read(url_of(whole[: len(whole) // 2])))


def test_a_promise_of_pixels_without_any_is_refused_when_it_is_decoded() -> None:
    with pytest.raises(ChatRequestError, match="damaged"):
        check_decodes(read(url_of(bomb_png(90, 90))))
