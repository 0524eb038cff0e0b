"""When a tool that keeps crashing is left alone for a while, and when it is tried again."""

import time
from collections.abc import Callable

from spatial_agent.tools.errors import ToolUnavailableError

LONGEST_COOL_S = 600.0


class CircuitBreaker:
    """Counts calls that crashed one after the other; too many open it, one success closes it.

    Only crashes of *different* calls count: one poisonous call that is made again and again fails each
    time, but costs nobody else the tool. While open, calls are refused; once its time is over one call is
    let through as a probe. A probe that crashes opens it again for twice as long.

    Args:
        tool: Name of the tool, for messages.
        crashes: Different calls in a row that open it.
        cool_s: How long it stays open the first time, seconds.
        now: A clock, seconds.
    """

    def __init__(
        self, tool: str, crashes: int = 3, cool_s: float = 30.0, now: Callable[[], float] = time.monotonic
    ) -> None:
        """Start closed."""
        self._tool = tool
        self._crashes = crashes
        self._first_cool_s = cool_s
        self._cool_s = cool_s
        self._now = now
        self._crashed: set[str] = set()
        self._until: float | None = None
        self._probing = False
        self._why = ""

    @property
    def is_open(self) -> bool:
        """Whether calls are refused, but for the probe."""
        return self._until is not None

    @property
    def rests(self) -> bool:
        """Whether it is too early even for a probe."""
        return self._until is not None and self._now() < self._until

    def admit(self) -> bool:
        """Let a call through; returns whether it is the probe.

        Raises:
            ToolUnavailableError: If the tool is left alone for now; says for how long.
        """
        if self._until is None:
            return False
        if not self.rests and not self._probing:
            self._probing = True
            return True
        raise self.refusal()

    def refusal(self) -> ToolUnavailableError:
        """Return what a call is told that is not let through."""
        left_s = max(0.0, (self._until or 0.0) - self._now())
        at = time.strftime("%H:%M:%S", time.localtime(time.time() + left_s))
        again = (
            f"it is tried again in {left_s:.0f} s, at {at}" if left_s else "it is being tried again right now"
        )
        return ToolUnavailableError(
            f"{self._tool} is left alone for now: {self._why}; {again}; choose another tool"
        )

    def succeeded(self) -> None:
        """Close: a process of the tool answered."""
        self._crashed.clear()
        self._cool_s = self._first_cool_s
        self._until = None
        self._probing = False

    def failed(self, call: str, why: str) -> None:
        """Count a crash.

        Args:
            call: What tells this call from others, such as a digest of its arguments.
            why: What happened, for messages.
        """
        self._crashed.add(call)
        if self._probing or len(self._crashed) >= self._crashes:
            self.trip(f"{len(self._crashed)} calls in a row crashed it, the last one because {why}")

    def trip(self, why: str) -> None:
        """Open at once; for a tool that cannot even be loaded."""
        if self._until is not None:
            self._cool_s = min(2 * self._cool_s, LONGEST_COOL_S)
        self._until = self._now() + self._cool_s
        self._probing = False
        self._why = why

    def release(self) -> None:
        """Let another probe through: the last one ended before it showed anything."""
        self._probing = False
