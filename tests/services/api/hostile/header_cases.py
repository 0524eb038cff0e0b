"""Headers, framing and pace: what is no HTTP, what could be read in two ways, what never comes."""

import base64
from collections.abc import Iterator

from tests.services.api.hostile.requests import JSON, Case
from tests.services.api.hostile.server import HEADER_BYTES, REQUEST_BYTES

BAD, MISDIRECTED, HEADERS = "bad-request", "misdirected", "headers-too-large"
KEY = b"Host: @host@\r\nAuthorization: Bearer @key@\r\n"
POST = b"POST /v1/questions HTTP/1.1\r\n" + KEY + b"Content-Type: application/json\r\n"
ASKED = b'{"question": "how far?", "scene": "sc_00000000000000000000000000000000"}'


def _raw(name: str, *pieces: bytes, status: int = 400, kind: str = BAD, waits: bool = False) -> Case:
    return Case(f"http: {name}", status, kind, pieces=pieces, waits=waits)


RAW_CASES = (
    _raw("no HTTP", b"hello there\r\n\r\n"),
    _raw("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n"),
    _raw("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status=421, kind=MISDIRECTED),
    _raw("a path that is no ASCII", b"GET /\xff HTTP/1.1\r\n" + KEY + b"\r\n"),
    _raw("HTTP/0.9", b"GET /v1/questions\r\n\r\n"),
    _raw("HTTP/1.9 in letters", b"GET / HTTP/one\r\n\r\n"),
    _raw("no path", b"GET  HTTP/1.1\r\n" + KEY + b"\r\n"),
    _raw("a space in the path", b"GET /v1/ques tions HTTP/1.1\r\n" + KEY + b"\r\n"),
    _raw("NUL in the path", b"GET /v1/\0 HTTP/1.1\r\n" + KEY + b"\r\n"),
    _raw("no host", b"GET / HTTP/1.1\r\n\r\n"),
    _raw("two hosts", b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
    _raw("two lengths", POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
    _raw("two lengths in one", POST + b"Content-Length: 5, 6\r\n\r\nhello"),
    _raw("a negative length", POST + b"Content-Length: -1\r\n\r\n"),
    _raw("a length with a plus", POST + b"Content-Length: +5\r\n\r\nhello"),
    _raw("a length in hex", POST + b"Content-Length: 0x5\r\n\r\nhello"),
    _raw("a length in other digits", POST + "Content-Length: ٥\r\n\r\nhello".encode()),
    _raw("a length of 400 digits", POST + b"Content-Length: " + b"9" * 400 + b"\r\n\r\n"),
    _raw(
        "a length and chunks",
        POST
        + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n",
    ),
    _raw("chunks twice", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    _raw("chunks that are not quite", POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    _raw("gzip as transfer encoding", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    _raw("a space before the colon", POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
    _raw("a chunk of a negative size", POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n"),
    _raw("a chunk of no size", POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"),
    _raw("a chunk of 2^80 bytes", POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 21 + b"\r\n\r\n"),
    _raw("a chunk that goes on", POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloGET"),
    _raw("a header without a name", b"GET / HTTP/1.1\r\n" + KEY + b": x\r\n\r\n"),
    _raw("a header without a colon", b"GET / HTTP/1.1\r\n" + KEY + b"hello\r\n\r\n"),
    _raw("a header that begins with a space", b"GET / HTTP/1.1\r\n X: y\r\n" + KEY + b"\r\n"),
    _raw("NUL in a header", b"GET / HTTP/1.1\r\n" + KEY + b"X: a\0b\r\n\r\n"),
    _raw("a bare carriage return in a header", b"GET / HTTP/1.1\r\n" + KEY + b"X: a\rY: b\r\n\r\n"),
    _raw("a header without end", b"GET / HTTP/1.1\r\n" + KEY + b"X: ", b"x" * 5 * HEADER_BYTES),
    _raw("a path without end", b"GET /", b"x" * 5 * HEADER_BYTES),
    _raw(
        "chunks of more than it takes",
        POST + b"Transfer-Encoding: chunked\r\n\r\n",
        b"%x\r\n" % (REQUEST_BYTES + 1) + b" " * (REQUEST_BYTES + 1) + b"\r\n0\r\n\r\n",
        status=413,
        kind="too-large",
    ),
    _raw(
        "a length of a terabyte",
        POST + b"Content-Length: 1099511627776\r\n\r\n",
        status=413,
        kind="too-large",
    ),
    _raw(
        "a length of a terabyte that waits to be asked",
        POST + b"Expect: 100-continue\r\nContent-Length: 1099511627776\r\n\r\n",
        status=413,
        kind="too-large",
    ),
    _raw("HTTP/1.0 without a host", b"GET /v1/questions HTTP/1.0\r\n\r\n", status=421, kind=MISDIRECTED),
    _raw(
        "HTTP/1.0 and an unknown path",
        b"GET /nothing HTTP/1.0\r\n" + KEY + b"\r\n",
        status=404,
        kind="about:blank",
    ),
    _raw(
        "HTTP/1.0 and a question of nothing",
        b"POST /v1/questions HTTP/1.0\r\n"
        + KEY
        + b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        status=422,
        kind="invalid-request",
    ),
    _raw(
        "an absolute address",
        b"GET http://169.254.169.254/latest HTTP/1.1\r\n" + KEY + b"\r\n",
        status=404,
        kind="about:blank",
    ),
    _raw(
        "an upgrade",
        b"GET /v1/nothing HTTP/1.1\r\n"
        + KEY
        + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
        + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n\r\n",
        status=404,
        kind="about:blank",
    ),
    _raw(
        "a body that stands still",
        POST + b"Content-Length: 100\r\n\r\n{",
        status=408,
        kind="timed-out",
        waits=True,
    ),
    _raw(
        "chunks that stand still",
        POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        status=408,
        kind="timed-out",
        waits=True,
    ),
    _raw(
        "a scene that stands still",
        b"POST /v1/scenes HTTP/1.1\r\n"
        + KEY
        + b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000\r\n\r\n--x\r\n"
        + b'Content-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n\x89PNG',
        status=408,
        kind="timed-out",
        waits=True,
    ),
    _raw(
        "a piece that stands still",
        b"PATCH /v1/uploads/@upload@ HTTP/1.1\r\n"
        + KEY
        + b"Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Length: 10\r\n"
        + b"Content-Type: application/offset+octet-stream\r\n\r\n",
        status=408,
        kind="timed-out",
        waits=True,
    ),
)
HOSTS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "evil.example/localhost",
    "localhost@evil.example",
    "localhost:x@evil.example",
    "localhost:80:80",
    "[::2]",
    "[::1",
    "0.0.0.0",
    "169.254.169.254",
    "localhost\\",
    " ",
    "a" * 300,
    "lo\u0441alhost",
)
KEYS = (
    "",
    "Bearer",
    "Bearer ",
    "Bearer x",
    "Bearer sa_",
    "Bearer sa_0' OR '1'='1_" + "a" * 43,
    "Bearer sa_k1_" + "a" * 43,
    "Bearer @key@x",
    "Bearer " + "a" * 5000,
    "Bearer \u043a\u043b\u044e\u0447",
    "Basic " + base64.b64encode(b"anna:@key@").decode(),
    "Digest username=anna",
    "@key@",
    "Bearer Bearer @key@",
)


def _header(
    name: str,
    status: int,
    kind: str,
    headers: dict[str, str] | tuple[tuple[str, str], ...],
    path: str = "/v1/questions",
    method: str = "GET",
    body: bytes = b"",
) -> Case:
    return Case(f"header: {name}", status, kind, method, path, headers, body)


PICTURE, EVENTS = "/v1/questions/@question@/picture.png", "/v1/questions/@question@/events"
ARTIFACT = "/v1/scenes/@scan@/artifacts/scene.json"
INVALID = "invalid-request"
VALUE_CASES = (
    _header("one of 9000 bytes", 431, HEADERS, {"X-Long": "x" * 9000}),
    _header("200 of them", 431, HEADERS, tuple((f"X-{number}", "x" * 50) for number in range(200))),
    _header("500 of one name", 431, HEADERS, (("X-A", "xxxxxxxxxxxx"),) * 500),
    _header("a cookie of 9000 bytes", 431, HEADERS, {"Cookie": "a=" + "b" * 9000}),
    _header("a query of 9000 bytes", 431, HEADERS, {}, "/v1/questions?x=" + "y" * 9000),
    _header("a path of 9000 bytes", 431, HEADERS, {}, "/v1/scenes/" + "y" * 9000),
    *(
        _header(f"Last-Event-ID {given[:20]!r}", 400, BAD, {"Last-Event-ID": given}, EVENTS)
        for given in (
            "0",
            "1",
            "1.2.3",
            "-1.1",
            "1.-1",
            "a.b",
            "1.1'--",
            "9" * 300 + ".1",
            "1.1;2",
            "0.0",
            "\u0661.\u0661",
        )
    ),
    *(
        _header(
            f"Idempotency-Key {given[:20]!r}",
            422,
            INVALID,
            {"Idempotency-Key": given} | JSON,
            method="POST",
            body=ASKED,
        )
        for given in ("", "a b", "x" * 256, "k\u00e9y", "a\tb")
    ),
    _header(
        "Idempotency-Key of 256 letters for a scene",
        422,
        INVALID,
        {"Idempotency-Key": "x" * 256} | JSON,
        "/v1/scenes",
        "POST",
        b'{"sample": "living_room"}',
    ),
    *(
        _header(f"Range {given[:20]!r} of {name}", status, "about:blank", {"Range": given}, path)
        for name, path in (("a picture", PICTURE), ("a scene", ARTIFACT))
        for given, status in (
            ("bytes=99999999-", 416),
            ("bytes=5-1", 400),
            ("bytes=-", 400),
            ("bytes=a-b", 400),
            ("lines=0-1", 400),
            ("bytes=" + "9" * 500 + "-", 416),
        )
    ),
    *(
        _header(
            f"Content-Encoding {given}",
            415,
            "media-type",
            {"Content-Encoding": given} | JSON,
            method="POST",
            body=ASKED,
        )
        for given in ("gzip", "br", "zstd", "deflate, gzip", "identity, gzip", "x")
    ),
)


def cases() -> Iterator[Case]:
    """Yield the cases of this file."""
    yield from RAW_CASES
    yield from VALUE_CASES
    for given in HOSTS:
        yield _header(f"Host {given[:30]!r}", 421, MISDIRECTED, {"Host": given})
    for given in KEYS:
        yield _header(f"key {given[:30]!r}", 401, "authentication", {"Authorization": given})
    for given in ("", "x", "@key@x", "' OR 1=1--", "x" * 5000):
        headers = (("Authorization", "x"), ("X-API-Key", given))
        yield _header(f"X-API-Key {given[:20]!r}", 401, "authentication", headers)
