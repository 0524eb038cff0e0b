"""What docs/add-a-skill.md shows, built, installed, and put to the conformance suite."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from spatial_agent.sandbox.kernel import bwrap

DOCUMENT = (Path(__file__).parents[1] / "docs" / "add-a-skill.md").read_text(encoding="utf-8")
ARGUMENTS = re.compile(r"tools check passage --arguments '(.*)'")
DISTRIBUTION = "spatial-agent-passage"
SCAN = Path(__file__).parents[1] / "examples" / "scans" / "living_room"


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the document's skill is installed."""
    source, target = (tmp_path_factory.mktemp(name) for name in ("source", "site"))
    target.chmod(0o755)  # isolated tools run as nobody
    (source / "passage.py").write_text(block("python"), encoding="utf-8")
    (source / "pyproject.toml").write_text(block("toml"), encoding="utf-8")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    offline = ["--no-index", "--disable-pip-version-check", "--root-user-action=ignore"]
    subprocess.run([*install, *offline, "--target", str(target), str(source)], check=True, timeout=120)
    trusted = "" if bwrap.why_not() is None else DISTRIBUTION
    return os.environ | {"PYTHONPATH": str(target), "SPATIAL_AGENT_TRUSTED_EXPERTS": trusted}


def run(environment: dict[str, str], program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_skill_passes_the_conformance_suite(environment: dict[str, str]) -> None:
    [arguments] = ARGUMENTS.findall(DOCUMENT)
    main = "from spatial_agent.services.cli import main; main()"
    done = run(environment, main, "tools", "check", "passage", "--arguments", arguments, "--json")

    assert done.returncode == 0, done.stdout + done.stderr
    assert all(verdict.startswith("ok") for verdict in json.loads(done.stdout)["checks"].values())


def test_it_answers_about_a_scan_and_says_when_it_is_not_sure(environment: dict[str, str]) -> None:
    program = f"""
import asyncio, json
from spatial_agent.services import open_agent
from spatial_agent.tools.contract import ToolCall

async def asked(runner, loaded):
    found = []
    for width_m in (0.8, 2.96, 3.5):
        arguments = {{"scene": "$scene", "a": "sofa", "b": "tv", "width_m": width_m}}
        result = await runner.call(ToolCall(f"c{{width_m}}", "passage", arguments))
        assert result.error is None, result.error
        finding = result.evidence[0].finding
        found.append([finding.value, finding.quality, finding.details["low_m"], finding.details["high_m"]])
    return found

with open_agent() as agent:
    print(json.dumps(agent.work({str(SCAN)!r}, asked)))
"""
    done = run(environment, program)

    assert done.returncode == 0, done.stderr
    fits, close, wide = json.loads(done.stdout)
    assert fits[:2] == [True, "strong"]
    assert wide[:2] == [False, "strong"]
    assert close[1] == "weak"
    assert close[2] < 2.96 < close[3]
