"""JSON that is none, or none that could be meant: on every route that reads JSON."""

import json
from collections.abc import Iterator

from tests.services.api.hostile.requests import JSON, OPENAI, Case
from tests.services.api.hostile.server import REQUEST_BYTES

BAD, INVALID, NOT_FOUND = "bad-request", "invalid-request", "not-found"
QUESTIONS, SESSIONS, SCENES = "/v1/questions", "/v1/sessions", "/v1/scenes"
CHAT, SIZE = "/v1/chat/completions", "/v1/tools/size"
ROUTES = (QUESTIONS, SESSIONS, SCENES, CHAT, SIZE)

#: What no JSON of these routes begins with, or what cannot be stored or sent back.
NO_JSON: dict[str, bytes] = {
    "an open brace": b"{",
    "words": b"how far is the sofa?",
    "a form": b"question=how+far&scene=@scene@",
    "NaN": b'{"question": NaN}',
    "Infinity": b'{"priority": -Infinity}',
    "a number beyond doubles": b'{"priority": 1e400}',
    "a number of 5000 digits": b'{"priority": ' + b"9" * 5000 + b"}",
    "60000 open brackets": b'{"question": ' + b"[" * 60_000,
    "objects in objects, 100 deep": b'{"a":' * 100 + b"1" + b"}" * 100,
    "bytes that are no UTF-8": b'{"question": "\xff\xfe"}',
    "UTF-8 that is too long": b'{"question": "\xc0\xaf\xe0\x80\xaf"}',
    "a surrogate in UTF-8": b'{"question": "\xed\xa0\x80"}',
    "half of a surrogate pair": b'{"question": "how far \\ud800?"}',
    "a character NUL": b'{"question": "how\\u0000far?"}',
    "UTF-16": '{"question": "how far?"}'.encode("utf-16"),
    "two documents": b'{"question": "a"} {"question": "b"}',
    "a comment": b'{"question": /* */ "a"}',
    "a name twice": b'{"question": "how far?", "scene": "@scene@", "scene": "@photos@"}',
}
#: JSON that is not what any of these routes takes.
WRONG: dict[str, bytes] = {
    "null": b"null",
    "a list": b"[]",
    "a number": b"42",
    "text": b'"how far?"',
    "an unknown field": b'{"colour": "red"}',
}


def cases() -> Iterator[Case]:
    """Yield the cases of this file."""
    for path in ROUTES:
        yield from _on(path)
    yield from QUESTION_CASES
    yield from SESSION_CASES
    yield from SCENE_CASES
    yield from TYPE_CASES


def _on(path: str) -> Iterator[Case]:
    is_chat = path == CHAT
    for name, body in NO_JSON.items():
        kind = f"{OPENAI}bad_request" if is_chat else BAD
        yield Case(f"{path}: {name}", 400, kind, "POST", path, JSON, body)
    for name, body in WRONG.items():
        status, kind = (400, f"{OPENAI}invalid_request_error") if is_chat else (422, INVALID)
        yield Case(f"{path}: {name}", status, kind, "POST", path, JSON, body)
    media = f"{OPENAI}media_type" if is_chat else "media-type"
    for content_type in ("text/plain", "application/xml", "application/x-www-form-urlencoded"):
        yield Case(
            f"{path}: JSON as {content_type}", 415, media, "POST", path, {"Content-Type": content_type}, b"{}"
        )
    packed = {"Content-Encoding": "gzip"} | JSON
    yield Case(f"{path}: packed", 415, "media-type", "POST", path, packed, b"\x1f\x8b\x08")
    large = f"POST {path} HTTP/1.1\r\nHost: @host@\r\nAuthorization: Bearer @key@\r\n".encode()
    if path != SCENES:
        claim = large + b"Content-Length: %d\r\n\r\n" % (REQUEST_BYTES + 1)
        yield Case(f"{path}: more bytes than it takes", 413, "too-large", pieces=(claim,))


def _asked(name: str, status: int, kind: str, **fields: object) -> Case:
    told = {"scene": "@scene@", "question": "How far is the sofa from the table?"} | fields
    body = json.dumps({key: value for key, value in told.items() if value is not ...})
    return Case(f"question: {name}", status, kind, "POST", QUESTIONS, JSON, body.encode())


