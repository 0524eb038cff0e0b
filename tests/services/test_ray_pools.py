"""Pools grow and shrink with their queues, take turns among runs, and share GPUs without overfilling them."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import pytest

pytest.importorskip("ray")

from ray import cloudpickle

from spatial_agent.services.admission import Gpu
from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.tools.contract import Resources, Weights
from spatial_agent.tools.errors import ToolTimeoutError, ToolUnavailableError
from spatial_agent.tools.registry import expert

pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray")]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]

Serve = Callable[..., Any]
# The fixtures' own classes, which cannot be imported from here.
Device: TypeAlias = Any
Gate: TypeAlias = Any
Probe: TypeAlias = Any
Cluster: TypeAlias = Any
Expert: TypeAlias = Any
Bench: TypeAlias = Any


def wait_at_gate(entry: str, exit_: str) -> None:
    """Say that this process is here, and wait until it may go on."""
    with open(entry, "w") as file:
        file.write(f"{os.getpid()} ")
    leave = os.open(exit_, os.O_RDWR)
    os.read(leave, 1)
    os.close(leave)


@expert("test.gated")
def gated(entry: str, exit_: str, name: str = "") -> str:
    """Wait at a gate.

    Args:
        entry: Where to say that it is there.
        exit_: Where it hears that it may go on.
        name: What it answers.
    """
    wait_at_gate(entry, exit_)
    return name


@expert("test.pid")
class Pid:
    """Tells its process."""

    def load(self, device: str) -> None: ...

    def __call__(self) -> int:
        """Tell."""
        return os.getpid()


def sized(name: str, vram_gb: float | None, basis: str = "measured") -> Expert:
    """Return an expert whose weights take so much memory; it tells device, visible GPU and share."""

    @expert(name, weights=[Weights("w", "file:w", "MIT", vram_gb=vram_gb, vram_basis=basis)])  # type: ignore[arg-type]
    class Sized:
        def __init__(self, weights: Path) -> None: ...

        def load(self, device: str) -> None:
            self.device = device

        def __call__(self, entry: str | None = None, exit_: str | None = None) -> list[str]:
            """Tell.

            Args:
                entry: Where to say that it is there.
                exit_: Where it hears that it may go on.
            """
            import ray

            if entry and exit_:
                wait_at_gate(entry, exit_)
            context: Any = ray.get_runtime_context()
            share = context.get_assigned_resources().get("GPU", 0.0)
            return [self.device, os.environ.get("CUDA_VISIBLE_DEVICES", ""), f"{share:.3f}"]

    return Sized


def node_of(cluster: Cluster) -> str:
    return next(str(node["NodeID"]) for node in cluster.nodes if node["Resources"].get("GPU"))


def gpus(cluster: Cluster, *free_gb: float, total_gb: float = 20.0) -> Probe:
    node = node_of(cluster)
    return lambda: [Gpu(node, str(index), total_gb, free) for index, free in enumerate(free_gb)]


# Growing, shrinking, taking turns


def test_a_long_queue_starts_replicas_up_to_the_most_and_idleness_stops_them(
    serve: Serve, gate: Gate, eventually: Callable[..., None]
) -> None:
    bench = serve(gated, options=PoolOptions(least=1, most=3, queue_per_replica=1.0, idle_s=0.5))

    async def story() -> set[int]:
        calls = [asyncio.create_task(bench.ask("test.gated", **gate.paths)) for _ in range(8)]
        processes = set(await gate.arrivals(3))
        assert len(bench.pools.replicas("test.gated")) == 3
        gate.open(8)
        await asyncio.gather(*calls)
        return processes

    assert len(asyncio.run(story())) == 3
    eventually(lambda: len(bench.pools.replicas("test.gated")) == 1)
    gate.open()
    assert bench.call("test.gated", **gate.paths).error is None
    assert max(bench.meter.levels["spatial_agent_replicas"]) == 3
    assert max(bench.meter.levels["spatial_agent_replicas_busy"]) == 3


def test_a_short_queue_starts_no_second_replica(serve: Serve, gate: Gate) -> None:
    bench = serve(gated, options=PoolOptions(most=3, queue_per_replica=2.0))

    async def story() -> list[int]:
        calls = [asyncio.create_task(bench.ask("test.gated", **gate.paths)) for _ in range(2)]
        gate.open(2)
        await asyncio.gather(*calls)
        return list(await gate.arrivals(2))

    assert len(set(asyncio.run(story()))) == 1
    assert max(bench.meter.levels["spatial_agent_replicas"]) == 1


def test_with_none_to_keep_the_last_replica_goes_too_and_comes_again(
    serve: Serve, eventually: Callable[..., None]
) -> None:
    bench = serve(Pid, options=PoolOptions(idle_s=0.2))
    first = bench.answer("test.pid")
    eventually(lambda: not bench.pools.replicas("test.pid"))

    assert bench.answer("test.pid") != first


def test_runs_take_turns_however_much_one_of_them_asks(serve: Serve, gate: Gate) -> None:
    greedy = serve(gated, options=PoolOptions(most=1))
    modest = greedy.new_run()
    finished: list[str] = []

    async def ask(bench: Bench, name: str) -> None:
        await bench.ask("test.gated", **gate.paths, name=name)
        finished.append(name)

    async def story() -> None:
        calls = [asyncio.create_task(ask(greedy, f"greedy {number}")) for number in range(6)]
        await gate.arrivals(1)
        await greedy.queued(5)
        calls.append(asyncio.create_task(ask(modest, "modest")))
        await greedy.queued(6)
        gate.open(7)
        await asyncio.gather(*calls)

    asyncio.run(story())
    assert finished.index("modest") <= 2


def test_a_warm_pool_answers_from_the_process_it_started(serve: Serve) -> None:
    bench = serve(Pid, options=PoolOptions(least=2, most=2))
    bench.pools.warm(["test.pid"])
    processes = {replica.where.pid for replica in bench.pools.replicas("test.pid")}

    assert len(processes) == 2
    assert bench.answer("test.pid") in processes


def test_warming_what_cannot_be_loaded_says_so(serve: Serve) -> None:
    @expert("test.broken")
    class Broken:
        def load(self, device: str) -> None:
            raise ImportError("no module named 'flux'")

        def __call__(self) -> int:
            """Work."""
            return 1

    with pytest.raises(ToolUnavailableError, match="no module named 'flux'"):
        serve(Broken).pools.warm(["test.broken"])


def test_a_call_is_served_where_its_named_resource_is(serve: Serve, ray_head: Cluster) -> None:
    @expert("test.placed", resources=Resources(placement={"lidar": 1}))
    def placed() -> str:
        """Tell the machine."""
        import ray

        return str(ray.get_runtime_context().get_node_id())

    node = ray_head.add_node(
        num_cpus=1, resources={"lidar": 1}, node_ip_address="127.0.0.1", object_store_memory=80 * 2**20
    )
    try:
        assert serve(placed).answer("test.placed") == node.node_id
    finally:
        ray_head.remove_node(node)


# GPUs


def test_an_expert_gets_the_share_of_a_gpu_that_its_memory_is(
    serve: Serve, ray_cluster: Cluster, tmp_path: Path
) -> None:
    probe = gpus(ray_cluster, 20.0, 20.0)
    bench = serve(sized("test.five", 4.0), probe=probe, locate=lambda weights: tmp_path)
    result = bench.call("test.five")
    device, visible, share = bench.value(result)

    # 4 GB with a tenth on top and the driver's own 0.6 GB, of 20 GB.
    assert (device, share) == ("cuda:0", "0.250")
    assert visible in ("0", "1")
    assert result.gpu_seconds > 0


@pytest.mark.parametrize(("vram_gb", "device"), [(0.0, "auto"), (4.0, "cpu")])
def test_what_needs_no_gpu_or_is_told_so_runs_on_the_cpu(
    serve: Serve, ray_cluster: Cluster, tmp_path: Path, vram_gb: float, device: Device
) -> None:
    probe = gpus(ray_cluster, 20.0, 20.0)
    options = PoolOptions(device=device)
    bench = serve(sized("test.cpu", vram_gb), options=options, probe=probe, locate=lambda weights: tmp_path)
    result = bench.call("test.cpu")

    assert bench.value(result)[0] == "cpu"
    assert bench.value(result)[2] == "0.000"
    assert result.gpu_seconds == 0


def test_an_expert_that_no_gpu_could_hold_is_refused_at_once(
    serve: Serve, ray_cluster: Cluster, tmp_path: Path
) -> None:
    probe = gpus(ray_cluster, 20.0, 6.0)
    bench = serve(sized("test.huge", 30.0), probe=probe, locate=lambda weights: tmp_path)
    result = bench.call("test.huge")

    assert isinstance(result.error, ToolUnavailableError)
    assert "test.huge needs 33.6 GB of one GPU" in str(result.error)
    assert result.seconds < 20


def test_unknown_memory_takes_a_whole_gpu(serve: Serve, ray_cluster: Cluster, tmp_path: Path) -> None:
    probe = gpus(ray_cluster, 20.0, 20.0)
    bench = serve(sized("test.unknown", None, "unknown"), probe=probe, locate=lambda weights: tmp_path)

    assert bench.answer("test.unknown")[2] == "1.000"


class Memory:
    """Two GPUs of which pools fill what they reserve; each replica that lives takes its part."""

    def __init__(self, cluster: Cluster, benches: Sequence[Any] = ()) -> None:
        self.node = node_of(cluster)
        self.pools: list[Any] = list(benches)
        self.total_gb = 10.0

    def __call__(self) -> list[Gpu]:
        taken = {"0": 0.0, "1": 0.0}
        for pools in self.pools:
            for tool, gb in (("test.one", 7.2), ("test.two", 7.2), ("test.three", 7.2)):
                for replica in pools.replicas(tool):
                    taken[replica.where.gpus[0]] += gb
        return [Gpu(self.node, index, self.total_gb, self.total_gb - gb) for index, gb in taken.items()]


def test_the_least_recently_used_expert_makes_room_for_the_next(
    serve: Serve, ray_cluster: Cluster, tmp_path: Path
) -> None:
    memory = Memory(ray_cluster)
    targets = [sized(f"test.{name}", 6.0) for name in ("one", "two", "three")]
    bench = serve(*targets, probe=memory, locate=lambda weights: tmp_path)
    memory.pools.append(bench.pools)
    homes = {name: bench.answer(f"test.{name}")[1] for name in ("one", "two")}
    bench.answer("test.one")
    third = bench.answer("test.three")[1]

    assert set(homes.values()) == {"0", "1"}
    assert third == homes["two"]
    assert [len(bench.pools.replicas(f"test.{name}")) for name in ("one", "two", "three")] == [1, 0, 1]
    assert bench.call("test.two").error is None  # comes back, at the cost of another


def test_a_busy_expert_is_not_evicted_and_the_wait_for_it_ends(
    serve: Serve, ray_cluster: Cluster, tmp_path: Path, gate: Gate
) -> None:
    memory = Memory(ray_cluster)
    targets = [sized(f"test.{name}", 6.0) for name in ("one", "two", "three")]
    bench = serve(*targets, probe=memory, locate=lambda weights: tmp_path)
    memory.pools.append(bench.pools)

    async def story() -> tuple[Any, Any]:
        busy = [asyncio.create_task(bench.ask(f"test.{name}", **gate.paths)) for name in ("one", "two")]
        await gate.arrivals(2)
        refused = await bench.ask("test.three", deadline_s=2.0)
        waiting = asyncio.create_task(bench.ask("test.three"))
        gate.open(2)
        for call in busy:
            assert (await call).error is None
        return refused, await waiting

    refused, served = asyncio.run(story())
    assert isinstance(refused.error, ToolTimeoutError)
    assert served.error is None
