"""The wheel holds everything that works in a checkout, and nothing else."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PORTIONS = sorted(marker.parent for marker in ROOT.glob("*/py.typed"))


def test_every_package_is_listed() -> None:
    inits = (file for portion in PORTIONS for file in portion.rglob("__init__.py"))
    existing = {".".join(("spatial_agent", *file.parent.relative_to(ROOT).parts)) for file in inits}
    assert sorted(existing) == PROJECT["tool"]["setuptools"]["packages"]


def test_import_contracts_cover_every_portion() -> None:
    portions = [f"spatial_agent.{portion.name}" for portion in PORTIONS]
    assert portions == PROJECT["tool"]["importlinter"]["root_packages"]


def test_the_core_needs_no_network_runtime() -> None:
    core = " ".join(PROJECT["project"]["dependencies"])
    assert [name for name in ("torch", "transformers", "ultralytics", "ray") if name in core] == []


def copy_sources(target: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", ".*")
    for portion in PORTIONS:
        shutil.copytree(portion, target / portion.name, ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)


def test_the_wheel_holds_exactly_the_files_of_the_packages(tmp_path: Path) -> None:
    copy_sources(tmp_path)
    files = [file for portion in PORTIONS for file in (tmp_path / portion.name).rglob("*") if file.is_file()]
    names = {f"spatial_agent/{file.relative_to(tmp_path).as_posix()}" for file in files}
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", "."]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == names


def test_make_wheel_never_ships_what_an_older_build_left_behind() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nwheel:")[2].partition("\n\n")[0]
    assert recipe.index("rm -rf build") < recipe.index("-m build")
