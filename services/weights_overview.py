"""All weights that installed experts declare, who uses them, and how they are."""

import difflib
from dataclasses import dataclass

from spatial_agent.services.model_store import ModelStore, State
from spatial_agent.services.tools_here import installed_tools
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ConfigurationError
from spatial_agent.tools.registry import Registry


@dataclass(frozen=True)
class WeightsStatus:
    """One line of the overview.

    Attributes:
        weights: What experts declare.
        used_by: Names of the experts.
        state: How they are.
        bytes: What they take on the disk now.
    """

    weights: Weights
    used_by: tuple[str, ...]
    state: State
    bytes: int


def all_weights(registry: Registry | None = None) -> dict[str, Weights]:
    """Return what the tools declare, by name.

    Raises:
        ConfigurationError: If two tools mean different weights by one name.
    """
    registry = registry or installed_tools()
    found: dict[str, Weights] = {}
    for tool in map(registry.get, registry):
        for weights in tool.weights:
            if found.setdefault(weights.name, weights) != weights:
                users = " and ".join(_users(registry, weights.name))
                raise ConfigurationError(f"{users} declare different weights as {weights.name!r}; rename one")
    return dict(sorted(found.items()))


def weights_named(name: str, registry: Registry | None = None) -> Weights:
    """Return the weights of that name.

    Raises:
        ConfigurationError: If no tool declares them, with the nearest names.
    """
    known = all_weights(registry)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known) or 'none'}"
        raise ConfigurationError(f"no expert declares weights {name!r}; {hint}")
    return known[name]


def overview(store: ModelStore, registry: Registry | None = None) -> list[WeightsStatus]:
    """Return all weights with their users and state; nothing is read but names, sizes and times."""
    registry = registry or installed_tools()
    return [
        WeightsStatus(weights, tuple(_users(registry, name)), store.state(weights), store.size(weights))
        for name, weights in all_weights(registry).items()
    ]


def _users(registry: Registry, name: str) -> list[str]:
    return [tool for tool in registry if any(weights.name == name for weights in registry.get(tool).weights)]
