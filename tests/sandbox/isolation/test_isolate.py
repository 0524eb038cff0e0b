"""From an entry point to an isolated tool: where its code lies, what is kept, and what is refused."""

import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType

import pytest

from spatial_agent.sandbox.isolation import isolate as isolate_module
from spatial_agent.sandbox.isolation.isolate import Isolation
from spatial_agent.sandbox.isolation.origin import origin_of, search_paths
from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.tools.errors import ConfigurationError, SandboxUnavailableError, ToolUnavailableError
from spatial_agent.tools.registry import Registry


def point(name: str, distribution: str = "stranger-tools") -> metadata.EntryPoint:
    [found] = [point for point in metadata.distribution(distribution).entry_points if point.name == name]
    return found


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing can be asked what it is any more."""

    def describe(*_: object) -> object:
        raise AssertionError("it was asked again")

    monkeypatch.setattr(isolate_module, "describe", describe)


def test_what_a_tool_says_of_itself_is_asked_once(
    isolation: Isolation, registry: Registry, deaf: ModuleType
) -> None:
    assert isolation(point("stranger.echo")).spec == registry.get("stranger.echo").spec


def test_it_is_asked_again_once_its_code_has_changed(
    isolation: Isolation, registry: Registry, stranger: Path, deaf: ModuleType
) -> None:
    code = stranger / "stranger_tools.py"
    text = code.read_text(encoding="utf-8")
    code.write_text(f"{text}\n# Changed.\n", encoding="utf-8")
    try:
        with pytest.raises(AssertionError, match="asked again"):
            isolation(point("stranger.echo"))
    finally:
        code.write_text(text, encoding="utf-8")


def test_what_is_kept_is_checked_when_it_is_read(
    stranger: Path, isolation: Isolation, tmp_path: Path
) -> None:
    name = f"{origin_of(point('stranger.echo')).digest}.json"
    for kept in ("", "[]", '{"format": 1, "description": {"name": "stranger.echo"}}'):
        (tmp_path / name).write_text(kept, encoding="utf-8")

        assert Isolation(tmp_path)(point("stranger.echo")).references

    assert (tmp_path / name).stat().st_size > len(kept)


def test_its_code_is_all_it_is_given(stranger: Path) -> None:
    origin = origin_of(point("stranger.echo"))

    assert set(origin.readable) == {
        str(stranger / "stranger_tools.py"),
        str(stranger / "stranger_tools-1.0.dist-info"),
    }
    assert str(stranger) in search_paths(origin)
    assert "stranger_tools" not in sys.modules


def test_a_distribution_in_the_current_folder_does_not_open_it(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stranger)

    assert str(stranger) not in origin_of(point("stranger.echo")).readable
    assert stranger not in bwrap.site_folders()


@pytest.mark.parametrize("value", ["no_such_module_anywhere:tool", "os:system", "../up:tool"])
def test_a_module_that_is_no_strangers_is_refused(value: str, stranger: Path, isolation: Isolation) -> None:
    broken = metadata.EntryPoint("any", value, "spatial_agent.experts")
    broken = broken._for(point("stranger.echo").dist)  # type: ignore[attr-defined]

    with pytest.raises(ConfigurationError, match="there is no module|is no entry point"):
        isolation(broken)


@pytest.mark.parametrize("content", ["{", "[]", '{"dir_info": 3}'])
def test_metadata_that_cannot_be_read_is_refused(content: str, stranger: Path, isolation: Isolation) -> None:
    file = stranger / "stranger_tools-1.0.dist-info" / "direct_url.json"
    file.write_text(content, encoding="utf-8")
    try:
        with pytest.raises(ConfigurationError, match="metadata cannot be read"):
            isolation(point("stranger.echo"))
    finally:
        file.unlink()


def test_one_of_no_distribution_is_refused(isolation: Isolation) -> None:
    with pytest.raises(ConfigurationError, match="belongs to no installed distribution"):
        isolation(metadata.EntryPoint("any", "stranger_tools:echo", "spatial_agent.experts"))


def test_one_whose_name_is_not_its_own_is_refused(stranger: Path, isolation: Isolation) -> None:
    other = metadata.EntryPoint("stranger.other", "stranger_tools:echo", "spatial_agent.experts")
    other = other._for(point("stranger.echo").dist)  # type: ignore[attr-defined]

    with pytest.raises(
        ConfigurationError, match=r"calls itself 'stranger\.echo'; expected 'stranger\.other'"
    ):
        isolation(other)


def test_where_nothing_can_be_isolated_it_is_refused(
    stranger: Path, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bwrap, "why_not", lambda: "there is no bubblewrap")

    with pytest.raises(
        SandboxUnavailableError, match="no bubblewrap.*SPATIAL_AGENT_TRUSTED_EXPERTS=stranger-tools"
    ):
        Isolation(tmp_path)(point("stranger.echo"))
    with pytest.raises(ToolUnavailableError, match="runs isolated only, and cannot here"):
        registry.get("stranger.echo").build().load("cpu")
