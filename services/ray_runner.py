"""Runs the calls of one run in pools of Ray actors; values travel by reference and are never copied.

A value kept by the caller is put into Ray's store when a call first takes it; a result stays in the store
under its handle. Actors read both where they lie, read-only. Skills, and tools that declare so, run in the
caller, with the same handles.
"""

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError

from spatial_agent.services.ray_actor import Job
from spatial_agent.services.ray_pools import ExpertPools
from spatial_agent.services.ray_requests import Reply, Request
from spatial_agent.tools.binding import Referenced, bind, evidence_of, failed, of_type
from spatial_agent.tools.contract import ToolCall, ToolResult
from spatial_agent.tools.errors import ToolArgumentError, ToolError
from spatial_agent.tools.local_experts import LocalExperts
from spatial_agent.tools.local_runner import LocalRunner
from spatial_agent.tools.registry import Registry, Tool

#: Longer than Ray takes to notice that a machine is dead.
FETCH_S = 60.0


@dataclass(frozen=True)
class Stored:
    """A value that lies in Ray's store.

    Attributes:
        reference: Ray's own reference; the value lives as long as anybody holds it.
        kinds: Names of its class and that one's bases.
    """

    reference: Any
    kinds: Sequence[str]


class RayRunner(LocalRunner):
    """The `ToolRunner` of one run whose experts are actors.

    Args:
        registry: The tools.
        pools: The actors, shared by all runs.
        experts: Runs what has to run in the caller's process; an own one where left out.
    """

    def __init__(self, registry: Registry, pools: ExpertPools, experts: LocalExperts | None = None) -> None:
        """Keep nothing yet."""
        super().__init__(registry, experts)
        self._pools = pools
        self._run_id = uuid.uuid4().hex
        self._put: dict[str, Any] = {}
        self._lock = Lock()

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call; the tool's own errors come back in the result."""
        started = time.perf_counter()
        try:
            tool = self._registry.get(call.tool)
            if tool.resources.in_caller:
                return await super().call(call)
            reply = await self._remotely(tool, call)
        except ToolError as error:
            return failed(call, error, time.perf_counter() - started)
        seconds = time.perf_counter() - started
        if reply.outcome.finding is not None:
            evidence = evidence_of(call, reply.outcome.finding)
            return ToolResult(
                call.id, call.tool, evidence=evidence, seconds=seconds, gpu_seconds=reply.gpu_seconds
            )
        name = self._numbering.next(tool.capability)
        handle = self.keep(name, Stored(reply.value, reply.outcome.kinds))
        return ToolResult(call.id, call.tool, handle=handle, seconds=seconds, gpu_seconds=reply.gpu_seconds)

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        reference = super().keep(name, value)
        with self._lock:
            self._put.pop(reference, None)
        return reference

    def value(self, reference: str) -> object:
        """Return the value behind a reference; arrays are views into Ray's store and read-only.

        Raises:
            ToolArgumentError: If nothing is kept under it, or what was is lost with its machine.
        """
        value = super().value(reference)
        if not isinstance(value, Stored):
            return value
        try:
            fetched: object = ray.get(value.reference, timeout=FETCH_S)
        except (RayError, GetTimeoutError) as error:
            reason = type(error).__name__
            raise ToolArgumentError(
                f"{reference} is lost with the machine that kept it ({reason}); measure it again"
            ) from error
        with self._lock:
            self._put[reference] = value.reference
            self._values[reference] = fetched
        return fetched

    def drop(self, reference: str) -> None:
        """Let go of the value behind a reference."""
        super().drop(reference)
        with self._lock:
            self._put.pop(reference, None)

    async def _remotely(self, tool: Tool, call: ToolCall) -> Reply:
        plain, referenced = bind(tool, call)
        self._check_types(tool, referenced)
        await self._pools.start()
        names = _names(referenced)
        references = [self._put.get(name) or await self._stored(tool, name) for name in names]
        job: Job = (plain, _places(referenced, names))
        return await self._pools.call(tool, lambda: Request(self._run_id, job, references), call.deadline_s)

    def _check_types(self, tool: Tool, referenced: Referenced) -> None:
        """Refuse what `resolve` would refuse, without fetching what lies in the store."""
        for argument, given in referenced.items():
            for reference in _listed(given):
                kept = super().value(reference)
                if not isinstance(kept, Stored):
                    of_type(tool, argument, reference, kept)
                elif tool.references[argument].type_name not in kept.kinds:
                    of_type(tool, argument, reference, self.value(reference))

    async def _stored(self, tool: Tool, name: str) -> Any:  # noqa: ANN401 - Ray's own class
        kept = super().value(name)
        if isinstance(kept, Stored):
            return kept.reference
        try:
            return await asyncio.to_thread(self._put_once, name, kept)
        except (TypeError, ValueError, AttributeError, RayError) as error:
            raise ToolArgumentError(
                f"{tool.name}: {name}, a {type(kept).__name__}, cannot be sent to another process ({error}); "
                "it can be measured in the caller's process only"
            ) from error

    def _put_once(self, name: str, value: object) -> Any:  # noqa: ANN401
        with self._lock:
            if name not in self._put:
                self._put[name] = ray.put(value)
            return self._put[name]


def _listed(given: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return given if isinstance(given, tuple) else (given,) if given is not None else ()


def _names(referenced: Referenced) -> list[str]:
    """Return the references of a call, each once."""
    return list(dict.fromkeys(name for given in referenced.values() for name in _listed(given)))


def _places(referenced: Referenced, names: Sequence[str]) -> dict[str, int | tuple[int, ...] | None]:
    """Return for each argument where its values are in `names`."""
    return {
        argument: tuple(map(names.index, given))
        if isinstance(given, tuple)
        else None
        if given is None
        else names.index(given)
        for argument, given in referenced.items()
    }
