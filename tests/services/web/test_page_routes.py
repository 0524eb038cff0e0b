"""The page's document and assets, as HTTP gives them."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from spatial_agent.services.api import page
from spatial_agent.services.api.handlers import add_handlers

SCRIPT = "main-4f2a.js"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder as the build leaves it, beside something that is nobody's business."""
    folder = tmp_path / "bundle"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Room</title>", encoding="utf-8")
    (folder / "assets" / SCRIPT).write_text("export {};", encoding="utf-8")
    (tmp_path / "secret.js").write_text("secret", encoding="utf-8")
    return folder


@pytest.fixture
def client(built: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """A client of the page's routes alone."""
    monkeypatch.setattr(page, "bundle_folder", lambda: built)
    app = FastAPI()
    app.state.service = SimpleNamespace(folders=())
    add_handlers(app)
    app.include_router(page.router)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def directives(policy: str) -> dict[str, str]:
    """Return a content security policy by directive."""
    return dict(part.strip().partition(" ")[::2] for part in policy.split(";"))


def test_the_document_may_load_nothing_from_elsewhere_and_run_nothing_inline(client: TestClient) -> None:
    response = client.get("/")
    assert response.status_code == 200
    assert "<title>Room" in response.text
    policy = directives(response.headers["content-security-policy"])
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in response.headers["content-security-policy"]
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "no-referrer"


def test_the_document_is_asked_for_anew_and_assets_are_kept_for_good(client: TestClient) -> None:
    assert client.get("/").headers["cache-control"] == "no-cache"
    asset = client.get(f"/assets/{SCRIPT}")
    assert asset.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert asset.headers["content-type"].startswith("text/javascript")
    assert asset.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "name", ["other.js", "..%2Findex.html", "..%2F..%2Fsecret.js", "%2Fetc%2Fpasswd", "main-4f2a.js%00", "."]
)
def test_only_assets_of_the_page_are_given_out(client: TestClient, name: str) -> None:
    response = client.get(f"/assets/{name}")
    assert response.status_code == 404
    assert "secret" not in response.text


def test_an_asset_that_is_gone_is_told_as_a_problem(client: TestClient) -> None:
    response = client.get("/assets/main-0000.js")
    assert response.headers["content-type"].startswith("application/problem+json")
    assert "load it again" in response.json()["detail"]


def test_a_page_that_was_not_built_says_how_to_build_it(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "bundle_folder", lambda: None)
    response = client.get("/")
    assert response.status_code == 404
    assert "make web" in response.text
    assert "content-security-policy" in response.headers
    assert client.get(f"/assets/{SCRIPT}").status_code == 404
