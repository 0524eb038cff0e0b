"""Looks at a program and at what runs its programs, from outside and while they live."""

import os
from collections.abc import Callable, Collection, Mapping

from tests.sandbox.redteam import processes_seen
from tests.sandbox.redteam.attack import Observation
from tests.sandbox.redteam.ground import Ground


class Watch:
    """What is seen of one attack.

    Args:
        ground: What is attacked.
        family: Returns the numbers of the attack's processes, whatever became of their parents.
        parents: The processes that programs are run by; they have to stay as they are.
    """

    def __init__(self, ground: Ground, family: Callable[[], list[int]], parents: Collection[int]) -> None:
        """Remember how it is before."""
        self._ground = ground
        self._family = family
        self._parents = parents
        self._before = {pid: processes_seen.peak_bytes(pid) for pid in parents}
        self._least = min(self._before.values(), default=0)
        self._received: list[bytes] = []
        self._grown_bytes = 0
        self._parent_grown_bytes = 0
        self._idle_from: float | None = None
        self._idle_cpu_seconds = 0.0

    @property
    def broken(self) -> str | None:
        """What became of the parents, where they are not what they were."""
        for pid in self._parents:
            if not processes_seen.is_alive(pid):
                return f"process {pid} ended"
            if processes_seen.is_stopped(pid) or processes_seen.is_traced(pid):
                return f"process {pid} was stopped"
        return None

    def glance(self) -> None:
        """Look at what may be gone a moment later."""
        self._received += self._ground.received()
        for pid in self._family():
            # A forked process begins with what it was forked from.
            self._grown_bytes = max(self._grown_bytes, processes_seen.peak_bytes(pid) - self._least)
        for pid, before in self._before.items():
            grown = processes_seen.peak_bytes(pid) - before
            self._parent_grown_bytes = max(self._parent_grown_bytes, grown)

    def cpu_seconds(self) -> float:
        """Return the processor time of the attack's processes so far."""
        return sum(processes_seen.cpu_seconds(pid) for pid in self._family())

    def begin_idle(self) -> None:
        """Say that from now on nothing should take processor time."""
        self._idle_from = self.cpu_seconds()

    def end_idle(self) -> None:
        """Say that this is over."""
        if self._idle_from is not None:
            self._idle_cpu_seconds = max(0.0, self.cpu_seconds() - self._idle_from)

    def observe(self, aim: Mapping[str, object]) -> Observation:
        """Look at everything; what the program itself said is for others to add."""
        self.glance()
        programs = [pid for pid in self._family() if processes_seen.is_alive(pid)]
        return Observation(
            aim=aim,
            secrets=self._ground.secrets,
            broken=self.broken,
            received=tuple(self._received),
            changed=self._ground.changed(aim),
            victim_cpu_seconds=processes_seen.cpu_seconds(self._ground.victim_pid),
            processes=len(programs) - 1,
            held=tuple(item for pid in programs for item in processes_seen.held(pid)),
            status=tuple(processes_seen.status(pid) for pid in programs),
            mounts="".join(processes_seen.mounted(pid) for pid in programs),
            grown_bytes=self._grown_bytes,
            parent_grown_bytes=self._parent_grown_bytes,
            idle_cpu_seconds=self._idle_cpu_seconds,
        )


def forget_own_peak() -> None:
    """Have the kernel count this process's most memory from now on."""
    with open(f"/proc/{os.getpid()}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
