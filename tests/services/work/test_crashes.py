"""A server killed at any moment loses no job and does none twice that it had finished.

What was done is counted by a ledger that the expert itself writes; what is kept is read with SQLite alone.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from spatial_agent.services.store.store import Store
from tests.services.work import crash_worker
from tests.services.work.scripted import new_job

ROOT = Path(crash_worker.__file__).parents[3]


@dataclass(frozen=True)
class Kill:
    """What there was at the moment after a process died.

    Attributes:
        lines: How many lines the ledger had.
        done: Jobs that the store had as done.
        running: Jobs that it had as running.
    """

    lines: int
    done: frozenset[str]
    running: frozenset[str]


class Crashes:
    """Jobs in a database, and processes that are killed while they work on them."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self._database, self._ledger = folder / "service.sqlite", folder / "ledger"
        self._ledger.touch()
        with Store.open(self._url) as store:
            self.jobs = [store.jobs.submit(new_job(number))[0].id for number in range(jobs)]

    @property
    def _url(self) -> str:
        return f"sqlite:///{self._database}"

    @contextmanager
    def nursery(self) -> Iterator[None]:
        """Have where processes come from."""
        command = [sys.executable, "-m", crash_worker.__name__, self._url, str(self._ledger)]
        with subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as self._nursery:
            yield

    def work(self, lines: int | None, delay_s: float = 0.0) -> Kill:
        """Let a process work until all is done, or kill it so long after it wrote so many lines."""
        orders, reports = self._nursery.stdin, self._nursery.stdout
        assert orders is not None
        assert reports is not None
        orders.write(b"\n")
        orders.flush()
        process = int(reports.readline())
        if lines is not None:
            is_over = any(reports.read(1) != b"." for _ in range(lines))
            assert not is_over, "it was done before it could be killed"
            time.sleep(delay_s)
            os.kill(process, signal.SIGKILL)
        reports.readline()
        return Kill(len(self.ledger()), self.in_state("done"), self.in_state("running"))

    def ledger(self) -> list[tuple[str, str]]:
        """What was done to which job, in order."""
        lines = self._ledger.read_text(encoding="ascii").splitlines()
        return [(what, job) for what, job, _ in (line.split() for line in lines)]

    def in_state(self, state: str) -> frozenset[str]:
        return frozenset(job for (job,) in self.select("SELECT id FROM jobs WHERE state = ?", state))

    def select(self, statement: str, *given: str) -> list[tuple[str, ...]]:
        with closing(sqlite3.connect(self._database)) as connection:
            return connection.execute(statement, given).fetchall()


def check(crashes: Crashes, kills: list[Kill]) -> None:
    """Check what the ledger and the database say after all kills."""
    ledger, jobs = crashes.ledger(), set(crashes.jobs)
    assert crashes.in_state("done") == jobs
    assert {job for what, job in ledger if what == "end"} == jobs
    answers = crashes.select(
        "SELECT jobs.id FROM events JOIN jobs ON jobs.number = events.job WHERE events.kind = 'answer'"
    )
    assert sorted(job for (job,) in answers) == sorted(jobs)
    for kill in kills:
        assert not kill.done & {job for _, job in ledger[kill.lines :]}, "a finished job ran again"
    begins = Counter(job for what, job in ledger if what == "begin")
    caught = Counter(job for kill in kills for job in kill.running)
    again = {job: times for job, times in begins.items() if times > 1 + caught[job]}
    assert not again, "jobs ran again that no kill interrupted"


@pytest.mark.parametrize(
    ("jobs", "kills"), [(20, 3), pytest.param(100, 20, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_killed_at_random_moments_every_job_is_done_and_none_that_was_done_again(
    tmp_path: Path, jobs: int, kills: int
) -> None:
    chance = random.Random(kills)
    crashes = Crashes(tmp_path, jobs)
    most = max(1, 2 * jobs // kills)
    with crashes.nursery():
        died = [crashes.work(chance.randint(1, most), chance.uniform(0.0, 0.004)) for _ in range(kills)]
        crashes.work(None)
    assert any(kill.running for kill in died), "no kill interrupted anything"
    assert len(died[-1].done) < jobs
    check(crashes, died)
