"""How a replica comes to be: its weights found, its place decided, its process started, its expert loaded."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ray import cloudpickle
from ray.exceptions import RayError

from spatial_agent.services.admission import Busy, Evict, Gpu, Grant, Holding, Probe, admit, needed_gb
from spatial_agent.services.ray_actor import Limits
from spatial_agent.services.ray_cluster import RayCluster
from spatial_agent.services.ray_replica import Place, Replica, ReplicaDiedError
from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ToolUnavailableError
from spatial_agent.tools.local_experts import Locate
from spatial_agent.tools.registry import Tool

#: How often memory is looked at while waiting for room: other programs give no sign when they leave.
LOOK_AGAIN_S = 1.0
#: Time a driver may take to give back the memory of a process that has gone.
RELEASE_S = 5.0


class NotWantedError(Exception):
    """Nobody waits any more for the replica that was about to be started."""


@dataclass(frozen=True)
class _Held:
    """A replica on a GPU, and how it is asked to leave."""

    tool: str
    grant: Grant
    stop_idle: Callable[[Replica, str], None]


class Launcher:
    """Makes replicas for all pools, and shares the GPUs out among them.

    Args:
        cluster: Where they run.
        locate: Finds weights.
        probe: Tells what memory GPUs have.
    """

    def __init__(self, cluster: RayCluster, locate: Locate, probe: Probe) -> None:
        """Start nothing."""
        self._cluster = cluster
        self._locate = locate
        self._probe = probe
        self._held: dict[Replica, _Held] = {}
        self._measured_gb: dict[str, float] = {}
        self._placing = asyncio.Lock()
        self._room = asyncio.Event()

    def room_changed(self) -> None:
        """Take note that a replica became free or went."""
        self._room.set()

    async def launch(
        self,
        tool: Tool,
        options: PoolOptions,
        is_wanted: Callable[[], bool],
        stop_idle: Callable[[Replica, str], None],
    ) -> Replica:
        """Return a loaded replica.

        Args:
            tool: What it runs.
            options: How it is served.
            is_wanted: Whether anybody still waits for it.
            stop_idle: Stops this pool's replicas to make room for others.

        Raises:
            ToolUnavailableError: If its weights are missing, no place has the room, or it cannot be loaded.
            NotWantedError: If nobody waits for it any more.
        """
        weights = tool.named_weights(options.weights) if tool.weights else None
        path = await asyncio.to_thread(self._locate, weights) if weights else None
        resources = await asyncio.to_thread(lambda: self._cluster.resources)
        _check_placement(tool, await asyncio.to_thread(lambda: self._cluster.nodes))
        if weights and _wants_gpu(tool, weights, options, resources):
            replica = await self._on_gpu(tool, weights, options, is_wanted, stop_idle)
        else:
            replica = await self._replica(tool, Place(dict(tool.resources.placement)))
            await replica.start(options.start_s)
        try:
            await self._load(replica, tool, options, path)
        except BaseException:
            replica.kill("it could not be loaded")
            raise
        return replica

    async def _load(self, replica: Replica, tool: Tool, options: PoolOptions, weights: Path | None) -> None:
        await replica.load(str(weights) if weights else None, tool.resources.load_s)
        if options.warm_up is None:
            return
        reference, _ = replica.submit([(options.warm_up, {})], ())
        try:
            await asyncio.wait_for(replica.report(reference), tool.resources.load_s)
        except (ReplicaDiedError, RayError, TimeoutError) as error:
            raise ToolUnavailableError(f"{tool.name} did not survive its warm-up: {error}") from error

    async def _replica(self, tool: Tool, place: Place) -> Replica:
        limits = Limits(
            tool.resources.threads,
            tool.resources.memory_gb,
            await asyncio.to_thread(lambda: self._cluster.store_bytes),
            on_gpu=place.gpu_share > 0,
        )
        return Replica(tool.name, _pickled(tool), limits, place)

    async def _on_gpu(
        self,
        tool: Tool,
        weights: Weights,
        options: PoolOptions,
        is_wanted: Callable[[], bool],
        stop_idle: Callable[[Replica, str], None],
    ) -> Replica:
        """Return a started replica on a GPU that has the room, once one has."""
        while is_wanted():
            # One at a time, until Ray has said which GPU it took: the next decision needs to know.
            async with self._placing:
                grant = await self._room_for(tool, weights)
                if grant is not None:
                    return await self._start_on(grant, tool, options, stop_idle)
                self._room.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._room.wait(), LOOK_AGAIN_S)
        raise NotWantedError

    async def _room_for(self, tool: Tool, weights: Weights) -> Grant | None:
        """Return room on a GPU, evicting idle replicas where that helps; None while all are busy."""
        need_gb = needed_gb(weights, self._known_gb(tool.name))
        patient_until = 0.0
        loop = asyncio.get_running_loop()
        while True:
            gpus = await asyncio.to_thread(self._probe)
            try:
                decision = admit(tool.name, need_gb, gpus, self._holdings())
            except ToolUnavailableError:
                if loop.time() >= patient_until:
                    raise
                await asyncio.sleep(LOOK_AGAIN_S / 10)
                continue
            if isinstance(decision, Grant):
                return decision
            if isinstance(decision, Busy):
                return None
            await self._evict(decision, tool.name)
            patient_until = loop.time() + RELEASE_S

    async def _evict(self, decision: Evict, newcomer: str) -> None:
        for replica, held in list(self._held.items()):
            if replica.id in decision.replicas:
                held.stop_idle(replica, f"it made room for {newcomer}")
                await replica.gone()

    async def _start_on(
        self, grant: Grant, tool: Tool, options: PoolOptions, stop_idle: Callable[[Replica, str], None]
    ) -> Replica:
        place = Place(dict(tool.resources.placement), grant.share, grant.gpu.node)
        replica = await self._replica(tool, place)
        self._held[replica] = _Held(tool.name, grant, stop_idle)
        replica.death.add_done_callback(lambda _: self._let_go(replica))
        where = await replica.start(options.start_s)
        if where.gpus and grant.gpu.index not in where.gpus:
            await self._check_other(replica, tool, where.gpus[0], grant)
        return replica

    async def _check_other(self, replica: Replica, tool: Tool, index: str, grant: Grant) -> None:
        """Make sure there is room on the GPU that Ray chose instead; Ray cannot be told which to take."""
        held = self._held.pop(replica)
        gpus = [gpu for gpu in await asyncio.to_thread(self._probe) if _is(gpu, grant.gpu.node, index)]
        try:
            decision = admit(tool.name, grant.reserved_gb, gpus, self._holdings())
            if not isinstance(decision, Grant):
                raise ToolUnavailableError(
                    f"{tool.name} has room on GPU {grant.gpu.index}, but Ray put it on GPU {index}; hide "
                    "that one from Ray with CUDA_VISIBLE_DEVICES"
                )
        except ToolUnavailableError:
            replica.kill("its GPU has no room for it")
            raise
        self._held[replica] = _Held(held.tool, decision, held.stop_idle)

    def _let_go(self, replica: Replica) -> None:
        held = self._held.get(replica)
        if held is not None:
            self._measured_gb[held.tool] = self._known_gb(held.tool)
            del self._held[replica]
        self.room_changed()

    def _known_gb(self, tool: str) -> float:
        """Return the most memory that replicas of a tool were seen to hold; 0 where nobody knows."""
        living = (replica.gpu_gb for replica, held in self._held.items() if held.tool == tool)
        return max([self._measured_gb.get(tool, 0.0), *living])

    def _holdings(self) -> list[Holding]:
        now = asyncio.get_running_loop().time()
        return [
            Holding(
                replica.id,
                held.tool,
                held.grant.gpu.node,
                held.grant.gpu.index,
                held.grant.reserved_gb,
                replica.gpu_gb,
                replica.idle_since or now,
                is_busy=replica.idle_since is None,
            )
            for replica, held in self._held.items()
        ]


def _pickled(tool: Tool) -> bytes:
    """Return what a tool is made from: its name where other processes can import it, else its code."""
    pickled: bytes = cloudpickle.dumps(tool.target)  # type: ignore[no-untyped-call]
    return pickled


def _is(gpu: Gpu, node: str, index: str) -> bool:
    return (gpu.node, gpu.index) == (node, index)


def _wants_gpu(tool: Tool, weights: Weights, options: PoolOptions, resources: Mapping[str, float]) -> bool:
    """Return whether a tool goes to a GPU; without one it goes to the CPU rather than wait for ever."""
    has_gpu = resources.get("GPU", 0.0) > 0
    if options.device == "gpu" and not has_gpu:
        raise ToolUnavailableError(f"{tool.name} is to run on a GPU, and the cluster has none; allow the CPU")
    return has_gpu and options.device != "cpu" and (options.device == "gpu" or weights.vram_gb != 0)


def _check_placement(tool: Tool, nodes: list[dict[str, Mapping[str, float]]]) -> None:
    """Refuse what no node could ever offer: Ray itself would wait for it for ever."""
    wanted = tool.resources.placement
    if any(
        all(node["Resources"].get(name, 0.0) >= amount for name, amount in wanted.items()) for node in nodes
    ):
        return
    text = ", ".join(f"{name}: {amount:g}" for name, amount in wanted.items())
    raise ToolUnavailableError(
        f"{tool.name} must run where there is {text}; no node of the cluster offers that"
    )
