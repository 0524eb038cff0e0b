"""The weights folder: finding weights, fetching them whole, and knowing that they are still the same.

Weights of the hub lie in ``<folder>/<name>/``, weights that are put in by hand in ``<folder>/<file>``. The
first pull pins the commit and the digest of every file in ``weights.lock.json``; later ones must match it.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from spatial_agent.services.settings import Settings
from spatial_agent.services.weights_lock import LockedFile, LockedWeights, WeightsLock
from spatial_agent.services.weights_origin import (
    Expected,
    FolderOrigin,
    HubOrigin,
    Origin,
    git_sha1_of,
    sha256_of,
)
from spatial_agent.services.weights_place import Place, file_name, layout, unmatched
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError, SourceError

#: ``"present"`` weights are all there; in ``"verified"`` ones nothing was written since they were checked.
State = Literal["missing", "incomplete", "present", "verified"]
FileState = Literal["verified", "unpinned", "changed", "missing"]
#: Digests that a file must have, by who said so.
Wanted = dict[str, str]


class ModelStore:
    """The weights of one folder.

    Args:
        folder: The weights folder; made at the first pull.
        endpoint: Address of the model hub; that of `huggingface_hub` where left out.
    """

    def __init__(self, folder: Path, *, endpoint: str | None = None) -> None:
        """Look at nothing yet."""
        self.folder = folder
        self._endpoint = endpoint
        self._lock = WeightsLock(folder)
        self._digests: dict[tuple[Path, int, int], str] = {}

    @classmethod
    def of(cls, settings: Settings) -> "ModelStore":
        """Return the store of an installation: its weights folder, or one inside its cache."""
        return cls(settings.weights_folder or settings.cache_folder / "weights")

    def locate(self, weights: Weights) -> Path:
        """Return the folder or file of weights; nothing is read but names and sizes.

        Raises:
            MissingWeightsError: If they, or some of their files, are not there; says how to get them.
        """
        place = layout(weights, self.folder)
        lacking = self._lacking(weights, place)
        if lacking:
            option = " --from FOLDER" if file_name(weights) else ""
            raise MissingWeightsError(
                f"the weights {weights.name} ({weights.source}, licence {weights.licence}) are not complete: "
                f"{place.root} lacks {', '.join(lacking)}; get them with: "
                f"spatial-agent models pull {weights.name}{option}"
            )
        return place.path

    def state(self, weights: Weights) -> State:
        """Return how weights are, from names, sizes and times alone."""
        place = layout(weights, self.folder)
        if self._lacking(weights, place):
            return "incomplete" if place.files else "missing"
        locked = self._locked_files(weights)
        known = (locked.get(name) for name in place.files)
        unchanged = all(
            file and file.describes(place.root / name) for name, file in zip(place.files, known, strict=True)
        )
        return "verified" if unchanged else "present"

    def size(self, weights: Weights) -> int:
        """Return the bytes that weights take on the disk."""
        place = layout(weights, self.folder)
        return sum((place.root / name).stat().st_size for name in place.files)

    def verify(self, weights: Weights) -> dict[str, FileState]:
        """Read every file and compare its digest with those declared and pinned; nothing is written.

        Raises:
            MissingWeightsError: If nothing of the weights is there.
        """
        place = layout(weights, self.folder)
        if not place.files:
            self.locate(weights)
        names = sorted({*place.files, *self._locked_files(weights), *weights.sha256})
        return {name: _compared(place.root / name, self._wanted(weights, name)) for name in names}

    def digest(self, weights: Weights) -> str:
        """Return the identity of weights: equal for equal files.

        A pinned digest counts for a file that nobody has written since; any other file is read.

        Raises:
            MissingWeightsError: If they are not complete.
        """
        self.locate(weights)
        place = layout(weights, self.folder)
        locked = self._locked_files(weights)
        whole = hashlib.sha256()
        for name in place.files:
            whole.update(f"{name}\0{self._digest_of(place.root / name, locked.get(name))}\n".encode())
        return whole.hexdigest()

    def pull(self, weights: Weights, *, source: Path | None = None) -> Path:
        """Fetch what is missing or changed, check all of it, pin it, and only then put it in place.

        An interrupted pull leaves ``.NAME.*.partial`` in the weights folder, where the next one goes on.

        Args:
            weights: What to fetch.
            source: Folder to copy from instead of asking the hub: a weights folder, or what an expert
                would be given.

        Raises:
            ConfigurationError: If the lock forbids it, nothing says where to fetch from, or the disk is full.
            SourceError: If what arrived is not what was declared or pinned; it is thrown away.
            ToolUnavailableError: If the hub cannot be reached; what has arrived is kept.
            StoppedError: If nobody waits for it any more; what has arrived is kept.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone_in(self.folder):
            self._check_pins(weights)
            origin, place = self._origin(weights, source)
            self._check_before(weights, origin, place)
            waiting = self.folder / f".{weights.name}.{(origin.revision or 'local')[:12]}.partial"
            files = {
                name: self._fetched(weights, origin, name, place.root / name, waiting / name)
                for name in sorted(origin.files)
            }
            self._pin(weights, origin, files)
            _put_in_place(waiting, place.root)
            for left in self.folder.glob(f".{weights.name}.*.partial"):
                shutil.rmtree(left)
        return self.locate(weights)

    def _locked_files(self, weights: Weights) -> dict[str, LockedFile]:
        locked = self._lock.get(weights.name)
        return dict(locked.files) if locked else {}

    def _wanted(self, weights: Weights, name: str) -> Wanted:
        wanted = {"declared": weights.sha256[name]} if name in weights.sha256 else {}
        locked = self._locked_files(weights).get(name)
        return wanted | ({"pinned": locked.sha256} if locked else {})

    def _lacking(self, weights: Weights, place: Place) -> list[str]:
        lacking = unmatched(place.patterns, place.files)
        for name, file in self._locked_files(weights).items():
            path = place.root / name
            if not path.is_file():
                lacking.append(name)
            elif path.stat().st_size != file.size:
                lacking.append(f"the right {name}")
        return list(dict.fromkeys(lacking))

    def _digest_of(self, path: Path, known: LockedFile | None) -> str:
        if known is not None and known.describes(path):
            return known.sha256
        found = path.stat()
        key = (path, found.st_size, found.st_mtime_ns)
        if key not in self._digests:
            self._digests[key] = sha256_of(path, f"check {path.name}")
        return self._digests[key]

    def _check_pins(self, weights: Weights) -> None:
        locked = self._lock.get(weights.name)
        if locked is None:
            return
        for what, pinned, declared in (
            ("source", locked.source, weights.source),
            ("revision", locked.revision, weights.revision),
        ):
            if pinned and declared and pinned != declared:
                raise ConfigurationError(
                    f"{weights.name}: {self._lock.path} pins {what} {pinned}, the expert declares "
                    f"{declared}; to accept that, delete the entry and the files and pull again"
                )

    def _origin(self, weights: Weights, source: Path | None) -> tuple[Origin, Place]:
        """Return where weights are fetched from, and where they belong."""
        place = layout(weights, self.folder)
        if source is None and not file_name(weights):
            locked = self._lock.get(weights.name)
            revision = (locked.revision if locked else None) or weights.revision
            repository = weights.source.removeprefix("hf:")
            return HubOrigin(repository, place.patterns, revision, self._endpoint), place
        if source is None and not place.path.exists():
            raise ConfigurationError(
                f"{weights.name} ({weights.source}, licence {weights.licence}) is on no hub: put "
                f"{place.path.name} into {self.folder}, or give --from FOLDER to copy it from there"
            )
        found = _found_in(weights, source or self.folder)
        root = self.folder if found.is_file else place.path
        return FolderOrigin(found), replace(found, path=place.path, root=root)

    def _check_before(self, weights: Weights, origin: Origin, place: Place) -> None:
        lacking = unmatched(place.patterns, origin.files)
        lacking += [name for name in self._locked_files(weights) if name not in origin.files]
        if lacking:
            raise SourceError(f"{weights.name}: the source has no file {', '.join(lacking)}")
        for name, expected in origin.files.items():
            if expected.sha256:
                self._check_digest(weights, name, expected.sha256, "the source has")
        missing = [file.size for name, file in origin.files.items() if not (place.root / name).exists()]
        free = shutil.disk_usage(self.folder).free
        if sum(missing) > free:
            raise ConfigurationError(
                f"{weights.name} needs {sum(missing) / 1e9:.2f} GB, {self.folder} has {free / 1e9:.2f}"
            )

    def _check_digest(self, weights: Weights, name: str, sha256: str, what: str) -> None:
        for who, wanted in self._wanted(weights, name).items():
            if wanted != sha256:
                raise SourceError(
                    f"{weights.name}: {name} is {who} with sha256 {wanted}, {what} {sha256}; it was not taken"
                )

    def _fetched(self, weights: Weights, origin: Origin, name: str, place: Path, waiting: Path) -> LockedFile:
        """Return a file as it is in its place, or checked and waiting to be put there."""
        expected = origin.files[name]
        wanted = self._wanted(weights, name)
        if place.is_file() and (sha256 := _checked(place, expected, wanted)):
            waiting.unlink(missing_ok=True)
            return _described(place, sha256)
        waiting.parent.mkdir(parents=True, exist_ok=True)
        if not waiting.is_file() or waiting.stat().st_size < expected.size:
            origin.fetch(name, waiting)
        sha256 = _checked(waiting, expected, wanted)
        if sha256 is None:
            waiting.unlink()
            raise SourceError(
                f"{weights.name}: {name} did not arrive as it is at its source, and was thrown away; "
                "run the same command again"
            )
        return _described(waiting, sha256)

    def _pin(self, weights: Weights, origin: Origin, files: dict[str, LockedFile]) -> None:
        locked = self._lock.get(weights.name)
        revision = origin.revision or (locked.revision if locked else None)
        self._lock.put(weights.name, LockedWeights(weights.source, revision, files))


