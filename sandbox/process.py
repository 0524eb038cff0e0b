"""The sandbox whose sessions are processes, whoever starts them."""

from collections.abc import Mapping

from spatial_agent.sandbox.environment import Layer, Sandbox, SandboxSession
from spatial_agent.sandbox.launch import LAYERS, Launcher
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.sandbox.session import ProcessSession
from spatial_agent.tools.contract import ToolRunner

#: What a session sees to, whoever started its process.
SESSION_LAYERS = frozenset(Layer) - LAYERS


class ProcessSandbox(Sandbox):
    """Runs each session in a process of its own.

    Args:
        launcher: Starts the processes.
        layers: Those of `SESSION_LAYERS` that are up.
    """

    def __init__(self, launcher: Launcher, layers: frozenset[Layer] = SESSION_LAYERS) -> None:
        """Start nothing yet."""
        self._launcher = launcher
        self._layers = layers & SESSION_LAYERS

    @property
    def name(self) -> str:
        """What its launcher is called."""
        return self._launcher.name

    @property
    def layers(self) -> frozenset[Layer]:
        """The walls that are up."""
        return self._launcher.layers | self._layers

    def session(
        self,
        *,
        inputs: Mapping[str, object] | None = None,
        tools: ToolRunner | None = None,
        policy: SandboxPolicy | None = None,
    ) -> SandboxSession:
        """Return a new session; its process starts with its first cell."""
        return ProcessSession(self._launcher, self._layers, inputs or {}, tools, policy or SandboxPolicy())

    def close(self) -> None:
        """Stop the launcher and every process."""
        self._launcher.close()