def _region(**fields: object) -> dict[str, object]:
    return {"regions": [{"frame": 0} | fields]}


QUESTION_CASES = (
    _asked("no question", 422, INVALID, question=...),
    _asked("an empty one", 422, INVALID, question=""),
    _asked("a number", 422, INVALID, question=5),
    _asked("of 8001 characters", 422, INVALID, question="how far? " * 889),
    _asked("of 100000 characters", 422, INVALID, question="a" * 100_000),
    _asked("no scene", 422, INVALID, scene=...),
    _asked("scene null", 422, INVALID, scene=None),
    _asked("scene a list", 422, INVALID, scene=["@scene@"]),
    _asked("scene that is not there", 404, NOT_FOUND, scene="sc_" + "0" * 32),
    _asked("scene of SQL", 422, INVALID, scene="sc_00000000' OR '1'='1"),
    _asked("scene of SQL comments", 422, INVALID, scene="sc_00000000';--"),
    _asked("scene that is a path", 422, INVALID, scene="../../../etc/passwd"),
    _asked("scene that is a file URL", 422, INVALID, scene="file:///etc/passwd"),
    _asked("scene that is a web address", 422, INVALID, scene="http://169.254.169.254/latest/meta-data"),
    _asked("scene that is a share", 422, INVALID, scene="\\\\host\\share\\scan"),
    _asked("scene with a newline behind it", 422, INVALID, scene="@scene@\n"),
    _asked("scene in large letters", 422, INVALID, scene="SC_" + "A" * 32),
    _asked("scene in wide letters", 422, INVALID, scene="ｓｃ_" + "0" * 32),
    _asked("scene with digits of another script", 422, INVALID, scene="sc_" + "٠" * 32),
    _asked("scene of 100000 letters", 422, INVALID, scene="sc_" + "a" * 100_000),
    _asked("session that is not there", 404, NOT_FOUND, scene=..., session="se_" + "0" * 32),
    _asked("session that is a scene", 404, NOT_FOUND, scene=..., session="@scene@"),
    _asked("scene that is not the session's", 422, INVALID, scene="@photos@", session="@session@"),
    _asked("unknown profile", 422, INVALID, profile="../../open"),
    _asked("profile of 41 characters", 422, INVALID, profile="x" * 41),
    _asked("priority 101", 422, INVALID, priority=101),
    _asked("priority beyond integers", 422, INVALID, priority=10**200),
    _asked("priority half", 422, INVALID, priority=0.5),
    _asked("priority of a key that may not", 403, "forbidden", priority=100),
    _asked("27 options", 422, INVALID, options=["a"] * 27),
    _asked("an empty option", 422, INVALID, options=[""]),
    _asked("options nested", 422, INVALID, options=[["a"]]),
    _asked("options of 401 characters", 422, INVALID, options=["x" * 401]),
    _asked("21 regions", 422, INVALID, regions=[{"frame": 0, "point_px": [1, 1]}] * 21),
    _asked("a region in two ways", 422, INVALID, **_region(point_px=[1, 1], xyxy_px=[0, 0, 1, 1])),
    _asked("a region in no way", 422, INVALID, **_region()),
    _asked("a region on frame -1", 422, INVALID, **_region(frame=-1, point_px=[1, 1])),
    _asked("a region far away", 422, INVALID, **_region(point_px=[1e300, -1e300])),
    _asked("a point in three dimensions", 422, INVALID, **_region(point_px=[1, 2, 3])),
    _asked("an outline of 1001 corners", 422, INVALID, **_region(outline_px=[[1, 1]] * 1001)),
    _asked("an outline of two", 422, INVALID, **_region(outline_px=[[1, 1], [2, 2]])),
    _asked("a mask of billions", 422, INVALID, **_region(mask={"size": [10**9, 10**9], "counts": [1]})),
    _asked(
        "a mask of 400 million pixels",
        413,
        "too-large",
        **_region(mask={"size": [20_000, 20_000], "counts": [400_000_000]}),
    ),
    _asked("a mask whose runs are too long", 422, INVALID, **_region(mask={"size": [2, 2], "counts": [5]})),
    _asked("a mask with a negative run", 422, INVALID, **_region(mask={"size": [2, 2], "counts": [-4, 8]})),
    _asked(
        "a mask with runs beyond integers",
        422,
        INVALID,
        **_region(mask={"size": [2, 2], "counts": [10**250]}),
    ),
    _asked("a label of 61 characters", 422, INVALID, **_region(point_px=[1, 1], label="x" * 61)),
    _asked("a URL beside it", 422, INVALID, url="http://169.254.169.254/"),
    _asked("a callback", 422, INVALID, webhook="http://127.0.0.1:22/"),
    _asked("__proto__", 422, INVALID, __proto__={"scene": "x"}),
)
SESSION_CASES = tuple(
    Case(f"session: {name}", status, kind, "POST", SESSIONS, JSON, json.dumps(body).encode())
    for name, status, kind, body in (
        ("no scene", 422, INVALID, {}),
        ("scene a number", 422, INVALID, {"scene": 10**40}),
        ("scene that is not there", 404, NOT_FOUND, {"scene": "sc_" + "f" * 32}),
        ("scene that is a question", 404, NOT_FOUND, {"scene": "@question@"}),
        ("scene of SQL", 422, INVALID, {"scene": "sc_0' UNION SELECT token FROM keys--"}),
        ("exchanges of its own", 422, INVALID, {"scene": "@scene@", "exchanges": []}),
        ("a tenant of its own", 422, INVALID, {"scene": "@scene@", "tenant": "bert"}),
    )
)
SCENE_CASES = tuple(
    Case(f"reference: {name}", status, kind, "POST", SCENES, JSON, json.dumps(body).encode())
    for name, status, kind, body in (
        ("a URL", 422, INVALID, {"url": "http://169.254.169.254/latest/meta-data/"}),
        ("a path", 422, INVALID, {"path": "/etc/passwd"}),
        ("a sample that is a path", 422, "upload", {"sample": "../../../../etc"}),
        ("a sample that is absolute", 422, "upload", {"sample": "/etc"}),
        ("a sample that is a share", 422, "upload", {"sample": "\\\\host\\share"}),
        ("a sample that is a file URL", 422, "upload", {"sample": "file:///etc/passwd"}),
        ("a sample that is a pattern", 422, "upload", {"sample": "*"}),
        ("a sample that is empty", 422, "upload", {"sample": ""}),
        ("a sample of 61 characters", 422, INVALID, {"sample": "a" * 61}),
        ("a sample that is a number", 422, INVALID, {"sample": 1}),
        ("a sample and an upload", 422, INVALID, {"sample": "living_room", "upload": "@upload@"}),
        ("neither", 422, INVALID, {"name": "My kitchen"}),
        ("an upload that is not there", 404, NOT_FOUND, {"upload": "up_" + "0" * 32}),
        ("an upload of another tenant", 404, NOT_FOUND, {"upload": "@theirs@"}),
        ("an upload that is not finished", 409, "upload-conflict", {"upload": "@upload@"}),
        ("an upload that is a path", 422, INVALID, {"upload": "../../service.sqlite"}),
        ("an upload that is a scene", 404, NOT_FOUND, {"upload": "@scene@"}),
        ("a name of 121 characters", 422, INVALID, {"sample": "living_room", "name": "n" * 121}),
        ("an unknown profile", 422, INVALID, {"sample": "living_room", "profile": "open; rm -rf /"}),
        ("a name that is a list", 422, INVALID, {"sample": "living_room", "name": ["a"]}),
    )
)
#: Types of content that only look like JSON.
TYPE_CASES = (
    Case("no type", 415, "media-type", "POST", QUESTIONS, {}, b'{"question": "how far?"}'),
    Case(
        "a type of 2000 characters",
        415,
        "media-type",
        "POST",
        QUESTIONS,
        {"Content-Type": "a/" + "b" * 2000},
        b"{}",
    ),
    Case("a type that is none", 415, "media-type", "POST", SCENES, {"Content-Type": "\\"}, b"{}"),
    Case(
        "JSON as an upload",
        415,
        "media-type",
        "PATCH",
        "/v1/uploads/@upload@",
        {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"} | JSON,
        b"{}",
    ),
    Case(
        "a picture alone",
        415,
        "media-type",
        "POST",
        SCENES,
        {"Content-Type": "image/png"},
        b"\x89PNG\r\n\x1a\n",
    ),
)