def _found_in(weights: Weights, source: Path) -> Place:
    """Return where weights lie in a folder that somebody gave."""
    name = file_name(weights)
    if source.is_file() and source.name == name:
        return layout(weights, source.parent)
    place = layout(weights, source)
    if place.path.exists():
        return place
    if source.is_dir() and not unmatched(
        weights.files, (whole := Place(source, source, weights.files)).files
    ):
        return whole
    raise SourceError(
        f"{source} holds no {place.path.name}, and is not itself {weights.name}: expected "
        f"{', '.join(weights.files)} in it"
    )


def _checked(path: Path, expected: Expected, wanted: Wanted) -> str | None:
    """Return the digest of a file if it is the one that everybody speaks of."""
    if path.stat().st_size != expected.size:
        return None
    if expected.git_sha1 and git_sha1_of(path, f"check {path.name}") != expected.git_sha1:
        return None
    sha256 = sha256_of(path, f"check {path.name}")
    said = {*wanted.values(), expected.sha256 or sha256}
    return sha256 if said == {sha256} else None


def _described(path: Path, sha256: str) -> LockedFile:
    found = path.stat()
    return LockedFile(sha256, found.st_size, found.st_mtime_ns)


def _compared(path: Path, wanted: Wanted) -> FileState:
    if not path.is_file():
        return "missing"
    if not wanted:
        return "unpinned"
    return "verified" if set(wanted.values()) == {sha256_of(path, f"check {path.name}")} else "changed"


def _put_in_place(waiting: Path, root: Path) -> None:
    for file in sorted(waiting.rglob("*")):
        if file.is_file():
            place = root / file.relative_to(waiting)
            place.parent.mkdir(parents=True, exist_ok=True)
            file.replace(place)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep a second pull out of a folder; where the system cannot lock one, that is the user's care."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"another pull is at work in {folder}; wait for it") from None
        yield
    finally:
        os.close(handle)
