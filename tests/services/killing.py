"""Servers that die with work on their hands: what is kept, what was done, and a way to their successors."""

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import socket
from threading import Thread
from typing import Any

import httpx
import psycopg

from spatial_agent.services.sdk import Client, Retries
from tests.services.reading_room import DISTRIBUTION, Instruments, Reader, question, reader
from tests.services.sdk.breaking import BreakingWay
from tests.services.server_nursery import KillableServer, Nursery

PATIENCE_S = 60.0
WORKERS = 3
#: How many questions the model is asked for each that a user asks.
REQUESTS = 4
CONFIG = """
folder = "{folder}"
port = 0
model = "openai:reader@{model}?context=131072&pictures=0"
[work]
workers = {workers}
attempts = 1000
lease_seconds = {lease_s}
"""
JOBS = "SELECT id, state FROM jobs WHERE kind = 'question'"
ANSWERS = (
    "SELECT jobs.id FROM events JOIN jobs ON jobs.number = events.job "
    "WHERE events.kind = 'answer' AND jobs.kind = 'question'"
)
EVENTS = "SELECT jobs.id, attempt, events.number FROM events JOIN jobs ON jobs.number = events.job"
#: Runs in which the step that calls experts is written down, with what it started from.
CALLED = (
    "SELECT DISTINCT thread_id FROM {writes} "
    "JOIN checkpoints USING (thread_id, checkpoint_ns, checkpoint_id) WHERE channel = 'branch:to:verify'"
)


class Kept:
    """What is kept: the tables of the service and of the checkpoints."""

    def __init__(self, folder: Path, database: str | None) -> None:
        self._folder, self.database = folder, database

    def states(self) -> dict[str, str]:
        """Return the state of every question."""
        return {str(row[0]): str(row[1]) for row in self._select("service.sqlite", JOBS)}

    def answers(self) -> list[str]:
        """Return the question of every answer that was told."""
        return sorted(str(row[0]) for row in self._select("service.sqlite", ANSWERS))

    def told(self, question: str) -> list[str]:
        """Return the places of the events of a question, in order."""
        events = self._select("service.sqlite", EVENTS)
        return [f"{attempt}.{number}" for id, attempt, number in sorted(events) if id == question]

    def called(self) -> frozenset[str]:
        """Return the questions whose expert's result is in a checkpoint that was not dropped."""
        called = CALLED.format(writes="writes" if self.database is None else "checkpoint_writes")
        return frozenset(str(row[0]) for row in self._select("runs/checkpoints.sqlite", called))

    def _select(self, file: str, statement: str) -> list[tuple[Any, ...]]:
        if self.database is not None:
            with psycopg.connect(self.database) as connection:
                return connection.execute(statement.encode()).fetchall()
        with closing(sqlite3.connect(self._folder / file)) as connection:
            return connection.execute(statement).fetchall()


@dataclass(frozen=True)
class Kill:
    """What there was after a server died.

    Attributes:
        lines: How many lines the ledger had.
        seen: Questions that a client had seen answered.
        running: Questions that were being worked on.
        called: Those of them whose expert's result was in a checkpoint.
    """

    lines: int
    seen: frozenset[str]
    running: frozenset[str]
    called: frozenset[str]


class Front(BreakingWay):
    """An address that stays the same, whichever server is behind it."""

    def lead_to(self, port: int) -> None:
        """Lead to another server from now on."""
        self._target = ("127.0.0.1", port)

    def _carry(self, client: socket) -> None:
        with suppress(OSError):
            super()._carry(client)


@contextmanager
def front() -> Iterator[Front]:
    """An address behind which there is nobody yet."""
    way = Front(("127.0.0.1", 1))
    accepting = Thread(target=way.accept)
    accepting.start()
    try:
        yield way
    finally:
        way.close()
        accepting.join(PATIENCE_S)


