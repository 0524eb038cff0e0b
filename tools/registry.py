"""Registration: a typed function or class with a docstring becomes a tool; nothing is said twice.

The signature gives the JSON schema, the docstring the text people and models read. Built-in tools
and those of other distributions come the same way: through the entry-point groups
``spatial_agent.experts`` and ``spatial_agent.skills``.
"""

import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from spatial_agent.tools.contract import Json, Resources, ToolKind, ToolSpec, Weights
from spatial_agent.tools.entry_points import distribution_of, loaded, refused, sorted_by_trust
from spatial_agent.tools.errors import (
    ConfigurationError,
    SpatialAgentError,
    ToolArgumentError,
    ToolUnavailableError,
)

Target = TypeVar("Target", bound=Callable[..., Any])
GROUPS: dict[ToolKind, str] = {"expert": "spatial_agent.experts", "skill": "spatial_agent.skills"}
REFERENCE_SCHEMA = {"type": "string", "pattern": r"^\$[A-Za-z0-9_./-]+$"}
JSON_TYPES = (str, int, float, bool, type(None), list, tuple, dict)


@dataclass(frozen=True)
class Reference:
    """An argument that is passed by reference.

    Attributes:
        type_name: Name of the class whose values it takes.
        many: Whether it takes a list of references.
        optional: Whether it may be left out or null.
    """

    type_name: str
    many: bool = False
    optional: bool = False

    def __str__(self) -> str:
        """Return what people read: ``Frame``, ``list of Frame``, ``optional Detections``."""
        text = f"list of {self.type_name}" if self.many else self.type_name
        return f"optional {text}" if self.optional else text

    @property
    def schema(self) -> dict[str, Json]:
        """The JSON schema of what stands for it in a call."""
        one: dict[str, Json] = dict(REFERENCE_SCHEMA)
        schema: dict[str, Json] = {"type": "array", "items": one} if self.many else one
        return {"anyOf": [schema, {"type": "null"}], "default": None} if self.optional else schema


