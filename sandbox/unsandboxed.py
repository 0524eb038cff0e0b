"""No sandbox at all, for whoever says so in as many words: programs may do whatever this user may.

A program still has a process of its own, limits that its parent watches, and messages that are checked. None
of that keeps it from a file, the network or another process.
"""

import json
import logging
import sys

from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.kernel import privileges
from spatial_agent.sandbox.piped import Ends, PipedLauncher, PipedProcess
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.tools.errors import ConfigurationError

_log = logging.getLogger(__name__)
#: What an operator has to say before programs run like this.
ACKNOWLEDGEMENT = "run programs of strangers without any protection"
#: Longest message from the parent.
_MESSAGE_BYTES = 2**31
_START = "from spatial_agent.sandbox.unsandboxed import child; child()"


class UnsandboxedLauncher(PipedLauncher):
    """Starts a plain interpreter for each session; see `spatial_agent.sandbox.launch.Launcher`.

    Args:
        acknowledged: `ACKNOWLEDGEMENT`, word for word.

    Raises:
        ConfigurationError: If it is anything else.
    """

    def __init__(self, acknowledged: str) -> None:
        """Start nothing yet."""
        if acknowledged != ACKNOWLEDGEMENT:
            raise ConfigurationError(
                f"programs run without a sandbox only where the operator says {ACKNOWLEDGEMENT!r}, "
                f"got {acknowledged!r}; use another provider"
            )
        super().__init__("unsandboxed")

    @property
    def layers(self) -> frozenset[Layer]:
        """The walls that are up: none."""
        return frozenset()

    async def start(self, policy: SandboxPolicy) -> PipedProcess:
        """Return a started process that waits for its first frame; logs a warning every time.

        Raises:
            SandboxUnavailableError: If none can be started.
        """
        _log.warning("a program runs without a sandbox: it may do whatever this user may")

        def command(ends: Ends) -> list[str]:
            order = json.dumps({"ends": vars(ends), "session_s": policy.session_s})
            return [sys.executable, "-E", "-P", "-c", _START, order]

        return await self.started(command)


def child() -> None:
    """Serve a session on the descriptors its argument names: what runs in the started process."""
    from spatial_agent.sandbox import worker

    privileges.die_with_parent()
    order = json.loads(sys.argv[1])
    worker.preload()
    Ends(**order["ends"]).take(order["session_s"])
    worker.serve_to_end()
