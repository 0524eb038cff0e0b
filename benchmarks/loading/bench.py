"""Who asks: this process, clients over HTTP, and both in turns."""

import http.client
import json
import random
import resource
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import psutil
from rich.progress import Progress

from spatial_agent.agent.agent import SpatialAgent
from spatial_agent.services.runtime import build_agent
from spatial_agent.services.sdk import Client
from spatial_agent.services.settings import Settings
from spatial_agent.tools.errors import SpatialAgentError

if TYPE_CHECKING:
    from benchmarks.agent_overhead import QUESTIONS
    from benchmarks.loading.figures import Load, p99
    from benchmarks.loading.server import PATIENCE_S, Server, serving, used_by
else:  # where a script runs, its folder is searched
    from agent_overhead import QUESTIONS
    from loading.figures import Load, p99
    from loading.server import PATIENCE_S, Server, serving, used_by

Given = TypeVar("Given")

LUA = Path(__file__).with_name("questions.lua")
SCENES, FOLLOWERS, MIXED_CLIENTS = 3, 2, 8


@dataclass
class Bench:
    """The service and an agent in this process, both with the same scene.

    Attributes:
        server: The service.
        agent: The agent.
        scan: The scene's folder.
        scenes: Ids of the scene at the service, as often as it was uploaded.
        seconds: How long everything goes on.
        progress: Shows how far it is.
        ending: Set once everything should end early.
    """

    server: Server
    agent: SpatialAgent
    scan: Path
    scenes: Sequence[str]
    seconds: float
    progress: Progress
    ending: threading.Event = field(default_factory=threading.Event)

    def in_process(self, threads: int) -> Load:
        """Ask in this process, from so many threads."""
        times: list[float] = []
        kinds: Counter[str] = Counter()
        own, numbers, until = psutil.Process(), count(), time.monotonic() + self.seconds
        begun, used = time.perf_counter(), used_by(own)

        def ask() -> None:
            questions = list(QUESTIONS)
            while time.monotonic() < until and not self.ending.is_set():
                seconds, kind = timed(self.ask_in_process, questions[next(numbers) % len(questions)])
                times.append(seconds * 1e3)
                kinds[kind] += 1

        name = f"in process, {threads} thread{'s' * (threads > 1)}"
        with self.shown(name), side_by_side([ask] * (threads - 1)):
            ask()
        cpu_s = used_by(own) - used
        seconds = time.perf_counter() - begun
        return Load(name, seconds, statistics.median(times), p99(times), dict(kinds), cpu_s)

    def ask_in_process(self, question: str) -> str:
        """Ask, and return how that ended."""
        self.agent.ask(self.scan, question)
        return "done"

    def over_http(self, clients: int, scenes: int = 1) -> Load:
        """Have clients ask over HTTP, about so many scenes in turn."""
        kind = f"{clients} client{'s' * (clients > 1)}"
        name = f"HTTP, {kind}" if scenes == 1 else f"mixed, {kind}, {scenes} scenes"
        asked = [body(scene, question) for question in QUESTIONS for scene in self.scenes[:scenes]]
        used, client_used = self.server.cpu_s, children_cpu_s()
        command = [wrk(), "-t", "1", "-c", str(clients), "-d", f"{max(1, round(self.seconds))}s"]
        command += ["--timeout", "120s", "-s", str(LUA), self.server.url, "--", *asked]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        rss_mb, queued = [self.server.rss_mb], [self.server.queued]
        with self.shown(name), process:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(max(0.25, self.seconds / 100))
                rss_mb.append(self.server.rss_mb)
                queued.append(self.server.queued)
                if self.ending.is_set():
                    process.send_signal(signal.SIGINT)
            said = process.communicate()[0]
        told = json.loads(said.splitlines()[-1])
        return Load(
            name,
            **told,
            server_cpu_s=self.server.cpu_s - used,
            client_cpu_s=children_cpu_s() - client_used,
            rss_mb=rss_mb,
            queued=queued,
        )

    def mixed(self) -> Load:
        """Have clients ask about several scenes, follow events and upload, all at once."""
        ending, came = threading.Event(), SimpleQueue[str]()

        def again(work: Callable[[Client], str]) -> None:
            with Client(self.server.url) as client:
                while not ending.is_set():
                    came.put(timed(work, client)[1])

        works = [partial(again, self.follow)] * FOLLOWERS + [partial(again, self.upload)]
        with side_by_side(works, ending):
            load = self.over_http(MIXED_CLIENTS, SCENES)
        load.beside = Counter(came.get() for _ in range(came.qsize()))
        return load

    def follow(self, client: Client) -> str:
        """Ask a question and follow its events to the end; return how that ended."""
        for _ in client.stream(random.choice(self.scenes), random.choice(list(QUESTIONS))):
            pass
        return "followed"

    def upload(self, client: Client) -> str:
        """Upload the scene, wait until it is measured, and delete it; return how that ended."""
        scene = client.scenes.wait_until_ready(client.scenes.upload(self.scan), PATIENCE_S)
        client.scenes.delete(scene)
        return "uploaded"

    def turns(self) -> dict[str, list[float]]:
        """Return milliseconds of questions in process and over HTTP that took turns, pair by pair."""
        connection = http.client.HTTPConnection(urlsplit(self.server.url).netloc, timeout=PATIENCE_S)
        over_http = partial(ask_over, connection, self.scenes[0])
        ways: dict[str, Callable[[str], str]] = {"in process": self.ask_in_process, "HTTP": over_http}
        times: dict[str, list[float]] = {name: [] for name in ways}
        order, questions = list(ways), list(QUESTIONS)
        numbers, until = count(), time.monotonic() + self.seconds
        with self.shown("overhead"), closing(connection):
            while time.monotonic() < until and not self.ending.is_set():
                number = next(numbers)
                random.shuffle(order)
                both = {name: timed(ways[name], questions[number % len(questions)]) for name in order}
                if {kind for _, kind in both.values()} != {"done"}:
                    raise SystemExit(f"expected answers, got {both}")
                for name, (seconds, _) in both.items():
                    times[name].append(seconds * 1e3)
        return times

    @contextmanager
    def shown(self, name: str) -> Iterator[None]:
        """Show for how long something goes on already."""
        task, ended = self.progress.add_task(name, total=self.seconds), threading.Event()

        def advance() -> None:
            while not ended.wait(0.5):
                self.progress.advance(task, 0.5)

        try:
            with side_by_side([advance], ended):
                yield
        finally:
            self.progress.remove_task(task)


