"""The contract of a sandbox: what goes in, what comes out, and who is told about what went wrong.

Two kinds of failure are kept apart. What a program did wrong, a limit it hit included, is its
`ProgramResult.error`: the planner reads it and writes a better one. A sandbox that is not there or broke
down raises a `SandboxError`: that is for the operator, and never looks like a program's output.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.tools.contract import Json, ToolResult, ToolRunner


class Layer(StrEnum):
    """One independent wall; a program has to get through all that are up."""

    SYNTAX = "syntax"
    NAMESPACES = "namespaces"
    IDENTITY = "identity"
    LANDLOCK = "landlock"
    SECCOMP = "seccomp"
    RLIMITS = "rlimits"
    WATCH = "watch"

    @property
    def holds(self) -> str:
        """What it blocks, for people."""
        return _HOLDS[self]


_HOLDS = {
    Layer.SYNTAX: "imports and attributes no program needs (a courtesy with clear messages, no wall)",
    Layer.NAMESPACES: "the network, other processes, and the file system: an empty root of its own",
    Layer.IDENTITY: "privileges: another user, no capability, none to be gained, nobody looks in",
    Layer.LANDLOCK: "opening any file, TCP, abstract sockets and signals to others",
    Layer.SECCOMP: "every system call but some twenty that computing needs",
    Layer.RLIMITS: "more memory, processor time, processes or files than allowed",
    Layer.WATCH: "more wall time, memory or output than allowed, from the parent's side",
}

Limit = Literal["wall", "cpu", "session", "memory", "output", "calls", "cells"]
ErrorKind = Literal["syntax", "refused", "exception", "limit", "crash", "violation"]


@dataclass(frozen=True)
class ProgramAnswer:
    """What a program said by ``answer(value, unit=...)``.

    Attributes:
        value: Number, text, truth value, or list of them.
        unit: Unit of a number (`tools.scene.UNITS`), else None.
        low: 5 % end of its interval, where the program knows one.
        high: 95 % end of its interval.
    """

    value: Json
    unit: str | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ProgramError:
    """Why a cell did not run to its end; the message is for whoever wrote the program.

    Attributes:
        kind: ``"syntax"`` (not Python), ``"refused"`` (the check before it runs), ``"exception"``,
            ``"limit"`` (killed or stopped at one), ``"crash"`` (its process died), ``"violation"`` (it spoke
            to its parent in another way than programs do, and was killed).
        message: What happened and what to do, with line numbers of the program where there are some.
        limit: The limit it hit.
        line: Line of the program it stopped at, from 1, where known.
    """

    kind: ErrorKind
    message: str
    limit: Limit | None = None
    line: int | None = None


@dataclass(frozen=True, eq=False)
class ShownImage:
    """A picture a program showed.

    Attributes:
        rgb: Shape (H, W, 3) uint8, read-only.
        caption: What the program says it is.
    """

    rgb: NDArray[np.uint8]
    caption: str = ""


@dataclass(frozen=True, eq=False)
class ProgramResult:
    """What came of one cell.

    Attributes:
        answer: What it answered last, or None.
        output: What it printed, and the value of its last expression; cut at the policy's limit with a note.
        images: Pictures it showed.
        results: Its tool calls' results, in order.
        error: Why it did not run to its end, or None.
        seconds: Wall time without tool calls.
        cpu_seconds: Processor time of the session's process so far.
        peak_mb: Most memory the session's process held beyond what was loaded before, 2^20 bytes.
    """

    answer: ProgramAnswer | None = None
    output: str = ""
    images: tuple[ShownImage, ...] = ()
    results: tuple[ToolResult, ...] = ()
    error: ProgramError | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0


class SandboxSession(ABC):
    """A persistent kernel: cells run one after another and share their variables."""

    @property
    @abstractmethod
    def closed(self) -> str | None:
        """Why no further cell can run, or None while one can."""

    @abstractmethod
    async def run(self, cell: str) -> ProgramResult:
        """Run a cell; what the program does wrong is in the result.

        Args:
            cell: Python source.

        Raises:
            SandboxClosedError: If the session has ended: it was left, or a cell before had to be killed.
            SandboxUnavailableError: If the sandbox itself broke down.
        """

    @abstractmethod
    async def close(self) -> None:
        """Kill whatever still runs and let go of everything; closing twice is no error."""

    async def __aenter__(self) -> Self:
        """Return the session itself; its process starts with the first cell."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        await self.close()


class Sandbox(ABC):
    """Runs programs that nobody trusts."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What this provider is called: ``"zygote"``, ``"bubblewrap"``, ..."""

    @property
    @abstractmethod
    def layers(self) -> frozenset[Layer]:
        """The walls that are up."""

    @abstractmethod
    def session(
        self,
        *,
        inputs: Mapping[str, object] | None = None,
        tools: ToolRunner | None = None,
        policy: SandboxPolicy | None = None,
    ) -> SandboxSession:
        """Return a new session.

        Args:
            inputs: Variables its programs see, such as ``scene``: plain JSON, arrays, scene values, and
                lists and mappings of them.
            tools: Where ``tools.<name>(...)`` goes; without one every call fails.
            policy: Its limits; `SandboxPolicy` as it stands where left out.

        Raises:
            WireError: If an input is anything else.
        """

    async def run(
        self,
        program: str,
        *,
        inputs: Mapping[str, object] | None = None,
        tools: ToolRunner | None = None,
        policy: SandboxPolicy | None = None,
    ) -> ProgramResult:
        """Run one program in a session of its own; arguments and errors are those of `session` and its `run`.

        Raises:
            WireError: If an input cannot be sent.
            SandboxUnavailableError: If the sandbox is not there or broke down.
        """
        async with self.session(inputs=inputs, tools=tools, policy=policy) as session:
            return await session.run(program)

    @abstractmethod
    def close(self) -> None:
        """Stop every process of this sandbox; closing twice is no error."""