class Crashing:
    """Servers, one after the other or side by side, on one folder; and who asks them."""

    def __init__(
        self, folder: Path, nursery: Nursery, model: Reader, instruments: Instruments, way: Front, kept: Kept
    ) -> None:
        self.folder, self.model, self.instruments, self.front, self.kept = (
            folder, model, instruments, way, kept,
        )  # fmt: skip
        self._nursery = nursery
        self._environment = {
            "SPATIAL_AGENT_CACHE": str(folder / "cache"),
            "SPATIAL_AGENT_TRUSTED_EXPERTS": DISTRIBUTION,
        }
        if kept.database is not None:
            self._environment["SPATIAL_AGENT_DATABASE"] = kept.database
        self._seen: frozenset[str] = frozenset()
        self.numbers: dict[str, int] = {}

    def start(self, *, is_fresh: bool = False) -> KillableServer:
        """Start a server; it need not answer yet."""
        site, log = self.instruments.site, self.folder / "log"
        arguments = ["--config", str(self.folder / "service.toml")]
        return self._nursery.start(arguments, self._environment, site, log, is_fresh=is_fresh)

    @contextmanager
    def client(self) -> Iterator[Client]:
        # A server takes a while to come back.
        with Client(self.front.url, retries=Retries(attempts=60, first_s=0.05, most_s=0.5)) as client:
            yield client

    def hand_in(self, client: Client, scene: str, numbers: range) -> None:
        """Ask for what instruments read, and do not wait for the answers."""
        for number in numbers:
            self.numbers[client.submit(scene, question(number)).id] = number

    def seen(self) -> frozenset[str]:
        """Return the questions that a client has seen answered."""
        with suppress(httpx.TransportError):
            listed = httpx.get(f"{self.front.url}/v1/questions", params={"state": "done", "most": 200})
            self._seen |= {item["id"] for item in listed.json()["questions"]}
        return self._seen

    def kill(self, server: KillableServer, delay_s: float) -> Kill:
        """Let a client look, and kill the server a moment later."""
        seen = self.seen()
        time.sleep(delay_s)
        server.kill()
        running = frozenset(id for id, state in self.kept.states().items() if state == "running")
        return Kill(len(self.instruments.ledger()), seen, running, self.kept.called() & running)

    def wait_for_all(self, client: Client) -> None:
        """Wait for every answer, and hold it against what the instruments read."""
        for id, number in self.numbers.items():
            answer = client.wait(id, timeout_s=120)
            assert (answer.value, answer.unit) == (self.instruments.readings[number], "m")

    def errors(self) -> list[bytes]:
        """Return what servers logged as errors."""
        lines = (self.folder / "log").read_bytes().splitlines()
        return [
            line for line in lines if b'"level": "info"' not in line and b'"level": "warning"' not in line
        ]

    def check(self, kills: list[Kill]) -> None:
        """Check what the ledger and the tables say after all kills."""
        ledger = self.instruments.ledger()
        assert self.kept.states() == dict.fromkeys(self.numbers, "done")
        assert self.kept.answers() == sorted(self.numbers)
        assert {number for what, number, _ in ledger if what == "end"} == set(self.numbers.values())
        again = 0
        for kill in kills:
            before = {number for what, number, _ in ledger[: kill.lines] if what == "begin"}
            after = {number for what, number, _ in ledger[kill.lines :] if what == "begin"}
            assert not self.numbers_of(kill.seen) & after, "an answered question was worked on again"
            assert not self.numbers_of(kill.called) & after, "an expert was called again after its checkpoint"
            repeated = before & after
            assert repeated <= self.numbers_of(kill.running), "a call was made again that no kill cut off"
            again += len(repeated)
        begins = Counter(number for what, number, _ in ledger if what == "begin")
        assert sum(begins.values()) - len(begins) <= min(again, WORKERS * len(kills))

    def numbers_of(self, ids: frozenset[str]) -> set[int]:
        return {self.numbers[id] for id in ids}


@contextmanager
def crashing(
    nursery: Nursery, folder: Path, *, seed: int, database: str | None = None, lease_s: float = 30.0
) -> Iterator[Crashing]:
    """Have everything that servers need; none runs yet."""
    instruments = Instruments(folder, seed)
    with reader() as model, front() as way:
        config = CONFIG.format(folder=folder / "kept", model=model.url, workers=WORKERS, lease_s=lease_s)
        (folder / "service.toml").write_text(config)
        here = Crashing(folder, nursery, model, instruments, way, Kept(folder / "kept", database))
        yield here
        wrong = here.errors()
        assert not wrong, wrong
