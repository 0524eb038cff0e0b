"""Faults in how sessions and sandboxes come and go."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from spatial_agent.sandbox import Layer, ProgramError, ProgramResult
from spatial_agent.tools.errors import SandboxClosedError, SandboxError
from tests.sandbox.faults.faulty import Fault, FaultySandbox, FaultySession


class Nameless(FaultySandbox):
    @property
    def name(self) -> str:
        return ""


class WithoutWatch(FaultySandbox):
    @property
    def layers(self) -> frozenset[Layer]:
        return super().layers - {Layer.WATCH}


def seeded(cell: str) -> str:
    return f"import random\nrandom.seed(0)\n{cell}" if "random()" in cell else cell


class SharesModules(FaultySession):
    """What one session does to a module, every other one sees."""

    async def run(self, cell: str) -> ProgramResult:
        if "math.pi = 3" in cell:
            self.owner.kept["taint"] = "import math\nmath.pi = 3\n"
        return await super().run(self.owner.kept.get("taint", "") + cell)


class ClosesOnce(FaultySession):
    """A second closing is taken for a mistake."""

    async def close(self) -> None:
        if self.kept.setdefault("closed", 0):
            raise RuntimeError("this session is closed already")
        self.kept["closed"] += 1
        await super().close()


class EndsQuietly(FaultySession):
    """A cell whose session is closed meanwhile seems to have ended by itself."""

    async def run(self, cell: str) -> ProgramResult:
        was_open = self.closed is None
        try:
            return await super().run(cell)
        except SandboxError:
            if was_open and self.kept.get("closing"):
                return ProgramResult()
            raise

    async def close(self) -> None:
        self.kept["closing"] = True
        await super().close()


class SkipsWhenBusy(FaultySession):
    """A cell that comes while another runs is left out without a word."""

    async def run(self, cell: str) -> ProgramResult:
        try:
            return await super().run(cell)
        except SandboxClosedError:
            if self.closed is None:
                return ProgramResult()
            raise


def goes_on(marker: str) -> Fault:
    """A cell goes on after whoever wanted it has given it up."""

    class GoesOn(FaultySession):
        async def run(self, cell: str) -> ProgramResult:
            if not cell.endswith(marker):
                return await super().run(cell)
            self.kept["task"] = asyncio.ensure_future(super().run(cell))
            return await asyncio.shield(self.kept["task"])

        async def close(self) -> None:
            if "task" in self.kept:
                self.kept["task"].cancel()
                await asyncio.wait([self.kept["task"]])
            await super().close()

    return Fault(session=GoesOn)


class OneAtATime(FaultySession):
    """All sessions of a loop wait for each other."""

    async def run(self, cell: str) -> ProgramResult:
        locks = self.owner.kept.setdefault("locks", {})
        async with locks.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            return await super().run(cell)


class OneLoop(FaultySession):
    """The first event loop is the only one."""

    async def run(self, cell: str) -> ProgramResult:
        loop = asyncio.get_running_loop()
        if self.owner.kept.setdefault("loop", loop) is not loop:
            raise RuntimeError("this sandbox belongs to another event loop")
        return await super().run(cell)


class OneThread(FaultySession):
    """Two threads at once are too many."""

    async def run(self, cell: str) -> ProgramResult:
        with self._alone():
            return await super().run(cell)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        running = self.owner.kept.setdefault("threads", [])
        running.append(threading.get_ident())
        try:
            if len(set(running)) > 1:
                raise RuntimeError("another thread is at work")
            yield
        finally:
            running.remove(threading.get_ident())


class LeaksDescriptors(FaultySession):
    """What a failed cell had open stays open."""

    async def run(self, cell: str) -> ProgramResult:
        if cell == "1 / 0":
            self.owner.leaked += os.pipe()
        return await super().run(cell)


class ClosesLeaks(FaultySandbox):
    def close(self) -> None:
        super().close()
        while self.leaked:
            os.close(self.leaked.pop())


class LeavesProcesses(FaultySession):
    """The process of a failed session is forgotten."""

    async def close(self) -> None:
        if self.kept.get("failed"):
            self.owner.forgotten.append(self.sound)
        else:
            await super().close()

    async def run(self, cell: str) -> ProgramResult:
        result = await super().run(cell)
        self.kept["failed"] = cell == "1 / 0"
        return result


class AnswersWhenClosed(FaultySession):
    """A sandbox that is not there any more is shown as a program's error."""

    async def run(self, cell: str) -> ProgramResult:
        try:
            return await super().run(cell)
        except SandboxError as error:
            if not self.owner.kept.get("closed") or self.closed is None:
                raise
            return ProgramResult(error=ProgramError("crash", str(error)))


class KnowsItIsClosed(FaultySandbox):
    def close(self) -> None:
        self.kept["closed"] = True
        super().close()


class StaysOpenUnused(FaultySandbox):
    """What was never used is not closed."""

    opened: ClassVar[list[FaultySandbox]] = []

    def close(self) -> None:
        if self.sessions:
            super().close()
        else:
            self.opened.append(self)


#: Each by the one check that has to find it.
FAULTS = {
    "named": Fault(sandbox=Nameless),
    "persistent variables": Fault(source=lambda cell: cell.replace("x += 1.5", "pass")),
    "separate sessions": Fault(session=SharesModules),
    "separate chance": Fault(source=seeded),
    "closing": Fault(session=ClosesOnce),
    "closing while running": Fault(session=EndsQuietly),
    "cells in turn": Fault(session=SkipsWhenBusy),
    "cancelling": goes_on("while True: pass"),
    "cancelling in a tool": goes_on("print('waited')"),
    "at once": Fault(session=OneAtATime),
    "several loops": Fault(session=OneLoop),
    "two threads": Fault(session=OneThread),
    "nothing left": Fault(session=LeaksDescriptors, sandbox=ClosesLeaks),
    "closed sandbox": Fault(session=AnswersWhenClosed, sandbox=KnowsItIsClosed),
    "closed unused": Fault(sandbox=StaysOpenUnused),
}
