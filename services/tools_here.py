"""The tools installed on this machine: which run in this process, and which isolated."""

from spatial_agent.services.settings import Settings
from spatial_agent.tools.registry import Registry


def installed_tools(settings: Settings | None = None) -> Registry:
    """Return every installed tool; those of distributions that are not trusted are isolated.

    Args:
        settings: The installation.

    Raises:
        ConfigurationError: If a trusted tool cannot be loaded, or a trusted distribution is not installed.
    """
    from spatial_agent.sandbox.isolation.isolate import Isolation

    settings = settings or Settings()
    return Registry.from_entry_points(
        trusted=settings.trusted_experts, isolate=Isolation(settings.experts_folder)
    )
