"""What a process uses, as the kernel counts it; read from outside, where the process cannot lie."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Usage:
    """What a process uses at a moment.

    Attributes:
        memory_bytes: Memory it holds.
        peak_bytes: Most memory it has held.
        cpu_seconds: Processor time it took.
    """

    memory_bytes: int = 0
    peak_bytes: int = 0
    cpu_seconds: float = 0.0

    def since(self, before: "Usage") -> "Usage":
        """Return what was used beyond what was used before."""
        return Usage(
            max(0, self.memory_bytes - before.memory_bytes),
            max(0, self.peak_bytes - before.memory_bytes),
            max(0.0, self.cpu_seconds - before.cpu_seconds),
        )


def usage_of(pid: int) -> Usage:
    """Return what a process uses; nothing at all once it is gone."""
    try:
        memory = _status_bytes(pid)
        return Usage(memory.get("VmRSS", 0), memory.get("VmHWM", 0), _cpu_seconds(pid))
    except (FileNotFoundError, ProcessLookupError):
        return Usage()


def pid_of(pidfd: int) -> int:
    """Return the number, in this process's own numbering, of what a pidfd stands for; -1 once it is gone."""
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name == "Pid":
                return int(value)
    return -1


def _status_bytes(pid: int) -> dict[str, int]:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        pairs = (line.partition(":") for line in file if line.startswith(("VmRSS", "VmHWM", "VmSize")))
        return {name: int(value.split()[0]) * 1024 for name, _, value in pairs}


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        # The name in brackets is the process's own choice and may hold anything.
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