@contextmanager
def opened(scan: Path, seconds: float, progress: Progress) -> Iterator[Bench]:
    """Start the service, open an agent, and make both know the scene."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="load-")))
        task = progress.add_task("the scene is measured", total=None)
        agent = stack.enter_context(build_agent(settings=Settings(cache_folder=folder / "cache")))
        for question in QUESTIONS:
            agent.ask(scan, question)
        server = stack.enter_context(serving(folder))
        with Client(server.url) as client:
            known = [client.scenes.upload(scan).id for _ in range(SCENES)]
            for scene in known:
                client.scenes.wait_until_ready(scene, PATIENCE_S)
                for question in QUESTIONS:
                    client.ask(scene, question)
        progress.remove_task(task)
        yield Bench(server, agent, scan, known, seconds, progress)


@contextmanager
def side_by_side(
    works: Sequence[Callable[[], None]], ending: threading.Event | None = None
) -> Iterator[None]:
    """Run works in a thread each; at the end tell them so, and wait for them."""
    threads = [threading.Thread(target=work, daemon=True) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        if ending is not None:
            ending.set()
        for thread in threads:
            thread.join(PATIENCE_S)


def timed(way: Callable[[Given], str], given: Given) -> tuple[float, str]:
    """Return how long it takes, seconds, and how it ended."""
    started = time.perf_counter()
    try:
        kind = way(given)
    except SpatialAgentError as error:
        kind = type(error).__name__
    return time.perf_counter() - started, kind


def ask_over(connection: http.client.HTTPConnection, scene: str, question: str) -> str:
    """Ask a service over a connection that stays open, and return how that ended."""
    headers = {"Content-Type": "application/json", "Prefer": "wait=100"}
    connection.request("POST", "/v1/questions", body(scene, question), headers)
    response = connection.getresponse()
    view: dict[str, Any] = json.load(response)
    return str(view["state"]) if response.status == 200 else f"status {response.status}"


def body(scene: str, question: str) -> str:
    """Return a question as the service takes it."""
    return json.dumps({"scene": scene, "question": question})


def wrk() -> str:
    """Return where wrk is."""
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("expected wrk, which asks the service; install it (Debian: apt install wrk)")
    return found


def children_cpu_s() -> float:
    """Return the processor time of processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
