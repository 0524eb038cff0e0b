"""Chromium before a real service that serves the built page."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image

from spatial_agent.services.web import bundle_folder

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

    from spatial_agent.services.api.service import Service

CHROMIUM = Path("/usr/bin/chromium")
#: Nothing but the page's own requests shall leave this browser.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
SAMPLE = Path(__file__).parents[3] / "examples/scans/living_room"
IMAGES = Path(__file__).parents[3] / "docs/images"
#: Whether the pictures of the documentation are to be made anew; tests themselves see no settings.
SCREENSHOTS = bool(os.environ.get("SPATIAL_AGENT_SCREENSHOTS"))
#: Every so many frames of the sample are enough to ask about, and measured in a fraction of the time.
STEP = 4
#: What a page may take on a busy machine that draws 3D in software, milliseconds.
PATIENCE_MS = 60_000
NewPage = Callable[..., "Page"]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> "Service":
    """A real service, with the experts that sample scans need."""
    from spatial_agent.services.api.config import ServiceConfig
    from spatial_agent.services.open_service import open_service
    from spatial_agent.services.settings import Settings

    config = ServiceConfig(port=0, folder=tmp_path_factory.mktemp("service"))
    return open_service(config, replace(Settings(), database=None))


@pytest.fixture(scope="module")
def url(service: "Service") -> Iterator[str]:
    """The address of the service."""
    from spatial_agent.services.api.testing import serving_in_thread

    with serving_in_thread(service) as address:
        yield address


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a scan: the sample, or for most purposes a few of its frames."""
    folder = tmp_path_factory.mktemp("recordings") / "my_room"
    step = 1 if SCREENSHOTS else STEP
    scan = json.loads((SAMPLE / "scan.json").read_text(encoding="utf-8"))
    scan["frames"] = scan["frames"][::step]
    for name in ("color", "depth", "instances"):
        (folder / name).mkdir(parents=True)
        for frame in scan["frames"]:
            shutil.copy(SAMPLE / frame[name], folder / frame[name])
    (folder / "scan.json").write_text(json.dumps(scan), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def scene(url: str, recording: Path) -> str:
    """Where in the page the scan is, uploaded and measured."""
    paths = [path for path in recording.rglob("*") if path.is_file()]
    files = [("files", (str(path.relative_to(recording)), path.read_bytes())) for path in paths]
    with httpx.Client(base_url=url, timeout=PATIENCE_MS / 1000) as client:
        made = client.post("/v1/scenes", files=files, data={"name": recording.name}).json()
    return f"/#/scenes/{made['id']}"


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless Chromium."""
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed")
    if bundle_folder() is None:
        pytest.skip("the page has not been built; run `make web`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def new_page(browser: "Browser", url: str) -> Iterator[NewPage]:
    """Opens pages before the service; none may complain, or ask anybody else for anything."""
    complaints: list[str] = []

    def opened(stack: ExitStack, **options: object) -> "Page":
        chosen: dict[str, Any] = {"reduced_motion": "reduce", "base_url": url} | options
        context = browser.new_context(**chosen)
        stack.callback(context.close)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("console", lambda said: complaints.append(said.text) if _is_complaint(said) else None)
        page.on("request", lambda asked: complaints.append(asked.url) if _is_outside(asked.url) else None)
        return page

    with ExitStack() as stack:
        yield lambda **options: opened(stack, **options)
        assert complaints == []


@pytest.fixture
def screenshot() -> Callable[["Page", str], None]:
    """Keeps a picture of a page for the documentation, where that is asked for."""

    def keep(page: "Page", name: str) -> None:
        if SCREENSHOTS:
            # A palette is enough for a page, and a third of the size.
            picture = Image.open(BytesIO(page.screenshot())).convert("RGB").quantize(256)
            picture.save(IMAGES / f"{name}.png", optimize=True)

    return keep


def _is_complaint(said: "ConsoleMessage") -> bool:
    # A request that is refused on purpose is said to have failed; tests look at what the page makes of it.
    return said.type == "error" and not said.text.startswith("Failed to load resource")


def _is_outside(address: str) -> bool:
    return re.match(r"(blob:)?http://127\.0\.0\.1:\d+/", address) is None
