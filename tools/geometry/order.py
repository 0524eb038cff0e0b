"""The order in which things were first seen."""

from collections.abc import Mapping

from spatial_agent.tools.errors import InvalidValueError


def first_appearance_order(first_seen: Mapping[str, float | None]) -> tuple[str, ...]:
    """Sort names by when each was first seen.

    Args:
        first_seen: Time in seconds or frame index for each name; None where it never was.

    Raises:
        InvalidValueError: If something was never seen, or two were first seen at the same time.

    >>> first_appearance_order({"sofa": 3.2, "door": 0.1})
    ('door', 'sofa')
    """
    missing = sorted(name for name, when in first_seen.items() if when is None)
    if missing:
        raise InvalidValueError(f"never seen, so there is no order: {', '.join(missing)}")
    times = sorted((when, name) for name, when in first_seen.items() if when is not None)
    for (when, name), (next_when, next_name) in zip(times, times[1:], strict=False):
        if when == next_when:
            raise InvalidValueError(f"{name} and {next_name} were first seen at the same time ({when:g})")
    return tuple(name for _, name in times)
