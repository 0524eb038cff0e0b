"""What each file of the weights was when it was first fetched: later ones must be the same.

``weights.lock.json`` lies in the weights folder and can be copied along with it::

    {"format": "spatial-agent/weights-lock@1",
     "weights": {"NAME": {"source": "hf:owner/model", "revision": "...",
                          "files": {"config.json": {"sha256": "...", "size": 1, "modified_ns": 2}}}}}
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.whole_file import write_whole

FORMAT = "spatial-agent/weights-lock@1"
FILE_NAME = "weights.lock.json"


@dataclass(frozen=True)
class LockedFile:
    """One file as it was when its digest was taken.

    Attributes:
        sha256: Its digest, hexadecimal.
        size: Its bytes.
        modified_ns: Its time of modification then; where it is another one now, the digest is taken anew.
    """

    sha256: str
    size: int
    modified_ns: int

    def describes(self, path: Path) -> bool:
        """Whether nobody has written the file since its digest was taken."""
        found = path.stat()
        return (found.st_size, found.st_mtime_ns) == (self.size, self.modified_ns)


@dataclass(frozen=True)
class LockedWeights:
    """What was fetched under one name.

    Attributes:
        source: Where it was fetched from, as in `Weights.source`.
        revision: Commit of the source; None where it came from a folder.
        files: Its files, by their path inside the source.
    """

    source: str
    revision: str | None
    files: Mapping[str, LockedFile]


class _FileModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    sha256: str
    size: int
    modified_ns: int


class _WeightsModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    source: str
    revision: str | None
    files: dict[str, _FileModel]


class _LockModel(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: str
    weights: dict[str, _WeightsModel]


class WeightsLock:
    """The lock file of a weights folder; read anew at each use, since other processes write it too.

    Args:
        folder: The weights folder.
    """

    def __init__(self, folder: Path) -> None:
        """Read nothing yet."""
        self.path = folder / FILE_NAME

    def get(self, name: str) -> LockedWeights | None:
        """Return what was fetched under a name, or None.

        Raises:
            ConfigurationError: If the lock file cannot be read as one.
        """
        return self._read().get(name)

    def put(self, name: str, locked: LockedWeights) -> None:
        """Write down what was fetched under a name; the other names stay as they are."""
        entries = self._read() | {name: locked}
        data = {"format": FORMAT, "weights": {key: asdict(entries[key]) for key in sorted(entries)}}
        text = json.dumps(data, indent=2, sort_keys=True) + "\n"
        write_whole(self.path, lambda partial: partial.write_text(text, encoding="utf-8"))

    def _read(self) -> dict[str, LockedWeights]:
        if not self.path.is_file():
            return {}
        try:
            model = _LockModel.model_validate_json(self.path.read_bytes())
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            place = ".".join(map(str, fault["loc"]))
            raise ConfigurationError(
                f"{self.path} is not a lock file of weights ({place}: {fault['msg']}); restore or delete it"
            ) from None
        if model.format != FORMAT:
            raise ConfigurationError(f"{self.path}: expected format {FORMAT!r}, got {model.format!r}")
        return {
            name: LockedWeights(
                entry.source,
                entry.revision,
                {path: LockedFile(**file.model_dump()) for path, file in entry.files.items()},
            )
            for name, entry in model.weights.items()
        }
