"""The seam between a provider and a session: how the process of a session comes to be and goes."""

from dataclasses import dataclass
from typing import Protocol

from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.kernel.usage import Usage
from spatial_agent.sandbox.policy import SandboxPolicy

#: What whoever starts processes puts up; sessions see to the others.
LAYERS = frozenset({Layer.NAMESPACES, Layer.IDENTITY, Layer.LANDLOCK, Layer.SECCOMP, Layer.RLIMITS})
#: Numeric libraries start no threads: a process with some cannot be forked, and a program gets none anyway.
SINGLE_THREADED = {"MKL_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Exit:
    """How a process ended.

    Attributes:
        code: Its exit code, or None where a signal ended it.
        signal: The signal that ended it, or None.
        cpu_seconds: Processor time it took, where known.
    """

    code: int | None
    signal: int | None
    cpu_seconds: float = 0.0


class ProgramProcess(Protocol):
    """The process of one session; it reads frames from one pipe and writes frames to another.

    Attributes:
        read_fd: Where its frames come out; non-blocking.
        write_fd: Where frames for it go in; non-blocking.
    """

    read_fd: int
    write_fd: int

    def interrupt(self) -> None:
        """Ask it to end its cell (SIGINT); without effect on one that is gone."""
        ...

    def kill(self) -> None:
        """End it at once, with everything it started; without effect on one that is gone."""
        ...

    def usage(self) -> Usage:
        """Return what it uses, memory beyond what was loaded before it started; nothing once it is gone."""
        ...

    async def wait(self) -> Exit:
        """Wait until it is gone and return how it ended.

        Raises:
            SandboxUnavailableError: If nobody knows, because what started it is gone too.
        """
        ...

    def close(self) -> None:
        """Close both pipes and let go of it; kills it where it still runs."""
        ...


class Launcher(Protocol):
    """Starts the processes of sessions, each behind the same walls."""

    @property
    def name(self) -> str:
        """What the provider is called."""
        ...

    @property
    def layers(self) -> frozenset[Layer]:
        """The walls that are up, `Layer.SYNTAX` and `Layer.WATCH` aside, which sessions see to.

        Raises:
            SandboxUnavailableError: If none can be put up here.
        """
        ...

    async def start(self, policy: SandboxPolicy) -> ProgramProcess:
        """Return a started process that waits for its first frame.

        Raises:
            SandboxUnavailableError: If none can be started behind these walls.
        """
        ...

    def close(self) -> None:
        """Stop everything it started; closing twice is no error."""
        ...
