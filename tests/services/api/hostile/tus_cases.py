"""Resumable uploads that do not go on from where they are, or claim what cannot be."""

from collections.abc import Iterator

from tests.services.api.hostile.requests import Case
from tests.services.api.hostile.server import MIB

UPLOADS, UPLOAD = "/v1/uploads", "/v1/uploads/@upload@"
TUS = {"Tus-Resumable": "1.0.0"}
PIECE = TUS | {"Content-Type": "application/offset+octet-stream"}
INVALID, BAD, LARGE, CONFLICT = "invalid-request", "bad-request", "too-large", "upload-conflict"
#: Length and metadata of uploads that are refused before anything is sent.
BEGUN: dict[str, tuple[int, str, dict[str, str]]] = {
    "no length": (422, INVALID, {}),
    "a length of 0": (422, INVALID, {"Upload-Length": "0"}),
    "a negative length": (422, INVALID, {"Upload-Length": "-1"}),
    "a length that is no number": (422, INVALID, {"Upload-Length": "ten"}),
    "a length of half a byte": (422, INVALID, {"Upload-Length": "0.5"}),
    "a length of infinity": (422, INVALID, {"Upload-Length": "1e400"}),
    "a length of 5000 digits": (422, INVALID, {"Upload-Length": "9" * 5000}),
    "a length beyond 2^53": (422, INVALID, {"Upload-Length": str(2**64)}),
    "a length beyond the limit": (413, LARGE, {"Upload-Length": str(33 * MIB)}),
    "a length that comes later": (422, INVALID, {"Upload-Defer-Length": "1"}),
    "metadata that is no base64": (422, INVALID, {"Upload-Length": "5", "Upload-Metadata": "filename !!!"}),
    "metadata that is no UTF-8": (400, BAD, {"Upload-Length": "5", "Upload-Metadata": "filename //79"}),
    "metadata of 5000 bytes": (422, INVALID, {"Upload-Length": "5", "Upload-Metadata": "a " + "A" * 5000}),
    # ../../etc/passwd
    "a name that leads upwards": (
        422,
        "upload",
        {"Upload-Length": "5", "Upload-Metadata": "filename Li4vLi4vZXRjL3Bhc3N3ZA=="},
    ),
    # /etc/passwd
    "a name that is absolute": (
        422,
        "upload",
        {"Upload-Length": "5", "Upload-Metadata": "filename L2V0Yy9wYXNzd2Q="},
    ),
    # C:\a.zip
    "a name with a drive": (
        422,
        "upload",
        {"Upload-Length": "5", "Upload-Metadata": "filename QzpcYS56aXA="},
    ),
    # a\0b
    "a name with NUL": (422, "upload", {"Upload-Length": "5", "Upload-Metadata": "filename YQBi"}),
    # .hidden
    "a name that is hidden": (
        422,
        "upload",
        {"Upload-Length": "5", "Upload-Metadata": "filename LmhpZGRlbg=="},
    ),
    "an empty name": (422, "upload", {"Upload-Length": "5", "Upload-Metadata": "filename"}),
}
#: Pieces of an upload of 10 bytes of which none is there.
SENT: dict[str, tuple[int, str, dict[str, str], bytes]] = {
    "at another place": (409, CONFLICT, {"Upload-Offset": "3"}, b"hello"),
    "beyond the end": (409, CONFLICT, {"Upload-Offset": "11"}, b"hello"),
    "far beyond the end": (409, CONFLICT, {"Upload-Offset": str(2**53)}, b"hello"),
    "before the beginning": (422, INVALID, {"Upload-Offset": "-5"}, b"hello"),
    "at no place": (422, INVALID, {}, b"hello"),
    "at a place that is no number": (422, INVALID, {"Upload-Offset": "0 OR 1=1"}, b"hello"),
    "at a place of 5000 digits": (422, INVALID, {"Upload-Offset": "9" * 5000}, b"hello"),
    "that is too long": (413, LARGE, {"Upload-Offset": "0"}, b"x" * 11),
    "that is far too long": (413, LARGE, {"Upload-Offset": "0"}, b"x" * 100_000),
}


def cases() -> Iterator[Case]:
    """Yield the cases of this file."""
    for name, (status, kind, headers) in BEGUN.items():
        yield Case(f"tus: {name}", status, kind, "POST", UPLOADS, TUS | headers)
    for name, (status, kind, headers, body) in SENT.items():
        yield Case(f"tus: a piece {name}", status, kind, "PATCH", UPLOAD, PIECE | headers, body)
    for version in ("0.2.2", "2.0.0", "", "1.0.0, 1.0.0"):
        headers = {"Tus-Resumable": version, "Upload-Length": "5"}
        yield Case(f"tus: version {version!r}", 412, "about:blank", "POST", UPLOADS, headers)
    yield Case("tus: no version", 412, "about:blank", "POST", UPLOADS, {"Upload-Length": "5"})
    for path in ("/v1/uploads/@theirs@", "/v1/uploads/up_" + "0" * 32, "/v1/uploads/..%2fservice.sqlite"):
        for method in ("PATCH", "DELETE"):
            name = f"tus: {method} {path}"
            kind = "about:blank" if "%2f" in path else "not-found"
            yield Case(name, 404, kind, method, path, PIECE | {"Upload-Offset": "0"}, b"hello")
