"""What the service bears: questions per second, waiting, errors and memory, against asking in process.

    python benchmarks/load.py [--seconds 60] [--clients 1 8 64] [--part overhead load ...] [--out FILE]

`spatial-agent serve` runs in a process of its own, so that memory and processor time are its own, on a warm
scene; the clients are wrk's, written in C with a few lines of Lua: what asks takes some hundredths of the
processor that answers (the column `client`; in Python it would take as much as the service). Baseline is the
same questions in process, `open_agent().ask`: one after the other, and from 8 threads (`baseline`; without it
loads are compared with the first one). `overhead`: one client and asking in process take turns, question by
question, so that a busy machine is busy for both; goal: over HTTP at most 5 ms more (p50). `load`: so many
clients, each asking again as soon as it is answered. `mixed`: three scenes, clients that follow events, and
one that uploads a scene over and over. Ctrl+C ends what runs, and prints what was measured so far. Ten
minutes each: `--seconds 600`.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

if TYPE_CHECKING:
    from benchmarks.agent_overhead import QUESTIONS, SAMPLE
    from benchmarks.loading.bench import Bench, opened
    from benchmarks.loading.figures import Load, p99
else:  # where a script runs, its folder is searched
    from agent_overhead import QUESTIONS, SAMPLE
    from loading.bench import Bench, opened
    from loading.figures import Load, p99

#: How much longer a question may take over HTTP than in process, in the middle, milliseconds.
GOAL_MS = 5.0
#: What the service may hold more at the end of a load than in the middle, 2^20 bytes.
GROWTH_MB = 16.0
#: Threads that ask in process at once.
THREADS = 8
PARTS = ("overhead", "baseline", "load", "mixed")


def verdict(is_met: bool) -> str:
    """Return what is said of a goal."""
    return "met" if is_met else "missed"


def overhead_ms(times: Mapping[str, Sequence[float]]) -> float:
    """Return how much longer HTTP takes in the middle, milliseconds."""
    return statistics.median(times["HTTP"]) - statistics.median(times["in process"])


def overhead_table(times: Mapping[str, Sequence[float]]) -> Table:
    """Return both ways side by side."""
    table = Table("way", "questions", "p50 ms", "p99 ms", "goal", title="One client, in turns")
    for name, own in times.items():
        table.add_row(name, str(len(own)), f"{statistics.median(own):.1f}", f"{p99(own):.1f}")
    more_ms = overhead_ms(times)
    goal = f"at most {GOAL_MS:g} ms: {verdict(more_ms <= GOAL_MS)}"
    more_p99_ms = p99(times["HTTP"]) - p99(times["in process"])
    table.add_row("HTTP - in process", "", f"{more_ms:+.1f}", f"{more_p99_ms:+.1f}", goal)
    return table


def speed_table(loads: Sequence[Load]) -> Table:
    """Return how fast loads were, the first one being what the others are compared with."""
    columns = ("who asks", "questions/s", "this / first", "p50 ms", "p99 ms", "errors")
    table = Table(*columns, title=f"{len(QUESTIONS)} questions about a warm scene, {os.cpu_count()} cores")
    for load in loads:
        row = [load.name, f"{load.rate:.1f}", f"{load.rate / loads[0].rate:.2f}"]
        table.add_row(*row, f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}", told(load.errors))
        if load.beside:
            table.add_row("  meanwhile", told(load.beside))
    return table


def cost_table(loads: Sequence[Load]) -> Table:
    """Return what loads took of the machine."""
    columns = ("CPU ms a question", "of the client", "memory MB: begin, middle, end", "queued: p50, most")
    table = Table("who asks", *columns, "goal", title="What it takes")
    for load in loads:
        client = "–" if load.client_cpu_s is None else f"{load.client_cpu_s * 1e3 / load.asked:.2f}"
        row = [load.name, f"{load.server_cpu_s * 1e3 / load.asked:.1f}", client]
        if load.rss_mb:
            memory = (load.rss_mb[0], load.rss_mb[len(load.rss_mb) // 2], load.rss_mb[-1])
            row += [", ".join(f"{held:.0f}" for held in memory)]
            row += [f"{statistics.median(load.queued):.0f}, {max(load.queued)}"]
            goal = f"at most {GROWTH_MB:g} MB more: {verdict(load.grown_mb <= GROWTH_MB)}"
            row.append("" if load.beside else goal)
        table.add_row(*row)
    return table


def told(kinds: Mapping[str, int]) -> str:
    """Return how many there were of each kind, in words."""
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items()) or "none"


@dataclass
class Measured:
    """What was measured so far.

    Attributes:
        loads: The loads.
        turns: Milliseconds of questions that took turns, by way.
    """

    loads: list[Load] = field(default_factory=list)
    turns: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def is_met(self) -> bool:
        """Whether all goals are met."""
        goals = [not load.errors and load.grown_mb <= GROWTH_MB for load in self.loads]
        return all(goals) and (not self.turns or overhead_ms(self.turns) <= GOAL_MS)

    def measure(self, bench: Bench, parts: Sequence[str], clients: Sequence[int]) -> None:
        """Measure parts one after the other, until the bench is ending."""
        if "overhead" in parts:
            self.turns = bench.turns()
        works: list[Callable[[], Load]] = []
        if "baseline" in parts:
            works += [partial(bench.in_process, threads) for threads in (1, THREADS)]
        if "load" in parts:
            works += [partial(bench.over_http, number) for number in clients]
        if "mixed" in parts:
            works.append(bench.mixed)
        for work in works:
            if not bench.ending.is_set():
                self.loads.append(work())

    def show(self, console: Console) -> None:
        """Print the tables."""
        if self.turns:
            console.print(overhead_table(self.turns))
        if self.loads:
            console.print(speed_table(self.loads))
            console.print(cost_table(self.loads))

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        turns = {
            name: {"asked": len(own), "p50_ms": statistics.median(own), "p99_ms": p99(own)}
            for name, own in self.turns.items()
        }
        return {"cores": os.cpu_count(), "turns": turns, "loads": [load.to_json() for load in self.loads]}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that were asked for; 0 where all goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scan", type=Path, default=SAMPLE)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--out", type=Path, help="a file for the figures, JSON")
    chosen = parser.parse_args(arguments)
    console, measured = Console(), Measured()
    with (
        Progress(console=console, transient=True) as progress,
        opened(chosen.scan, chosen.seconds, progress) as bench,
        ended_by_interrupt(bench.ending),
    ):
        measured.measure(bench, chosen.part, chosen.clients)
    measured.show(console)
    if chosen.out is not None:
        chosen.out.write_text(json.dumps(measured.to_json(), indent=2) + "\n")
    return 0 if measured.is_met else 1


@contextmanager
def ended_by_interrupt(ending: threading.Event) -> Iterator[None]:
    """Have the first Ctrl+C only say that it is time to end."""

    def end(*_: object) -> None:
        ending.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


if __name__ == "__main__":
    sys.exit(main())
