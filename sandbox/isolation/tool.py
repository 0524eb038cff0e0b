"""A tool whose code is never imported here: its description stands for it, its proxy is called for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from spatial_agent.sandbox.isolation.description import Description
from spatial_agent.sandbox.isolation.expert import IsolatedExpert
from spatial_agent.sandbox.isolation.origin import Origin
from spatial_agent.sandbox.wire import pack
from spatial_agent.tools.contract import Json, ToolSpec
from spatial_agent.tools.errors import ConfigurationError, ToolArgumentError, WireError
from spatial_agent.tools.registry import Reference, Tool


@dataclass(frozen=True)
class IsolatedTarget:
    """What stands where other tools have their function or class; plain data, in a pickle too.

    Attributes:
        value: ``module:name`` of the function or class, as the entry point says.
        origin: Where its code lies.
        description: What it says of itself.
    """

    value: str
    origin: Origin
    description: Description

    @property
    def __spatial_agent_tool__(self) -> "IsolatedTool":
        """What it is registered as."""
        return IsolatedTool.of(self)

    def __call__(self, **arguments: object) -> object:
        """Start its process, call it once, and end it."""
        expert = IsolatedExpert(self.value, self.origin, self.description)
        try:
            expert.load("cpu")
            return expert(**arguments)
        finally:
            expert.close()


@dataclass(frozen=True)
class IsolatedTool(Tool):
    """A tool of a distribution that is not trusted; it has to be loaded, whatever it is."""

    @classmethod
    def of(cls, target: IsolatedTarget) -> "IsolatedTool":
        """Return the tool that a target stands for."""
        spec = target.description.spec
        return cls(
            target,
            spec.name,
            spec.version,
            spec.kind,
            spec.weights,
            spec.resources,
            spec.deterministic,
            spec.idempotent,
        )

    @property
    def is_isolated(self) -> bool:
        """Whether its code runs in a process of its own that nobody trusts."""
        return True

    @property
    def has_state(self) -> bool:
        """Whether it is loaded before it can be called: its process has to be started."""
        return True

    @property
    def batches(self) -> bool:
        """Whether it takes several calls at once."""
        return self._isolated.description.batches

    @cached_property
    def spec(self) -> ToolSpec:
        """What it says of itself."""
        return self._isolated.description.spec

    @cached_property
    def references(self) -> Mapping[str, Reference]:
        """The parameters that are passed by reference."""
        return self._isolated.description.references

    def build(self, weights: Path | None = None) -> Any:  # noqa: ANN401 - as of every tool
        """Return a new, still unloaded proxy.

        Raises:
            ConfigurationError: If weights are declared and not given.
        """
        if self.weights and weights is None:
            raise ConfigurationError(
                f"{self.name} runs with weights ({self.weights[0].name}, ...): give their path"
            )
        target = self._isolated
        return IsolatedExpert(target.value, target.origin, target.description, weights)

    def arguments(self, given: Mapping[str, Json]) -> dict[str, Any]:
        """Check the names of arguments, and that they are plain JSON; their types are checked by its process.

        Raises:
            ToolArgumentError: If one is unknown, missing or no JSON.
        """
        schema = self.spec.parameters
        known = [name for name in schema["properties"] if name not in self.references]
        unknown = [name for name in given if name not in known]
        missing = [name for name in schema.get("required", ()) if name in known and name not in given]
        for fault, names in (("unknown", unknown), ("missing", missing)):
            if names:
                raise ToolArgumentError(
                    f"{self.name}: {', '.join(map(repr, names))}: {fault}; it takes {', '.join(known)}"
                )
        try:
            pack(dict(given), {})
        except WireError as error:
            raise ToolArgumentError(f"{self.name}: {error}") from None
        return dict(given)

    @property
    def _isolated(self) -> IsolatedTarget:
        target: Any = self.target
        assert isinstance(target, IsolatedTarget)  # it is made by `of` alone
        return target
