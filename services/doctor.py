"""What is installed, what works, and where things are kept."""

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from spatial_agent.services.settings import Settings

Status = Literal["ok", "missing", "broken"]
CORE = ("numpy", "scipy", "shapely", "PIL", "av", "trimesh", "pydantic", "langgraph", "open3d")
OPTIONAL = {"torch": "models", "transformers": "models", "ultralytics": "yolo", "ai_edge_litert": "yolo"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes:
        what: Its name.
        status: ``"ok"``, ``"missing"`` (optional and absent) or ``"broken"``.
        detail: Version, place, or what to do.
    """

    what: str
    status: Status
    detail: str


def examine() -> list[Finding]:
    """Look at Python, dependencies, tools and folders; nothing is changed."""
    settings = Settings()
    return [
        Finding("python", "ok", sys.version.split()[0]),
        *(_core(name) for name in CORE),
        *(_optional(name, extra) for name, extra in OPTIONAL.items()),
        _checked("tools", _count_tools),
        _folder("cache", settings.cache_folder),
        _weights(settings.weights_folder),
        Finding("sandbox", "missing", "programs written by models are not run at all"),
    ]


def _core(name: str) -> Finding:
    return _checked(name, lambda: _imported(name))


def _optional(name: str, extra: str) -> Finding:
    try:
        return Finding(name, "ok", metadata.version(name.replace("_", "-")))
    except metadata.PackageNotFoundError:
        return Finding(name, "missing", f"optional: pip install 'spatial-reasoning-agent[{extra}]'")


def _checked(what: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(what, "ok", check())
    # Whatever a broken installation raises is what the user came to see.
    except Exception as error:
        return Finding(what, "broken", f"{type(error).__name__}: {error}")


def _imported(name: str) -> str:
    from spatial_agent.tools.native_imports import install

    install()
    module = importlib.import_module(name)
    return str(getattr(module, "__version__", "") or metadata.version(name))


def _count_tools() -> str:
    from spatial_agent.tools.registry import Registry

    return f"{len(Registry.from_entry_points())} registered"


def _folder(what: str, folder: Path) -> Finding:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if os.access(nearest, os.W_OK):
        return Finding(what, "ok", str(folder))
    return Finding(what, "broken", f"cannot write {folder}; set SPATIAL_AGENT_CACHE to a folder of yours")


def _weights(folder: Path | None) -> Finding:
    if folder is None:
        return Finding(
            "weights", "missing", "optional: set SPATIAL_AGENT_WEIGHTS to a folder of model weights"
        )
    if not folder.is_dir():
        return Finding("weights", "broken", f"SPATIAL_AGENT_WEIGHTS is {folder}, which is not a folder")
    return Finding("weights", "ok", f"{folder}: {len(list(folder.iterdir()))} files")
