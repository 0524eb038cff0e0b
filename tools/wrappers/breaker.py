"""Leaving a tool alone for a while that keeps crashing, so that nobody waits for it in vain."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from spatial_agent.tools.binding import failed
from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import (
    MissingWeightsError,
    ToolArgumentError,
    ToolCrashedError,
    ToolError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.metering import Meter, NoMeter
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper

#: A tool that fails so is broken for now.
BROKEN = (ToolCrashedError, ToolTimeoutError, ToolUnavailableError)
#: These say nothing of whether a tool works: it was never reached.
UNTRIED = (ToolArgumentError, MissingWeightsError)
#: Names of failing tools that are remembered; planners also make names up.
MOST_CIRCUITS = 1000


@dataclass
class _Circuit:
    """What is known of a tool that failed lately."""

    failures: int = 0
    open_until: float | None = None
    probing: bool = False
    why: str = ""


class Circuits:
    """Which tools are left alone for now; shared by the runners of a process.

    A circuit opens when calls of a tool crash, time out or find it unavailable several times in a row.
    When its time is over, one call is let through: if it finds the tool working, the circuit is closed;
    if not, it is open for as long again.
    """

    def __init__(
        self,
        failures: int = 3,
        open_s: float = 30.0,
        *,
        clock: Callable[[], float] = time.monotonic,
        meter: Meter | None = None,
    ) -> None:
        """Start with every circuit closed.

        Args:
            failures: Failures in a row that open a circuit.
            open_s: How long it stays open, seconds.
            clock: Seconds from any origin.
            meter: Told when a circuit opens and closes.
        """
        self._failures = failures
        self._open_s = open_s
        self._clock = clock
        self._meter = meter or NoMeter()
        self._circuits: dict[str, _Circuit] = {}
        self._lock = Lock()

    def admit(self, tool: str) -> object | None:
        """Let a call through, and return a token if it is the probe that tries an open circuit.

        Raises:
            ToolUnavailableError: If the tool is left alone for now.
        """
        with self._lock:
            circuit = self._circuits.get(tool)
            if circuit is None or circuit.open_until is None:
                return None
            left_s = circuit.open_until - self._clock()
            if left_s > 0 or circuit.probing:
                raise ToolUnavailableError(_refusal(tool, circuit, left_s))
            circuit.probing = True
            return circuit

    def settle(self, tool: str, error: ToolError | None, *, probe: object | None) -> None:
        """Take notice of how a call ended that was let through.

        Args:
            tool: Its tool.
            error: What went wrong, or None.
            probe: What `admit` returned for it.
        """
        with self._lock:
            if isinstance(error, UNTRIED):
                self._release(tool, probe)
            elif isinstance(error, BROKEN):
                self._count(tool, error, probe)
            elif self._circuits.pop(tool, None) is not None:
                self._meter.level("spatial_agent_breaker_open", {"tool": tool}, 0)

    def release(self, tool: str, *, probe: object | None) -> None:
        """Take notice that a call ended before it showed anything, such as a cancelled one."""
        with self._lock:
            self._release(tool, probe)

    def _release(self, tool: str, probe: object | None) -> None:
        circuit = self._circuits.get(tool)
        # A circuit that was closed meanwhile, and opened anew, has a probe of its own.
        if circuit is not None and circuit is probe:
            circuit.probing = False

    def _count(self, tool: str, error: ToolError, probe: object | None) -> None:
        circuit = self._circuits.setdefault(tool, _Circuit())
        circuit.failures += 1
        circuit.why = str(error)
        if circuit is probe or (circuit.open_until is None and circuit.failures >= self._failures):
            circuit.open_until = self._clock() + self._open_s
            circuit.probing = False
            self._meter.level("spatial_agent_breaker_open", {"tool": tool}, 1)
        if len(self._circuits) > MOST_CIRCUITS:
            del self._circuits[next(iter(self._circuits))]


class Breaker(RunnerWrapper):
    """Refuses calls of tools whose circuit is open, as `ToolUnavailableError` in the result."""

    def __init__(self, inner: ToolRunner, circuits: Circuits) -> None:
        """Watch the calls of a runner.

        Args:
            inner: The runner.
            circuits: What is known of its tools, shared by all runs.
        """
        super().__init__(inner)
        self._circuits = circuits

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call, unless its tool is left alone for now."""
        try:
            probe = self._circuits.admit(call.tool)
        except ToolUnavailableError as error:
            return failed(call, error, 0.0)
        try:
            result = await self._inner.call(call)
        except BaseException:
            self._circuits.release(call.tool, probe=probe)
            raise
        self._circuits.settle(call.tool, result.error, probe=probe)
        return result


def _refusal(tool: str, circuit: _Circuit, left_s: float) -> str:
    when = f"for another {left_s:.3g} s" if left_s > 0 else "until the call that tries it now has ended"
    return (
        f"{tool} is left alone {when}: it failed {circuit.failures} times in a row, "
        f"the last time because {circuit.why}; choose another tool, or try again then"
    )
