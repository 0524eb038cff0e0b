"""Values on disk by what they hold, and which call gave which: the lasting half of the result cache."""

import re
from collections.abc import Mapping
from pathlib import Path

from spatial_agent.tools.bounded_folder import BoundedFolder
from spatial_agent.tools.content import content_hash
from spatial_agent.tools.value_file import VALUE_CLASSES, value_from_bytes, value_to_bytes

VALUE_SUFFIX, LINK_SUFFIX = ".value.npz", ".link"


class ValueStore:
    """A folder of values by their content hash, shared by any number of processes.

    A file is whole or absent, and the least recently used go first when the folder outgrows its limit. A
    file that is damaged, or holds something else than its name says, is as good as absent, and is removed.
    """

    def __init__(self, folder: Path, limit_bytes: int, classes: Mapping[str, type] = VALUE_CLASSES) -> None:
        """Use a folder, which need not exist yet.

        Args:
            folder: Where the files are.
            limit_bytes: Size the folder is kept to.
            classes: Frozen dataclasses that may be written and read, by the name of the class.
        """
        self._files = BoundedFolder(folder, (VALUE_SUFFIX, LINK_SUFFIX), limit_bytes)
        self._classes = classes

    def put(self, value: object) -> str:
        """Keep a value and return its content hash; one that is there already is not written again.

        Raises:
            TypeError: If it is no value that can be kept on disk.
        """
        content = content_hash(value)
        name = content + VALUE_SUFFIX
        if not self._files.use(name):
            self._files.write(name, value_to_bytes(value, self._classes))
        return content

    def get(self, content: str) -> object:
        """Return the value of that content hash.

        Raises:
            KeyError: If it is not here.
        """
        name = content + VALUE_SUFFIX
        # Hashes come from files too, and must not name one elsewhere.
        data = self._files.read(name) if re.fullmatch("[0-9a-f]+", content) else None
        if data is None:
            raise KeyError(content)
        try:
            value = value_from_bytes(data, self._classes)
        except Exception:  # damage shows in as many ways as there are readers
            value = None
        if content_hash(value) != content:
            self._files.remove(name)
            raise KeyError(content)
        return value

    def link(self, key: str, content: str) -> None:
        """Remember under a key, such as that of a call, which value belongs to it.

        Args:
            key: Letters and digits.
            content: The value's content hash.
        """
        self._files.write(key + LINK_SUFFIX, content.encode())

    def linked(self, key: str) -> object:
        """Return the value that was linked to a key.

        Raises:
            KeyError: If no value is linked to it, or it is gone.
        """
        content = self._files.read(key + LINK_SUFFIX)
        if content is None:
            raise KeyError(key)
        return self.get(content.decode("ascii", "replace"))
