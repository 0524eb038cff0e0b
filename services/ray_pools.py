"""Every expert's pool of actors, shared by all runs of a process.

::

    with ExpertPools(registry, locate=store.locate) as pools:
        agent runs, each with RayRunner(registry, pools)
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from spatial_agent.services.admission import Probe
from spatial_agent.services.ray_cluster import RayCluster
from spatial_agent.services.ray_gpus import probe_gpus
from spatial_agent.services.ray_launch import Launcher
from spatial_agent.services.ray_pool import Pool
from spatial_agent.services.ray_replica import Replica
from spatial_agent.services.ray_requests import PoolOptions, Reply, Request
from spatial_agent.tools.errors import ToolUnavailableError
from spatial_agent.tools.local_experts import Locate, nowhere
from spatial_agent.tools.metering import Meter, NoMeter
from spatial_agent.tools.registry import Registry, Tool

Value = TypeVar("Value")
#: Time processes may take to go once they have been killed.
CLOSE_S = 10.0


class ExpertPools:
    """Starts a pool for each expert when it is first called; `close` stops everything.

    Weights are found here and loaded by the actors: in a cluster of several machines they have to be under
    the same path on all of them.

    Args:
        registry: The tools.
        options: How pools are served.
        locate: Finds weights.
        by_tool: Options of single tools, instead of `options`.
        meter: Where numbers go.
        cluster: Where actors run; a Ray of its own on this machine where left out, started at the first
            call and stopped by `close`.
        probe: Tells what memory GPUs have.
    """

    def __init__(
        self,
        registry: Registry,
        options: PoolOptions | None = None,
        locate: Locate = nowhere,
        *,
        by_tool: Mapping[str, PoolOptions] | None = None,
        meter: Meter | None = None,
        cluster: RayCluster | None = None,
        probe: Probe = probe_gpus,
    ) -> None:
        """Start nothing yet."""
        self._registry = registry
        self._options = options or PoolOptions()
        self._by_tool = dict(by_tool or {})
        self._meter = meter or NoMeter()
        self._cluster = cluster or RayCluster()
        self._owns_cluster = cluster is None
        self._launcher = Launcher(self._cluster, locate, probe)
        self._pools: dict[str, Pool] = {}
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: Thread | None = None
        self._closed = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.close()

    async def call(self, tool: Tool, make: Callable[[], Request], limit_s: float | None) -> Reply:
        """Make a call from any event loop; see `Pool.call`.

        Args:
            tool: The tool.
            make: Builds the request, in the pools' own loop.
            limit_s: Wall time it may take.
        """

        async def serve() -> Reply:
            return await self._pool(tool).call(make(), limit_s)

        return await asyncio.wrap_future(self._submit(serve()))

    async def start(self) -> None:
        """Start or join Ray, where that has not been done."""
        if self._closed:
            raise ToolUnavailableError("the experts are not served any more")
        if self._loop is None:
            await asyncio.to_thread(self._start)

    def warm(self, tools: Iterable[str]) -> None:
        """Load experts now, so that their first calls need not wait.

        Raises:
            ToolUnavailableError: If one cannot be loaded.
        """
        self._start()
        chosen = [self._registry.get(name) for name in tools]

        async def warm() -> None:
            await asyncio.gather(*(self._pool(tool).warm() for tool in chosen))

        self._submit(warm()).result()

    def replicas(self, tool: str) -> tuple[Replica, ...]:
        """Return the loaded replicas of a tool."""
        pool = self._pools.get(tool)
        return pool.replicas if pool else ()

    def close(self) -> None:
        """Stop every actor, and Ray too where it was started for these pools."""
        with self._lock:
            self._closed = True
            if self._loop is not None and self._thread is not None:
                self._submit(self._close_pools()).result()
                self._loop.call_soon_threadsafe(self._loop.stop)
                self._thread.join()
                self._loop.close()
                self._loop = None
            if self._owns_cluster:
                self._cluster.close()

    def _start(self) -> None:
        with self._lock:
            if self._loop is None and not self._closed:
                self._cluster.start()
                loop = asyncio.new_event_loop()
                self._thread = Thread(target=loop.run_forever, name="expert-pools", daemon=True)
                self._thread.start()
                self._loop = loop

    def _submit(self, work: Coroutine[Any, Any, Value]) -> "Future[Value]":
        if self._loop is None:
            work.close()
            raise ToolUnavailableError("the experts are not served any more")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def _close_pools(self) -> None:
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        # Whoever still watches a process that has just been told to go.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            await asyncio.wait(left, timeout=CLOSE_S)

    def _pool(self, tool: Tool) -> Pool:
        """Return a tool's pool; called in the pools' own loop only."""
        if tool.name not in self._pools:
            options = self._by_tool.get(tool.name, self._options)
            self._pools[tool.name] = Pool(tool, options, self._meter, self._launcher)
        return self._pools[tool.name]
