"""What the page is built from."""

import json
import re
from pathlib import Path
from typing import Any

APP = Path(__file__).parents[3] / "services/web/app"


def lock() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((APP / "package-lock.json").read_text(encoding="utf-8"))
    return content


def test_every_package_is_locked_by_its_content_and_none_by_where_it_came_from() -> None:
    packages = {name: package for name, package in lock()["packages"].items() if name}
    assert len(packages) > 5
    assert [name for name, package in packages.items() if "integrity" not in package] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert "omit-lockfile-registry-resolved=true" in (APP / ".npmrc").read_text(encoding="utf-8").splitlines()


def test_packages_are_named_by_exact_versions_which_are_those_locked() -> None:
    package = json.loads((APP / "package.json").read_text(encoding="utf-8"))
    named = package["dependencies"] | package["devDependencies"]
    locked = lock()["packages"]
    assert named == {name: locked[f"node_modules/{name}"]["version"] for name in named}


def test_licences_of_what_goes_into_the_bundle_are_permissive() -> None:
    bundled = [package for package in lock()["packages"].values() if not package.get("dev")]
    assert {package["license"] for package in bundled} <= {"MIT", "Apache-2.0", "ISC", "BSD-3-Clause"}


def test_text_never_becomes_markup_and_styles_are_never_inline() -> None:
    ways = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|\beval\(|new Function"
    )
    sources = sorted((APP / "src").rglob("*.ts"))
    assert len(sources) > 10
    assert [path.name for path in sources if ways.search(path.read_text(encoding="utf-8"))] == []
    document = (APP / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"<style|\sstyle=|\son\w+=|<script>", document) == []
    assert re.findall(r"https?://", document) == []
