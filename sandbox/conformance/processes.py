"""What this process has open and which processes descend from it, as the kernel tells (Linux)."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from spatial_agent.sandbox.conformance.bench import Broken

#: How long what ends is given to be gone, seconds.
GONE_S = 5.0
STEP_S = 0.01
#: How long nothing may come or go for processes to be at rest, seconds.
REST_S = 0.2
PROC = Path("/proc")

#: A process by its number and the time it started, since numbers are used again.
Process = tuple[int, int]


def descendants() -> frozenset[Process]:
    """Return every process that this one started, directly or through others; empty without ``/proc``."""
    children: dict[int, list[Process]] = {}
    for folder in PROC.glob("[0-9]*"):
        try:
            # The name in brackets is the process's own choice and may hold anything.
            fields = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(fields[1]), []).append((int(folder.name), int(fields[19])))
    found: list[Process] = []
    pending = [os.getpid()]
    while pending:
        born = children.get(pending.pop(), [])
        found += born
        pending += [pid for pid, _ in born]
    return frozenset(found)


def descriptors() -> dict[str, str]:
    """Return what each descriptor of this process stands for; empty without ``/proc``."""
    found = {}
    for link in (PROC / "self" / "fd").glob("*"):
        try:
            found[link.name] = os.readlink(link)
        except FileNotFoundError:  # the descriptor that listed them
            continue
    return found


@dataclass(frozen=True)
class Traces:
    """What was there at a moment, to find out later what there is too much of.

    A provider may keep processes in reserve and replace them, so it is their number that must not grow.

    Attributes:
        processes: Processes that descended from this one.
        open: Descriptors it had open.
    """

    processes: frozenset[Process]
    open: dict[str, str]

    @classmethod
    async def at_rest(cls) -> "Traces":
        """Return what is there once processes have stopped coming and going."""
        until = time.monotonic() + GONE_S
        seen, since = descendants(), time.monotonic()
        while time.monotonic() < min(until, since + REST_S):
            await asyncio.sleep(STEP_S)
            if (now := descendants()) != seen:
                seen, since = now, time.monotonic()
        return cls(seen, descriptors())

    async def gone(self) -> None:
        """Expect that there is no more than there was, soon.

        Raises:
            Broken: If there is.
        """
        until = time.monotonic() + GONE_S
        while (more := self._more()) and time.monotonic() < until:
            await asyncio.sleep(STEP_S)
        if more:
            raise Broken(f"expected nothing to be left behind, got {', '.join(more)}")

    def _more(self) -> list[str]:
        now = descendants()
        new = sorted(now - self.processes) if len(now) > len(self.processes) else []
        added = descriptors().items() - self.open.items()
        processes = [f"process {_described(pid)}" for pid, _ in new]
        return processes + [f"descriptor {number} to {what}" for number, what in sorted(added)]


def _described(pid: int) -> str:
    try:
        line = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        state = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return f"{pid} (gone)"
    return f"{pid} ({line.strip()[:80] or 'no command line'}, state {state})"
