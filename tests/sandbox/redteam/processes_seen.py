"""Processes as the kernel shows them to everybody."""

import os
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> set[int]:
    """Return the processes that one has started, dead ones that nobody has asked for yet too."""
    found: set[int] = set()
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found |= {int(child) for child in (task / "children").read_text().split()}
    return found


def descendants(pid: int) -> list[int]:
    """Return every process below one, itself not included."""
    return [below for child in sorted(children(pid)) for below in (child, *descendants(child))]


def status(pid: int) -> Mapping[str, str]:
    """Return what the kernel says of a process; nothing once it is gone."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value.strip() for name, _, value in pairs}


def is_alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    return status(pid).get("State", "Z")[0] not in "ZX"


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped."""
    return status(pid).get("State", "Z")[0] in "Tt"


def peak_bytes(pid: int) -> int:
    """Return the most memory a process has held."""
    return int(status(pid).get("VmHWM", "0 kB").split()[0]) * 1024


def inner_pid(pid: int) -> int:
    """Return the number by which a process is known in its own namespace."""
    return int(status(pid).get("NSpid", str(pid)).split()[-1])


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has taken."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def held(pid: int) -> list[str]:
    """Return what the descriptors of a process stand for, as far as this process may look."""
    found = []
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.append(os.readlink(link))
    return found


def mounted(pid: int) -> str:
    """Return what a process has mounted."""
    try:
        return Path(f"/proc/{pid}/mountinfo").read_text(errors="replace")
    except OSError:
        return ""


def limits(pid: int) -> str:
    """Return the resource limits of a process, as text."""
    try:
        return Path(f"/proc/{pid}/limits").read_text()
    except OSError:
        return ""


def end(pids: Iterable[int]) -> None:
    """Kill processes by their numbers, and collect those that are this process's own."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)
