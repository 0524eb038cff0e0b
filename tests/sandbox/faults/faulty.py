"""A sound sandbox with a fault put round it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spatial_agent.sandbox import Layer, ProgramResult, Sandbox, SandboxPolicy, SandboxSession
from spatial_agent.tools.contract import ToolRunner

Inputs = Mapping[str, object]


@dataclass
class Ran:
    """A cell that has run.

    Attributes:
        cell: Its source.
        result: What came of it.
        policy: Limits of its session.
        inputs: Inputs of its session.
        kept: What a fault remembers of the session.
        sessions: Every session of the sandbox so far.
        seconds: Wall time, tools included.
    """

    cell: str
    result: ProgramResult
    policy: SandboxPolicy
    inputs: Inputs
    kept: dict[str, Any]
    sessions: "list[FaultySession]"
    seconds: float

    def but(self, **changes: Any) -> ProgramResult:  # noqa: ANN401 - any member of a result
        return replace(self.result, **changes)


@dataclass(frozen=True)
class Fault:
    """What is done wrong, each part on the way in or out.

    Attributes:
        source: Changes a cell before it runs.
        outcome: Changes what came of it.
        limits: Changes a policy.
        inputs: Changes inputs.
        runner: Changes the runner of tools.
        session: Wraps each session.
        sandbox: Wraps the sandbox.
    """

    source: Callable[[str], str] = lambda cell: cell
    outcome: Callable[[Ran], ProgramResult] = lambda ran: ran.result
    limits: Callable[[SandboxPolicy], SandboxPolicy] = lambda policy: policy
    inputs: Callable[[Inputs], Inputs] = lambda inputs: inputs
    runner: Callable[[ToolRunner | None], ToolRunner | None] = lambda runner: runner
    session: "type[FaultySession] | None" = None
    sandbox: "type[FaultySandbox] | None" = None

    def around(self, sound: Sandbox) -> "FaultySandbox":
        return (self.sandbox or FaultySandbox)(sound, self)


class FaultySession(SandboxSession):
    """A session with a fault."""

    def __init__(
        self,
        sound: SandboxSession,
        fault: Fault,
        policy: SandboxPolicy,
        inputs: Inputs,
        owner: "FaultySandbox",
    ) -> None:
        self.sound, self.fault, self.policy, self.inputs, self.owner = sound, fault, policy, inputs, owner
        self.kept: dict[str, Any] = {}

    @property
    def closed(self) -> str | None:
        return self.sound.closed

    async def run(self, cell: str) -> ProgramResult:
        started = time.monotonic()
        result = await self.sound.run(self.fault.source(cell))
        seconds = time.monotonic() - started
        sessions = self.owner.sessions
        return self.fault.outcome(Ran(cell, result, self.policy, self.inputs, self.kept, sessions, seconds))

    async def close(self) -> None:
        await self.sound.close()


@dataclass
class FaultySandbox(Sandbox):
    """A sandbox with a fault."""

    sound: Sandbox
    fault: Fault
    sessions: list[FaultySession] = field(default_factory=list)
    kept: dict[str, Any] = field(default_factory=dict)
    leaked: list[int] = field(default_factory=list)
    forgotten: list[SandboxSession] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.sound.name

    @property
    def layers(self) -> frozenset[Layer]:
        return self.sound.layers

    def session(
        self,
        *,
        inputs: Inputs | None = None,
        tools: ToolRunner | None = None,
        policy: SandboxPolicy | None = None,
    ) -> SandboxSession:
        policy = policy or SandboxPolicy()
        fault = self.fault
        inner = self.sound.session(
            inputs=fault.inputs(inputs or {}), tools=fault.runner(tools), policy=fault.limits(policy)
        )
        session = (fault.session or FaultySession)(inner, fault, policy, inputs or {}, self)
        self.sessions.append(session)
        return session

    def close(self) -> None:
        self.sound.close()


class LeftOpen(FaultySandbox):
    """A sandbox that others use as well, and that so stays open; nothing else is wrong with it."""

    def __init__(self, sound: Sandbox) -> None:
        super().__init__(sound, Fault())

    def close(self) -> None:
        pass