@dataclass(frozen=True)
class Tool:
    """A registered function or expert class with its declared identity.

    Attributes:
        target: The function, or the class of the expert.
        name: Registered name; the part before the first dot is its capability.
        version: Changes when results may change.
        kind: Expert or skill.
        weights: Weights it can run with, the default first.
        resources: What it may use.
        deterministic: Whether equal arguments give equal results.
        idempotent: Whether a call whose outcome is unknown may be made again.
    """

    target: Callable[..., Any]
    name: str
    version: str
    kind: ToolKind
    weights: tuple[Weights, ...] = ()
    resources: Resources = field(default_factory=Resources)
    deterministic: bool = True
    idempotent: bool = True

    @property
    def capability(self) -> str:
        """What it is good for: ``depth`` of ``depth.sensor``."""
        return self.name.partition(".")[0]

    @property
    def has_state(self) -> bool:
        """Whether it is a class that is loaded before it can be called."""
        return isinstance(self.target, type)

    @property
    def is_isolated(self) -> bool:
        """Whether its code runs in a process of its own that nobody trusts."""
        return False

    @property
    def batches(self) -> bool:
        """Whether it takes several calls at once."""
        return self.has_state and hasattr(self.target, "batch")

    def named_weights(self, name: str | None = None) -> Weights:
        """Return the weights of that name, or the default ones.

        Raises:
            ConfigurationError: If it declares none of that name.
        """
        for weights in self.weights:
            if name in (None, weights.name):
                return weights
        known = ", ".join(weights.name for weights in self.weights) or "none"
        raise ConfigurationError(f"{self.name} has no weights {name!r}; it declares {known}")

    def build(self, weights: Path | None = None) -> Any:  # noqa: ANN401 - each expert is of its own class
        """Return what is called: the function, or a new, still unloaded expert.

        Args:
            weights: Where the weights are, for an expert that declares any.

        Raises:
            ConfigurationError: If weights are declared and not given.
        """
        if not self.has_state:
            return self.target
        if not self.weights:
            return self.target()
        if weights is None:
            raise ConfigurationError(
                f"{self.name} runs with weights ({self.weights[0].name}, ...): give their path"
            )
        return self.target(weights)

    @cached_property
    def spec(self) -> ToolSpec:
        """What the signature and docstring say."""
        description = self._description
        return ToolSpec(
            name=self.name,
            version=self.version,
            kind=self.kind,
            summary=description.splitlines()[0],
            description=description,
            parameters=self._schema(description),
            references={name: str(reference) for name, reference in self.references.items()},
            returns=getattr(self._hints.get("return"), "__name__", str(self._hints.get("return"))),
            weights=self.weights,
            resources=self.resources,
            deterministic=self.deterministic,
            idempotent=self.idempotent,
        )

    @cached_property
    def references(self) -> Mapping[str, Reference]:
        """The parameters that are passed by reference."""
        found = {name: _reference(hint) for name, hint in self._hints.items() if name != "return"}
        return {name: reference for name, reference in found.items() if reference is not None}

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

    @property
    def _called(self) -> Any:  # noqa: ANN401 - a function, or a class's own `__call__`
        target: Any = self.target
        return target.__call__ if self.has_state else target

    @property
    def _signature(self) -> inspect.Signature:
        if not self.has_state:
            return inspect.signature(self.target)
        own = inspect.signature(self._called)
        return own.replace(parameters=list(own.parameters.values())[1:])

    @property
    def _description(self) -> str:
        description = inspect.getdoc(self._called)
        if not description:
            raise ConfigurationError(f"tool {self.name!r}: expected a docstring; it is what planners read")
        return description

    @cached_property
    def _hints(self) -> dict[str, Any]:
        return typing.get_type_hints(self._called)

    @cached_property
    def _model(self) -> Any:  # noqa: ANN401 - a class pydantic makes at run time
        from pydantic import ConfigDict, create_model

        fields: dict[str, Any] = {
            name: (self._hints[name], ... if parameter.default is parameter.empty else parameter.default)
            for name, parameter in self._signature.parameters.items()
            if name not in self.references
        }
        strict = ConfigDict(extra="forbid", strict=True, protected_namespaces=())
        return create_model(self.name.replace(".", "_"), __config__=strict, **fields)

    def _schema(self, description: str) -> dict[str, Json]:
        schema: dict[str, Json] = self._model.model_json_schema()
        schema.pop("title", None)
        properties = schema.setdefault("properties", {})
        for name, reference in self.references.items():
            properties[name] = reference.schema
            if not reference.optional:
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


def expert(
    name: str,
    version: str = "1",
    *,
    weights: Sequence[Weights] = (),
    resources: Resources | None = None,
    deterministic: bool = True,
    idempotent: bool = True,
) -> Callable[[Target], Target]:
    """Declare a typed function, or a class with ``load(device)`` and ``__call__``, as an expert.

    Args:
        name: ``"capability"`` or ``"capability.backend"``, unique among all tools.
        version: Change it when results may change.
        weights: Weights it can run with, the default first; the class is then built with their path.
        resources: What it may use.
        deterministic: Whether equal arguments give equal results, so that results may be cached.
        idempotent: Whether a call whose outcome is unknown may be made again.
    """

    def mark(target: Target) -> Target:
        if isinstance(target, type) and not hasattr(target, "load"):
            message = f"expert {name!r}: a class needs load(device) and __call__; load is missing"
            raise ConfigurationError(message)
        declared = (tuple(weights), resources or Resources(), deterministic, idempotent)
        tool = Tool(target, name, version, "expert", *declared)
        target.__spatial_agent_tool__ = tool  # type: ignore[attr-defined]
        return target

    return mark


def skill(name: str, version: str = "1") -> Callable[[Target], Target]:
    """Declare a typed function as a skill: a question's worth of work over a scene map."""

    def mark(target: Target) -> Target:
        tool = Tool(target, name, version, "skill", resources=Resources(in_caller=True))
        target.__spatial_agent_tool__ = tool  # type: ignore[attr-defined]
        return target

    return mark


