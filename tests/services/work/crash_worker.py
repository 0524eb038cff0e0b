"""Processes that work on jobs until they are killed, and keep a ledger of what their expert did.

Each line on standard input starts one; it says its id on a line of standard output, then a byte for each line
of the ledger, then a line's end once it is gone.
"""

import asyncio
import os
import random
import signal
import sys
import traceback
from collections.abc import Sequence

from spatial_agent.services.api.config import Work
from spatial_agent.services.store.records import Job
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.desk import Desk, Done
from spatial_agent.services.work.job_runner import Tell
from tests.services.work.scripted import PATIENCE_S, problem_of


class Ledger:
    """The expert: each thing it does is a line, written whole or not at all, and a byte for who watches."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def run(self, job: Job, tell: Tell) -> Done:
        self._write("begin", job.id)
        tell("stage", {"stage": "execute", "facts": {}})
        await asyncio.sleep(random.uniform(0.0, 0.004))
        self._write("end", job.id)
        return Done({"number": job.new.request["number"]})

    async def forget(self, job_ids: Sequence[str]) -> None:
        return

    def _write(self, what: str, job_id: str) -> None:
        os.write(self._file, f"{what} {job_id} {os.getpid()}\n".encode())
        os.write(sys.stdout.fileno(), b".")


async def work(url: str, ledger: str) -> None:
    with Store.open(url) as store:
        # So many attempts that none fails for the kills alone.
        desk = Desk(store, Ledger(ledger), name="crashing", work=Work(attempts=1000), problem_of=problem_of)
        await desk.start()
        counts = await desk.counts()
        while counts["queued"] or counts["running"]:
            await asyncio.sleep(0.01)
            counts = await desk.counts()
        await desk.drain(10.0)


def start(url: str, ledger: str) -> int:
    """Start a process that has everything imported; return its id."""
    if process := os.fork():
        return process
    os.write(sys.stdout.fileno(), f"{os.getpid()}\n".encode())
    signal.alarm(int(PATIENCE_S))
    try:
        asyncio.run(work(url, ledger))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


if __name__ == "__main__":
    for _ in sys.stdin:
        os.waitpid(start(*sys.argv[1:]), 0)
        os.write(sys.stdout.fileno(), b"\n")
