"""Registration: a typed function with a docstring becomes a tool; nothing is said twice.

The signature gives the JSON schema, the docstring the text people and models read. Built-in tools
and those of other distributions come the same way: through the entry-point groups
``spatial_agent.experts`` and ``spatial_agent.skills``.
"""

import difflib
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from typing import Any, TypeVar

from spatial_agent.tools.contract import Json, ToolKind, ToolSpec
from spatial_agent.tools.errors import ConfigurationError, ToolArgumentError, ToolUnavailableError

Function = TypeVar("Function", bound=Callable[..., Any])
GROUPS: dict[ToolKind, str] = {"expert": "spatial_agent.experts", "skill": "spatial_agent.skills"}
REFERENCE_SCHEMA = {"type": "string", "pattern": r"^\$[A-Za-z0-9_./-]+$"}
JSON_TYPES = (str, int, float, bool, type(None), list, tuple, dict)


@dataclass(frozen=True)
class Tool:
    """A registered function with its declared identity.

    Attributes:
        function: The function itself.
        name: Registered name.
        version: Changes when results may change.
        kind: Expert or skill.
    """

    function: Callable[..., Any]
    name: str
    version: str
    kind: ToolKind

    @cached_property
    def spec(self) -> ToolSpec:
        """What the signature and docstring say."""
        description = inspect.getdoc(self.function)
        if not description:
            raise ConfigurationError(f"tool {self.name!r}: expected a docstring; it is what planners read")
        return ToolSpec(
            name=self.name,
            version=self.version,
            kind=self.kind,
            summary=description.splitlines()[0],
            description=description,
            parameters=self._schema(description),
            references=self.references,
            returns=getattr(self._hints.get("return"), "__name__", str(self._hints.get("return"))),
        )

    @cached_property
    def references(self) -> Mapping[str, str]:
        """The parameters that are passed by reference, with the name of their type."""
        return {name: hint.__name__ for name, hint in self._hints.items() if _is_reference(name, hint)}

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """Check JSON arguments (references left out) against the signature.

        Raises:
            ToolArgumentError: If one is unknown, missing or of the wrong type.
        """
        from pydantic import ValidationError

        try:
            checked = self._model.model_validate(dict(given))
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}"
                for fault in error.errors(include_url=False)
            )
            names = ", ".join(self._model.model_fields)
            raise ToolArgumentError(f"{self.name}: {faults}; it takes {names}") from None
        return {name: getattr(checked, name) for name in self._model.model_fields}

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self.function)

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - a class pydantic makes at run time
        from pydantic import ConfigDict, create_model

        fields: dict[str, Any] = {
            name: (self._hints[name], ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in inspect.signature(self.function).parameters.items()
            if name not in self.references
        }
        strict = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
        return create_model(self.name.replace(".", "_"), __config__=strict, **fields)

    def _schema(self, description: str) -> dict[str, Json]:
        schema: dict[str, Json] = self._model.model_json_schema()
        schema.pop("title", None)
        properties = schema.setdefault("properties", {})
        for name in self.references:
            properties[name] = dict(REFERENCE_SCHEMA)
            schema.setdefault("required", []).append(name)
        for name, text in argument_texts(description).items():
            if name in properties:
                properties[name].pop("title", None)
                properties[name]["description"] = text
        return schema


def argument_texts(docstring: str) -> dict[str, str]:
    """Return the text of each argument in a Google-style docstring."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)+)", docstring, re.MULTILINE)
    if not section:
        return {}
    found = re.findall(r"^ {4}(\w+): (.+(?:\n {8,}.+)*)", section.group(1), re.MULTILINE)
    return {name: re.sub(r"\s+", " ", text) for name, text in found}


def expert(name: str, version: str = "1") -> Callable[[Function], Function]:
    """Declare a typed function as an expert: something that measures."""
    return _declare(name, version, "expert")


def skill(name: str, version: str = "1") -> Callable[[Function], Function]:
    """Declare a typed function as a skill: a question's worth of work over a scene map."""
    return _declare(name, version, "skill")


def tool_of(function: Callable[..., Any]) -> Tool:
    """Return what `expert` or `skill` declared about a function.

    Raises:
        ConfigurationError: If the function was never declared.
    """
    tool = getattr(function, "__spatial_agent_tool__", None)
    if not isinstance(tool, Tool):
        raise ConfigurationError(f"{function!r} is not a tool; decorate it with @expert or @skill")
    return tool


class Registry:
    """The tools of one runtime, by name."""

    def __init__(self) -> None:
        """Start empty and open."""
        self._tools: dict[str, Tool] = {}
        self._frozen = False

    @classmethod
    def from_entry_points(cls) -> "Registry":
        """Return a frozen registry of every installed tool.

        Raises:
            ConfigurationError: If an entry point cannot be loaded, or two claim one name.
        """
        registry = cls()
        for group in GROUPS.values():
            for point in sorted(metadata.entry_points(group=group), key=lambda point: point.name):
                try:
                    registry.add(point.load())
                except (ImportError, AttributeError) as error:
                    raise ConfigurationError(
                        f"tool {point.name!r} ({point.value}) cannot be loaded: {error}"
                    ) from error
        return registry.freeze()

    def add(self, function: Callable[..., Any]) -> None:
        """Add a declared function.

        Raises:
            ConfigurationError: If the registry is frozen or the name is taken by another function.
        """
        tool = tool_of(function)
        if self._frozen:
            raise ConfigurationError(f"cannot add {tool.name!r}: the registry is frozen")
        held = self._tools.setdefault(tool.name, tool)
        if held.function is not tool.function:
            raise ConfigurationError(
                f"two tools are called {tool.name!r}: {held.function.__module__} and "
                f"{tool.function.__module__}; rename one"
            )

    def freeze(self) -> "Registry":
        """Refuse additions from now on."""
        self._frozen = True
        return self

    def get(self, name: str) -> Tool:
        """Return the tool of that name.

        Raises:
            ToolUnavailableError: If there is none, with the nearest names.
        """
        if name in self._tools:
            return self._tools[name]
        near = difflib.get_close_matches(name, self._tools, n=2)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(self)}"
        raise ToolUnavailableError(f"no tool is called {name!r}; {hint}")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, sorted."""
        return iter(sorted(self._tools))

    def __len__(self) -> int:
        """Return the number of tools."""
        return len(self._tools)


def _declare(name: str, version: str, kind: ToolKind) -> Callable[[Function], Function]:
    def mark(function: Function) -> Function:
        function.__spatial_agent_tool__ = Tool(function, name, version, kind)  # type: ignore[attr-defined]
        return function

    return mark


def _is_reference(name: str, hint: object) -> bool:
    return name != "return" and isinstance(hint, type) and not issubclass(hint, JSON_TYPES)
