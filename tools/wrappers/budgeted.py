"""What one run may use of calls, time and accelerator."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from spatial_agent.tools.contract import ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import BudgetExceededError
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper


@dataclass(frozen=True)
class CallBudget:
    """What the calls of one run may use; None is no limit.

    Attributes:
        calls: Calls in all, failed and cached ones included.
        seconds: Wall time from the first call on.
        gpu_seconds: Accelerator time of all calls that ended.
    """

    calls: int | None = None
    seconds: float | None = None
    gpu_seconds: float | None = None


class Budgeted(RunnerWrapper):
    """Ends a run that has used up its budget.

    `call` raises `BudgetExceededError`, also in the middle of a call whose run's time is up: that call is
    cancelled. A call is never cut short for the sake of the other two limits.
    """

    def __init__(
        self, inner: ToolRunner, budget: CallBudget, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Watch the calls of one run.

        Args:
            inner: The runner.
            budget: What the run may use.
            clock: Seconds from any origin.
        """
        super().__init__(inner)
        self._budget = budget
        self._clock = clock
        self._calls = 0
        self._gpu_seconds = 0.0
        self._started: float | None = None

    @property
    def gpu_seconds(self) -> float:
        """Accelerator time of all calls that ended."""
        return self._gpu_seconds

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call.

        Raises:
            BudgetExceededError: If the run has used up its budget.
        """
        if self._started is None:
            self._started = self._clock()
        self._refuse_if_spent(call)
        self._calls += 1
        result = await self._in_time(call)
        self._gpu_seconds += result.gpu_seconds
        return result

    async def _in_time(self, call: ToolCall) -> ToolResult:
        """Run a call until the run's time is up; its own deadline is the runner's business."""
        if self._budget.seconds is None:
            return await self._inner.call(call)
        try:
            return await asyncio.wait_for(self._inner.call(call), self._budget.seconds - self._seconds)
        except TimeoutError:
            raise self._spent(f"{call.tool} was stopped", _time(self._budget.seconds)) from None

    @property
    def _seconds(self) -> float:
        return 0.0 if self._started is None else self._clock() - self._started

    def _refuse_if_spent(self, call: ToolCall) -> None:
        budget, refused = self._budget, f"{call.tool} is not called"
        if budget.calls is not None and self._calls >= budget.calls:
            raise self._spent(refused, f"{budget.calls} calls", "ask for less at once, or allow more calls")
        if budget.seconds is not None and self._seconds >= budget.seconds:
            raise self._spent(refused, _time(budget.seconds))
        if budget.gpu_seconds is not None and self._gpu_seconds >= budget.gpu_seconds:
            limit = f"{_time(budget.gpu_seconds)} of accelerator time"
            raise self._spent(refused, limit, "choose smaller weights, or allow more")

    def _spent(self, what: str, limit: str, advice: str = "ask for less, or allow more time") -> Exception:
        return BudgetExceededError(
            f"{what}: the run may use {limit}, and has used {self._calls} calls, {self._seconds:.3g} s and "
            f"{self._gpu_seconds:.3g} s of accelerator time; {advice}"
        )


def _time(seconds: float) -> str:
    return f"{seconds:g} s"
