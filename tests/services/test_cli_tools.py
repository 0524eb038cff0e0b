"""The commands of the newcomer: what they print, write and return."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from spatial_agent.services.cli import app
from spatial_agent.services.scaffold import new_expert
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.registry import Registry, Tool, expert, tool_of


@expert("test.division")
def division(of_m: float, by: float = 2.0) -> float:
    """Divide a length.

    Args:
        of_m: The length.
        by: The divisor.
    """
    return of_m / by


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Tool:
    registry = Registry()
    registry.add(division)
    monkeypatch.setattr(Registry, "from_entry_points", lambda **_: registry.freeze())
    return tool_of(division)


def test_a_new_expert_is_written_once(tmp_path: Path) -> None:
    arguments = ["tools", "new", "depth.my_own", "--folder", str(tmp_path)]
    done = CliRunner().invoke(app, arguments)

    root = tmp_path / "spatial-agent-depth-my-own"
    assert done.exit_code == 0
    assert {path.name for path in root.iterdir()} == {
        "pyproject.toml",
        "depth_my_own.py",
        "test_depth_my_own.py",
    }
    assert '"depth.my_own" = "depth_my_own:depth_my_own"' in (root / "pyproject.toml").read_text()
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("name", ["Depth", "depth.", "../up", "depth mine", "", "1depth"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a name such as"):
        new_expert(name, tmp_path)

    assert not list(tmp_path.iterdir())


def test_a_failing_check_ends_in_an_error_code_and_says_why(installed: Tool) -> None:
    done = CliRunner().invoke(app, ["tools", "check", installed.name, "--json"])

    report = json.loads(done.stdout)
    assert done.exit_code == 5
    assert report["tool"] == "test.division"
    wrong = {name for name, verdict in report["checks"].items() if not verdict.startswith("ok")}
    assert wrong == {"bare numbers carry their unit", "hostile arguments end in a result or an error"}
    assert "by=0.0: expected a result or a ToolError, got ZeroDivisionError" in str(report["checks"])


def test_the_table_shows_every_check(installed: Tool) -> None:
    done = CliRunner().invoke(app, ["tools", "check", installed.name], env={"COLUMNS": "300"})

    assert done.exit_code == 5
    assert "equal calls give equal results" in done.stdout
    assert "ZeroDivisionError" in done.stdout


@pytest.mark.parametrize("arguments", ["[1]", "{", "3"])
def test_arguments_that_are_no_json_object_are_refused(arguments: str, installed: Tool) -> None:
    done = CliRunner().invoke(app, ["tools", "check", installed.name, "--arguments", arguments])

    assert done.exit_code == 2


def test_an_unknown_tool_gets_the_nearest_name(installed: Tool) -> None:
    done = CliRunner().invoke(app, ["tools", "check", "test.divison"])

    assert done.exit_code == 5
    assert "did you mean 'test.division'" in done.stderr
