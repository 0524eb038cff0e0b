"""A stranger's distribution, installed, and what isolates it."""

import stat
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from spatial_agent.sandbox.isolation.isolate import Isolation
from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.tools.registry import Registry

SOURCE = Path(__file__).with_name("stranger_tools.py")
ENTRY_POINTS = """
[spatial_agent.experts]
stranger.attack = stranger_tools:attack
stranger.echo = stranger_tools:echo
stranger.prank = stranger_tools:prank
stranger.scaled = stranger_tools:Scaled
stranger.wrong = stranger_tools:wrong

[spatial_agent.skills]
stranger.count = stranger_tools:count
"""


def installed(folder: Path, name: str, code: str, entry_points: str) -> None:
    """Install a module as a distribution, as pip lays it down."""
    module = name.replace("-", "_")
    information = folder / f"{module}-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(entry_points)
    files = [
        f"{module}.py",
        *(f"{information.name}/{file}" for file in ("METADATA", "RECORD", "entry_points.txt")),
    ]
    (information / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for folder_or_file in (folder, *folder.rglob("*")):
        # Temporary folders are for their maker only, and isolated experts run as nobody.
        folder_or_file.chmod(folder_or_file.stat().st_mode | stat.S_IRGRP | stat.S_IROTH)
        if folder_or_file.is_dir():
            folder_or_file.chmod(0o755)


def points(distribution: str) -> dict[str, metadata.EntryPoint]:
    """The entry points of a distribution, by name."""
    return {point.name: point for point in metadata.distribution(distribution).entry_points}


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder a stranger's distribution is installed into; it is on the path."""
    folder = tmp_path_factory.mktemp("site")
    installed(folder, "stranger-tools", SOURCE.read_text(encoding="utf-8"), ENTRY_POINTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder


@pytest.fixture(scope="module")
def isolation(tmp_path_factory: pytest.TempPathFactory) -> Isolation:
    """What isolates; skips where nothing can."""
    reason = bwrap.why_not()
    if reason is not None:
        pytest.skip(reason)
    return Isolation(tmp_path_factory.mktemp("descriptions"))


@pytest.fixture(scope="module")
def registry(stranger: Path, isolation: Isolation) -> Registry:
    """All tools, the stranger's isolated."""
    return Registry.from_entry_points(isolate=isolation)
