"""What is installed, what works, and where things are kept."""

import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import SpatialAgentError

if TYPE_CHECKING:
    from spatial_agent.services.weights_overview import WeightsStatus

#: Hosts that nobody can listen in on the way to.
LOOPBACK = ("127.0.0.1", "::1", "localhost")
Status = Literal["ok", "missing", "broken"]
CORE = ("numpy", "scipy", "shapely", "PIL", "av", "trimesh", "pydantic", "langgraph", "open3d")
OPTIONAL = {
    "torch": "models",
    "transformers": "models",
    "huggingface_hub": "models",
    "ai_edge_litert": "light",
    "ncnn": "light",
    "rapidocr_onnxruntime": "light",
    "ultralytics": "yolo",
    "langchain_openai": "llm",
    "ray": "ray",
    "fastapi": "serve",
    "sqlalchemy": "serve",
    "psycopg": "postgres",
    "mcp": "mcp",
    "httpx": "client",
}


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
        *_weights(settings),
        _model(settings),
        *_sandbox(settings),
        _web_page(),
        _isolation(),
    ]


def _model(settings: Settings) -> Finding:
    if settings.model == "none":
        return Finding(
            "model", "ok", "none: the grammar reads, the evidence answers; SPATIAL_AGENT_MODEL names one"
        )
    return _checked("model", lambda: _opened_model(settings))


def _opened_model(settings: Settings) -> str:
    """Return the name of the model that the setting names, and what becomes of the key; nothing is asked."""
    from spatial_agent.agent.models.opening import address_of, open_model

    key = settings.key_for(settings.model)
    model = open_model(settings.model, key=key, weights_folder=settings.weights_folder)
    address = urlsplit(address_of(settings.model) or "")
    if model is None or not address.hostname:
        return "none" if model is None else model.name
    is_bare = address.scheme == "http" and address.hostname not in LOOPBACK
    sent = "what is asked, and the key," if key else "what is asked"
    bare = f"; {sent} would go to {address.hostname} UNENCRYPTED: use https" if is_bare else ""
    return f"{model.name}, {'with' if key else 'without'} a key{bare}"


def _web_page() -> Finding:
    from spatial_agent.services.web import bundle_folder

    if bundle_folder() is None:
        return Finding("web page", "missing", "not built: 'make web' in a checkout; wheels carry it")
    return Finding("web page", "ok", "built")


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
    from spatial_agent.services.tools_here import installed_tools

    registry = installed_tools()
    isolated = sum(registry.get(name).is_isolated for name in registry)
    return f"{len(registry)} registered, {isolated} of them isolated; {len(registry.left_out)} refused"


def _folder(what: str, folder: Path) -> Finding:
    nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if os.access(nearest, os.W_OK):
        return Finding(what, "ok", str(folder))
    return Finding(what, "broken", f"cannot write {folder}; set SPATIAL_AGENT_CACHE to a folder of yours")


def _sandbox(settings: Settings) -> list[Finding]:
    """Say what programs run in, and each of its walls."""
    from spatial_agent.sandbox.environment import Layer
    from spatial_agent.services.sandboxes import open_sandbox

    try:
        sandbox = open_sandbox(settings)
    except SpatialAgentError as error:
        return [Finding("sandbox", "missing", f"programs are not run at all: {error}")]
    up = sandbox.layers
    sandbox.close()
    holds = not {Layer.SECCOMP, Layer.NAMESPACES}.isdisjoint(up)
    name = sandbox.name if holds else f"{sandbox.name}: PROGRAMS CAN DO WHATEVER YOU CAN"
    return [
        Finding("sandbox", "ok" if holds else "broken", name),
        *(
            Finding(f"sandbox {layer}", "ok" if layer in up else "missing", f"blocks {layer.holds}")
            for layer in Layer
        ),
    ]


def _isolation() -> Finding:
    """Say whether experts of strangers can be run."""
    from spatial_agent.sandbox.kernel import bwrap

    reason = bwrap.why_not()
    if reason is None:
        return Finding("isolated experts", "ok", f"{bwrap.find()}: experts of strangers run apart")
    return Finding("isolated experts", "missing", f"experts of strangers are refused: {reason}")


def _weights(settings: Settings) -> list[Finding]:
    """Say where weights are kept, and how those are that were put there."""
    from spatial_agent.services.model_store import ModelStore
    from spatial_agent.services.weights_overview import overview

    given = settings.weights_folder
    if given is not None and not given.is_dir():
        return [Finding("weights", "broken", f"SPATIAL_AGENT_WEIGHTS is {given}, which is not a folder")]
    try:
        store = ModelStore.of(settings)
        found = overview(store)
    # Whatever a broken installation or lock file raises is what the user came to see.
    except Exception as error:
        return [Finding("weights", "broken", f"{type(error).__name__}: {error}")]
    here = [item for item in found if item.state != "missing"]
    summary = f"{len(here)} of {len(found)} in {store.folder}; spatial-agent models list shows all"
    return [
        Finding("weights", "ok" if here else "missing", summary),
        *(_one_of_weights(item) for item in here),
    ]


def _one_of_weights(item: "WeightsStatus") -> Finding:
    name = f"weights {item.weights.name}"
    if item.state == "incomplete":
        return Finding(name, "broken", f"incomplete; spatial-agent models pull {item.weights.name}")
    checked = "" if item.state == "verified" else ", not checked: spatial-agent models verify"
    return Finding(name, "ok", f"{item.bytes / 1e6:.1f} MB, licence {item.weights.licence}{checked}")
