"""The page as people use it: in Chromium, before a real service."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZipFile

import httpx
import numpy as np
import pytest

from spatial_agent.services.api.config import ServiceConfig
from spatial_agent.services.api.testing import serving_in_thread
from spatial_agent.services.open_service import open_service
from spatial_agent.services.settings import Settings
from tests.services.web.conftest import SAMPLE, NewPage
from tests.services.web.pixels import brightness, colour_count, contrast_ratio, covered_share, pixels_of

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser

DESKTOP = {"width": 1280, "height": 820}
PHONE = {"width": 360, "height": 740}
#: What is read, and must stand out from what it is on.
READ = ["h1", ".scene-head .faint", ".answer-value", ".answer-text", ".badge-strong", ".button-main", ".tab"]
READ += [".tab[aria-selected=true]", ".evidence th", ".history-answer", ".chip"]
COLOURS = """names => names.map(name => {
    const at = document.querySelector(name);
    let under = at;
    while (getComputedStyle(under).backgroundColor === 'rgba(0, 0, 0, 0)') under = under.parentElement;
    return [name, getComputedStyle(at).color, getComputedStyle(under).backgroundColor];
})"""
Screenshot = Callable[["Page", str], None]
DISTANCE = "How far is the sofa from the bookshelf?"
#: The renderer of the sample scan gives the distance between the closest points of the two, metres.
TRUE_DISTANCE_M = next(
    item["truth"]
    for item in json.loads((SAMPLE / "questions.json").read_text(encoding="utf-8"))
    if item["kind"] == "object_abs_distance" and "sofa and the bookshelf" in item["question"]
)


def open_scene(page: "Page", scene: str) -> None:
    page.goto(scene)
    page.locator(".space[data-state=ready]").wait_for()


def open_without_points(page: "Page", scene: str) -> None:
    """Open a scene whose cloud does not come: quicker, where a test is not about the 3D view."""
    page.route("**/cloud.ply", lambda route: route.abort())
    page.goto(scene)
    page.locator(".space[data-state=without-points]").wait_for()


def ask(page: "Page", question: str) -> None:
    page.get_by_label("Ask about this scene").fill(question)
    page.get_by_role("button", name="Ask", exact=True).click()
    page.get_by_role("heading", name=question).wait_for()
    page.locator("[data-answer]").wait_for()


def width_of(page: "Page") -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def drawn(page: "Page") -> int:
    """Return how often the 3D view was drawn."""
    return int(page.locator(".space").get_attribute("data-drawn") or 0)


def wait_for_drawing(page: "Page", before: int) -> None:
    page.wait_for_function("n => Number(document.querySelector('.space').dataset.drawn) > n", arg=before)


def switch(page: "Page", layer: str) -> None:
    before = drawn(page)
    page.get_by_role("checkbox", name=layer).click()
    wait_for_drawing(page, before)


def test_a_folder_is_uploaded_asked_about_and_answered_with_its_evidence(
    new_page: NewPage, recording: Path, screenshot: Screenshot
) -> None:
    page = new_page(viewport=DESKTOP)
    page.goto("/")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(recording)
    page.get_by_role("heading", name="my_room", level=1).wait_for()
    page.locator(".space[data-state=ready]").wait_for()
    assert re.search(r"\d+ frames · 18 objects", page.locator(".scene-head").inner_text())

    ask(page, DISTANCE)
    shown = re.fullmatch(r"([\d.]+) m ± ([\d.]+) m", page.locator(".answer-value").inner_text())
    assert shown is not None
    assert float(shown[1]) == pytest.approx(TRUE_DISTANCE_M, abs=0.05 * TRUE_DISTANCE_M + float(shown[2]))
    rows = page.locator(".evidence tbody tr")
    assert rows.count() >= 1
    assert re.search(r"± [\d.]+ m", rows.first.inner_text())
    screenshot(page, "web-answer")

    page.get_by_role("tab", name="Map").click()
    assert page.locator(".map-mark polyline").count() == 1
    assert "m" in (page.locator(".map-mark text").text_content() or "")
    page.get_by_role("tab", name="Frames").click()
    page.locator(".frame-picture image").wait_for()
    assert page.locator(".frame-edge").count() >= 12
    page.get_by_role("tab", name="Picture").click()
    picture = page.locator("img.picture")
    picture.wait_for()
    page.wait_for_function("() => document.querySelector('img.picture').naturalWidth > 1000")

    page.get_by_text("Trace", exact=True).click()
    page.locator(".steps summary").filter(has_text="Plan").first.click()
    page.locator(".steps details[open] pre").get_by_text('"tool": "distance"').wait_for()


def test_the_3d_view_shows_points_boxes_and_what_was_measured(new_page: NewPage, scene: str) -> None:
    page = new_page(viewport=DESKTOP)
    open_scene(page, scene)
    canvas = page.locator("canvas")
    switch(page, "Labels")
    whole = pixels_of(canvas.screenshot())
    assert covered_share(whole) > 0.25
    assert colour_count(whole) > 300
    switch(page, "Points")
    lines = pixels_of(canvas.screenshot())
    assert 0.005 < covered_share(lines) < covered_share(whole) / 2
    switch(page, "Boxes")
    assert covered_share(pixels_of(canvas.screenshot())) < covered_share(lines)
    ask(page, DISTANCE)
    red, green, blue = (pixels_of(canvas.screenshot())[..., part].astype(int) for part in range(3))
    assert ((red > 180) & (green < 80) & (blue < 80)).sum() > 150


def test_everything_can_be_done_by_keyboard_with_a_visible_focus(new_page: NewPage, scene: str) -> None:
    page = new_page(viewport=DESKTOP)
    page.route("**/cloud.ply", lambda route: route.abort())
    page.goto("/")
    page.locator(f"a[href='{scene[1:]}']").wait_for()
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to(page, "Try the sample: living room")
    tab_to(page, "my_room")
    page.keyboard.press("Enter")
    page.locator(".space[data-state=without-points]").wait_for()
    tab_to(page, "Ask about this scene")
    page.keyboard.type("How many chairs are in this room?")
    page.keyboard.press("Enter")
    page.locator("[data-answer]").wait_for()
    assert page.locator(".answer-value").inner_text() == "4"
    tab_to(page, "3D")
    for name in ("Map", "Frames"):
        page.keyboard.press("ArrowRight")
        assert focused(page) == name
        assert page.get_by_role("tab", name=name).get_attribute("aria-selected") == "true"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "CANVAS"
    before = drawn(page)
    page.keyboard.press("ArrowLeft")
    wait_for_drawing(page, before)


def tab_to(page: "Page", name: str) -> None:
    """Press Tab until something is focused; whatever is on the way must be seen to be."""
    for _ in range(30):
        page.keyboard.press("Tab")
        outline: float = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert outline >= 2, f"{focused(page)} does not show that it has the focus"
        if focused(page) == name:
            return
    pytest.fail(f"{name} cannot be reached with Tab")


def focused(page: "Page") -> str:
    """Return the name of what has the focus."""
    name: str = page.evaluate(
        "() => { const at = document.activeElement;"
        " return (at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent).trim(); }"
    )
    return name


def test_nothing_is_wider_than_a_phone(new_page: NewPage, scene: str, screenshot: Screenshot) -> None:
    page = new_page(viewport=PHONE, device_scale_factor=2)
    page.goto("/")
    page.get_by_role("button", name="Try the sample: living room").wait_for()
    assert width_of(page) == PHONE["width"]
    open_scene(page, scene)
    assert width_of(page) == PHONE["width"]
    ask(page, DISTANCE)
    assert width_of(page) == PHONE["width"]
    screenshot(page, "web-phone")
    for tab in ("Map", "Frames", "Picture"):
        page.get_by_role("tab", name=tab).click()
        assert width_of(page) == PHONE["width"]
    outside: list[str] = page.evaluate(
        "() => [...document.querySelectorAll('main button, main a, main h1, main h2, main td')]"
        ".filter(e => !e.closest('.chips') && e.getBoundingClientRect().right > innerWidth + 1)"
        ".map(e => e.textContent)"
    )
    assert outside == []


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_the_dark_and_by_day(
    new_page: NewPage, scene: str, screenshot: Screenshot, scheme: str
) -> None:
    page = new_page(viewport=DESKTOP, color_scheme=scheme)
    open_scene(page, scene)
    ask(page, "If I stand by the sofa facing the tv, is the fridge to my left or right?")
    if scheme == "dark":
        screenshot(page, "web-dark")
    seen = brightness(pixels_of(page.screenshot()))
    assert seen < 60 if scheme == "dark" else seen > 200
    colours = page.evaluate(COLOURS, READ)
    for name, text, ground in colours:
        assert contrast_ratio(rgb(text), rgb(ground)) >= 4.5, (scheme, name)


def rgb(css: str) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in re.findall(r"\d+", css)[:3])
    return red, green, blue


def test_no_answer_is_shown_as_none_and_says_why(new_page: NewPage, scene: str) -> None:
    page = new_page(viewport=DESKTOP)
    open_without_points(page, scene)
    assert page.get_by_text("The points could not be loaded").is_visible()
    ask(page, "How far is the sofa from the elephant?")
    card = page.locator("[data-answer]")
    assert card.get_by_text("No answer", exact=True).is_visible()
    assert "here is no 'elephant'" in card.inner_text()
    assert card.locator(".answer-value").count() == 0
    assert page.locator(".evidence").count() == 0


@pytest.mark.slow
def test_options_are_offered_and_the_one_chosen_is_named(new_page: NewPage, scene: str) -> None:
    page = new_page(viewport=DESKTOP)
    open_without_points(page, scene)
    for number, text in enumerate(("two", "three", "4")):
        page.get_by_role("button", name="Add an option").click()
        page.get_by_role("textbox", name=f"Option {'ABC'[number]}").fill(text)
    ask(page, "How many chairs are in this room?")
    assert page.locator(".answer-value").inner_text() == "C"
    assert page.locator(".answer-text").inner_text() == "4"


@pytest.mark.slow
def test_a_link_to_a_question_shows_its_answer_to_whoever_opens_it(new_page: NewPage, scene: str) -> None:
    page = new_page(viewport=DESKTOP)
    open_without_points(page, scene)
    ask(page, "How big is this room?")
    said = page.locator(".answer-text").inner_text()
    other = new_page(viewport=DESKTOP)
    other.goto(page.url)
    other.locator("[data-answer]").wait_for()
    assert other.locator(".answer-text").inner_text() == said
    assert other.locator(".history a[aria-current]").inner_text().startswith("How big is this room?")
    other.get_by_role("link", name="Scenes").click()
    other.get_by_role("heading", name="Your scenes").wait_for()


@pytest.mark.slow
def test_the_sample_is_one_click_away(new_page: NewPage, url: str) -> None:
    page = new_page(viewport=DESKTOP)
    page.goto("/")
    page.get_by_role("button", name="Try the sample: living room").click()
    page.get_by_role("heading", name="living_room", level=1).wait_for()
    # Nobody waits until it has been measured.
    page.goto("/")
    page.on("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete living_room").click()
    page.get_by_text("living_room was deleted").wait_for(state="attached")
    names = [item["name"] for item in httpx.get(f"{url}/v1/scenes").json()["scenes"]]
    assert "living_room" not in names


def test_markup_in_the_names_of_things_stays_text(new_page: NewPage, tmp_path: Path) -> None:
    markup = "<img src=x onerror=alert(1)>"
    box = {"centre_m": [0, 0, 0.5], "extent_m": [1, 1, 1], "world_from_box": np.eye(3).tolist()}
    thing = {"id": f"{markup}-1", "label": markup, "box": box}
    content = {"format": "spatial-agent/scene@1", "scale": "metric", "up": [0, 0, 1], "objects": [thing]}
    path = tmp_path / f"{markup}.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    page = new_page(viewport=DESKTOP)
    page.goto("/")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(path)
    page.locator(".space[data-state=ready]").wait_for()
    page.get_by_role("tab", name="Map").click()
    assert "onerror" in page.locator("h1").inner_text()
    assert "onerror" in (page.locator(".map-name").text_content() or "")
    assert page.locator("main img").count() == 0


def test_a_stream_that_breaks_off_goes_on_where_it_ended(new_page: NewPage, scene: str) -> None:
    page = new_page(viewport=DESKTOP)
    open_without_points(page, scene)
    asked_after: list[str | None] = []

    def break_first(route: "Route") -> None:
        asked_after.append(route.request.headers.get("last-event-id"))
        if len(asked_after) > 1:
            route.continue_()
            return
        event = 'id: 1.2\nevent: tool_call\ndata: {"call_id": "c1", "tool": "distance", "arguments": {}}\n\n'
        route.fulfill(content_type="text/event-stream", body=event + "id: 1.3\nevent: evid")

    page.route("**/events", break_first)
    ask(page, "How tall is the fridge?")
    assert asked_after == [None, "1.2"]
    assert page.locator(".answer-value").is_visible()


@pytest.mark.slow
def test_a_big_file_goes_in_pieces_and_goes_on_after_one_is_lost(
    new_page: NewPage, recording: Path, tmp_path: Path
) -> None:
    archive = tmp_path / "room.zip"
    with ZipFile(archive, "w") as zipped:
        for path in recording.rglob("*"):
            zipped.write(path, path.relative_to(recording))
        # Beside the scan lies a document that nothing opens, and that makes the file a big one.
        zipped.writestr("notes.pdf", random.Random(0).randbytes(66 * 2**20))
    page = new_page(viewport=DESKTOP)
    offsets: list[int] = []

    def lose_third(route: "Route") -> None:
        if route.request.method == "PATCH":
            offsets.append(int(route.request.headers["upload-offset"]))
        if len(offsets) == 3 and route.request.method == "PATCH":
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/v1/uploads/*", lose_third)
    page.goto("/")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(archive)
    page.get_by_role("heading", name="room.zip", level=1).wait_for()
    page.locator(".space[data-state=ready]").wait_for()
    assert offsets[2] == offsets[3]
    assert offsets[3:] == sorted(set(offsets[3:]))


def test_a_key_is_asked_for_where_one_is_needed_and_kept_in_the_tab_only(
    new_page: NewPage, tmp_path: Path
) -> None:
    config = ServiceConfig(port=0, folder=tmp_path, keys_required=True)
    service = open_service(config, replace(Settings(), database=None))
    _, token = service.store.keys.create("somebody", "page", frozenset({"read"}))
    with serving_in_thread(service) as guarded:
        page = new_page(viewport=DESKTOP, base_url=guarded)
        page.goto("/")
        dialog = page.get_by_role("dialog", name="API key")
        dialog.get_by_label("Key").fill("sa_wrong_key")
        page.keyboard.press("Enter")
        dialog.get_by_label("Key").fill(token)
        dialog.get_by_role("button", name="Use this key").click()
        page.get_by_role("button", name="Try the sample: living room").click()
        # This key may look, but not upload.
        page.get_by_role("alert").get_by_text("scope").wait_for()
        assert page.evaluate("Object.values(sessionStorage)") == [token]
        assert page.evaluate("localStorage.length") == 0
        assert token not in page.content()
