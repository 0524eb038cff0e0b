"""The runners of an agent: where experts run, and what is added around them."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cache
from pathlib import Path

from spatial_agent.services.weights_here import WeightsHere
from spatial_agent.tools.contract import ToolRunner
from spatial_agent.tools.errors import ConfigurationError, MissingWeightsError
from spatial_agent.tools.local_experts import LocalExperts
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.metering import Meter, NoMeter
from spatial_agent.tools.registry import Registry, Tool
from spatial_agent.tools.value_store import ValueStore
from spatial_agent.tools.wrappers import Breaker, Cached, Circuits, ResultCache, Timed

#: Disk that results of experts may take, bytes.
RESULTS_LIMIT = 2**30
MakeRunner = Callable[[], ToolRunner]


def make_runners(
    where: str,
    registry: Registry,
    weights: WeightsHere,
    chosen: Mapping[str, str],
    closing: ExitStack,
    *,
    results_folder: Path,
    address: str | None = None,
    meter: Meter | None = None,
) -> MakeRunner:
    """Return what makes the runner of one run; what the runs share is closed with `closing`.

    Args:
        where: ``"local"`` (this process) or ``"ray"`` (actors).
        registry: The tools.
        weights: Finds weights.
        chosen: Name of the weights to use, by tool.
        closing: Takes what has to be stopped in the end.
        results_folder: Where results of experts are kept on disk.
        address: A Ray cluster to join.
        meter: Where numbers go.

    Raises:
        ConfigurationError: If `where` is unknown, or Ray is not installed.
    """
    meter = meter or NoMeter()
    experts = LocalExperts(weights.locate, chosen=chosen)
    if where == "local":
        circuits = Circuits(meter=meter)

        def inner() -> ToolRunner:
            return Breaker(LocalRunner(registry, experts), circuits)

    elif where == "ray":
        inner = _ray_runners(registry, weights, chosen, experts, closing, address, meter)
    else:
        raise ConfigurationError(f"unknown runner {where!r}; expected local or ray")
    results = ResultCache(store=ValueStore(results_folder, RESULTS_LIMIT))
    identities = cache(lambda name: _identity(registry.get(name), weights, chosen))

    def identity(tool: Tool) -> str | None:
        return identities(tool.name)

    return lambda: Timed(Cached(inner(), registry, results, identity=identity, meter=meter), meter)


def _ray_runners(
    registry: Registry,
    weights: WeightsHere,
    chosen: Mapping[str, str],
    experts: LocalExperts,
    closing: ExitStack,
    address: str | None,
    meter: Meter,
) -> MakeRunner:
    try:
        import ray  # noqa: F401 - an optional extra
    except ImportError as error:
        raise ConfigurationError(
            f"runner 'ray' needs Ray ({error}); install spatial-reasoning-agent[ray], or use runner 'local'"
        ) from error
    from spatial_agent.services.ray_cluster import ClusterOptions, RayCluster
    from spatial_agent.services.ray_pools import ExpertPools
    from spatial_agent.services.ray_requests import PoolOptions
    from spatial_agent.services.ray_runner import RayRunner

    cluster = RayCluster(ClusterOptions(address=address))
    closing.callback(cluster.close)
    by_tool = {tool: PoolOptions(weights=name) for tool, name in chosen.items()}
    pools = ExpertPools(registry, locate=weights.locate, by_tool=by_tool, meter=meter, cluster=cluster)
    closing.callback(pools.close)
    return lambda: RayRunner(registry, pools, experts)


def _identity(tool: Tool, weights: WeightsHere, chosen: Mapping[str, str]) -> str | None:
    """Return what besides version and arguments decides a tool's results: the content of its weights."""
    if not tool.weights:
        return ""
    try:
        return weights.digest(tool.named_weights(chosen.get(tool.name)))
    except MissingWeightsError:
        return None
