"""Where the service keeps things is nobody's business: its folders are taken out of what it says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

#: Most of an answer are numbers: they are passed over without a call each.
_NAMES_NOTHING = frozenset({bool, int, float, type(None)})


def without_folders(value: Any, folders: Sequence[Path]) -> Any:  # noqa: ANN401 - JSON
    """Return plain JSON in which no text names a folder of the server.

    Args:
        value: Plain JSON.
        folders: The folders; what lies in them keeps its name from there on.

    >>> without_folders({"source": "/srv/scenes/a/scan", "frames": [3]}, [Path("/srv/scenes")])
    {'source': 'a/scan', 'frames': [3]}
    """
    kind = type(value)
    if kind in _NAMES_NOTHING:
        return value
    if kind is str:
        # Most texts name none by far.
        return _text_without(value, folders) if "/" in value or "\\" in value else value
    if isinstance(value, dict):
        return {
            without_folders(name, folders): item
            if type(item) in _NAMES_NOTHING
            else without_folders(item, folders)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [item if type(item) in _NAMES_NOTHING else without_folders(item, folders) for item in value]
    return value


def _text_without(text: str, folders: Sequence[Path]) -> str:
    for folder in folders:
        text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    return text
