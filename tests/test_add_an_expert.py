"""What docs/add-an-expert.md shows, built, installed into an environment of its own, and run there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.services.scaffold import new_expert

DOCUMENT = Path(__file__).parents[1] / "docs" / "add-an-expert.md"
DISTRIBUTION = "spatial-agent-clearance-ahead"
#: Where nothing can be isolated, its operator has to trust it.
CAN_ISOLATE = bwrap.why_not() is None
MOST_LINES = 25
SHOWN = re.compile(r"`([\w.]+)`[^`]*?:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MORE_METADATA = re.compile(r"one more line of metadata.*?```toml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENTRY_POINTS = re.compile(r"^\[project\.entry-points\..*?\n(?=\n)", re.MULTILINE | re.DOTALL)


def shown() -> dict[str, str]:
    """The files the document shows, by name."""
    return dict(SHOWN.findall(DOCUMENT.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the document's distribution is installed, and its weights are at hand."""
    source, target, weights = (tmp_path_factory.mktemp(name) for name in ("source", "site", "weights"))
    files = shown()
    [more] = MORE_METADATA.findall(DOCUMENT.read_text(encoding="utf-8"))
    metadata = ENTRY_POINTS.sub(lambda _: more, files["pyproject.toml"])
    metadata = metadata.replace('["clearance_ahead"]', '["clearance_ahead", "floor_colour"]')
    for name, text in (files | {"pyproject.toml": metadata}).items():
        (source / name).write_text(text, encoding="utf-8")
    for folder in (target, weights):
        # Temporary folders are for their maker only, and isolated experts run as nobody.
        folder.chmod(0o755)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    offline = ["--no-index", "--disable-pip-version-check", "--root-user-action=ignore"]
    subprocess.run([*install, *offline, "--target", str(target), str(source)], check=True, timeout=120)
    np.savez(weights / "floor-colour.npz", slope=np.full(3, 0.02), offset=-7.0)
    return os.environ | {
        "PYTHONPATH": str(target),
        "GIVEN": str(weights),
        "SOURCE": str(source),
        "SPATIAL_AGENT_WEIGHTS": str(target / "weights"),
        "NO_COLOR": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "SPATIAL_AGENT_TRUSTED_EXPERTS": "" if CAN_ISOLATE else DISTRIBUTION,
    }


def run(environment: dict[str, str], *arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    program = f"{before}from spatial_agent.services.cli import main; main()"
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command,
        env=environment,
        cwd=environment["GIVEN"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_an_expert_is_one_short_file_and_one_line() -> None:
    files = shown()

    assert set(files) == {
        "clearance_ahead.py",
        "pyproject.toml",
        "test_clearance_ahead.py",
        "floor_colour.py",
    }
    assert len(files["clearance_ahead.py"].splitlines()) <= MOST_LINES
    [section] = ENTRY_POINTS.findall(files["pyproject.toml"])
    assert len(section.splitlines()) == 2


def test_the_document_shows_what_the_command_writes(tmp_path: Path) -> None:
    written = {
        file.name: file.read_text(encoding="utf-8") for file in new_expert("clearance.ahead", tmp_path)
    }

    assert written == {name: text for name, text in shown().items() if name != "floor_colour.py"}


def test_the_installed_expert_is_listed_with_its_schema(environment: dict[str, str]) -> None:
    done = run(environment, "tools", "list", "--json")
    specs = {spec["name"]: spec for spec in json.loads(done.stdout)}

    assert done.returncode == 0, done.stderr
    assert specs["clearance.ahead"]["summary"] == "Measure how far the nearest thing ahead of the camera is."
    assert specs["clearance.ahead"]["references"] == {"depth": "DepthMap"}
    assert "floor.colour" in specs
    assert specs["clearance.ahead"]["isolated"] is CAN_ISOLATE
    assert specs["distance"]["isolated"] is False


def test_without_bubblewrap_it_is_refused_unless_it_is_trusted(environment: dict[str, str]) -> None:
    alone = environment | {"PATH": "/nonexistent", "SPATIAL_AGENT_TRUSTED_EXPERTS": ""}
    no_bubblewrap = "from spatial_agent.sandbox.kernel import bwrap; bwrap.find = lambda: None; "

    refused = run(alone, "tools", "check", "clearance.ahead", before=no_bubblewrap)
    listed = run(alone, "tools", "list", "--json", before=no_bubblewrap)
    trusted = run(
        alone | {"SPATIAL_AGENT_TRUSTED_EXPERTS": DISTRIBUTION},
        "tools",
        "list",
        "--json",
        before=no_bubblewrap,
    )

    assert refused.returncode != 0
    for done in (refused, listed):
        said = " ".join(done.stderr.split())
        assert f"clearance.ahead ({DISTRIBUTION})" in said
        assert "bubblewrap (bwrap) is not installed" in said
        assert f"SPATIAL_AGENT_TRUSTED_EXPERTS={DISTRIBUTION}" in said
    assert "clearance.ahead" not in {spec["name"] for spec in json.loads(listed.stdout)}
    assert "clearance.ahead" in {spec["name"] for spec in json.loads(trusted.stdout)}


def test_the_installed_expert_passes_the_conformance_suite(environment: dict[str, str]) -> None:
    done = run(environment, "tools", "check", "clearance.ahead", "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert len(checks) == 12
    assert all(verdict.startswith("ok") for verdict in checks.values())


def test_its_own_test_passes(environment: dict[str, str]) -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:dash",
        "--rootdir",
        ".",
    ]
    done = subprocess.run(
        [*command, "test_clearance_ahead.py"],
        env=environment,
        cwd=environment["SOURCE"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_the_expert_with_weights_asks_for_them_gets_them_and_passes(environment: dict[str, str]) -> None:
    before = run(environment, "tools", "check", "floor.colour")
    assert before.returncode == 5
    assert "floor-colour.npz, licence CC0-1.0" in before.stderr
    assert "spatial-agent models pull floor-colour.npz --from FOLDER" in before.stderr

    pulled = run(environment, "models", "pull", "floor-colour.npz", "--from", environment["GIVEN"])
    assert pulled.returncode == 0, pulled.stderr
    assert "licence CC0-1.0" in pulled.stderr

    listed = json.loads(run(environment, "models", "list", "--json").stdout)["weights"]
    [entry] = [item for item in listed if item["name"] == "floor-colour.npz"]
    assert (entry["state"], entry["used_by"]) == ("verified", ["floor.colour"])

    after = run(environment, "tools", "check", "floor.colour", "--json")
    assert after.returncode == 0, after.stdout + after.stderr


def test_a_changed_weights_file_is_reported_and_ends_in_an_error_code(environment: dict[str, str]) -> None:
    run(environment, "models", "pull", "floor-colour.npz", "--from", environment["GIVEN"])
    path = Path(environment["SPATIAL_AGENT_WEIGHTS"]) / "floor-colour.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"?")
    try:
        done = run(environment, "models", "verify", "floor-colour.npz", "--json")
    finally:
        path.write_bytes(whole)

    assert done.returncode == 4
    assert json.loads(done.stdout) == {"floor-colour.npz": {"floor-colour.npz": "changed"}}
