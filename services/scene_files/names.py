"""Names of uploaded files: which are taken, and where in the scene's folder they lead."""

import re
import unicodedata
from pathlib import PurePosixPath

from spatial_agent.services.scene_files.errors import UploadError

MOST_PART_BYTES = 255
MOST_BYTES = 1024
MOST_PARTS = 16
DRIVE = re.compile(r"[A-Za-z]:")
#: Unicode categories that no name has: control, format (they turn the direction of text), halves of surrogate
#: pairs, private use, and separators of lines and paragraphs.
UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
#: What computers put beside people's files; hidden files are left out too.
LITTER = frozenset({"__macosx", "thumbs.db", "desktop.ini"})


def clean_name(given: str) -> PurePosixPath | None:
    r"""Return where a file goes, relative to the scene's folder; None for litter that is left out.

    Args:
        given: What the upload or archive calls it; backslashes separate folders as slashes do.

    Raises:
        UploadError: If the name is empty, absolute, too long, leads upwards or holds what no name has.

    >>> clean_name("scan\\depth/./0001.png")
    PurePosixPath('scan/depth/0001.png')
    """
    if any(unicodedata.category(letter) in UNPRINTABLE for letter in given):
        raise _refused(given, "control or invisible characters")
    text = unicodedata.normalize("NFC", given.replace("\\", "/"))
    if text.startswith("/") or DRIVE.match(text):
        raise _refused(given, "an absolute path")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise _refused(given, "a path that leads upwards")
    if not parts:
        raise _refused(given, "no name")
    if any(part.startswith(".") or part.casefold() in LITTER for part in parts):
        return None
    _check_length(given, parts)
    return PurePosixPath(*parts)


def _check_length(given: str, parts: list[str]) -> None:
    sizes = [len(part.encode()) for part in parts]
    if max(sizes) > MOST_PART_BYTES or sum(sizes) + len(sizes) > MOST_BYTES or len(parts) > MOST_PARTS:
        raise _refused(
            given,
            f"more than {MOST_PART_BYTES} bytes a name, {MOST_BYTES} in all or {MOST_PARTS} folders deep",
        )


def _refused(given: str, what: str) -> UploadError:
    return UploadError(
        f"{in_words(given)}: expected a relative file name such as 'depth/0001.png', got {what}; rename it"
    )


def in_words(given: str) -> str:
    r"""Return a name as it may be shown: on one line, escaped, not too long.

    >>> in_words("a\nb")
    "'a\\nb'"
    """
    shown = ascii(given)
    return shown if len(shown) <= 80 else f"{shown[:60]}...{shown[-17:]}"


class NamesInUse:
    """The names of one scene; those that some file systems take for the same are refused."""

    def __init__(self) -> None:
        """Begin with none."""
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def add(self, name: PurePosixPath) -> None:
        """Remember a file.

        Raises:
            UploadError: If there is a file or folder of that name, in any case or spelling.
        """
        folded, *above = (_folded(path) for path in (name, *name.parents))
        if folded in self._files or folded in self._folders or self._files.intersection(above):
            raise UploadError(
                f"{in_words(str(name))}: expected every file once, got a second file or folder of this name "
                "(upper and lower case count as the same); rename one of them"
            )
        self._files.add(folded)
        self._folders.update(above)


def _folded(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFKC", str(path)).casefold()
