"""Several calls at once: what can be computed together is, and a failed call costs no other its result."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

Request = TypeVar("Request")
Value = TypeVar("Value")


def each(calls: Sequence[Mapping[str, Any]], one: Callable[..., Value]) -> list[Value | Exception]:
    """Make one call after the other; return the value of each, or what it raised.

    >>> each([{"x": 4}, {"x": 0}], lambda x: 1 / x)
    [0.25, ZeroDivisionError('division by zero')]
    """
    return [_attempt(one, call) for call in calls]


def together(
    requests: Sequence[Request | Exception],
    key: Callable[[Request], Hashable],
    run: Callable[[list[Request]], Sequence[Value]],
) -> list[Value | Exception]:
    """Run requests of equal key together; return one result for each, in order.

    Args:
        requests: Checked requests; an exception stands for a call that failed its checks, and is returned.
        key: Says which requests can be computed as one batch, such as the size of their image.
        run: Computes a batch; where it raises, each request is tried alone, and keeps what it then raises.
    """
    results: list[Any] = list(requests)
    groups: dict[Hashable, list[int]] = {}
    for number, request in enumerate(requests):
        if not isinstance(request, Exception):
            groups.setdefault(key(request), []).append(number)
    for numbers in groups.values():
        for number, value in zip(numbers, _run(run, [results[k] for k in numbers]), strict=True):
            results[number] = value
    return results


def only(results: Sequence[Value | Exception]) -> Value:
    """Return the single result of a batch of one, or raise it."""
    (result,) = results
    if isinstance(result, Exception):
        raise result
    return result


def _attempt(one: Callable[..., Value], call: Mapping[str, Any]) -> Value | Exception:
    try:
        return one(**call)
    except Exception as error:  # whatever it is, it belongs to this call alone
        return error


def _run(run: Callable[[list[Request]], Sequence[Value]], batch: list[Request]) -> list[Value | Exception]:
    try:
        return list(run(batch))
    except Exception as error:  # such as too little memory for all of them, or one that breaks the network
        if len(batch) == 1:
            return [error]
    return [_run(run, [request])[0] for request in batch]
