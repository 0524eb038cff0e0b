"""The web page: one document and its assets, behind headers that let it load nothing from elsewhere."""

from pathlib import Path

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from spatial_agent.services.api.problems import NotFoundError
from spatial_agent.services.api.sent_files import SentFile
from spatial_agent.services.web import bundle_folder

router = APIRouter(include_in_schema=False)

#: Scripts and styles come as files from here only; text never becomes markup (trusted types refuse it).
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
#: The name of an asset changes with its content.
FOREVER = "public, max-age=31536000, immutable"
#: Systems disagree about these, or do not know them.
MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Spatial Agent</title>
<h1>The page has not been built</h1>
<p>The service runs; its routes are described in <a href="openapi.json">openapi.json</a>.</p>
<p>To build the page, run <code>make web</code> in a clone of the repository (Node.js 20.19 or newer),
or install a wheel, which brings it along. Then load this address again.</p>
</html>
"""


@router.get("/")
async def page() -> Response:
    """Return the page, or how to build it."""
    folder = bundle_folder()
    if folder is None:
        return HTMLResponse(NOT_BUILT, status_code=404, headers=HEADERS)
    headers = HEADERS | {"Cache-Control": "no-cache"}
    return SentFile(folder / "index.html", media_type="text/html", headers=headers)


@router.get("/assets/{name}")
async def asset(name: str) -> SentFile:
    """Return a script, a style sheet or a picture of the page."""
    path = _assets().get(name)
    if path is None:
        raise NotFoundError("the page has no such asset; load it again, it may have been built anew")
    headers = HEADERS | {"Cache-Control": FOREVER}
    return SentFile(path, media_type=MEDIA_TYPES.get(path.suffix), headers=headers)


def _assets() -> dict[str, Path]:
    """Return the assets by name: a request's name is looked up, never made a path of."""
    folder = bundle_folder()
    return {} if folder is None else {path.name: path for path in (folder / "assets").iterdir()}
