"""The doors: Python, command line; importing this loads nothing heavy."""

if __name__ != "spatial_agent.services":
    raise ImportError(f"import spatial_agent.services, not {__name__}")

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from spatial_agent.agent.agent import SpatialAgent

__all__ = ["open_agent"]


def open_agent(
    profile: str = "recorded", *, instances: "str | None" = None, weights: "str | Path | None" = None
) -> "SpatialAgent":
    """Open an agent that answers questions about scenes.

    Args:
        profile: ``"recorded"`` takes depth, poses and instances from the scan; ``"open"`` finds
            instances itself.
        instances: Overrides where instances come from: ``"recorded"`` or ``"yolo"`` (AGPL-3.0).
        weights: Weights file for it.

    Raises:
        ConfigurationError: If the profile is unknown or lacks what it needs.
    """
    from spatial_agent.services.runtime import build_agent

    return build_agent(profile, instances=instances, weights=weights)
