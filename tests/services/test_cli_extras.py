"""Commands whose packages are extras say how to install them."""

import sys

import pytest
import typer

from spatial_agent.services.cli import app
from spatial_agent.services.cli_errors import EXTRAS, Exit, reported_errors


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        (["serve", "--port", "0"], "uvicorn", "serve"),
        (["keys", "list"], "sqlalchemy", "serve"),
        (["mcp", "--root", "."], "mcp", "mcp"),
    ],
)
def test_a_missing_package_is_named_with_what_installs_it(
    command: list[str],
    package: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for module in [name for name in sys.modules if name.startswith("spatial_agent.services.")]:
        needs = any(part in module for part in (".store", ".api", ".mcp_server", ".open_service", ".work"))
        if needs:
            monkeypatch.delitem(sys.modules, module)
    # A module that was loaded before would be found without a look at its package.
    for module in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(SystemExit) as ended:
        app(command)

    assert ended.value.code == Exit.USAGE
    said = capsys.readouterr().err
    assert f"pip install 'spatial-reasoning-agent[{extra}]'" in said
    assert "Traceback" not in said


def test_every_extra_is_one() -> None:
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(EXTRAS.values()) <= set(project["optional-dependencies"])


def test_a_package_that_is_no_extra_of_ours_is_no_usage_error() -> None:
    with pytest.raises(ModuleNotFoundError), reported_errors():
        raise ModuleNotFoundError("no such", name="something_else")


def test_typer_is_what_reports_them() -> None:
    with pytest.raises(typer.Exit), reported_errors():
        raise ModuleNotFoundError("no such", name="fastapi.responses")
