"""The folders whose files may be opened, and the one way into them.

A path that was checked and then opened by name may have become a link in between. So a path is only ever
turned into a `Place`, and a place is reached from its allowed folder one part after the other, none of which
may be a link by then.
"""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from spatial_agent.tools.errors import ConfigurationError, SourceError

#: Files and folders that one source may have, and how deep they may lie.
MOST_ENTRIES, MOST_DEEP = 50_000, 8
#: Names that a message lists.
MOST_NAMED = 20
#: Characters of a path.
LONGEST = 4096
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)

#: Gets the descriptor of a folder, the name of a regular file in it, what is known of the file, and where in
#: the source it lies.
Take = Callable[[int, str, os.stat_result, PurePath], None]


@dataclass(frozen=True)
class Place:
    """A file or folder inside an allowed folder.

    Attributes:
        folder: The allowed folder, without links in its path.
        parts: The way from there; none is a link, as far as is known.
    """

    folder: Path
    parts: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Its whole path, for messages and as its name; never to open it by."""
        return self.folder.joinpath(*self.parts)

    @property
    def name(self) -> str:
        """The last part."""
        return self.path.name

    @contextmanager
    def parent(self) -> Iterator[tuple[int, str]]:
        """Open the folder it lies in; yield its descriptor and the name in it.

        Raises:
            OSError: If a part is no folder, or has become a link.
        """
        with ExitStack() as stack:
            # Of the allowed folder itself the operator said that it may be opened.
            descriptor = stack.enter_context(_opened(self.folder))
            for part in self.parts[:-1]:
                descriptor = stack.enter_context(_opened(part, descriptor))
            yield descriptor, self.parts[-1] if self.parts else "."


class AllowedFolders:
    """The folders whose files may be opened.

    Attributes:
        folders: Their paths, without links.
    """

    def __init__(self, folders: Sequence[str | Path], within: Sequence[Path] | None = None) -> None:
        """Resolve the folders once.

        Args:
            folders: The folders.
            within: Paths without links to which they are narrowed; None where they are not.

        Raises:
            ConfigurationError: If there is none, one is no folder, or this system cannot open files safely.
        """
        if os.open not in os.supports_dir_fd:
            raise ConfigurationError("folders can be opened safely on Linux and macOS only")
        if not folders:
            raise ConfigurationError("expected at least one folder that may be opened, got none: give --root")
        self.folders = tuple(dict.fromkeys(map(_resolved_folder, folders)))
        self._within = None if within is None else tuple(within)

    def __str__(self) -> str:
        """Return the folders as they are narrowed, for messages."""
        shown = self.folders if self._within is None else self._within
        return ", ".join(map(str, shown)) or "none"

    def narrowed(self, folders: Iterable[Path]) -> "AllowedFolders":
        """Return what lies both in these folders and in others; nothing is ever added."""
        mine = self.folders if self._within is None else self._within
        others = [Path(os.path.realpath(folder)) for folder in folders]
        shared = [other for other in others if any(other.is_relative_to(own) for own in mine)]
        shared += [own for own in mine if any(own.is_relative_to(other) for other in others)]
        return AllowedFolders(self.folders, tuple(dict.fromkeys(shared)))

    def locate(self, given: str) -> Place:
        """Return what a path means; a relative one is looked for in each folder.

        Raises:
            SourceError: If it lies outside, or there is nothing; of what lies outside nothing is said.
        """
        _check_text(given)
        candidates = [Path(given)] if Path(given).is_absolute() else [top / given for top in self.folders]
        places = [place for place in map(self._place_of, candidates) if place is not None]
        if not places:
            raise SourceError(f"expected a path inside {self}, got {given!r:.200}, which lies outside")
        for place in places:
            if os.path.lexists(place.path):
                return place
        there = ", ".join(self._visible()) or "nothing"
        raise SourceError(f"there is no file or folder {given!r:.200} inside {self}; there is {there}")

    def walk(self, place: Place, take: Take) -> None:
        """Visit every regular file of a place; hidden ones and what is neither file nor folder are left out.

        Raises:
            SourceError: If a link leads outside, there is too much, or something cannot be opened.
        """
        try:
            with place.parent() as (descriptor, name):
                _Walk(self, take).visit(descriptor, name, PurePath(), place.path, 0)
        except OSError as error:
            raise SourceError(f"{place.path}: cannot be opened ({error.strerror})") from error

    def _visible(self) -> list[str]:
        """Return some names of what lies in the folders, for messages."""
        shown = self.folders if self._within is None else self._within
        names: list[str] = []
        for folder in shown:
            with suppress(OSError):
                names += sorted(name for name in os.listdir(folder) if not name.startswith("."))
        return names[:MOST_NAMED]

    def _place_of(self, path: Path) -> Place | None:
        """Return where a path ends once its links are followed; None where that is outside."""
        resolved = Path(os.path.realpath(path))
        folder = self._holding(resolved)
        if folder is None:
            return None
        if self._within is not None and not any(resolved.is_relative_to(one) for one in self._within):
            return None
        return Place(folder, resolved.relative_to(folder).parts)

    def _holding(self, resolved: Path) -> Path | None:
        return next((folder for folder in self.folders if resolved.is_relative_to(folder)), None)

    def target(self, link: Path) -> Place:
        """Return where a link leads.

        Raises:
            SourceError: If that is outside.
        """
        place = self._place_of(link)
        if place is None:
            raise SourceError(f"{link}: a link that leads out of {self}; put the files themselves there")
        return place


class _Walk:
    """One visit of everything that a place holds."""

    def __init__(self, allowed: AllowedFolders, take: Take) -> None:
        self._allowed = allowed
        self._take = take
        self._seen = 0

    def visit(self, folder: int, name: str, relative: PurePath, path: Path, deep: int) -> None:
        """Visit what has a name in an opened folder.

        Args:
            folder: Descriptor of the folder.
            name: The name in it.
            relative: Where in the source that is.
            path: The whole path, for messages and links.
            deep: How many folders and links led here.
        """
        self._seen += 1
        if self._seen > MOST_ENTRIES or deep > MOST_DEEP:
            raise SourceError(
                f"{path}: expected a scan of at most {MOST_ENTRIES} files, {MOST_DEEP} folders deep, found "
                "more; name the scan's own folder"
            )
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode):
            self._take(folder, name, found, relative)
        elif stat.S_ISLNK(found.st_mode):
            target = self._allowed.target(path)
            with target.parent() as (parent, own_name):
                self.visit(parent, own_name, relative, target.path, deep + 1)
        elif stat.S_ISDIR(found.st_mode):
            with _opened(name, folder) as inner:
                for entry in sorted(os.listdir(inner)):
                    if not entry.startswith("."):
                        self.visit(inner, entry, relative / entry, path / entry, deep + 1)


@contextmanager
def _opened(name: str | Path, folder: int | None = None) -> Iterator[int]:
    """Open a folder that is no link."""
    descriptor = os.open(name, _FOLDER, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check_text(given: str) -> None:
    if not given or len(given) > LONGEST or "\0" in given or not given.isprintable():
        raise SourceError(f"expected a path of 1 to {LONGEST} printable characters, got {given!r:.200}")
    if "://" in given:
        raise SourceError(
            f"expected a path on this machine, got the address {given!r:.200}; nothing is fetched"
        )


def _resolved_folder(folder: str | Path) -> Path:
    resolved = Path(os.path.realpath(Path(folder).expanduser()))
    if not resolved.is_dir():
        raise ConfigurationError(f"{folder}: expected a folder that may be opened, found none")
    return resolved
