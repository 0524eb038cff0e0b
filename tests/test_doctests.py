"""Every example in a docstring is run, under the module's real name."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def modules() -> list[str]:
    """Name every module of every portion, as it is imported; pytest's own collector names them wrongly."""
    files = (file for marker in ROOT.glob("*/py.typed") for file in marker.parent.rglob("*.py"))
    paths = (file.relative_to(ROOT).with_suffix("").parts for file in files if file.name != "__main__.py")
    return sorted(".".join(("spatial_agent", *path)).removesuffix(".__init__") for path in paths)


@pytest.mark.parametrize("name", modules())
def test_docstring_examples_of(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.failed == 0, f"{result.failed} of {result.attempted} examples; see the captured output"


def test_the_examples_are_found() -> None:
    arrays = importlib.import_module("spatial_agent.tools.scene.arrays")
    assert "spatial_agent.tools.scene.arrays" in modules()
    assert doctest.testmod(arrays).attempted > 0
