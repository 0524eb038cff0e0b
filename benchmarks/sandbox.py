"""What it costs to run a program that nobody trusts, against ways that trust it.

    python benchmarks/sandbox.py [--runs 200] [--programs 1000] [--at-once 16] [--part starts ...]

`starts`: from the call to the result of an empty program, in a process of its own each time, and in the next
cell of one that is there; against `python -c` with and without numpy (which programs here have at hand),
and a Jupyter kernel, running and fresh. Ways take turns, so that a busy machine is busy for all of them;
those that take long get a tenth of the runs; a zygote that forks ahead does so meanwhile, and what it takes
without a pause is the first row of `at-once`. `growth`: many programs in a row, and what parent and zygote
hold before, between and after. `at-once`: throughput and tail. `layers`: the same start with each layer
switched off. Goals: a start within 10 ms (p50), and no growth from one half of the programs to the other.
"""

import argparse
import asyncio
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.manager import AsyncKernelManager
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from spatial_agent.sandbox import Layer, Sandbox, SandboxPolicy, SandboxSession
from spatial_agent.sandbox.bubblewrap import BubblewrapLauncher
from spatial_agent.sandbox.conformance.processes import Traces, descendants
from spatial_agent.sandbox.process import ProcessSandbox
from spatial_agent.sandbox.zygote import open_zygote_sandbox
from spatial_agent.tools.errors import SandboxUnavailableError

#: Longest a start may take in the middle, milliseconds.
GOAL_MS = 10.0
#: What a process may hold more after the second half of the programs than after the first, 2^20 bytes.
GROWTH_MB = 1.0
OURS = "zygote, fresh program"
#: Runs of a way that takes long, as a share of all.
SLOW_SHARE = 0.1
WARM_UP = 5
#: A session that lives as long as the benchmark.
ENDLESS = SandboxPolicy(cells=10**9, session_s=10**6, cpu_s=10**6)

#: Does it once.
Way = Callable[[], Awaitable[None]]


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Attributes:
        runs: How often each way is timed.
        programs: How many run in a row.
        at_once: How many run at once.
    """

    runs: int
    programs: int
    at_once: int


def main() -> None:
    """Measure the parts that were asked for, and print each as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args()
    console = Console()
    options = Options(chosen.runs, chosen.programs, chosen.at_once)
    with Progress(console=console, transient=True) as progress:
        try:
            for part in chosen.part:
                asyncio.run(PARTS[part](options, progress))
        except KeyboardInterrupt:
            console.print("Interrupted; what is above was measured to its end.")


# From the call to the result


async def starts(options: Options, progress: Progress) -> None:
    """Time every way to run an empty program, in turns."""
    async with AsyncExitStack() as stack:
        quick = await stack.enter_async_context(zygote_ways())
        slow: dict[str, Way] = {
            "python -c pass": command("pass"),
            "python -c 'import numpy'": command("import numpy"),
        }
        slow |= await stack.enter_async_context(bubblewrap_ways(progress.console))
        kernel = await stack.enter_async_context(jupyter())
        quick["Jupyter, next cell"] = lambda: execute(kernel, "")
        slow["Jupyter, fresh kernel and numpy"] = fresh_jupyter
        times = await timed(quick, options.runs, progress)
        times |= await timed(slow, max(3, int(options.runs * SLOW_SHARE)), progress)
    progress.console.print(starts_table(times))


def starts_table(times: Mapping[str, Sequence[float]]) -> Table:
    """Return the table of sorted times, with ratios to ours."""
    ours = statistics.median(times[OURS])
    table = Table("way", "runs", "p50 ms", "p95 ms", "this / ours", "goal", title="An empty program")
    for name, values in times.items():
        median = statistics.median(values)
        goal = f"at most {GOAL_MS:g} ms: {verdict(median <= GOAL_MS)}" if name == OURS else ""
        shown = (f"{median:.2f}", f"{p95(values):.2f}", f"{median / ours:.2f}")
        table.add_row(name, str(len(values)), *shown, goal)
    return table


@asynccontextmanager
async def zygote_ways() -> AsyncIterator[dict[str, Way]]:
    """Open the default sandbox; gives a program of its own, and the next cell of a session."""
    with closing(open_zygote_sandbox()) as sandbox:
        async with sandbox.session(policy=ENDLESS) as session:
            yield {OURS: program(sandbox), "zygote, next cell": cell(session)}


