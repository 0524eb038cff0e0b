"""What the tests of walls share: a fresh Python that puts them up, never the one that runs the tests."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

#: Who attempts things: root can give itself up, anyone else can be nobody but themselves.
USERS = ("root", "nobody") if hasattr(os, "geteuid") and os.geteuid() == 0 else ("self",)


@functools.cache
def _outcomes(path: Path, wall: str, user: str) -> dict[str, tuple[str | None, str]]:
    script = Path(__file__).with_name("behind_walls.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), str(path), wall, user],
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return {name: (before, behind) for name, (before, behind) in json.loads(done.stdout).items()}


@pytest.fixture(params=USERS)
def user(request: pytest.FixtureRequest) -> str:
    """Who makes the attempts."""
    return str(request.param)


@pytest.fixture
def outcomes(request: pytest.FixtureRequest, user: str) -> Callable[[str], dict[str, tuple[str | None, str]]]:
    """What came of a module's attempts in front of a wall of its ``WALLS`` and behind it; run once each."""
    return lambda wall: _outcomes(request.path, wall, user)
