"""Addresses and ids that lead elsewhere, methods that nobody knows, and calls that name files."""

import json
from collections.abc import Iterator

from tests.services.api.hostile.requests import JSON, Case

NOT_FOUND, PLAIN, INVALID = "not-found", "about:blank", "invalid-request"
#: What stands where an id should, percent-encoded as a client would.
IDS: dict[str, str] = {
    "upwards": "..%2f..%2fetc%2fpasswd",
    "upwards, encoded twice": "%252e%252e%252fetc%252fpasswd",
    "upwards with backslashes": "..%5c..%5cservice.sqlite",
    "NUL": "sc_00000000%00",
    "no UTF-8": "%ff%fe",
    "UTF-8 that is too long": "%c0%ae%c0%ae%c0%af",
    "SQL": "sc_00000000'%20OR%20'1'='1",
    "SQL in a comment": "1;DROP%20TABLE%20jobs--",
    "a pattern of SQL": "sc_%25%25%25%25%25%25%25%25",
    "wide letters": "%ef%bd%93%ef%bd%83_00000000",
    "a newline behind it": "sc_0000000000000000%0a",
    "a line and a header": "x%0d%0aSet-Cookie:%20a=b",
    "a web address": "http:%2f%2f169.254.169.254%2f",
    "a template": "{{7*7}}",
    "3000 letters": "a" * 3000,
}
PATHS: dict[str, str] = {
    "scene": "/v1/scenes/{}",
    "question": "/v1/questions/{}",
    "events": "/v1/questions/{}/events",
    "trace": "/v1/questions/{}/trace",
    "picture": "/v1/questions/{}/picture.png",
    "session": "/v1/sessions/{}",
    "upload": "/v1/uploads/{}",
    "tool": "/v1/tools/{}",
}
ARTIFACTS = (
    "../files/room.json",
    "..%2ffiles%2froom.json",
    "%2e%2e/%2e%2e/%2e%2e/service.sqlite",
    "%252e%252e%252fservice.sqlite",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "..%5c..%5cservice.sqlite",
    "C:%5cwindows%5cwin.ini",
    "map.png%00.txt",
    "map.png/..%2f..%2fa",
    "frames/-1.jpg",
    "frames/999999.jpg",
    "frames/0x10.jpg",
    "frames/%d9%a0.jpg",
    "frames/..%2f0.jpg",
    "file:%2f%2f%2fetc%2fpasswd",
    "answers/@question@.png",
    "scene.json%2f..",
    "",
)
UNKNOWN = (
    "/etc/passwd",
    "/../../etc/passwd",
    "/..%2f..%2fetc%2fpasswd",
    "//etc/passwd",
    "/v1",
    "/v1/scenes/",
    "/v2/questions",
    "/.git/config",
    "/.env",
    "/docs",
    "/redoc",
    "/assets/..%2f..%2fapi%2fapp.py",
    "/assets/../../api/app.py",
    "/v1/questions/@question@/events/../../../etc",
    "/static/%2e%2e/%2e%2e/etc/passwd",
    "/server-status",
    "/actuator/env",
    "/%00",
)
QUERIES = (
    "state=nothing",
    "state=done'--",
    "scene=..%2f..",
    "before=0%20OR%201=1",
    "most=0",
    "most=-1",
    "most=201",
    "most=1e400",
    "most=NaN",
    "most=" + "9" * 4000,
    "most=%00",
    "session=%ff%fe",
    "most=1&most=x",
)
METHODS = (
    ("PUT", "/v1/questions"),
    ("PATCH", "/v1/questions/@question@"),
    ("DELETE", "/v1/questions"),
    ("POST", "/v1/questions/@question@"),
    ("PUT", "/v1/scenes/@scene@/artifacts/map.png"),
    ("POST", "/v1/scenes/@scene@"),
    ("DELETE", "/v1/scenes"),
    ("TRACE", "/v1/questions"),
    ("CONNECT", "/v1/questions"),
    ("PROPFIND", "/v1/scenes"),
    ("GET", "/v1/chat/completions"),
    ("DELETE", "/v1/tools/size"),
    ("POST", "/healthz"),
    ("get", "/v1/questions"),
    ("X" * 200, "/v1/questions"),
)
#: Names of experts that nobody has.
TOOLS = ("__import__", "os.system", "size%2f..%2f..", "SIZE", "size%00", "@tool", "builtins.eval", "x" * 81)


