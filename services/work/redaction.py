"""Where the service keeps things is nobody's business: its folders are taken out of what it says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def without_folders(value: Any, folders: Sequence[Path]) -> Any:  # noqa: ANN401 - JSON
    """Return plain JSON in which no text names a folder of the server.

    Args:
        value: Plain JSON.
        folders: The folders; what lies in them keeps its name from there on.

    >>> without_folders({"source": "/srv/scenes/a/scan", "frames": [3]}, [Path("/srv/scenes")])
    {'source': 'a/scan', 'frames': [3]}
    """
    if isinstance(value, str):
        return _text_without(value, folders)
    if isinstance(value, dict):
        return {
            _text_without(name, folders) if isinstance(name, str) else name: without_folders(item, folders)
            for name, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [without_folders(item, folders) for item in value]
    return value


def _text_without(text: str, folders: Sequence[Path]) -> str:
    if "/" not in text and "\\" not in text:  # most texts by far
        return text
    for folder in folders:
        text = text.replace(f"{folder}/", "").replace(str(folder), ".")
    return text
