"""What the checks are made with: a sandbox under test, and ways to say what was expected of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from spatial_agent.sandbox.conformance.scripted_runner import ScriptedRunner
from spatial_agent.sandbox.environment import (
    Limit,
    ProgramAnswer,
    ProgramError,
    ProgramResult,
    Sandbox,
    SandboxSession,
)
from spatial_agent.sandbox.policy import SandboxPolicy
from spatial_agent.tools.contract import Json, ToolRunner
from spatial_agent.tools.errors import SandboxClosedError, SandboxError

#: Opens a sandbox that nobody else uses.
OpenSandbox = Callable[[], Sandbox]

#: What programs get where a check is not about limits: little time, so that failures show soon.
POLICY = SandboxPolicy(wall_s=20.0, cpu_s=20.0, session_s=120.0)
#: How much longer than its limit a cell may take until it has ended, seconds; machines may be busy.
GRACE_S = 10.0


class Broken(Exception):
    """A sandbox does not do what it should; the message says what."""


def expect(right: bool, expected: str, got: object) -> None:
    """Say what is wrong, unless it is right.

    Raises:
        Broken: If it is not.
    """
    if not right:
        raise Broken(f"expected {expected}, got {got!r}")


def policy(**limits: Any) -> SandboxPolicy:  # noqa: ANN401 - each limit has its own type
    """Return the checks' policy with some limits of its own."""
    return replace(POLICY, **limits)


@dataclass
class Bench:
    """A sandbox under test.

    Attributes:
        sandbox: The sandbox, shared by checks that leave it as it was.
        open_sandbox: Opens another, for checks that do not.
    """

    sandbox: Sandbox
    open_sandbox: OpenSandbox

    def session(
        self,
        inputs: Mapping[str, object] | None = None,
        tools: ToolRunner | None = None,
        **limits: Any,  # noqa: ANN401
    ) -> SandboxSession:
        """Return a new session of the shared sandbox."""
        return self.sandbox.session(inputs=inputs, tools=tools, policy=policy(**limits))

    async def run(
        self,
        program: str,
        inputs: Mapping[str, object] | None = None,
        tools: ToolRunner | None = None,
        **limits: Any,  # noqa: ANN401
    ) -> ProgramResult:
        """Run one program in a session of its own."""
        return await self.sandbox.run(program, inputs=inputs, tools=tools, policy=policy(**limits))

    async def answer(
        self,
        program: str,
        inputs: Mapping[str, object] | None = None,
        tools: ToolRunner | None = None,
        **limits: Any,  # noqa: ANN401
    ) -> Json:
        """Run one program that must end well, and return the value it answered."""
        return answered(await self.run(program, inputs, tools, **limits)).value

    async def told(
        self,
        expression: str,
        inputs: Mapping[str, object] | None = None,
        tools: ToolRunner | None = None,
        before: str = "",
    ) -> Json:
        """Return the value of an expression of plain JSON, however nested, after some lines before it."""
        program = f"import json\n{before}\nanswer(json.dumps({expression}))"
        return json.loads(await self.answer(program, inputs, tools))

    async def failure(
        self,
        program: str,
        inputs: Mapping[str, object] | None = None,
        tools: ToolRunner | None = None,
        **limits: Any,  # noqa: ANN401
    ) -> ProgramError:
        """Run one program that must not end well, and return its error."""
        return failed(await self.run(program, inputs, tools, **limits))


def answered(result: ProgramResult) -> ProgramAnswer:
    """Return the answer of a cell that must have ended well."""
    expect(result.error is None, "no error", result.error)
    if result.answer is None:
        raise Broken(f"expected an answer, got {result!r}")
    return result.answer


def failed(result: ProgramResult) -> ProgramError:
    """Return the error of a cell, which must have one that says something."""
    if result.error is None:
        raise Broken(f"expected an error in the result, got {result!r}")
    expect(bool(result.error.message.strip()), "an error with a message", result.error)
    return result.error


def hit(result: ProgramResult, limit: Limit, what: str) -> None:
    """Expect that a cell ended at a limit, and that the limit is named."""
    expect(failed(result).limit == limit, f"the limit {limit!r} named for {what}", result.error)


async def still_usable(session: SandboxSession) -> None:
    """Expect that a session runs further cells."""
    expect(session.closed is None, "a session that is still open", session.closed)
    result = await session.run("print(6 * 7)")
    expect(result.error is None and result.output.strip() == "42", "the next cell to run", result)


async def settled(session: SandboxSession) -> None:
    """Expect that a session is either usable or closed, says which, and keeps to it."""
    if session.closed is None:
        await still_usable(session)
    else:
        await refuses(session)


async def refuses(session: SandboxSession) -> None:
    """Expect that a session says why it is closed and runs nothing more."""
    expect(bool((session.closed or "").strip()), "a session that says why it is closed", session.closed)
    error = await raised(session.run("print(6 * 7)"), SandboxClosedError)
    expect(bool(str(error).strip()), "an error with a message", error)


async def raised(work: Awaitable[object], *kinds: type[BaseException]) -> BaseException:
    """Expect an exception of one of some kinds, and return it."""
    names = " or ".join(kind.__name__ for kind in kinds)
    try:
        got = await work
    except kinds as error:
        return error
    except SandboxError as error:
        raise Broken(f"expected {names}, got {type(error).__name__}: {error}") from error
    raise Broken(f"expected {names}, got {got!r}")


async def within(seconds: float, work: Awaitable[ProgramResult]) -> ProgramResult:
    """Return what comes of a cell, which must have ended after so many seconds."""
    try:
        return await asyncio.wait_for(work, seconds)
    except TimeoutError as error:
        raise Broken(f"expected the cell to end within {seconds:g} s; it was given up") from error


def scripted(token: str = "") -> ScriptedRunner:
    """Return a runner of the suite's own tools."""
    return ScriptedRunner(token)
