"""How calls share replicas: 1 to 64 at once, 1 to 4 replicas: throughput, waiting, and whose turn it is.

    python benchmarks/scaling.py [--work-ms 20] [--calls 96] [--runs 4] [--wait]

Every call computes for the same processor time in one thread; beyond the machine's cores more replicas can
gain nothing, unless `--wait` lets calls sleep as if a GPU did the work. Calls come from several runs, one
of which asks for half of everything: `fairness` is how much longer its calls' neighbours waited than they
would in turn, as the ratio of the modest runs' median wait to the greedy run's (1 or less is fair).
"""

import argparse
import asyncio
import os
import statistics
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from spatial_agent.services.ray_cluster import ClusterOptions, RayCluster
from spatial_agent.services.ray_pools import ExpertPools
from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.services.ray_runner import RayRunner
from spatial_agent.tools.contract import ToolCall
from spatial_agent.tools.registry import Registry, expert

CONCURRENT = (1, 4, 16, 64)
REPLICAS = (1, 2, 4)


def main() -> None:
    """Measure every number of replicas under every number of calls at once, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work-ms", type=float, default=20.0)
    parser.add_argument("--calls", type=int, default=96)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--wait", action="store_true")
    chosen = parser.parse_args()
    cluster = RayCluster(ClusterOptions(store_mb=128))
    cluster.start()
    table = Table(
        *("replicas", "at once", "calls/s", "of ideal", "wait p50 ms", "wait p95 ms", "fairness"),
        title=f"{chosen.work_ms:g} ms of {'waiting' if chosen.wait else 'computing'} a call, "
        f"{os.cpu_count()} cores",
    )
    arguments = {"seconds": chosen.work_ms / 1e3, "sleeps": chosen.wait}
    try:
        for replicas in REPLICAS:
            registry = Registry()
            registry.add(work)
            options = PoolOptions(least=replicas, most=replicas)
            with ExpertPools(registry, options, cluster=cluster) as pools:
                pools.warm(["test.work"])
                for concurrent in CONCURRENT:
                    runners = [RayRunner(registry, pools) for _ in range(chosen.runs)]
                    row = asyncio.run(measured(runners, arguments, chosen.calls, concurrent))
                    lanes = (
                        min(replicas, concurrent)
                        if chosen.wait
                        else min(replicas, concurrent, os.cpu_count() or 1)
                    )
                    table.add_row(str(replicas), str(concurrent), *row.texts(chosen.work_ms, lanes))
    finally:
        cluster.close()
    Console().print(table)


@expert("test.work")
def work(seconds: float, sleeps: bool) -> float:
    """Work for a while.

    Args:
        seconds: For how long.
        sleeps: Whether somebody else does the work meanwhile.
    """
    if sleeps:
        time.sleep(seconds)
        return seconds
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return seconds


class Row:
    """What one combination gave.

    Args:
        seconds: Wall time of all calls.
        greedy: Wall time of each call of the run that asks for half of everything.
        modest: Wall time of each call of the others.
    """

    def __init__(self, seconds: float, greedy: Sequence[float], modest: Sequence[float]) -> None:
        """Keep the times."""
        self.rate = (len(greedy) + len(modest)) / seconds
        self.greedy, self.modest = sorted(greedy), sorted(modest)

    def texts(self, work_ms: float, lanes: int) -> list[str]:
        """Return the cells: throughput, its share of the ideal, waiting, fairness."""
        waits = sorted(max(0.0, taken * 1e3 - work_ms) for taken in [*self.greedy, *self.modest])
        ratio = statistics.median(self.modest) / statistics.median(self.greedy) if self.modest else 1.0
        return [
            f"{self.rate:.1f}",
            f"{self.rate * work_ms / 1e3 / lanes:.0%}",
            f"{statistics.median(waits):.1f}",
            f"{waits[int(0.95 * len(waits))]:.1f}",
            f"{ratio:.2f}",
        ]


async def measured(
    runners: Sequence[RayRunner], arguments: dict[str, object], calls: int, concurrent: int
) -> Row:
    """Make calls, so many at once: every second one by the first run, the others by the rest in turn."""
    times: dict[int, list[float]] = {index: [] for index in range(len(runners))}
    places = asyncio.Semaphore(concurrent)

    async def one(number: int) -> None:
        owner = 0 if number % 2 == 0 or len(runners) == 1 else 1 + (number // 2) % (len(runners) - 1)
        async with places:
            started = time.perf_counter()
            result = await runners[owner].call(ToolCall(f"c{number}", "test.work", arguments, 600.0))
            times[owner].append(time.perf_counter() - started)
            if result.error or result.handle is None:
                raise result.error or AssertionError("expected a value, got evidence")
            runners[owner].drop(result.handle)

    started = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(calls)))
    modest = [taken for owner, taken_all in times.items() if owner for taken in taken_all]
    return Row(time.perf_counter() - started, times[0], modest)


if __name__ == "__main__":
    main()
