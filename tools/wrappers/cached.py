"""Never measuring the same thing twice."""

import asyncio
import copy
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from spatial_agent.tools.binding import Numbering, bind, evidence_of, failed
from spatial_agent.tools.call_json import references_in
from spatial_agent.tools.content import content_hash
from spatial_agent.tools.contract import Finding, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import ToolArgumentError, ToolError, ToolTimeoutError
from spatial_agent.tools.metering import Meter, NoMeter
from spatial_agent.tools.registry import Registry, Tool
from spatial_agent.tools.wrappers.result_cache import Found, Promise, ResultCache
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper

#: Returns what besides version and arguments decides a tool's results: a digest of the weights in use,
#: the kind of device. None where results must not be kept.
Identity = Callable[[Tool], str | None]


def declared_weights(tool: Tool) -> str:
    """Tell a tool's results apart by the weights it declares first, as far as the declaration says."""
    return content_hash(tool.weights[:1])


@dataclass(frozen=True)
class _Asked:
    """What a call asks for, and which state of the kept names that was read from."""

    key: str
    tool: Tool
    epochs: tuple[int, ...]


class Cached(RunnerWrapper):
    """Answers a call with the result of an equal one: same tool, version, weights, inputs and parameters.

    Inputs count by what they hold, not by their names. Only what succeeded is kept, and only of tools that
    are declared deterministic. Of equal calls at the same time, one runs and the others wait for it.
    """

    def __init__(
        self,
        inner: ToolRunner,
        registry: Registry,
        cache: ResultCache,
        *,
        identity: Identity = declared_weights,
        meter: Meter | None = None,
    ) -> None:
        """Spare the calls of a runner.

        Args:
            inner: The runner.
            registry: Its tools.
            cache: Where results are kept, shared by all runs.
            identity: What besides version and arguments decides a tool's results.
            meter: Told where results were found.
        """
        super().__init__(inner)
        self._registry = registry
        self._cache = cache
        self._identity = identity
        self._meter = meter or NoMeter()
        self._numbering = Numbering()
        self._hashes: dict[str, str] = {}
        self._epochs: Counter[str] = Counter()

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call, or find its result."""
        started = time.perf_counter()
        asked = await asyncio.to_thread(self._asked, call)
        if asked is None:
            return self._noted(call, await self._inner.call(call), "bypassed")
        promise, leads = self._cache.claim(asked.key)
        if leads:
            return await self._lead(call, asked, started)
        return await self._join(call, asked, promise, started)

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        self._numbering.note(name)
        self._forget(f"${name}")
        return self._inner.keep(name, value)

    def drop(self, reference: str) -> None:
        """Let go of the value kept under a reference."""
        self._forget(reference)
        self._inner.drop(reference)

    async def _lead(self, call: ToolCall, asked: _Asked, started: float) -> ToolResult:
        """Find or measure a result, and share it with whoever waits for it."""
        shared: Found | None = None
        try:
            found = await asyncio.to_thread(self._cache.find, asked.key)
            if found is not None:
                shared = replace(found, place="shared")
                return self._hit(call, asked.tool, found, started)
            result = self._noted(call, await self._inner.call(call), "miss")
            shared = await asyncio.to_thread(self._keep_result, call, asked, result)
            return result
        finally:
            self._cache.settle(asked.key, shared)

    async def _join(self, call: ToolCall, asked: _Asked, promise: Promise, started: float) -> ToolResult:
        """Wait for an equal call; if nothing comes of that one, run this one in the time that is left."""
        limit_s = call.deadline_s or asked.tool.resources.deadline_s
        try:
            found = await asyncio.wait_for(asyncio.wrap_future(promise), limit_s)
        except TimeoutError:
            message = f"{call.tool} did not finish within {limit_s:g} s; ask for less, or allow more time"
            return failed(call, ToolTimeoutError(message), time.perf_counter() - started)
        if found is not None:
            return self._hit(call, asked.tool, found, started)
        left_s = max(0.001, limit_s - (time.perf_counter() - started))
        return self._noted(call, await self._inner.call(replace(call, deadline_s=left_s)), "miss")

    def _asked(self, call: ToolCall) -> _Asked | None:
        """Return what tells this call from others, or None where its result is not to be kept."""
        epochs = self._epochs_of(call)
        try:
            tool = self._registry.get(call.tool)
            identity = self._identity(tool)
            if not tool.deterministic or identity is None:
                return None
            plain, referenced = bind(tool, call)
            inputs = {name: self._hashed(given) for name, given in referenced.items()}
            key = content_hash([tool.name, tool.version, identity, plain, inputs])
        except (ToolError, TypeError):  # the runner says what is wrong; what has no hash has no key
            return None
        return _Asked(key, tool, epochs)

    def _hashed(self, given: str | tuple[str, ...] | None) -> str | list[str] | None:
        if isinstance(given, tuple):
            return [self._hash(reference) for reference in given]
        return given and self._hash(given)

    def _hash(self, reference: str) -> str:
        if reference not in self._hashes:
            epoch = self._epochs[reference]
            digest = content_hash(self._inner.value(reference))
            if epoch != self._epochs[reference]:
                return digest
            self._hashes[reference] = digest
        return self._hashes[reference]

    def _forget(self, reference: str) -> None:
        self._epochs[reference] += 1
        self._hashes.pop(reference, None)

    def _epochs_of(self, call: ToolCall) -> tuple[int, ...]:
        return tuple(self._epochs[reference] for reference in references_in(call.arguments))

    def _keep_result(self, call: ToolCall, asked: _Asked, result: ToolResult) -> Found | None:
        """Keep what a call gave, unless a name it speaks of has changed its meaning under way."""
        if result.error is not None or asked.epochs != self._epochs_of(call):
            return None
        try:
            value = self._result_value(result)
        except ToolArgumentError:  # let go of already
            return None
        if value is None:
            return None
        self._cache.put(asked.key, value, result.seconds)
        return Found(value, "shared")

    def _result_value(self, result: ToolResult) -> object:
        if result.handle is not None:
            return _own(self._inner.value(result.handle))
        return _own(result.evidence[0].finding) if len(result.evidence) == 1 else None

    def _hit(self, call: ToolCall, tool: Tool, found: Found, started: float) -> ToolResult:
        self._count(call, found.place)
        value = _own(found.value)
        if isinstance(value, Finding):
            seconds = time.perf_counter() - started
            return ToolResult(call.id, call.tool, evidence_of(call, value), seconds=seconds, cached=True)
        handle = self.keep(self._free_name(tool.capability), value)
        seconds = time.perf_counter() - started
        return ToolResult(call.id, call.tool, handle=handle, seconds=seconds, cached=True)

    def _free_name(self, capability: str) -> str:
        """Return the next name, past results of the runner that are not handed over yet."""
        while True:
            name = self._numbering.next(capability)
            try:
                self._inner.value(f"${name}")
            except ToolArgumentError:
                return name

    def _noted(self, call: ToolCall, result: ToolResult, how: str) -> ToolResult:
        if result.handle is not None:
            self._numbering.note(result.handle.removeprefix("$"))
        self._count(call, how)
        return result

    def _count(self, call: ToolCall, how: str) -> None:
        self._meter.count("spatial_agent_cache_total", {"tool": call.tool, "outcome": how})


def _own(value: object) -> object:
    """Return a value that nobody else changes: JSON and findings hold lists, scene values do not."""
    match value:
        case list():
            return [_own(item) for item in value]
        case tuple():
            return tuple(_own(item) for item in value)
        case dict():
            return {name: _own(item) for name, item in value.items()}
        case Finding():
            return copy.deepcopy(value)
        case _:
            return value
