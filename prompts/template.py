"""Prompts as files: versioned, with named places, filled strictly."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from spatial_agent.tools.errors import InvalidValueError

FOLDER = Path(__file__).parent / "templates"
VERSION = re.compile(r"<!-- version: ([1-9][0-9]*) -->\n")
#: A place to fill; JSON and other single braces of a template stand for themselves.
PLACE = re.compile(r"\{\{([a-z][a-z0-9_]*)\}\}")


@dataclass(frozen=True)
class Template:
    """A text with places such as ``{{question}}`` in it.

    Attributes:
        name: Name of its file, without ``.md``.
        version: Raised whenever the words change, so that traces tell which ones a model read.
        text: What stands below the line of the version.
    """

    name: str
    version: int
    text: str

    def __post_init__(self) -> None:
        """Check that every double brace is a place."""
        rest = PLACE.sub("", self.text)
        if "{{" in rest or "}}" in rest:
            raise InvalidValueError(
                f"template {self.name}: expected places such as {{{{question}}}} (small letters, digits, _), "
                "got double braces round something else"
            )

    @classmethod
    def load(cls, name: str) -> "Template":
        """Return the template of that name.

        Raises:
            InvalidValueError: If there is none, or its first line does not say its version.
        """
        return _load(name)

    @property
    def places(self) -> frozenset[str]:
        """The names of its places."""
        return frozenset(PLACE.findall(self.text))

    def fill(self, **values: str | int) -> str:
        """Return the text with every place filled.

        What looks like a place in a value stays as it is: values are never filled again.

        Raises:
            InvalidValueError: If a place has no value, a value no place, or a value is not text.

        >>> Template("greeting", 1, "Hello {{name}}").fill(name="{{name}}")
        'Hello {{name}}'
        """
        if self.places != values.keys():
            raise InvalidValueError(
                f"template {self.name}: no value for {_names(self.places - values.keys())}; "
                f"no place for {_names(values.keys() - self.places)}"
            )
        for name, value in values.items():
            if not isinstance(value, str | int):
                raise InvalidValueError(
                    f"template {self.name}: expected words for {name}, got a {type(value).__name__}"
                )
        return PLACE.sub(lambda place: str(values[place[1]]), self.text)


def templates() -> tuple[str, ...]:
    """Return the names of all templates, sorted."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.md")))


@cache
def _load(name: str) -> Template:
    if name not in templates():
        raise InvalidValueError(f"no template {name!r}; there are {_names(templates())}")
    document = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    version = VERSION.match(document)
    if version is None:
        raise InvalidValueError(
            f"template {name}: expected the first line '<!-- version: 1 -->', got {document[:40]!r}"
        )
    return Template(name, int(version[1]), document[version.end() :].strip("\n"))


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
