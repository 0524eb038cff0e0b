"""The replicas of one expert and the calls that wait for them.

Everything here happens in one event loop, so nothing needs a lock. A call waits in a fair queue; a free
replica takes one call, or a batch; a replica that dies, hangs or runs out of memory is stopped and
another one started, and what the others in its batch had asked for is done again.
"""

import asyncio
import itertools
import math
from collections.abc import Coroutine, Sequence
from typing import Any

from ray.exceptions import ObjectLostError, RayError, RayTaskError

from spatial_agent.services.ray_actor import Report
from spatial_agent.services.ray_breaker import CircuitBreaker
from spatial_agent.services.ray_launch import Launcher, NotWantedError, Order
from spatial_agent.services.ray_queue import FairQueue
from spatial_agent.services.ray_replica import Replica, ReplicaDiedError
from spatial_agent.services.ray_requests import PoolOptions, Reply, Request, joined
from spatial_agent.tools.errors import (
    MissingWeightsError,
    ToolCrashedError,
    ToolError,
    ToolFailedError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.metering import Meter
from spatial_agent.tools.registry import Tool


class Pool:
    """Serves one expert.

    Args:
        tool: The expert.
        options: How it is served.
        meter: Where numbers go.
        launcher: Makes replicas.
    """

    def __init__(self, tool: Tool, options: PoolOptions, meter: Meter, launcher: Launcher) -> None:
        """Start nothing yet."""
        self._tool = tool
        self._options = options
        self._meter = meter
        self._launcher = launcher
        self._order = Order(tool, options, self._is_short, self.stop_idle)
        self._labels = {"tool": tool.name}
        self._loop = asyncio.get_running_loop()
        self._queue: FairQueue[Request] = FairQueue()
        self._breaker = CircuitBreaker(tool.name, options.crashes, options.cool_s)
        self._starting: set[asyncio.Task[None]] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._batches: dict[Replica, list[Request]] = {}
        self._no_growth_before = 0.0
        self._start_error: ToolError | None = None
        self._is_warming = False
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def replicas(self) -> tuple[Replica, ...]:
        """Those that are loaded."""
        return tuple(self._batches)

    async def call(self, request: Request, limit_s: float | None) -> Reply:
        """Make a call.

        Args:
            request: The call.
            limit_s: Wall time it may take, loading and waiting included; where left out, the tool's own
                time, and the time it may take to load if it is not loaded.

        Raises:
            ToolError: If it fails, or is not answered in time; its work is then stopped.
        """
        if self._closed:
            raise ToolUnavailableError(f"{self._tool.name} is not served any more")
        is_probe = self._breaker.admit()
        limit_s = limit_s or self._own_limit_s
        request.since = self._loop.time()
        self._queue.add(request)
        self._work()
        try:
            async with asyncio.timeout(limit_s):
                return await request.done
        except TimeoutError:
            raise self._late(request, limit_s) from None
        except asyncio.CancelledError:
            self._abandon(request)
            raise
        finally:
            if is_probe:
                self._breaker.release()

    async def warm(self) -> None:
        """Start the replicas that are kept, and wait until they are loaded.

        Raises:
            ToolUnavailableError: If none could be.
        """
        self._is_warming = True
        try:
            for _ in range(max(1, self._options.least) - len(self._batches) - len(self._starting)):
                self._start()
            await asyncio.gather(*self._starting)
        finally:
            self._is_warming = False
        if not self._batches:
            raise self._start_error or ToolUnavailableError(f"{self._tool.name} could not be started")

    def stop_idle(self, replica: Replica, reason: str) -> None:
        """Stop a replica unless it works."""
        if self._batches.get(replica) == []:
            self._forget(replica, reason)

    async def close(self) -> None:
        """Refuse what waits and stop every replica."""
        self._closed = True
        for request in [*self._queue, *itertools.chain(*self._batches.values())]:
            request.finish(ToolUnavailableError(f"{self._tool.name} is not served any more"))
        tasks = [*self._starting, *self._serving]
        for task in tasks:
            task.cancel()
        gone = [replica.gone() for replica in self._batches]
        for replica in self.replicas:
            self._forget(replica, "the service ends")
        await asyncio.gather(*tasks, *gone, return_exceptions=True)

    @property
    def _own_limit_s(self) -> float:
        resources = self._tool.resources
        loading_s = 0.0 if self._batches else self._options.start_s + resources.load_s
        return resources.deadline_s + loading_s

    @property
    def _most_together(self) -> int:
        # A call that must not be made twice shares no fate with others.
        return self._tool.resources.most_batched if self._tool.batches and self._tool.idempotent else 1

    def _work(self) -> None:
        """Give waiting calls to free replicas, and start replicas where the queue asks for more."""
        if self._closed:
            return
        for replica, batch in list(self._batches.items()):
            if not batch and (requests := self._next_batch()):
                self._batches[replica] = requests
                replica.idle_since = None
                for request in requests:
                    request.replica = replica
                self._track(self._serving, self._serve(replica, requests))
        for _ in range(self._wanted - len(self._batches) - len(self._starting)):
            self._start()
        self._measure()

    def _next_batch(self) -> list[Request]:
        most = self._most_together
        if most > 1 and 0 < len(self._queue) < most:
            oldest = min(request.since for request in self._queue)
            left_s = oldest + self._options.batch_wait_s - self._loop.time()
            if left_s > 0:
                self._look_again(left_s)
                return []
        return self._queue.take(most)

    def _look_again(self, after_s: float) -> None:
        if self._timer is None:

            def look() -> None:
                self._timer = None
                self._work()

            self._timer = self._loop.call_later(after_s, look)

    @property
    def _wanted(self) -> int:
        """Replicas the queue asks for."""
        if self._breaker.rests:
            return 0
        waiting = len(self._queue)
        if self._batches and self._loop.time() < self._no_growth_before:
            return 0
        by_queue = math.ceil(waiting / self._options.queue_per_replica)
        return min(self._options.most, max(self._options.least, by_queue))

    async def _serve(self, replica: Replica, requests: list[Request]) -> None:
        """See one batch through."""
        started = self._loop.time()
        for request in requests:
            request.attempts += 1
            self._meter.duration("spatial_agent_wait_seconds", self._labels, started - request.since)
        self._meter.size("spatial_agent_batch_size", self._labels, len(requests))
        try:
            jobs, references = joined(requests)
            reference, values = replica.submit(jobs, references)
            report = await replica.report(reference)
        except ReplicaDiedError as death:
            self._lose(replica, requests, str(death))
        except (RayError, TypeError, ValueError) as error:
            self._spoil(requests, error)
        else:
            self._settle(replica, requests, report, values)
        finally:
            if replica in self._batches:
                self._batches[replica] = []
                replica.idle_since = self._loop.time()
            self._launcher.room_changed()
            self._work()

    def _settle(
        self, replica: Replica, requests: Sequence[Request], report: Report, values: Sequence[Any]
    ) -> None:
        self._meter.duration("spatial_agent_run_seconds", self._labels, report.seconds)
        gpu_seconds = report.seconds / len(requests) if replica.on_gpu else 0.0
        dying = [
            (request, outcome.error)
            for request, outcome in zip(requests, report.outcomes, strict=True)
            if outcome.is_fatal and outcome.error
        ]
        if not dying:
            self._breaker.succeeded()
        for request, outcome, value in zip(requests, report.outcomes, values, strict=True):
            if not outcome.is_fatal:
                request.finish(outcome.failure or Reply(outcome, value, gpu_seconds))
        if dying:
            self._forget(replica, str(dying[0][1]), counted="memory")
            self._retry_or_fail([request for request, _ in dying], str(dying[0][1]), len(requests) == 1)

    def _lose(self, replica: Replica, requests: Sequence[Request], reason: str) -> None:
        """Deal with calls whose replica is gone."""
        self._forget(replica, reason, counted="crash")
        left = [request for request in requests if not request.done.done()]
        blamed = len(requests) == 1 and bool(left)
        message = f"{self._tool.name} crashed ({reason}); change the arguments or choose another tool"
        self._retry_or_fail(left, message, blamed)

    def _retry_or_fail(self, requests: Sequence[Request], message: str, blamed: bool) -> None:
        """Make calls again, each alone, or let them fail.

        Args:
            requests: Calls without a result.
            message: What is told of a call that is not made again.
            blamed: Whether it is certain that the one call did it.
        """
        again = []
        for request in requests:
            if blamed:
                self._breaker.failed(request.identity, message)
            if self._tool.idempotent and request.attempts < self._options.attempts:
                request.alone = True
                request.replica = None
                again.append(request)
            else:
                request.finish(ToolCrashedError(message))
        self._queue.put_back(again)
        if self._breaker.rests:
            self._refuse_waiting(self._breaker.refusal())

    def _spoil(self, requests: Sequence[Request], error: Exception) -> None:
        """Deal with calls whose values could not be carried; the replica is as good as before."""
        if len(requests) > 1:
            for request in requests:
                request.alone = True
                request.replica = None
            self._queue.put_back([request for request in requests if not request.done.done()])
            return
        cause = error.cause if isinstance(error, RayTaskError) else error
        if isinstance(cause, ObjectLostError):
            message = "a value it was given is lost with the machine that kept it; measure that again"
            requests[0].finish(ToolFailedError(f"{self._tool.name}: {message}"))
            return
        reason = f"{type(cause).__name__}: {cause}"
        requests[0].finish(
            ToolCrashedError(f"{self._tool.name}: its values cannot be sent between processes ({reason})")
        )

    def _late(self, request: Request, limit_s: float) -> ToolTimeoutError:
        """Stop a call that took too long; returns what is told of it."""
        where = "" if request.replica else " (it was still waiting for a free process)"
        message = (
            f"{self._tool.name} did not finish within {limit_s:g} s{where}; ask for less, or allow more time"
        )
        if request.replica is not None and request in self._batches.get(request.replica, ()):
            if limit_s >= self._tool.resources.deadline_s:
                self._breaker.failed(request.identity, "it did not finish in time")
            self._forget(request.replica, "a call on it took too long", counted="deadline")
        self._abandon(request)
        return ToolTimeoutError(message)

    def _abandon(self, request: Request) -> None:
        """Let go of a call; its replica is stopped if nobody waits for anything it does."""
        request.done.cancel()
        self._queue.remove(request)
        replica = request.replica
        batch = self._batches.get(replica, []) if replica else []
        if replica and request in batch and all(other.done.done() for other in batch):
            self._forget(replica, "nobody waits for its answer", counted="cancelled")

    def _start(self) -> None:
        self._track(self._starting, self._start_one())

    async def _start_one(self) -> None:
        try:
            replica = await self._launcher.launch(self._order)
        except NotWantedError:
            return
        except ToolError as error:
            self._cannot_start(error)
        else:
            self._batches[replica] = []
            replica.idle_since = self._loop.time()
            replica.death.add_done_callback(lambda death: self._mourn(replica, death.result()))
            self._retire_later(replica, self._options.idle_s)
            self._loop.call_soon(self._work)

    def _is_short(self) -> bool:
        """Whether one more replica would have something to do, or is to be kept anyway."""
        return bool(self._queue) or self._is_warming or len(self._batches) < self._options.least

    def _cannot_start(self, error: ToolError) -> None:
        """Tell whoever waits why there is no replica; with others at work, only stop growing for a while."""
        self._start_error = error
        if self._batches:
            self._no_growth_before = self._loop.time() + self._options.cool_s
            return
        if not isinstance(error, MissingWeightsError):  # that costs nothing to find out anew
            self._breaker.trip(str(error))
        self._refuse_waiting(error)

    def _refuse_waiting(self, error: ToolError) -> None:
        while requests := self._queue.take(1):
            requests[0].finish(error)

    def _forget(self, replica: Replica, reason: str, counted: str | None = None) -> None:
        if self._batches.pop(replica, None) is None:
            return
        replica.kill(reason)
        if counted:
            self._meter.count("spatial_agent_restarts_total", self._labels | {"reason": counted})
        self._launcher.room_changed()
        if not self._closed:
            self._loop.call_soon(self._work)

    def _mourn(self, replica: Replica, reason: str) -> None:
        """Notice that a replica died by itself; one that worked is dealt with by whoever waits for it."""
        if self._batches.get(replica) == []:
            self._breaker.failed(replica.id, reason)
            self._forget(replica, reason, counted="crash")

    def _retire_later(self, replica: Replica, after_s: float) -> None:
        def look() -> None:
            if replica not in self._batches:
                return
            idle_s = 0.0 if replica.idle_since is None else self._loop.time() - replica.idle_since
            if idle_s < self._options.idle_s or len(self._batches) <= self._options.least:
                self._retire_later(replica, max(self._options.idle_s - idle_s, self._options.idle_s / 10))
            else:
                self.stop_idle(replica, "it had nothing to do")

        self._loop.call_later(after_s, look)

    def _track(self, tasks: set["asyncio.Task[None]"], work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    def _measure(self) -> None:
        busy = sum(1 for batch in self._batches.values() if batch)
        self._meter.level("spatial_agent_queue_length", self._labels, len(self._queue))
        self._meter.level("spatial_agent_replicas", self._labels, len(self._batches))
        self._meter.level("spatial_agent_replicas_busy", self._labels, busy)
        self._meter.level("spatial_agent_breaker_open", self._labels, float(self._breaker.is_open))
