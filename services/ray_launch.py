"""How a replica comes to be: its weights found, its place decided, its process started, its expert loaded."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import RayError

from spatial_agent.sandbox.policy import ExpertPolicy
from spatial_agent.services.admission import Grant, Probe
from spatial_agent.services.ray_actor import Limits, Whereabouts
from spatial_agent.services.ray_cluster import RayCluster
from spatial_agent.services.ray_confinement import Grants
from spatial_agent.services.ray_gpu_room import GpuRoom
from spatial_agent.services.ray_replica import Place, Replica, ReplicaDiedError
from spatial_agent.services.ray_requests import PoolOptions
from spatial_agent.tools.contract import Weights
from spatial_agent.tools.errors import ToolUnavailableError
from spatial_agent.tools.local_experts import Locate
from spatial_agent.tools.registry import Tool

_log = logging.getLogger(__name__)
#: Times a process is started in all that dies before it loads anything.
CHANCES = 3
CHANCE_PAUSE_S = 1.0


class NotWantedError(Exception):
    """Nobody waits any more for the replica that was about to be started."""


@dataclass(frozen=True)
class Order:
    """What kind of replica a pool wants.

    Attributes:
        tool: What it runs.
        options: How it is served.
        is_wanted: Whether anybody still waits for it.
        stop_idle: Stops one of the pool's replicas, if it has nothing to do, to make room for others.
    """

    tool: Tool
    options: PoolOptions
    is_wanted: Callable[[], bool]
    stop_idle: Callable[[Replica, str], None]

    @property
    def weights(self) -> Weights | None:
        """The weights it runs with."""
        return self.tool.named_weights(self.options.weights) if self.tool.weights else None


class Launcher:
    """Makes replicas for all pools.

    Args:
        cluster: Where they run.
        locate: Finds weights.
        probe: Tells what memory GPUs have.
    """

    def __init__(self, cluster: RayCluster, locate: Locate, probe: Probe) -> None:
        """Start nothing."""
        self._cluster = cluster
        self._locate = locate
        self._room = GpuRoom(probe)
        self._told: set[str] = set()

    def room_changed(self) -> None:
        """Take note that a replica became free or went."""
        self._room.changed()

    async def launch(self, order: Order) -> Replica:
        """Return a loaded replica.

        Raises:
            ToolUnavailableError: If its weights are missing, no place has the room, it cannot be loaded, or
                its policy asks for more isolation than it has.
            NotWantedError: If nobody waits for it any more.
        """
        _check_isolation(order)
        weights = order.weights
        path = await asyncio.to_thread(self._locate, weights) if weights else None
        nodes = await asyncio.to_thread(lambda: self._cluster.nodes)
        _check_placement(order.tool, nodes)
        on_gpu = weights is not None and _wants_gpu(order, weights, nodes)
        replica = await self._started(order, weights if on_gpu else None)
        try:
            await self._load(replica, order, path)
        except BaseException:
            replica.kill("it could not be loaded")
            raise
        return replica

    async def _started(self, order: Order, gpu_weights: Weights | None) -> Replica:
        for chance in range(CHANCES):
            # Ray may have chosen a machine of which it does not yet know that it is dead.
            await asyncio.sleep(CHANCE_PAUSE_S if chance else 0)
            try:
                if gpu_weights is not None:
                    return await self._on_gpu(order, gpu_weights)
                return await self._start(order, Place(dict(order.tool.resources.placement)))
            except ReplicaDiedError as death:
                reason = death
        raise ToolUnavailableError(str(reason)) from reason

    async def _on_gpu(self, order: Order, weights: Weights) -> Replica:
        """Return a started replica on a GPU that has the room, once one has."""
        while order.is_wanted():
            # One at a time, until Ray has said which GPU it took: the next decision needs to know.
            async with self._room.deciding:
                grant = await self._room.find(order.tool.name, weights)
                if grant is not None:
                    return await self._start_on(grant, order)
            await self._room.change()
        raise NotWantedError

    async def _start_on(self, grant: Grant, order: Order) -> Replica:
        place = Place(dict(order.tool.resources.placement), grant.share, grant.gpu.node)
        replica = await self._start(order, place)
        try:
            index = (*(replica.where.gpus if replica.where else ()), grant.gpu.index)[0]
            await self._room.take(replica, order.tool.name, grant, index, order.stop_idle)
        except BaseException:
            replica.kill("its GPU has no room for it")
            raise
        return replica

    async def _start(self, order: Order, place: Place) -> Replica:
        resources, policy = order.tool.resources, order.options.policy
        memory_gb = resources.memory_gb if policy.memory_gb is None else policy.memory_gb
        store_bytes = await asyncio.to_thread(lambda: self._cluster.store_bytes)
        limits = Limits(resources.threads, memory_gb, store_bytes, on_gpu=place.gpu_share > 0)
        replica = Replica(order.tool.name, _pickled(order.tool), limits, _grants(order.tool, policy), place)
        self.tell(await replica.start(order.options.start_s))
        return replica

    def tell(self, where: Whereabouts) -> None:
        """Say once of each machine that cannot hold experts to their files."""
        if not where.is_confined and where.node not in self._told:
            self._told.add(where.node)
            _log.warning(
                "the kernel of node %s has no Landlock: experts there read and write whatever its user can",
                where.node,
            )

    async def _load(self, replica: Replica, order: Order, weights: Path | None) -> None:
        limit_s = order.tool.resources.load_s
        await replica.load(str(weights) if weights else None, limit_s)
        if order.options.warm_up is None:
            return
        reference, _ = replica.submit([(order.options.warm_up, {})], ())
        try:
            await asyncio.wait_for(replica.report(reference), limit_s)
        except (ReplicaDiedError, RayError, TimeoutError) as error:
            message = f"{order.tool.name} did not survive its warm-up: {error}"
            raise ToolUnavailableError(message) from error


def _pickled(tool: Tool) -> bytes:
    """Return what a tool is made from: its name where other processes can import it, else its code."""
    pickled: bytes = cloudpickle.dumps(tool.target)  # type: ignore[no-untyped-call]
    return pickled


def _check_isolation(order: Order) -> None:
    """Refuse to run a tool less isolated than its policy says."""
    if order.options.policy.is_strict and not order.tool.is_isolated:
        raise ToolUnavailableError(
            f"{order.tool.name} is to run strictly isolated, and was imported from a trusted distribution; "
            "take that out of SPATIAL_AGENT_TRUSTED_EXPERTS, or give it a policy that is not strict"
        )


def _grants(tool: Tool, policy: ExpertPolicy) -> Grants:
    """Return what a policy allows a tool, as what an actor takes in before it imports anything heavy."""
    return Grants(
        {name: os.environ[name] for name in policy.environment if name in os.environ},  # noqa: TID251 - passed on
        tuple(str(path.absolute()) for path in policy.readable),
        tuple(str(path.absolute()) for path in policy.writable),
        is_proxy=tool.is_isolated,
    )


def _wants_gpu(order: Order, weights: Weights, nodes: list[dict[str, Any]]) -> bool:
    """Return whether a tool goes to a GPU; without one it goes to the CPU rather than wait for ever."""
    has_gpu = any(node["Resources"].get("GPU") for node in nodes)
    if order.options.device == "gpu" and not has_gpu:
        raise ToolUnavailableError(
            f"{order.tool.name} is to run on a GPU, and the cluster has none; allow it the CPU"
        )
    if order.options.device == "auto":
        return has_gpu and weights.vram_gb != 0
    return order.options.device == "gpu"


def _check_placement(tool: Tool, nodes: list[dict[str, Any]]) -> None:
    """Refuse what no node could ever offer: Ray itself would wait for it for ever."""
    wanted: Mapping[str, float] = tool.resources.placement
    if any(
        all(node["Resources"].get(name, 0.0) >= amount for name, amount in wanted.items()) for node in nodes
    ):
        return
    text = ", ".join(f"{name}: {amount:g}" for name, amount in wanted.items())
    raise ToolUnavailableError(
        f"{tool.name} must run where there is {text}; no node of the cluster offers that"
    )
