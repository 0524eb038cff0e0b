"""The provider for machines that the default one does not fit: each session starts in bubblewrap.

Bubblewrap makes the namespaces and the empty root; what the kernel has of Landlock, seccomp and resource
limits goes up inside, before anything of the program's is read.
"""

import json
import sys

from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.kernel import bwrap, landlock, seccomp
from spatial_agent.sandbox.launch import LAYERS, SINGLE_THREADED
from spatial_agent.sandbox.messages import NOT_ENCLOSED, READ_FD, WRITE_FD
from spatial_agent.sandbox.piped import Ends, PipedLauncher, PipedProcess
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.tools.errors import SandboxUnavailableError

#: Bubblewrap ends with this plus the number of the signal that ended the program.
_FIRST_SIGNAL = 128
_CPU_SLACK_S = 0.5
_START = "from spatial_agent.sandbox.bubblewrap import child; child()"


class BubblewrapLauncher(PipedLauncher):
    """Starts a bubblewrapped interpreter for each session; see `spatial_agent.sandbox.launch.Launcher`.

    Args:
        layers: The walls that are wanted; namespaces and another identity come with bubblewrap in any case.
    """

    def __init__(self, layers: frozenset[Layer] = LAYERS) -> None:
        """Start nothing yet."""
        super().__init__("bubblewrap", _FIRST_SIGNAL)
        self._wanted = layers & LAYERS

    @property
    def layers(self) -> frozenset[Layer]:
        """The walls that are up.

        Raises:
            SandboxUnavailableError: If bubblewrap is not installed, or cannot make its walls here.
        """
        reason = bwrap.why_not()
        if reason is not None:
            raise SandboxUnavailableError(reason)
        lacking = set()
        if landlock.abi_version() == 0:
            lacking.add(Layer.LANDLOCK)
        if not seccomp.available():
            lacking.add(Layer.SECCOMP)
        return (self._wanted | {Layer.NAMESPACES, Layer.IDENTITY}) - lacking

    async def start(self, policy: SandboxPolicy) -> PipedProcess:
        """Return a started process that waits for its first frame.

        Raises:
            SandboxUnavailableError: If none can be started.
        """
        # Namespaces are made outside, and so is the other identity; only what is left is given up inside.
        layers = sorted(self.layers - {Layer.NAMESPACES})

        def command(ends: Ends) -> list[str]:
            order = json.dumps({"limits": policy.kernel_limits, "layers": layers, "ends": vars(ends)})
            program = [sys.executable, "-E", "-P", "-c", _START, order]
            return bwrap.command(program, memory_tmp_mb=1, environment=SINGLE_THREADED)

        return await self.started(command)


def child() -> None:
    """Serve a session as its argument says: what runs inside bubblewrap."""
    import os
    import time

    from spatial_agent.sandbox import worker
    from spatial_agent.sandbox.enclosure import enclose, withdraw
    from spatial_agent.sandbox.kernel import limits

    order = json.loads(sys.argv[1])
    worker.preload()
    os.environ.clear()  # noqa: TID251 - programs see none at all
    Ends(**order["ends"]).take(order["limits"]["session_s"])
    try:
        layers = frozenset(map(Layer, order["layers"]))
        # The kernel counts what starting took as well, and counts it in ticks.
        order["limits"]["cpu_s"] += time.process_time() + _CPU_SLACK_S
        mapped = limits.mapped_bytes()
        withdraw(layers)
        enclose(SandboxPolicy(**order["limits"]), layers, mapped, READ_FD, WRITE_FD)
    except BaseException:
        os._exit(NOT_ENCLOSED)
    worker.serve_to_end()
