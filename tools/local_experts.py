"""The experts of this process: built and loaded once, at their first call."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import MissingWeightsError, SpatialAgentError, ToolUnavailableError
from spatial_agent.tools.experts.devices import best_device
from spatial_agent.tools.registry import Tool

#: Returns where weights are on this machine, or raises `MissingWeightsError`.
Locate = Callable[[Weights], Path]


def nowhere(weights: Weights) -> Path:
    """Have no weights at all."""
    raise MissingWeightsError(f"the weights {weights.name} ({weights.licence}) are not on this machine")


@dataclass
class _Loaded:
    """An expert that may be loaded; one call at a time, since experts keep what they saw last."""

    lock: Lock = field(default_factory=Lock)
    call: Callable[..., Any] | None = None


class LocalExperts:
    """Builds, loads and calls tools in this process.

    Args:
        locate: Finds weights.
        device: Where networks run, such as ``"cpu"`` or ``"cuda:0"``; the best there is where left out.
        chosen: Name of the weights to use, by tool; a tool's default where left out.
    """

    def __init__(
        self, locate: Locate = nowhere, *, device: str | None = None, chosen: Mapping[str, str] | None = None
    ) -> None:
        """Load nothing yet."""
        self._locate = locate
        self._device = device
        self._chosen = dict(chosen or {})
        self._loaded: dict[str, _Loaded] = {}
        self._lock = Lock()

    def run(self, tool: Tool, arguments: Mapping[str, Any]) -> object:
        """Call a tool, loading it first where it has to be.

        Raises:
            MissingWeightsError: If its weights are not on this machine.
        """
        if not tool.has_state:
            return tool.target(**arguments)
        with self._lock:
            loaded = self._loaded.setdefault(tool.name, _Loaded())
        with loaded.lock:
            if loaded.call is None:
                loaded.call = self._load(tool)
            return loaded.call(**arguments)

    def _load(self, tool: Tool) -> Callable[..., Any]:
        weights = tool.named_weights(self._chosen.get(tool.name)) if tool.weights else None
        place = self._locate(weights) if weights else None
        try:
            expert: Any = tool.build(place)
            expert.load(self._device or best_device())
        except SpatialAgentError:
            raise
        except Exception as error:  # whatever a library raises while it loads
            raise ToolUnavailableError(
                f"{tool.name} cannot be loaded ({type(error).__name__}: {error}); choose another tool"
            ) from error
        loaded: Callable[..., Any] = expert
        return loaded
