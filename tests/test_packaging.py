"""The wheel holds everything that works in a checkout, and nothing else."""

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PORTIONS = sorted(marker.parent for marker in ROOT.glob("*/py.typed"))


#: The page's sources are built from, not installed.
PAGE_SOURCES = "services/web/app"
#: The sample scan of the service is the one of the examples.
SAMPLE = ("spatial_agent.services.samples.living_room", "examples/scans/living_room")


def test_every_package_is_listed() -> None:
    inits = (file for portion in PORTIONS for file in portion.rglob("__init__.py"))
    existing = {".".join(("spatial_agent", *file.parent.relative_to(ROOT).parts)) for file in inits}
    assert sorted(existing | {SAMPLE[0]}) == PROJECT["tool"]["setuptools"]["packages"]


def test_import_contracts_cover_every_portion() -> None:
    portions = [f"spatial_agent.{portion.name}" for portion in PORTIONS]
    assert portions == PROJECT["tool"]["importlinter"]["root_packages"]


def test_the_core_needs_no_network_runtime() -> None:
    core = " ".join(PROJECT["project"]["dependencies"])
    assert [name for name in ("torch", "transformers", "ultralytics", "ray") if name in core] == []


def copy_sources(target: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", ".*", "node_modules")
    for folder in (*PORTIONS, ROOT / SAMPLE[1]):
        shutil.copytree(folder, target / folder.relative_to(ROOT), ignore=ignore)
    for name in ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in"):
        shutil.copy(ROOT / name, target / name)
    # Where the page has not been built, something stands in for it.
    bundle = target / "services/web/bundle"
    (bundle / "assets").mkdir(parents=True, exist_ok=True)
    (bundle / "index.html").touch()
    (bundle / "assets" / "index-stand-in.js").touch()


def test_the_wheel_holds_exactly_the_files_of_the_packages(tmp_path: Path) -> None:
    copy_sources(tmp_path)
    packed = [*(tmp_path / portion.name for portion in PORTIONS), tmp_path / SAMPLE[1]]
    files = [file.relative_to(tmp_path).as_posix() for folder in packed for file in folder.rglob("*.*")]
    files = [name for name in files if not name.startswith(PAGE_SOURCES) and (tmp_path / name).is_file()]
    sample = SAMPLE[0].replace(".", "/")
    names = {
        name.replace(SAMPLE[1], sample) if name.startswith("ex") else f"spatial_agent/{name}"
        for name in files
    }
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", "."]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    assert {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name} == names
    assert "spatial_agent/services/web/bundle/index.html" in names
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        kept = {name.partition("/")[2] for name in archive.getnames()}
    assert {"services/web/bundle/index.html", f"{PAGE_SOURCES}/package-lock.json"} <= kept
    assert not any("node_modules" in name for name in kept)


def test_make_wheel_never_ships_what_an_older_build_left_behind() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = makefile.partition("\nwheel:")[2].partition("\n\n")[0]
    assert recipe.index("rm -rf build") < recipe.index("-m build")
