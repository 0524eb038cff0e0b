"""Holes in walls: somebody outside does for a program what it cannot do itself."""

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from spatial_agent.sandbox import ProgramResult
from tests.sandbox.faults.faulty import Fault, Inputs, Ran


def accomplice(wanted: str, act: Callable[[Any], object]) -> Fault:
    """Whoever's program holds a text has its inputs handed to somebody outside, who says what came of it."""

    def outcome(ran: Ran) -> ProgramResult:
        if wanted not in ran.cell:
            return ran.result
        with suppress(OSError):
            return ran.but(output=f"{ran.result.output}{act(ran.inputs)}")
        return ran.result

    return Fault(outcome=outcome)


def reads(given: Inputs) -> object:
    return Path(str(given["path"])).read_text(encoding="utf-8")


def writes(given: Inputs) -> object:
    return Path(str(given["folder"]), "new").write_text("mine", encoding="utf-8")


def calls(given: Any) -> object:  # noqa: ANN401 - inputs by name
    with socket.create_connection(("127.0.0.1", given["port"]), 2):
        return "connected"


def kills(given: Any) -> object:  # noqa: ANN401 - inputs by name
    os.kill(given["victim"], signal.SIGKILL)
    return "killed"


def tells(given: Inputs) -> object:
    return dict(os.environ)


def rummages(given: Any) -> object:  # noqa: ANN401 - inputs by name
    return os.pread(given["last"], 100, 0)


#: Each by the one check that has to find it.
FAULTS = {
    "files read": accomplice("np.memmap", reads),
    "files written": accomplice("np.save", writes),
    "network": accomplice("create_connection", calls),
    "processes": accomplice("os.kill", kills),
    "environment": accomplice("os.environ", tells),
    "descriptors": accomplice("os.pread", rummages),
}