@asynccontextmanager
async def bubblewrap_ways(console: Console) -> AsyncIterator[dict[str, Way]]:
    """Give a program of its own in bubblewrap, where there is one."""
    with closing(ProcessSandbox(BubblewrapLauncher())) as sandbox:
        try:
            sandbox.layers  # noqa: B018 - asks whether it works here
        except SandboxUnavailableError as error:
            console.print(f"without bubblewrap: {error}")
            yield {}
        else:
            yield {"bubblewrap, fresh program": program(sandbox)}


@contextmanager
def closing(sandbox: Sandbox) -> Iterator[Sandbox]:
    """Close a sandbox at the end."""
    try:
        yield sandbox
    finally:
        sandbox.close()


def program(sandbox: Sandbox) -> Way:
    """Return the way that runs an empty program in a process of its own."""

    async def run() -> None:
        result = await sandbox.run("")
        assert result.error is None, result.error

    return run


def cell(session: SandboxSession) -> Way:
    """Return the way that runs an empty cell of a session."""

    async def run() -> None:
        result = await session.run("")
        assert result.error is None, result.error

    return run


def command(source: str) -> Way:
    """Return the way that starts an interpreter, with nothing in its way."""

    async def run() -> None:
        # The blocking call is quicker than asyncio's own processes, and nothing else runs meanwhile.
        subprocess.run([sys.executable, "-c", source], check=True)

    return run


@asynccontextmanager
async def jupyter() -> AsyncIterator[Any]:
    """Start a kernel that leaves no history; gives its client once it answers."""
    with tempfile.TemporaryDirectory() as folder:
        files = {"connection_file": f"{folder}/kernel.json", "ip": f"{folder}/kernel"}
        manager = AsyncKernelManager(transport="ipc", **files)
        quiet = ["--HistoryManager.enabled=False", f"--ipython-dir={folder}"]
        await manager.start_kernel(extra_arguments=quiet)
        client = manager.client()
        client.start_channels()
        try:
            await client.wait_for_ready(timeout=60)
            yield client
        finally:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)


async def execute(client: Any, source: str) -> None:  # noqa: ANN401 - published without types
    """Run a cell and wait for all that is said of it."""
    reply = await client.execute_interactive(source, output_hook=lambda message: None, timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]


async def fresh_jupyter() -> None:
    """Start a kernel, run one cell with numpy, and end it."""
    async with jupyter() as client:
        await execute(client, "import numpy")


