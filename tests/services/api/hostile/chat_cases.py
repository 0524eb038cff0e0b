"""Chat completions that ask for what cannot be; answered in OpenAI's format."""

import base64
import io
import json
from collections.abc import Callable
from functools import cache

from PIL import Image

from tests.services.api.hostile.bombs import gif, jpeg_claiming, png_bomb, svg, webp_claiming
from tests.services.api.hostile.requests import JSON, OPENAI, Case
from tests.services.scene_files.making import depth_png, picture

CHAT = "/v1/chat/completions"
MODEL = "spatial-agent/recorded"
INVALID = f"{OPENAI}invalid_request_error"


def _chat(name: str, kind: str = INVALID, status: int = 400, **fields: object) -> Case:
    told = {"model": MODEL, "messages": [{"role": "user", "content": "How far is the sofa?"}]} | fields
    body = json.dumps({key: value for key, value in told.items() if value is not ...})
    return Case(
        f"chat: {name}", status, OPENAI + kind.removeprefix(OPENAI), "POST", CHAT, JSON, body.encode()
    )


def _said(name: str, kind: str, *parts: object) -> Case:
    return _chat(name, kind, messages=[{"role": "user", "content": list(parts)}])


def _shown(name: str, kind: str, *urls: object) -> Case:
    parts = [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return _said(name, kind, *parts, {"type": "text", "text": "How far is the sofa?"})


def data_url(content: bytes, kind: str = "image/png") -> str:
    """Return a file as a data URL."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _bomb(name: str, kind: str, make: Callable[[], bytes]) -> Case:
    @cache
    def body() -> bytes:
        part = {"type": "image_url", "image_url": {"url": data_url(make())}}
        asked = {"role": "user", "content": [part, {"type": "text", "text": "how far?"}]}
        return json.dumps({"model": MODEL, "messages": [asked]}).encode()

    return Case(f"chat: {name}", 400, OPENAI + kind, "POST", CHAT, JSON, body)


def _animation() -> bytes:
    written = io.BytesIO()
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 99, 200)]
    frames[0].save(written, format="WEBP", save_all=True, append_images=frames[1:])
    return written.getvalue()


ELSEWHERE = (
    "http://169.254.169.254/latest/meta-data/iam",
    "https://example.org/room.png",
    "file:///etc/passwd",
    "ftp://127.0.0.1/a.png",
    "gopher://127.0.0.1:25/_HELO",
    "\\\\host\\share\\room.png",
    "//host/share/room.png",
    "/etc/passwd",
    "../../service.sqlite",
    "blob:http://localhost/1",
    "javascript:alert(1)",
    "",
    "data:",
    "data:,",
    "data:text/html;base64,PHNjcmlwdD4=",
    "data:image/png,notbase64",
    "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
    "data:application/pdf;base64,JVBERi0=",
    "data:image/png;charset=" + "x" * 1000 + ";base64,AAAA",
)
CASES = (
    _chat("no model", model=...),
    _chat("an unknown model", "model_not_found", 404, model="gpt-4o"),
    _chat("a model that is a path", "model_not_found", 404, model="spatial-agent/../../etc/passwd"),
    _chat("a model that is a list", model=[MODEL]),
    _chat("a model of 201 characters", model="m" * 201),
    _chat("no messages", messages=...),
    _chat("messages that are empty", messages=[]),
    _chat("messages that are text", messages="how far?"),
    _chat("a message that is text", messages=["how far?"]),
    _chat("1001 messages", messages=[{"role": "user", "content": "a"}] * 1001),
    _chat("an unknown role", messages=[{"role": "root", "content": "a"}]),
    _chat("nobody asks", messages=[{"role": "system", "content": "You obey."}]),
    _chat("content that is a number", messages=[{"role": "user", "content": 5}]),
    _chat("4097 parts", messages=[{"role": "user", "content": [{"type": "text"}] * 4097}]),
    _chat(
        "a question of 8001 characters",
        "string_above_max_length",
        messages=[{"role": "user", "content": "a" * 8001}],
    ),
    _chat(
        "a question of 200000 characters",
        "string_above_max_length",
        messages=[{"role": "user", "content": "how " * 50_000}],
    ),
    _chat("n of 17", n=17),
    _chat("n of 0", n=0),
    _chat("n beyond integers", n=10**200),
    _chat("stream that is text", stream="please"),
    _chat("a tool that must be called", tool_choice="required"),
    _chat("a schema for the answer", response_format={"type": "json_schema"}),
    _chat("a scene that is not there", "scene_not_found", 404, spatial={"scene": "sc_" + "0" * 32}),
    _chat("a scene that is a path", spatial={"scene": "../../etc"}),
    _chat("a scene that is a web address", spatial={"scene": "http://169.254.169.254/"}),
    _chat("an unknown profile", "model_not_found", 404, spatial={"scene": "@scene@", "profile": "root"}),
    _chat("an unknown field for the service", spatial={"scene": "@scene@", "path": "/etc/passwd"}),
    _chat("27 options", spatial={"scene": "@scene@", "options": ["a"] * 27}),
    _chat("a region in no way", spatial={"scene": "@scene@", "regions": [{"frame": -1}]}),
    _chat(
        "a priority of a key that may not",
        "insufficient_permissions",
        403,
        spatial={"scene": "@scene@", "priority": 100},
    ),
    _said(
        "a part that is a file", "unsupported_content", {"type": "file", "file": {"file_id": "/etc/passwd"}}
    ),
    _said(
        "a part that is sound",
        "unsupported_content",
        {"type": "input_audio", "input_audio": {"data": "AAAA"}},
    ),
    _said("a part without a type", INVALID, {"text": "how far?"}),
    _said("a picture that is missing", INVALID, {"type": "image_url"}, {"type": "text", "text": "how far?"}),
    _said("a picture that is a number", INVALID, {"type": "image_url", "image_url": 7}),
    _said(
        "a video from elsewhere",
        "invalid_image_url",
        {"type": "video_url", "video_url": {"url": "http://169.254.169.254/a.mp4"}},
        {"type": "text", "text": "how far?"},
    ),
    _said(
        "frames that are files",
        "invalid_image_url",
        {"type": "video", "video": ["file:///etc/passwd"]},
        {"type": "text", "text": "how far?"},
    ),
    *(_shown(f"a picture at {url[:40]!r}", "invalid_image_url", url) for url in ELSEWHERE),
    _shown("base64 that is none", "invalid_base64", "data:image/png;base64,!!!!"),
    _shown("base64 of nothing", "image_parse_error", "data:image/png;base64,"),
    _shown("five pictures", "too_many_images", *[data_url(picture(size=(8, 8)))] * 5),
    _shown("a drawing (SVG)", "invalid_image_url", data_url(svg(), "image/svg+xml")),
    _shown("a drawing that says it is a PNG", "image_parse_error", data_url(svg())),
    _shown("a GIF that says it is a PNG", "image_parse_error", data_url(gif())),
    _shown("text that says it is a PNG", "image_parse_error", data_url(b"root:x:0:0:root")),
    _shown("a depth image", "image_parse_error", data_url(depth_png())),
    _shown("an animation", "image_parse_error", data_url(_animation(), "image/webp")),
    _shown("a PNG cut off in its header", "image_parse_error", data_url(picture()[:20])),
    _shown("a PNG cut off in its pixels", "image_parse_error", data_url(picture()[:-2000])),
    _shown("a JPEG cut off", "image_parse_error", data_url(picture("JPEG")[:400], "image/jpeg")),
    _shown("a WebP cut off", "image_parse_error", data_url(picture("WEBP")[:100], "image/webp")),
    _bomb("a PNG of 7 GB", "image_too_large", png_bomb),
    _bomb("a JPEG of 12 GB", "image_too_large", lambda: jpeg_claiming(65_500, 65_500)),
    _bomb("a WebP of 800 MB", "image_too_large", lambda: webp_claiming(16_383, 16_383)),
    Case("chat: a model that is not there", 404, f"{OPENAI}model_not_found", path="/v1/models/gpt-4o"),
    Case(
        "chat: a model's id that leads upwards",
        404,
        f"{OPENAI}model_not_found",
        path="/v1/models/..%2f..%2fetc%2fpasswd",
    ),
    Case(
        "chat: no key",
        401,
        f"{OPENAI}invalid_api_key",
        "POST",
        CHAT,
        {"Authorization": "Basic x"} | JSON,
        b"{}",
    ),
    Case(
        "chat: a key that is none",
        401,
        f"{OPENAI}invalid_api_key",
        path="/v1/models",
        headers={"Authorization": "Bearer sk-0"},
    ),
)
