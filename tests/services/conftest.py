"""One Ray for all tests that need one, and a bench on which experts are served and watched."""

import asyncio
import importlib.util
import os
import select
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import pytest

from spatial_agent.tools.contract import ToolCall, ToolResult
from spatial_agent.tools.metering import METRICS, Labels
from spatial_agent.tools.registry import Registry

if TYPE_CHECKING:
    from spatial_agent.services.admission import Probe
    from spatial_agent.services.ray_cluster import RayCluster
    from spatial_agent.services.ray_pools import ExpertPools

# Test modules cannot import one another; what several of them serve is put where all find it.
if importlib.util.find_spec("ray") is not None:
    _spec = importlib.util.spec_from_file_location("misbehaving", Path(__file__).with_name("misbehaving.py"))
    assert _spec is not None
    assert _spec.loader is not None
    sys.modules["misbehaving"] = importlib.util.module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["misbehaving"])

#: What an expert gives back, or Ray's own classes: anything.
Value = Any
#: A variable that everything the tests start inherits, and no expert must see.
SECRET = ("TEST_MODEL_API_KEY", "canary-in-the-environment")
#: For what has to come from a machine that may be busy with other work.
PATIENCE_S = 60.0


class RecordingMeter:
    """Remembers every number, and refuses those that nobody declared."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.levels: dict[str, list[float]] = defaultdict(list)
        self.sizes: list[float] = []
        self.durations: dict[str, list[float]] = defaultdict(list)
        self._lock = Lock()

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        self._check(name, labels)
        with self._lock:
            self.counts[labels.get("reason", name)] += int(amount)

    def level(self, name: str, labels: Labels, value: float) -> None:
        self._check(name, labels)
        self.levels[name].append(value)

    def duration(self, name: str, labels: Labels, seconds: float) -> None:
        self._check(name, labels)
        self.durations[name].append(seconds)

    def size(self, name: str, labels: Labels, size: float) -> None:
        self._check(name, labels)
        self.sizes.append(size)

    def _check(self, name: str, labels: Labels) -> None:
        declared = {metric.name: metric.labels for metric in METRICS}
        assert set(labels) == set(declared[name])


class Gate:
    """Where a tool in another process says that it is there, and waits until it may go on."""

    def __init__(self, folder: Path) -> None:
        self.entry, self.exit = str(folder / "entry"), str(folder / "exit")
        for path in (self.entry, self.exit):
            os.mkfifo(path)
        self._entry = os.open(self.entry, os.O_RDWR | os.O_NONBLOCK)
        self._exit = os.open(self.exit, os.O_RDWR)
        self._waiting: list[str] = []

    @property
    def paths(self) -> dict[str, str]:
        """Arguments for a tool that calls `wait_at_gate` with them."""
        return {"entry": self.entry, "exit_": self.exit}

    def arrival(self) -> int:
        """Wait for the next tool, and return its process id."""
        if not self._waiting:
            ready, _, _ = select.select([self._entry], [], [], PATIENCE_S)
            assert ready, "no tool came to the gate"
            self._waiting = os.read(self._entry, 65536).decode().split()
        return int(self._waiting.pop(0))

    async def arrivals(self, number: int = 1) -> list[int]:
        """Wait for tools, and return their process ids."""
        return [await asyncio.to_thread(self.arrival) for _ in range(number)]

    def open(self, number: int = 1) -> None:
        """Let tools go on."""
        os.write(self._exit, b"x" * number)

    def close(self) -> None:
        os.close(self._entry)
        os.close(self._exit)


class Bench:
    """Served experts, a run that calls them, and what was counted."""

    def __init__(self, registry: Registry, pools: "ExpertPools", meter: RecordingMeter) -> None:
        from spatial_agent.services.ray_runner import RayRunner

        self.registry, self.pools, self.meter = registry, pools, meter
        self.runner = RayRunner(registry, pools)
        self._calls = 0

    def new_run(self) -> "Bench":
        return Bench(self.registry, self.pools, self.meter)

    async def ask(self, tool: str, deadline_s: float = PATIENCE_S, **arguments: Value) -> ToolResult:
        """Call a tool; fails the test if the answer does not come in time."""
        self._calls += 1
        started = time.perf_counter()
        async with asyncio.timeout(deadline_s + 10):
            result = await self.runner.call(ToolCall(f"c{self._calls}", tool, arguments, deadline_s))
        assert time.perf_counter() - started < deadline_s + 5
        return result

    def call(self, tool: str, deadline_s: float = PATIENCE_S, **arguments: Value) -> ToolResult:
        return asyncio.run(self.ask(tool, deadline_s, **arguments))

    def answer(self, tool: str, **arguments: Value) -> Value:
        """Return the value a call gives; it must give one."""
        return self.value(self.call(tool, **arguments))

    def answer_when_closed(self, tool: str, **arguments: Value) -> Value:
        """Return the value a call gives once the tool is no longer left alone."""
        until = time.monotonic() + PATIENCE_S
        while "left alone for now" in str((result := self.call(tool, **arguments)).error):
            assert time.monotonic() < until, "the breaker never closed"
            select.select([], [], [], 0.05)
        return self.value(result)

    async def queued(self, number: int) -> None:
        """Wait until so many calls wait for a replica."""
        until = time.monotonic() + PATIENCE_S
        while self.meter.levels["spatial_agent_queue_length"][-1:] != [number]:
            assert time.monotonic() < until, "that many calls never waited"
            await asyncio.sleep(0.01)

    def value(self, result: ToolResult) -> Value:
        if result.error:
            raise result.error
        assert result.handle
        return self.runner.value(result.handle)


@pytest.fixture(scope="session")
def ray_head() -> Iterator[Any]:
    """A Ray cluster with two logical GPUs, to which tests may add nodes; listens on this machine only."""
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster

    os.makedirs("/tmp/ray", exist_ok=True)  # where it notes the address, whatever its own folder
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            SECRET[0]: SECRET[1],
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "disabled",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        }.items():
            patch.setenv(name, value)
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 2,
                "num_gpus": 2,
                "include_dashboard": False,
                "object_store_memory": 300 * 2**20,
                "temp_dir": str(folder),
                "node_ip_address": "127.0.0.1",
            },
        )
        yield cluster
        cluster.shutdown()  # type: ignore[no-untyped-call]
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def ray_cluster(ray_head: Value) -> Iterator["RayCluster"]:
    """This process, joined to that cluster."""
    from spatial_agent.services.ray_cluster import ClusterOptions, RayCluster

    cluster = RayCluster(ClusterOptions(address=ray_head.address))
    cluster.start()
    yield cluster
    cluster.close()


@pytest.fixture
def serve(
    ray_cluster: "RayCluster", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Bench]]:
    """Serves experts until the test ends: ``serve(expert, ..., options=PoolOptions(...))``."""
    yield from _serving(ray_cluster, tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def serve_all(
    ray_cluster: "RayCluster", tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Bench]]:
    """Serves experts until all tests of a module have ended."""
    yield from _serving(ray_cluster, tmp_path_factory.getbasetemp())


def _serving(ray_cluster: "RayCluster", folder: Path) -> Iterator[Callable[..., Bench]]:
    """Serve experts that may write to a folder, for the tests' gates and marks, unless a policy is given."""
    from spatial_agent.sandbox.policy import ExpertPolicy
    from spatial_agent.services.ray_pools import ExpertPools
    from spatial_agent.services.ray_requests import PoolOptions

    opened: list[ExpertPools] = []

    def start(
        *targets: Callable[..., Any],
        options: PoolOptions | None = None,
        policy: ExpertPolicy | None = None,
        **settings: Value,
    ) -> Bench:
        options = replace(options or PoolOptions(), policy=policy or ExpertPolicy(writable=(folder,)))
        registry = Registry()
        for target in targets:
            registry.add(target)
        meter = RecordingMeter()
        pools = ExpertPools(registry, options, cluster=ray_cluster, meter=meter, **settings)
        opened.append(pools)
        return Bench(registry, pools, meter)

    yield start
    for pools in opened:
        pools.close()


@pytest.fixture
def secret(ray_head: Value) -> tuple[str, str]:
    """Name and value of a variable that the tests' Ray was started with."""
    return SECRET


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate that tools in other processes can wait at."""
    opened = Gate(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits until something holds that no event tells of, such as a process having gone."""

    def wait(holds: Callable[[], bool], limit_s: float = PATIENCE_S) -> None:
        until = time.monotonic() + limit_s
        while not holds():
            assert time.monotonic() < until, "it never came to that"
            select.select([], [], [], 0.02)

    return wait


@pytest.fixture
def roomy_gpus(ray_cluster: "RayCluster") -> "Probe":
    """Pretends that the cluster's two logical GPUs have 24 GB each, all of it free."""
    from spatial_agent.services.admission import Gpu

    node = next(node["NodeID"] for node in ray_cluster.nodes if node["Resources"].get("GPU"))
    return lambda: [Gpu(node, str(index), 24.0, 24.0) for index in range(2)]