async def timed(ways: Mapping[str, Way], runs: int, progress: Progress) -> dict[str, list[float]]:
    """Return the sorted times of each way, milliseconds."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    order, chance = list(ways), random.Random(0)
    warm_up = min(WARM_UP, runs)
    for turn in progress.track(range(warm_up + runs), description=f"{len(ways)} ways in turn"):
        # What one leaves to do behind it must not always burden the same next one.
        chance.shuffle(order)
        for name in order:
            started = time.perf_counter()
            await ways[name]()
            if turn >= warm_up:
                times[name].append((time.perf_counter() - started) * 1e3)
    return {name: sorted(values) for name, values in times.items()}


def p95(values: Sequence[float]) -> float:
    """Return the 95th percentile of sorted values."""
    return values[min(len(values) - 1, int(0.95 * len(values)))]


def verdict(is_met: bool) -> str:
    """Return what is to be said of a goal."""
    return "met" if is_met else "missed"


# One after another, and at once


@dataclass(frozen=True)
class Held:
    """What a process holds.

    Attributes:
        resident_mb: Memory in it, 2^20 bytes.
        proportional_mb: The same, with what is shared divided among those who share it.
        descriptors: Open descriptors.
    """

    resident_mb: float
    proportional_mb: float
    descriptors: int

    @classmethod
    def by(cls, pids: Sequence[int]) -> "Held":
        """Return what some processes hold together."""
        rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines() for pid in pids]
        kilobytes = {
            name: sum(
                int(line.split()[1]) for lines in rollups for line in lines if line.startswith(f"{name}:")
            )
            for name in ("Rss", "Pss")
        }
        descriptors = sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)
        return cls(kilobytes["Rss"] / 1024, kilobytes["Pss"] / 1024, descriptors)


async def growth(options: Options, progress: Progress) -> None:
    """Run many programs in a row and print what parent and zygote hold."""
    before = {pid for pid, _ in descendants()}
    with closing(open_zygote_sandbox()) as sandbox:
        sandbox.layers  # noqa: B018 - starts the zygote, and no program yet
        pids = {"parent": [os.getpid()], "zygote": sorted({pid for pid, _ in descendants()} - before)}
        run = program(sandbox)
        for _ in range(WARM_UP):
            await run()
        rested = len((await Traces.at_rest()).processes)
        held = {name: [Held.by(those)] for name, those in pids.items()}
        for half in (1, 2):
            number = options.programs // 2
            for _ in progress.track(range(number), description=f"{number} programs, {half} of 2"):
                await run()
            for name, those in pids.items():
                held[name].append(Held.by(those))
        left = await left_behind(rested)
    progress.console.print(growth_table(held, options.programs))
    progress.console.print(f"Processes left behind: {left}")


async def left_behind(rested: int) -> int:
    """Return how many processes are there beyond a number, once those that end have had time to."""
    return max(0, len((await Traces.at_rest()).processes) - rested)


def growth_table(held: Mapping[str, Sequence[Held]], programs: int) -> Table:
    """Return the table of what was held before, half way and after."""
    title = f"{programs} programs in a row: before, half way, after"
    table = Table("process", "resident MB", "proportional MB", "descriptors", "goal", title=title)
    for name, moments in held.items():
        grown_mb = moments[2].resident_mb - moments[1].resident_mb
        is_met = grown_mb <= GROWTH_MB and moments[2].descriptors <= moments[0].descriptors
        table.add_row(
            name,
            ", ".join(f"{moment.resident_mb:.1f}" for moment in moments),
            ", ".join(f"{moment.proportional_mb:.1f}" for moment in moments),
            ", ".join(str(moment.descriptors) for moment in moments),
            f"{grown_mb:+.2f} MB in the second half: {verdict(is_met)}",
        )
    return table


async def crowd(options: Options, progress: Progress) -> None:
    """Run programs one at a time and many at once, and print throughput and tail."""
    table = Table("at once", "programs", "programs/s", "p50 ms", "p95 ms", title=f"{os.cpu_count()} cores")
    with closing(open_zygote_sandbox()) as sandbox:
        for at_once in (1, options.at_once):
            number = max(at_once, options.runs)
            seconds, times = await crowded(program(sandbox), at_once, number, progress)
            shown = (f"{number / seconds:.0f}", f"{statistics.median(times):.1f}", f"{p95(times):.1f}")
            table.add_row(str(at_once), str(number), *shown)
    progress.console.print(table)


async def crowded(way: Way, at_once: int, number: int, progress: Progress) -> tuple[float, list[float]]:
    """Return the wall time of all, seconds, and the sorted times of each, milliseconds."""
    places, times = asyncio.Semaphore(at_once), []
    await asyncio.gather(*(way() for _ in range(at_once)))
    task = progress.add_task(f"{at_once} at once", total=number)

    async def one() -> None:
        async with places:
            started = time.perf_counter()
            await way()
            times.append((time.perf_counter() - started) * 1e3)
        progress.advance(task)

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(number)))
    seconds = time.perf_counter() - started
    progress.remove_task(task)
    return seconds, sorted(times)


# Layer by layer


async def layers(options: Options, progress: Progress) -> None:
    """Time a start with all layers, with each one left out, and with none."""
    every = frozenset(Layer)
    sets = {"all": every} | {f"without {layer}": every - {layer} for layer in Layer} | {"none": frozenset()}
    async with AsyncExitStack() as stack:
        ways = {
            name: program(stack.enter_context(closing(open_zygote_sandbox(wanted))))
            for name, wanted in sets.items()
        }
        times = await timed(ways, options.runs, progress)
    whole = statistics.median(times["all"])
    table = Table(
        "layers", "p50 ms", "p95 ms", "cost of what is left out, ms", title="A start, layer by layer"
    )
    for name, values in times.items():
        median = statistics.median(values)
        table.add_row(name, f"{median:.2f}", f"{p95(values):.2f}", f"{whole - median:+.2f}")
    progress.console.print(table)


PARTS: Mapping[str, Callable[[Options, Progress], Coroutine[Any, Any, None]]] = {
    "starts": starts,
    "growth": growth,
    "at-once": crowd,
    "layers": layers,
}

if __name__ == "__main__":
    main()
