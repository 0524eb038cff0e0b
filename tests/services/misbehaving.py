"""Experts that do whatever harm they are asked to, for the tests of what serves them."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from ray import cloudpickle

from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.tools.contract import Resources
from spatial_agent.tools.errors import (
    AmbiguousReferenceError,
    NoSuchObjectError,
    SourceError,
)
from spatial_agent.tools.registry import expert
from spatial_agent.tools.scene import Measurement

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]


Serve = Callable[..., Any]
# The fixtures' own classes, which cannot be imported from here.
Bench: TypeAlias = Any
Gate: TypeAlias = Any
Head: TypeAlias = Any
Probe: TypeAlias = Any
Found: TypeAlias = Any
SOON_S = 1.0
ONE = PoolOptions(most=1)


class OwnError(Exception):
    """Cannot be built again from what it keeps."""

    def __init__(self, code: int, lock: object) -> None:
        super().__init__(f"code {code}")
        self.lock = lock


class OwnToolError(NoSuchObjectError):
    """A third party's refinement, which no other process knows."""


class MuteError(Exception):
    """Breaks while it is printed."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def wait_at_gate(entry: str, exit_: str) -> None:
    """Say that this process is here, and wait until it may go on."""
    with open(entry, "w") as file:
        file.write(f"{os.getpid()} ")
    leave = os.open(exit_, os.O_RDWR)
    os.read(leave, 1)
    os.close(leave)


def first_time(mark: str) -> bool:
    """Return whether nobody was here before."""
    try:
        os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def hang_holding_the_interpreter() -> None:
    sum(range(10**14))


def hang_deaf_to_signals() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM, signal.SIGINT])
    time.sleep(1000)


def stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def recurse() -> None:
    recurse()


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def throw(error: BaseException) -> Callable[[], None]:
    def raise_() -> None:
        raise error

    return raise_


ACTS: dict[str, Callable[[], object]] = {
    "work": lambda: None,
    "hang": lambda: time.sleep(1000),
    "hold the interpreter": hang_holding_the_interpreter,
    "be deaf": hang_deaf_to_signals,
    "stop": stop,
    "be killed": be_killed,
    "touch bad memory": lambda: ctypes.string_at(0),
    "abort": os.abort,
    "leave at once": lambda: os._exit(0),
    "value error": throw(ValueError("bad number")),
    "leave": lambda: sys.exit(3),
    "interrupt": throw(KeyboardInterrupt()),
    "recurse": recurse,
    "own error": lambda: throw(OwnError(7, threading.Lock()))(),
    "mute error": throw(MuteError()),
    "own tool error": throw(OwnToolError("no such thing")),
    "no such object": throw(NoSuchObjectError("no cup", ("cap",))),
    "ambiguous": throw(AmbiguousReferenceError("two cups", ("cup-1", "cup-2"))),
    "bad source": throw(SourceError("no depth in it")),
    "impossible value": lambda: Measurement(1.0, "parsec", 0.0, 2.0, "guess"),
    "talk": lambda: print("word " * 200_000),
}


@expert("test.act", resources=Resources(deadline_s=30))
class Act:
    """Does as it is told."""

    def load(self, device: str) -> None: ...

    def __call__(self, how: str, mark: str | None = None) -> int:
        """Act.

        Args:
            how: One of the acts.
            mark: File that stops the act from being done twice.
        """
        if mark is None or first_time(mark):
            ACTS[how]()
        return os.getpid()


@expert("test.once", idempotent=False)
def once(how: str, log: str) -> int:
    """Act, which must not be done twice.

    Args:
        how: One of the acts.
        log: File in which every start is noted.
    """
    with open(log, "a") as file:
        file.write("started ")
    ACTS[how]()
    return os.getpid()


@expert("test.gated")
def gated(entry: str, exit_: str, name: str = "") -> str:
    """Wait at a gate.

    Args:
        entry: Where to say that it is there.
        exit_: Where it hears that it may go on.
        name: What it answers.
    """
    wait_at_gate(entry, exit_)
    return name


ONLY_HERE = """
from spatial_agent.tools.registry import expert

@expert("test.only_here")
def work() -> int:
    '''Work.'''
    return 1
"""


def healthy(bench: Bench, tool: str = "test.act", **arguments: object) -> int:
    """The pool serves the next call; returns the process that did."""
    return int(bench.answer(tool, **({"how": "work"} | arguments)))
