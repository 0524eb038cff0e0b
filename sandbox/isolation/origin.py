"""Where the code of an entry point lies, found without running any of it."""

import hashlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlparse

from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.tools.errors import ConfigurationError

#: Source files looked at to notice that a distribution was edited; those of one that is larger are not.
_MOST_FILES = 5000
_VALUE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Origin:
    """The distribution of an entry point; plain data, which other processes can take.

    Attributes:
        distribution: Its name.
        readable: Files and folders that hold its code, beside what every program sees.
        paths: Entries of ``sys.path`` it is imported from, beside the usual ones.
        digest: Changes when its metadata or its code do.
    """

    distribution: str
    readable: tuple[str, ...]
    paths: tuple[str, ...]
    digest: str


def origin_of(point: metadata.EntryPoint) -> Origin:
    """Return where an entry point's code lies.

    Raises:
        ConfigurationError: If it belongs to no distribution, its metadata cannot be read, or its module is
            nowhere.
    """
    distribution = point.dist
    if distribution is None:
        raise ConfigurationError(f"{point.name!r} belongs to no installed distribution")
    if not _VALUE.fullmatch(point.value):
        raise ConfigurationError(f"{ascii(point.value)[:80]} is no entry point; expected module:name")
    try:
        places = sorted({*_recorded(distribution), *_editable(distribution), _module(point)})
        digest = _digest(distribution, point, places)
    except ConfigurationError:
        raise
    except Exception as error:  # the metadata is the stranger's, and may be anything
        raise ConfigurationError(f"its metadata cannot be read ({error}); install it again") from error
    paths = tuple(dict.fromkeys(str(place.parent) for place in places))
    return Origin(distribution.name, tuple(map(str, places)), paths, digest)


def _recorded(distribution: metadata.Distribution) -> Iterator[Path]:
    """Yield what its record says was installed, by the outermost file or folder, metadata included."""
    names = {file.parts[0] for file in distribution.files or ()}
    for name in names - {"..", "/", "__pycache__", "spatial_agent"}:
        place = Path(str(distribution.locate_file(name)))
        if not name.endswith(".pth") and place.exists():
            yield place


def _editable(distribution: metadata.Distribution) -> Iterator[Path]:
    """Yield the modules and packages of a project that is installed as a link to its own folder."""
    told = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not told.get("dir_info", {}).get("editable"):
        return
    project = Path(unquote(urlparse(told.get("url", "")).path))
    for name in (distribution.read_text("top_level.txt") or "").split():
        place = _found(name)
        if place is not None and place.is_relative_to(project):
            yield place


def _module(point: metadata.EntryPoint) -> Path:
    name = point.module.partition(".")[0]
    place = _found(name)
    if place is None:
        raise ConfigurationError(f"{point.name!r}: there is no module {name!r}; install it again")
    return place


def _found(name: str) -> Path | None:
    """Return the file or folder of a top-level module; none of its code runs."""
    try:
        spec = importlib.util.find_spec(name) if name.isidentifier() else None
    except (ImportError, ValueError):
        return None
    if spec is None or name in sys.stdlib_module_names:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.has_location and spec.origin else None


def search_paths(origin: Origin) -> list[str]:
    """Return the entries of ``sys.path`` that make this package and a distribution importable."""
    spec = importlib.util.find_spec("spatial_agent.tools")
    portions = [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    # An editable installation finds its folders in another way, by a file among the packages.
    own = [str(place.parents[1]) for place in portions if place.parent.name == "spatial_agent"]
    return list(dict.fromkeys([*own, *map(str, bwrap.site_folders()), *origin.paths]))


def _digest(distribution: metadata.Distribution, point: metadata.EntryPoint, places: list[Path]) -> str:
    digest = hashlib.sha256()
    metadata_text = (distribution.read_text(name) or "" for name in ("METADATA", "RECORD", "PKG-INFO"))
    for text in (*metadata_text, point.group, point.name, point.value, sys.version):
        digest.update(f"{len(text)}:{text}".encode())
    for file in _sources(places):
        state = file.stat()
        digest.update(f"{file}:{state.st_size}:{state.st_mtime_ns}".encode())
    return digest.hexdigest()


def _sources(places: list[Path]) -> list[Path]:
    found: list[Path] = []
    for place in places:
        found += [place] if place.is_file() else sorted(place.rglob("*.py"))[:_MOST_FILES]
    return found
