"""Comparing what tools give by its content, and finding what must not be in it."""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from spatial_agent.tools.contract import Finding
from spatial_agent.tools.scene import UNITS

#: Share of pixels or numbers that may differ between a batch and single calls, where they are whole numbers.
WHOLE_SHARE = 0.002


def same(first: object, second: object, tolerance: float = 0.0) -> bool:
    """Whether two values have equal content, arrays included; what loads content later is left out.

    Args:
        first: Any value.
        second: Another one.
        tolerance: Share of the largest number by which floating point numbers may differ; above 0, a few
            pixels of masks may differ, too.

    >>> same(Finding("a", 1.0), Finding("a", 1.0)), same((1.0, 2.0), (1.0, 2.1))
    (True, False)
    """
    if type(first) is not type(second):
        return False
    if isinstance(first, np.ndarray):
        assert isinstance(second, np.ndarray)
        return _same_array(first, second, tolerance)
    if isinstance(first, float):
        return _same_array(np.array(first), np.array(second), tolerance)
    ours, theirs = _parts(first), _parts(second)
    if ours is None or theirs is None:
        return callable(first) or bool(first == second)
    return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key], tolerance) for key in ours)


def faults(value: object) -> list[str]:
    """Return what is wrong with a result, one phrase each: NaN, and what a finding must not be."""
    found = [f"NaN in {place or 'the result'}" for place in _nan_places(value, "")]
    return found + (_finding_faults(value) if isinstance(value, Finding) else [])


def _parts(value: object) -> dict[object, object] | None:
    """Return what a value consists of, None for one that consists of nothing further."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return dict(enumerate(value))
    return None


def _same_array(first: np.ndarray, second: np.ndarray, tolerance: float) -> bool:
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if first.dtype.kind != "f":
        return bool((first != second).mean() <= (WHOLE_SHARE if tolerance else 0.0)) if first.size else True
    largest = float(np.abs(first[np.isfinite(first)]).max(initial=0.0))
    return bool(np.allclose(first, second, rtol=0.0, atol=tolerance * largest, equal_nan=True))


def _nan_places(value: object, place: str) -> Iterator[str]:
    if isinstance(value, np.ndarray):
        if value.dtype.kind == "f" and np.isnan(value).any():
            yield place
    elif isinstance(value, float):
        if math.isnan(value):
            yield place
    else:
        for key, part in (_parts(value) or {}).items():
            yield from _nan_places(part, f"{place}.{key}" if place else str(key))


def _finding_faults(finding: Finding) -> list[str]:
    found = []
    if not finding.claim.strip():
        found.append("no claim")
    if (finding.quality == "weak") != bool(finding.why_weak):
        found.append("a weak finding says why it is weak, and only that one")
    if isinstance(finding.value, int | float) and not isinstance(finding.value, bool):
        found += _number_faults(float(finding.value), finding)
    try:
        json.dumps(dataclasses.asdict(finding), allow_nan=False)
    except (TypeError, ValueError) as error:
        found.append(f"not plain JSON ({error})")
    return found


def _number_faults(value: float, finding: Finding) -> list[str]:
    found = []
    if finding.unit not in UNITS:
        found.append(f"a number needs one of the units {', '.join(UNITS)}, got {finding.unit!r}")
    low = -math.inf if finding.low is None else finding.low
    high = math.inf if finding.high is None else finding.high
    if not low <= value <= high:
        found.append(f"expected low <= value <= high, got {finding.low} <= {value} <= {finding.high}")
    return found
