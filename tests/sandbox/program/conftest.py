"""A program in this process whose parent is a function of the test."""

from collections.abc import Callable, Mapping

import pytest

from spatial_agent.sandbox.environment import ProgramResult, ShownImage
from spatial_agent.sandbox.messages import (
    Call,
    Cell,
    Done,
    Failed,
    Fetch,
    Setup,
    Show,
    Text,
    ToChild,
    ToParent,
    from_child,
    from_parent,
    to_child,
    to_parent,
)
from spatial_agent.sandbox.policy import IMPORTS
from spatial_agent.sandbox.program import Program

LENGTH_BYTES = 4
RunCell = Callable[[str], ProgramResult]
Reply = Callable[[Call | Fetch], ToChild]


def no_tools(request: Call | Fetch) -> ToChild:
    return Failed("ToolUnavailableError", "no tools here")


class ScriptedChannel:
    """Both ends of a channel; everything passes it as bytes, as it does between processes."""

    def __init__(self, reply: Reply) -> None:
        self.sent: list[ToParent] = []
        self._reply = reply

    def send(self, message: ToParent) -> None:
        self.sent.append(from_child(to_parent(message)[LENGTH_BYTES:]))

    def receive(self) -> ToChild:
        request = self.sent[-1]
        assert isinstance(request, Call | Fetch)
        return from_parent(to_child(self._reply(request))[LENGTH_BYTES:])


@pytest.fixture
def open_program() -> Callable[..., RunCell]:
    """Opens a session: a function that runs one cell after the other."""

    def opened(
        reply: Reply = no_tools,
        *,
        inputs: Mapping[str, object] | None = None,
        imports: tuple[str, ...] = tuple(IMPORTS),
        output_bytes: int = 20_000,
        message_bytes: int = 2**20,
        images: int = 2,
        is_checked: bool = True,
    ) -> RunCell:
        channel = ScriptedChannel(reply)
        setup = Setup(imports, inputs or {}, output_bytes, message_bytes, images, is_checked)
        program = Program(setup, channel)

        def run(source: str) -> ProgramResult:
            channel.sent.clear()
            done = program.run(Cell(source))
            checked = from_child(to_parent(done)[LENGTH_BYTES:])
            assert isinstance(checked, Done)
            output = "".join(message.text for message in channel.sent if isinstance(message, Text))
            shown = (message for message in channel.sent if isinstance(message, Show))
            images = tuple(ShownImage(message.rgb, message.caption) for message in shown)
            return ProgramResult(checked.answer, output, images, error=checked.error)

        return run

    return opened


@pytest.fixture
def run(open_program: Callable[..., RunCell]) -> RunCell:
    """Runs cells of one session without tools."""
    return open_program()
