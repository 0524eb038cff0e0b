"""What a package or module declares public is there, once, in order."""

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PORTIONS = sorted(marker.parent for marker in ROOT.glob("*/py.typed"))


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(("spatial_agent", *(part for part in parts if part != "__init__")))


DECLARING = sorted(
    module_name(file)
    for portion in PORTIONS
    for file in portion.rglob("*.py")
    if re.search(r"^__all__\b", file.read_text(encoding="utf-8"), re.MULTILINE)
)


def is_package(module: str) -> bool:
    return (ROOT / Path(*module.split(".")[1:]) / "__init__.py").is_file()


def isort_style(name: str) -> tuple[int, str]:
    """Constants first, then classes, then functions: the order ruff gives to `__all__`."""
    if name.isupper() and len(name) > 1:
        return 0, name
    return (1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("module", DECLARING)
def test_declared_names_are_sorted_and_importable(module: str) -> None:
    loaded = importlib.import_module(module)
    declared = list(loaded.__all__)
    assert declared == sorted(set(declared), key=isort_style)
    assert [name for name in declared if not hasattr(loaded, name)] == []


@pytest.mark.parametrize("module", [name for name in DECLARING if is_package(name)])
def test_a_package_declares_everything_it_re_exports(module: str) -> None:
    loaded = importlib.import_module(module)
    own = {
        name
        for name, value in vars(loaded).items()
        if str(getattr(value, "__module__", "")).startswith(module)
    }
    assert {name for name in own if not name.startswith("_")} - set(loaded.__all__) == set()
