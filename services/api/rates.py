"""How fast the requests of a key may come: a token bucket each."""

import time
from collections import OrderedDict
from collections.abc import Callable

#: Keys whose buckets are remembered; the ones least lately used are full again anyway.
MOST_BUCKETS = 10_000


class RateLimits:
    """Lets requests through in bursts of a minute's worth, refilled evenly; for one event loop."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with full buckets.

        Args:
            clock: Returns seconds since any fixed point.
        """
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, per_minute: int) -> float:
        """Take one request out of a key's bucket.

        Args:
            key: Id of the key.
            per_minute: How many requests it may send in a minute; also the size of its bucket.

        Returns:
            0.0 where the request may pass, else the seconds until one may.
        """
        now = self._clock()
        left, when = self._buckets.pop(key, (float(per_minute), now))
        left = min(float(per_minute), left + (now - when) * per_minute / 60.0)
        passes = left >= 1.0
        self._buckets[key] = (left - 1.0 if passes else left, now)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if passes else (1.0 - left) * 60.0 / per_minute