def tool_of(target: Callable[..., Any]) -> Tool:
    """Return what `expert` or `skill` declared about a function or class.

    Raises:
        ConfigurationError: If it was never declared.
    """
    tool = getattr(target, "__spatial_agent_tool__", None)
    if not isinstance(tool, Tool):
        raise ConfigurationError(f"{target!r} is not a tool; decorate it with @expert or @skill")
    return tool


#: Makes a tool of an entry point without importing any of its code, or raises `SpatialAgentError`.
Isolate = Callable[[metadata.EntryPoint], Tool]


class Registry:
    """The tools of one runtime, by name."""

    def __init__(self) -> None:
        """Start empty and open."""
        #: Why entry points of distributions that are not trusted gave no tool, by "name (distribution)".
        self.left_out: dict[str, str] = {}
        self._tools: dict[str, Tool] = {}
        self._frozen = False

    @classmethod
    def from_entry_points(
        cls, *, trusted: Collection[str] = (), isolate: Isolate | None = None
    ) -> "Registry":
        """Return a frozen registry of every installed tool; loading an entry point runs its code.

        Args:
            trusted: Distributions whose code may run in this process, beside the built-in one.
            isolate: Makes tools of the others; without it they are left out.

        Raises:
            ConfigurationError: If what is trusted cannot be loaded, is not there, or claims a name twice.
        """
        registry = cls()
        known, strangers = sorted_by_trust(GROUPS.values(), trusted)
        for point in known:
            registry.add(loaded(point))
        for point in strangers:
            registry._add_stranger(point, isolate or refused)
        return registry.freeze()

    def _add_stranger(self, point: metadata.EntryPoint, isolate: Isolate) -> None:
        try:
            if point.name in self._tools:
                raise ConfigurationError(
                    f"{point.name!r} is another tool's name; its author has to choose one"
                )
            tool = isolate(point)
            known = {weights.name: weights for held in self._tools.values() for weights in held.weights}
            if any(known.get(weights.name, weights) != weights for weights in tool.weights):
                raise ConfigurationError("it gives its weights the name of another tool's")
            self._tools[point.name] = tool
        except SpatialAgentError as error:
            self.left_out[f"{point.name} ({distribution_of(point)})"] = str(error)

    def add(self, target: Callable[..., Any]) -> None:
        """Add a declared function or class.

        Raises:
            ConfigurationError: If the registry is frozen or the name is taken by another one.
        """
        tool = tool_of(target)
        if self._frozen:
            raise ConfigurationError(f"cannot add {tool.name!r}: the registry is frozen")
        held = self._tools.setdefault(tool.name, tool)
        if held.target is not tool.target:
            raise ConfigurationError(
                f"two tools are called {tool.name!r}: {held.target.__module__} and "
                f"{tool.target.__module__}; rename one"
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
        for who in (who for who in self.left_out if who.startswith(f"{name} (")):
            raise ToolUnavailableError(f"{who} cannot be used: {self.left_out[who]}")
        near = difflib.get_close_matches(name, self._tools, n=2)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are {', '.join(self)}"
        raise ToolUnavailableError(f"no tool is called {name!r}; {hint}")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, sorted."""
        return iter(sorted(self._tools))

    def __len__(self) -> int:
        """Return the number of tools."""
        return len(self._tools)


def _reference(hint: object) -> Reference | None:
    """Return how a parameter of this type is passed by reference, or None where it is plain JSON."""
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType) and type(None) in arguments:
        inner = [argument for argument in arguments if argument is not type(None)]
        reference = _reference(inner[0]) if len(inner) == 1 else None
        return reference and replace(reference, optional=True)
    if typing.get_origin(hint) is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        reference = _reference(arguments[0])
        return reference and replace(reference, many=True)
    if isinstance(hint, type) and not typing.get_origin(hint) and not issubclass(hint, JSON_TYPES):
        return Reference(hint.__name__)
    return None
