"""Tools of installed distributions, sorted by whether their code may run in this process.

Loading an entry point imports its module, which runs whatever stands in it.
"""

from collections.abc import Callable, Collection, Iterable
from importlib import metadata
from typing import Any, NoReturn

from spatial_agent.tools.errors import ConfigurationError

#: The distribution of the built-in tools, which is always trusted.
BUILT_IN = "spatial-reasoning-agent"


def sorted_by_trust(
    groups: Iterable[str], trusted: Collection[str]
) -> tuple[list[metadata.EntryPoint], list[metadata.EntryPoint]]:
    """Return the entry points of trusted distributions, the built-in one among them, and all others.

    A distribution is known by the name it is installed under, not by what it calls itself.

    Args:
        groups: Groups of entry points.
        trusted: Names of trusted distributions beside the built-in one.

    Raises:
        ConfigurationError: If a trusted distribution is not installed.
    """
    known = {point for name in (BUILT_IN, *trusted) for point in _declared(name)}
    points = [
        point
        for group in groups
        for point in sorted(metadata.entry_points(group=group), key=lambda point: point.name)
    ]
    return [point for point in points if point in known], [point for point in points if point not in known]


def loaded(point: metadata.EntryPoint) -> Callable[..., Any]:
    """Return what an entry point stands for; its code runs.

    Raises:
        ConfigurationError: If it cannot be imported.
    """
    try:
        target: Callable[..., Any] = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"tool {point.name!r} ({point.value}) cannot be loaded: {error}") from error
    return target


def refused(point: metadata.EntryPoint) -> NoReturn:
    """Refuse what nothing isolates.

    Raises:
        ConfigurationError: Always.
    """
    raise ConfigurationError(
        f"it is not trusted, and nothing isolates it here; where you know its authors, let its code run in "
        f"this process: SPATIAL_AGENT_TRUSTED_EXPERTS={distribution_of(point)}"
    )


def distribution_of(point: metadata.EntryPoint) -> str:
    """Return the name of the distribution an entry point belongs to."""
    return point.dist.name if point.dist else "an unknown distribution"


def _declared(distribution: str) -> Collection[metadata.EntryPoint]:
    try:
        return metadata.distribution(distribution).entry_points
    except (metadata.PackageNotFoundError, ValueError):
        raise ConfigurationError(
            f"the trusted distribution {distribution!r} is not installed; pip list shows what is"
        ) from None
