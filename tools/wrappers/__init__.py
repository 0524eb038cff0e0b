"""What is added around any runner, one concern each: time, cache, budget, trace, circuit breaker.

They nest. From the outside in, `Timed` sees every call, `Budgeted` ends the run, `Traced` writes what the
agent saw, `Cached` spares calls, and `Breaker` stands right before the runner, whose failures it counts:
``Timed(Budgeted(Traced(Cached(Breaker(runner)))))``.
"""

if __name__ != "spatial_agent.tools.wrappers":
    raise ImportError(f"import spatial_agent.tools.wrappers, not {__name__}")

from spatial_agent.tools.wrappers.breaker import Breaker, Circuits
from spatial_agent.tools.wrappers.budgeted import Budgeted, CallBudget
from spatial_agent.tools.wrappers.cached import Cached
from spatial_agent.tools.wrappers.result_cache import ResultCache
from spatial_agent.tools.wrappers.timed import Timed
from spatial_agent.tools.wrappers.traced import Traced
from spatial_agent.tools.wrappers.with_frames import WithFrames
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper

__all__ = [
    "Breaker",
    "Budgeted",
    "Cached",
    "CallBudget",
    "Circuits",
    "ResultCache",
    "RunnerWrapper",
    "Timed",
    "Traced",
    "WithFrames",
]
