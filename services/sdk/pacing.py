"""How often and how soon something is tried again, and how long it may take."""

import math
import time
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from random import Random

import anyio

from spatial_agent.services.sdk.errors import WaitTimeoutError
from spatial_agent.services.sdk.steps import Pause, Plan


class Clock:
    """The time, and waiting; tests take another."""

    def now(self) -> float:
        """Return seconds on a clock that only goes forward."""
        return time.monotonic()

    def wall(self) -> float:
        """Return seconds since 1970."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait in this thread."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Wait in this task."""
        await anyio.sleep(seconds)


@dataclass(frozen=True)
class Retries:
    """How often and how soon a request is sent again.

    Attributes:
        attempts: How often it is sent in all, as long as nothing comes of it.
        first_s: The first pause is between none and this, seconds; each next one twice as long.
        most_s: The longest pause, seconds; a service that asks for a longer one is not asked again.
    """

    attempts: int = 6
    first_s: float = 0.5
    most_s: float = 30.0


@dataclass(frozen=True)
class Pace:
    """When something is tried again.

    Attributes:
        retries: How often and how soon.
        timeout_s: How long each sign of a reply is usually waited for, seconds.
        clock: The time.
        random: Spreads clients that were turned away together.
    """

    retries: Retries = field(default_factory=Retries)
    timeout_s: float = 30.0
    clock: Clock = field(default_factory=Clock)
    random: Random = field(default_factory=Random, repr=False)

    def pause_s(self, failures: int, asked_s: float | None = None) -> float | None:
        """Return how long to wait after so many failures, seconds; None to give up.

        Args:
            failures: How often it failed without anything coming of it, at least 1.
            asked_s: How long the service asked to wait, where it did.
        """
        if failures >= self.retries.attempts or (asked_s or 0.0) > self.retries.most_s:
            return None
        most = min(self.retries.first_s * 2.0 ** (failures - 1), self.retries.most_s)
        spread = self.random.uniform(0.0, most)
        return spread if asked_s is None else asked_s + min(spread, self.retries.first_s)

    def until(self, seconds: float | None) -> "Deadline":
        """Return when it will have been so many seconds; None for never."""
        return Deadline(self.clock, math.inf if seconds is None else self.clock.now() + seconds, seconds)


@dataclass(frozen=True)
class Deadline:
    """When a caller no longer wants to wait.

    Attributes:
        clock: The time.
        at: On that clock, seconds.
        seconds: How long that was from the start; None for ever.
    """

    clock: Clock
    at: float
    seconds: float | None

    @property
    def left_s(self) -> float:
        """Seconds that are left; 0 where it has passed, infinite for ever."""
        return max(0.0, self.at - self.clock.now())

    def error(self, what: str) -> WaitTimeoutError:
        """Return the error to raise once it has passed."""
        return WaitTimeoutError(f"expected {what} within {self.seconds:g} s, it is not there yet")

    def pause(self, seconds: float, what: str) -> Plan[None]:
        """Plan to wait.

        Raises:
            WaitTimeoutError: If that would be too long.
        """
        if seconds >= self.left_s:
            yield Pause(self.left_s)
            raise self.error(what)
        yield Pause(seconds)


def retry_after_s(value: str | None, wall_s: float) -> float | None:
    """Return what a ``Retry-After`` header asks for, seconds: a number or a date; None where it is neither.

    >>> retry_after_s("7", 0.0)
    7.0
    >>> retry_after_s("Thu, 01 Jan 1970 00:02:00 GMT", 30.0)
    90.0
    """
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - wall_s)
