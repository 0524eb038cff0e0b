"""What was called and what came back, as plain JSON, well enough to replay it."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count

from spatial_agent.tools.call_json import (
    call_to_json,
    describe_value,
    error_to_json,
    evidence_to_json,
    references_in,
)
from spatial_agent.tools.contract import Json, ToolCall, ToolResult, ToolRunner
from spatial_agent.tools.errors import ToolArgumentError
from spatial_agent.tools.value_store import ValueStore
from spatial_agent.tools.wrappers.wrapper import RunnerWrapper

#: ``record(kind, data)``: takes one step of a trace; `data` is plain JSON.
Record = Callable[[str, Mapping[str, Json]], object]


class Traced(RunnerWrapper):
    """Records every call, and what came of it, as two steps.

    A ``call`` step has the call's ``id``, ``tool``, ``arguments``, ``deadline_s``, a ``number`` that its
    result shares, and ``inputs``: what each reference among the arguments stood for. A ``result`` step has
    ``number``, ``call_id``, ``tool`` and ``ended``: ``"returned"``, ``"cancelled"`` or ``"raised"``.
    What returned has its ``evidence`` whole, or the ``handle`` and what it stands for as ``value``, or
    the ``error`` with its class, message and fields; ``seconds``, ``gpu_seconds``, ``cached``. Of values
    there are type, shapes of arrays and content hash, never the numbers.
    """

    def __init__(self, inner: ToolRunner, record: Record, store: ValueStore | None = None) -> None:
        """Record the calls of a runner.

        Args:
            inner: The runner.
            record: Takes the steps.
            store: Keeps the values that calls return, so that the trace can be replayed where no cache
                has them; values it cannot keep are left out.
        """
        super().__init__(inner)
        self._record = record
        self._store = store
        self._numbers = count()
        self._described: dict[str, dict[str, Json]] = {}

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call between its two steps."""
        number = next(self._numbers)
        inputs = await asyncio.to_thread(self._inputs, call)
        self._record("call", call_to_json(call) | {"number": number, "inputs": inputs})
        about = {"number": number, "call_id": call.id, "tool": call.tool}
        try:
            result = await self._inner.call(call)
        except asyncio.CancelledError:
            self._record("result", about | {"ended": "cancelled"})
            raise
        except Exception as error:
            self._record("result", about | {"ended": "raised", "error": error_to_json(error)})
            raise
        came = await asyncio.to_thread(self._came, result)
        self._record("result", about | {"ended": "returned"} | came)
        return result

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        self._described.pop(f"${name}", None)
        return self._inner.keep(name, value)

    def drop(self, reference: str) -> None:
        """Let go of the value kept under a reference."""
        self._described.pop(reference, None)
        self._inner.drop(reference)

    def _inputs(self, call: ToolCall) -> dict[str, Json]:
        return {reference: self._describe(reference) for reference in references_in(call.arguments)}

    def _describe(self, reference: str) -> dict[str, Json] | None:
        """Return what a trace says of a kept value; None where nothing is kept."""
        if reference not in self._described:
            try:
                self._described[reference] = describe_value(self._inner.value(reference))
            except ToolArgumentError:
                return None
        return self._described[reference]

    def _came(self, result: ToolResult) -> dict[str, Json]:
        came: dict[str, Json] = {
            "seconds": result.seconds,
            "gpu_seconds": result.gpu_seconds,
            "cached": result.cached,
            "evidence": [evidence_to_json(item) for item in result.evidence],
        }
        if result.error is not None:
            came["error"] = error_to_json(result.error)
        if result.handle is not None:
            came |= {"handle": result.handle, "value": self._describe(result.handle)}
            self._store_value(result.handle)
        return came

    def _store_value(self, handle: str) -> None:
        if self._store is None:
            return
        try:
            self._store.put(self._inner.value(handle))
        except TypeError:  # a value of a class that nobody declared
            return
