"""What a session makes of a process that does not speak as programs do."""

import asyncio
import os

import numpy as np
import pytest

from spatial_agent.sandbox import ProgramResult, Sandbox, SandboxPolicy
from spatial_agent.sandbox.environment import Layer
from spatial_agent.sandbox.kernel.usage import Usage
from spatial_agent.sandbox.launch import Exit
from spatial_agent.sandbox.messages import Done, Ready, Show, Text, to_parent
from spatial_agent.sandbox.process import ProcessSandbox
from spatial_agent.tools.errors import SandboxUnavailableError


def run(sandbox: Sandbox, program: str, policy: SandboxPolicy | None = None) -> ProgramResult:
    return asyncio.run(sandbox.run(program, policy=policy))


class FakeProcess:
    """A process that says what a test wants it to say, the second part only while a cell runs."""

    def __init__(self, said: bytes, then: bytes) -> None:
        self.read_fd, writer = os.pipe2(os.O_NONBLOCK)
        reader, self.write_fd = os.pipe2(os.O_NONBLOCK)
        os.write(writer, said)
        self._then = then
        self._other = (reader, writer)

    def interrupt(self) -> None: ...

    def kill(self) -> None: ...

    def usage(self) -> Usage:
        os.write(self._other[1], self._then)
        self._then = b""
        return Usage()

    async def wait(self) -> Exit:
        return Exit(0, None)

    def close(self) -> None:
        for descriptor in (self.read_fd, self.write_fd, *self._other):
            os.close(descriptor)


class FakeLauncher:
    name = "fake"
    layers: frozenset[Layer] = frozenset()

    def __init__(self, said: bytes, then: bytes = b"") -> None:
        self._said = said, then

    async def start(self, policy: SandboxPolicy) -> FakeProcess:
        return FakeProcess(*self._said)

    def close(self) -> None: ...


def said_by(*messages: object) -> bytes:
    return b"".join(to_parent(message) for message in messages)  # type: ignore[arg-type]


def test_a_process_that_speaks_out_of_turn_is_killed() -> None:
    result = run(ProcessSandbox(FakeLauncher(said_by(Ready(), Ready()))), "1")
    assert result.error is not None
    assert result.error.kind == "violation"


@pytest.mark.parametrize("noise", [b"\xff" * 8, b"\x04\x00\x00\x00abcd", b"\x00\x00\x00\x00"])
def test_noise_is_a_violation_never_an_exception(noise: bytes) -> None:
    result = run(ProcessSandbox(FakeLauncher(said_by(Ready()), noise)), "1")
    assert result.error is not None
    assert result.error.kind == "violation"


def test_more_pictures_than_allowed_are_a_violation() -> None:
    picture = Show(np.zeros((2, 2, 3), np.uint8), "")
    said = said_by(Ready(), picture, picture, Done(None, None, 0))
    result = run(ProcessSandbox(FakeLauncher(said)), "1", SandboxPolicy(images=1))
    assert result.error is not None
    assert result.error.kind == "violation"


def test_a_process_that_does_not_begin_as_agreed_is_the_operator_s_problem() -> None:
    with pytest.raises(SandboxUnavailableError, match="began with Text"):
        run(ProcessSandbox(FakeLauncher(said_by(Text("hello")))), "1")


def test_a_session_whose_time_is_over_runs_no_cell() -> None:
    async def cells() -> None:
        launcher = FakeLauncher(said_by(Ready(), Done(None, None, 0)))
        async with ProcessSandbox(launcher).session(policy=SandboxPolicy(session_s=1e-6)) as session:
            result = await session.run("1")
            assert result.error is not None
            assert result.error.limit == "session"
            assert session.closed is not None

    asyncio.run(cells())
