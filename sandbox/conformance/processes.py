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
    """What was there at a moment, to find out later what is new.

    Attributes:
        processes: Processes that descended from this one.
        open: Descriptors it had open, or None where they do not matter.
    """

    processes: frozenset[Process]
    open: dict[str, str] | None

    @classmethod
    def now(cls) -> "Traces":
        """Return what is there now."""
        return cls(descendants(), descriptors())

    async def gone(self) -> None:
        """Expect that nothing is there which was not, soon.

        Raises:
            Broken: If something is.
        """
        until = time.monotonic() + GONE_S
        while (new := self._new()) and time.monotonic() < until:
            await asyncio.sleep(STEP_S)
        if new:
            raise Broken(f"expected nothing to be left behind, got {', '.join(new)}")

    def _new(self) -> list[str]:
        processes = [f"process {_described(pid)}" for pid, _ in sorted(descendants() - self.processes)]
        if self.open is None:
            return processes
        added = descriptors().items() - self.open.items()
        return processes + [f"descriptor {number} to {what}" for number, what in sorted(added)]


def _described(pid: int) -> str:
    try:
        line = (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        state = (PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return f"{pid} (gone)"
    return f"{pid} ({line.strip()[:80] or 'no command line'}, state {state})"
