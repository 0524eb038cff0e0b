"""Rules on imports that need the source, beside the contracts that ``make contracts`` checks."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PORTIONS = sorted(marker.parent for marker in ROOT.glob("*/py.typed"))
BARE_NAMES = {"agent", "prompts", "sandbox", "services", "tools"}
#: Each takes tenths of seconds to import, which every start of the program would pay.
HEAVY = {
    "ai_edge_litert",
    "av",
    "langchain_core",
    "langchain_openai",
    "langgraph",
    "matplotlib",
    "open3d",
    "openai",
    "torch",
    "torchvision",
    "transformers",
    "trimesh",
    "ultralytics",
}
#: Imported themselves only when a question is asked or a model first answers; contracts keep langgraph and
#: langchain inside them.
LOOP = {
    ROOT / "agent" / name for name in ("checkpoints.py", "graph.py", "state.py", "models/openai_client.py")
}
#: Packages of the service and its client.
SERVICE = ("api", "mcp_server", "scene_files", "sdk", "store", "web", "work")
#: May import what only an extra installs.
WITH_EXTRAS = {
    *(ROOT / "agent" / "models").rglob("*.py"),
    *(ROOT / "tools" / "experts").rglob("*.py"),
    ROOT / "agent" / "checkpoints.py",
    ROOT / "tools" / "native_imports.py",
    ROOT / "services" / "weights_origin.py",
    ROOT / "services" / "metrics.py",
    ROOT / "services" / "runners.py",
    *(ROOT / "services").glob("ray_*.py"),
    # The service and its client: each is an extra, and nothing else imports them when it is imported itself.
    ROOT / "services" / "open_service.py",
    ROOT / "services" / "serve_app.py",
    *(file for part in SERVICE for file in (ROOT / "services" / part).rglob("*.py")),
}
GEOMETRY_NEEDS = {"numpy", "scipy", "shapely", "spatial_agent"}


def source_files() -> list[Path]:
    folders = [*PORTIONS, *(ROOT / name for name in ("tests", "benchmarks", "examples"))]
    return sorted(file for folder in folders for file in folder.rglob("*.py"))


def imported_roots(tree: ast.AST) -> Iterator[str]:
    """Top-level names of everything imported anywhere below `tree`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.partition(".")[0]


def runs_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """The import statements that run when the module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        yield from runs_at_import(child)


def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def named(found: dict[Path, set[str]]) -> dict[str, set[str]]:
    return {file.relative_to(ROOT).as_posix(): names for file, names in found.items() if names}


def test_nothing_imports_a_portion_by_its_bare_name() -> None:
    assert named({file: BARE_NAMES & {*imported_roots(parse(file))} for file in source_files()}) == {}


def test_heavy_packages_are_imported_only_when_needed() -> None:
    files = (file for portion in PORTIONS for file in portion.rglob("*.py"))
    at_import = {
        file: HEAVY & {root for node in runs_at_import(parse(file)) for root in imported_roots(node)}
        for file in files
        if file not in LOOP
    }
    assert named(at_import) == {}


def test_geometry_needs_only_numpy_scipy_and_shapely() -> None:
    allowed = GEOMETRY_NEEDS | sys.stdlib_module_names
    files = (ROOT / "tools" / "geometry").rglob("*.py")
    assert named({file: {*imported_roots(parse(file))} - allowed for file in files}) == {}


def distributions(requirements: list[str]) -> set[str]:
    names = (re.split(r"[^\w.-]", requirement, maxsplit=1)[0] for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def test_the_core_imports_only_what_it_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = distributions(project["dependencies"])
    providers = importlib.metadata.packages_distributions()
    provided = {name for name, by in providers.items() if core & distributions(by)}
    allowed = provided | sys.stdlib_module_names | {"spatial_agent"}
    files = {file for portion in PORTIONS for file in portion.rglob("*.py")} - WITH_EXTRAS
    assert named({file: {*imported_roots(parse(file))} - allowed for file in files}) == {}


@pytest.mark.parametrize(
    "init",
    sorted(file for portion in PORTIONS for file in portion.rglob("__init__.py")),
    ids=lambda init: str(init.parent.relative_to(ROOT)),
)
def test_a_package_refuses_to_be_imported_a_second_time_under_another_name(init: Path) -> None:
    name = ".".join(init.parent.relative_to(ROOT).parts)
    guard = f"if __name__ != 'spatial_agent.{name}':\n    raise ImportError("
    statements = [ast.unparse(node) for node in parse(init).body]
    assert ast.get_docstring(parse(init)), "expected a docstring that says what the package is for"
    assert statements[1].startswith(guard), f"expected the guard {guard!r} right after the docstring"


@pytest.mark.parametrize("portion", [portion.name for portion in PORTIONS])
def test_the_guard_stops_a_bare_import_from_the_checkout(portion: str) -> None:
    command = [sys.executable, "-c", f"import {portion}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert f"ImportError: import spatial_agent.{portion}, not {portion}" in done.stderr
