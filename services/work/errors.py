"""What can be wrong with a job apart from its question."""

from spatial_agent.tools.errors import SpatialAgentError


class TakenUpTooOftenError(SpatialAgentError):
    """Every server that took the job up died before it was done."""
