"""Processes as the kernel shows them to everybody."""

import os
import re
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> set[int]:
    """Return the processes that one has started, dead ones that nobody has asked for yet too."""
    found: set[int] = set()
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            found |= {int(child) for child in _read(f"/proc/{pid}/task/{task}/children").split()}
    return found


def descendants(pid: int) -> list[int]:
    """Return every process below one, itself not included."""
    return [below for child in sorted(children(pid)) for below in (child, *descendants(child))]


def status(pid: int) -> Mapping[str, str]:
    """Return what the kernel says of a process; nothing once it is gone."""
    pairs = (line.partition(":") for line in _read(f"/proc/{pid}/status").splitlines())
    return {name: value.strip() for name, _, value in pairs}


def is_alive(pid: int) -> bool:
    """Whether a process is there and not a zombie."""
    return _state(pid) not in "ZX"


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped."""
    return _state(pid) in "Tt"


def is_traced(pid: int) -> bool:
    """Whether a process is being debugged."""
    return status(pid).get("TracerPid", "0") != "0"


def peak_bytes(pid: int) -> int:
    """Return the most memory a process has held."""
    peak = re.search(r"VmHWM:\s*(\d+)", _read(f"/proc/{pid}/status"))
    return int(peak[1]) * 1024 if peak else 0


def inner_pid(pid: int) -> int:
    """Return the number by which a process is known in its own namespace."""
    return int(status(pid).get("NSpid", str(pid)).split()[-1])


def cpu_seconds(pid: int) -> float:
    """Return the processor time a process has taken."""
    fields = _fields(pid)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else 0.0


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
    return _read(f"/proc/{pid}/mountinfo")


def limits(pid: int) -> str:
    """Return the resource limits of a process, as text."""
    return _read(f"/proc/{pid}/limits")


def end(pids: Iterable[int]) -> None:
    """Kill processes by their numbers, and collect those that are this process's own."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _state(pid: int) -> str:
    fields = _fields(pid)
    return fields[0] if fields else "X"


def _fields(pid: int) -> list[str]:
    # The name in brackets may hold anything.
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
