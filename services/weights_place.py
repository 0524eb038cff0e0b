"""Where the files of weights lie in a folder, and which they are."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError

WILDCARDS = frozenset("*?[")


@dataclass(frozen=True)
class Place:
    """Where weights belong.

    Attributes:
        path: What an expert is given: a folder, or one file.
        root: The folder that their files lie in.
        patterns: What they need inside it; one without ``/`` means the folder itself, not those below.
    """

    path: Path
    root: Path
    patterns: tuple[str, ...]

    @property
    def is_file(self) -> bool:
        """Whether an expert is given one file, which may have others beside it."""
        return self.path != self.root

    @property
    def files(self) -> list[str]:
        """The files that are there, by their sorted paths inside the root."""
        found = {path for pattern in self.patterns for path in self.root.glob(pattern) if path.is_file()}
        return sorted(path.relative_to(self.root).as_posix() for path in found)


def layout(weights: Weights, folder: Path) -> Place:
    """Return where weights lie in a weights folder.

    Raises:
        ConfigurationError: If the weights name no place inside it.
    """
    file = file_name(weights)
    name = weights.name if file is None else file
    if not is_inside(name) or name in ("", "."):
        raise ConfigurationError(f"weights {weights.name!r}: {name!r} is no name of a file or folder")
    path = folder / name
    if file is None or path.is_dir():
        return Place(path, path, weights.files)
    beside = [pattern for pattern in weights.files if not WILDCARDS & set(pattern)]
    return Place(path, folder, tuple(dict.fromkeys([name, *beside, *weights.sha256])))


def file_name(weights: Weights) -> str | None:
    """Return the name of weights that are put into the folder by hand, None for those of the hub.

    Raises:
        ConfigurationError: If the source is neither.
    """
    kind, _, name = weights.source.partition(":")
    if kind not in ("hf", "file"):
        raise ConfigurationError(
            f"weights {weights.name!r}: expected source 'hf:owner/model' or 'file:NAME', "
            f"got {weights.source!r}"
        )
    return name if kind == "file" else None


def needed(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return those of the names that any pattern fits.

    >>> needed(["*.json"], ["config.json", "model.safetensors", "onnx/config.json"])
    ['config.json']
    """
    wanted = list(patterns)
    return [name for name in names if any(_fits(name, pattern) for pattern in wanted)]


def unmatched(patterns: Iterable[str], names: Iterable[str]) -> list[str]:
    """Return the patterns that fit none of the names."""
    known = list(names)
    return [pattern for pattern in patterns if not any(_fits(name, pattern) for name in known)]


def is_inside(name: str) -> bool:
    """Whether a path that somebody else gave stays inside the folder it is put into."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def _fits(name: str, pattern: str) -> bool:
    return ("/" in pattern or "/" not in name) and fnmatchcase(name, pattern)