def cases() -> Iterator[Case]:
    """Yield the cases of this file."""
    yield from _ids()
    for given in ("@theirs@", "up_" + "0" * 32):
        yield Case(f"upload {given}", 404, NOT_FOUND, path=f"/v1/uploads/{given}")
    for method in ("GET", "DELETE"):
        for kind in ("scenes", "questions", "sessions"):
            path = f"/v1/{kind}/xx_00000000"
            yield Case(f"{method} of {kind} that are not there", 404, NOT_FOUND, method, path)
    for given in ARTIFACTS:
        yield Case(f"artifact {given!r}", 404, NOT_FOUND, path=f"/v1/scenes/@scene@/artifacts/{given}")
    for given in UNKNOWN:
        yield Case(f"path {given!r}", 404, PLAIN, path=given)
    for given in QUERIES:
        yield Case(f"query {given[:30]!r}", 422, INVALID, path=f"/v1/questions?{given}")
    for method, path in METHODS:
        yield Case(f"method {method[:20]} {path}", 405, PLAIN, method, path)
    yield from _unknown_experts()
    yield from CALL_CASES


def _ids() -> Iterator[Case]:
    for what, path in PATHS.items():
        for name, given in IDS.items():
            # Percent-encoded slashes are slashes to the routes: no route has so many.
            kind = PLAIN if "%2f" in given else NOT_FOUND
            yield Case(f"{what}'s id: {name}", 404, kind, path=path.format(given))


def _unknown_experts() -> Iterator[Case]:
    for name in TOOLS:
        kind = PLAIN if "%2f" in name else NOT_FOUND
        yield Case(f"expert {name[:20]!r}", 404, kind, "POST", f"/v1/tools/{name}", JSON, b"{}")


def _call(name: str, tool: str, status: int, kind: str, arguments: object, **fields: object) -> Case:
    told = {"scene": "@scan@", "arguments": arguments} | fields
    body = json.dumps({key: value for key, value in told.items() if value is not ...}).encode()
    return Case(f"call: {name}", status, kind, "POST", f"/v1/tools/{tool}", JSON, body)


def _deep(levels: int) -> dict[str, object]:
    inner: object = "$frame/0"
    for _ in range(levels):
        inner = {"tool": "depth.sensor", "arguments": {"frame": inner}}
    return {"frame": "$frame/0", "of": ["sofa"], "estimated": inner}


BOX = {"xyxy_px": [0, 0, 10, 10]}
ARGUMENT = "tool-argument"
CALL_CASES = (
    *(
        _call(f"a frame that is {given!r}", "crop", 422, ARGUMENT, {"frame": given} | BOX)
        for given in (
            "/etc/passwd",
            "file:///etc/passwd",
            "http://169.254.169.254/latest/meta-data",
            "\\\\host\\share\\a.png",
            "../../service.sqlite",
            "$frame/../../etc/passwd",
            "$frame/-1",
            "$frame/99999999",
            "$frame/0/../1",
            "$c1",
            "$scene",
            "$run/1/frame",
            "",
            7,
            {"path": "/etc/passwd"},
            ["$frame/0"],
        )
    ),
    _call("a scene that is a file", "size", 422, ARGUMENT, {"of": "sofa", "scene": "/etc/passwd"}),
    _call("an unknown argument", "size", 422, ARGUMENT, {"of": "sofa", "path": "/etc/passwd"}),
    _call("no argument", "crop", 422, ARGUMENT, {}),
    _call("arguments that are a list", "size", 422, INVALID, []),
    _call("arguments that are text", "size", 422, INVALID, "sofa"),
    _call(
        "a number that is text", "crop", 422, ARGUMENT, {"frame": "$frame/0", "xyxy_px": ["0", "a", None, {}]}
    ),
    _call(
        "a box beyond numbers", "crop", 422, ARGUMENT, {"frame": "$frame/0", "xyxy_px": [0, 0, 1e308, -1e308]}
    ),
    _call(
        "a call within that nobody knows",
        "depth_agreement",
        422,
        ARGUMENT,
        {
            "of": ["sofa"],
            "frame": "$frame/0",
            "estimated": {"tool": "os.system", "arguments": {"command": "id"}},
        },
    ),
    _call("calls in calls, 40 deep", "depth_agreement", 422, ARGUMENT, _deep(20)),
    _call("an expert that takes recordings", "mesh", 422, INVALID, {"frames": "/etc/passwd"}),
    _call("an expert without a scene", "size", 422, ARGUMENT, {"of": "sofa"}, scene=...),
    _call("a scene that is not there", "size", 404, NOT_FOUND, {"of": "sofa"}, scene="sc_" + "0" * 32),
    _call("a scene that is a path", "size", 422, INVALID, {"of": "sofa"}, scene="/etc"),
    _call(
        "a picture of 10^12 pixels",
        "novel_view.frame",
        422,
        ARGUMENT,
        {"position_m": [0, 0, 1], "looking_at_m": [1, 0, 1], "width_px": 10**6, "height_px": 10**6},
    ),
    _call("a plan of 10^9 pixels a side", "top_down", 422, ARGUMENT, {"size_px": 10**9}),
    Case("chat: a method that is not there", 405, PLAIN, "PUT", "/v1/chat/completions"),
)
