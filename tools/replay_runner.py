"""Runs nothing: answers calls from a recorded trace."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import NoReturn

from spatial_agent.tools.binding import failed
from spatial_agent.tools.call_json import call_key, error_from_json, evidence_from_json
from spatial_agent.tools.content import content_hash
from spatial_agent.tools.contract import Json, ToolCall, ToolResult
from spatial_agent.tools.errors import (
    BudgetExceededError,
    ToolArgumentError,
    ToolError,
    ToolTimeoutError,
    ToolUnavailableError,
)
from spatial_agent.tools.value_store import ValueStore

#: How long a call that was cancelled in the recorded run waits for being cancelled again, seconds.
PATIENCE_S = 60.0


@dataclass
class _Recorded:
    """A call of the trace with what came of it; None where the trace ends first."""

    call: Mapping[str, Json]
    result: Mapping[str, Json] | None = None
    used: bool = False


class ReplayRunner:
    """A `ToolRunner` that gives the results and errors of a recorded run, without any tool.

    A call is known again by its tool, its arguments, and what its references stand for; its id does not
    matter, but where equal calls gave different results it decides, and then the order. What is not in
    the trace is refused. A call that was cancelled waits, as it did, until it is cancelled or its deadline
    is over.
    """

    def __init__(
        self, steps: Iterable[tuple[str, Mapping[str, Json]]], store: ValueStore | None = None
    ) -> None:
        """Read a trace.

        Args:
            steps: Kind and data of each step, as `Traced` recorded them; other kinds are passed over.
            store: Has the values that calls returned.
        """
        self._store = store
        self._values: dict[str, object] = {}
        self._recorded: dict[str, list[_Recorded]] = {}
        self._tools: set[str] = set()
        by_number: dict[int, _Recorded] = {}
        for kind, data in steps:
            if kind == "call" and "number" in data:
                recorded = by_number[data["number"]] = _Recorded(data)
                key = call_key(data["tool"], data["arguments"])
                self._recorded.setdefault(key, []).append(recorded)
                self._tools.add(data["tool"])
            elif kind == "result" and data.get("number") in by_number:
                by_number[data["number"]].result = data

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        reference = f"${name}"
        self._values[reference] = value
        return reference

    def value(self, reference: str) -> object:
        """Return the value behind a reference.

        Raises:
            ToolArgumentError: If nothing is kept under it.
        """
        if reference not in self._values:
            known = ", ".join(sorted(self._values)) or "none"
            raise ToolArgumentError(f"nothing is kept as {reference!r}; references in use: {known}")
        return self._values[reference]

    def drop(self, reference: str) -> None:
        """Let go of the value behind a reference."""
        self._values.pop(reference, None)

    async def call(self, call: ToolCall) -> ToolResult:
        """Answer one call as the trace does.

        Raises:
            BudgetExceededError: If this call ended the recorded run.
        """
        try:
            recorded = self._choose(call)
            await asyncio.to_thread(self._check_inputs, recorded.call)
            result = recorded.result
            if result is None:
                raise ToolUnavailableError(f"the trace ends before this call of {call.tool} does")
            if result["ended"] == "returned":
                return await asyncio.to_thread(self._result, call, result)
            if result["ended"] == "raised":
                _raise(result["error"])
        except ToolError as error:
            return failed(call, error, 0.0)
        return await self._wait(call)

    async def _wait(self, call: ToolCall) -> ToolResult:
        limit_s = call.deadline_s or PATIENCE_S
        await asyncio.sleep(limit_s)
        error = ToolTimeoutError(f"{call.tool} was cancelled in the recorded run, and did not finish here")
        return failed(call, error, limit_s)

    def _choose(self, call: ToolCall) -> _Recorded:
        """Return the recorded call that this one repeats, or raise `ToolUnavailableError`."""
        try:
            candidates = self._recorded[call_key(call.tool, call.arguments)]
        except (KeyError, TypeError):
            raise ToolUnavailableError(self._unknown(call)) from None
        same_id = [item for item in candidates if item.call["id"] == call.id]
        order = [*(same_id or candidates), *candidates]
        chosen = next((item for item in order if not item.used), order[-1])
        chosen.used = True
        return chosen

    def _unknown(self, call: ToolCall) -> str:
        if call.tool in self._tools:
            what = f"the recorded run called {call.tool} with other arguments only"
        else:
            what = f"the recorded run never called {call.tool}; it called {', '.join(sorted(self._tools))}"
        return f"{what}; a replay measures nothing, so ask what was asked then, or run it anew"

    def _check_inputs(self, recorded: Mapping[str, Json]) -> None:
        for reference, described in recorded["inputs"].items():
            if described is None or described["content"] is None:
                continue
            here = content_hash(self.value(reference))
            if here != described["content"]:
                raise ToolUnavailableError(
                    f"{reference} is not the {described['type']} that {recorded['tool']} was called with in "
                    "the recorded run; give the same source, or run it anew"
                )

    def _result(self, call: ToolCall, recorded: Mapping[str, Json]) -> ToolResult:
        result = ToolResult(
            call.id,
            call.tool,
            seconds=recorded["seconds"],
            gpu_seconds=recorded["gpu_seconds"],
            cached=recorded["cached"],
        )
        if "error" in recorded:
            return replace(result, error=error_from_json(recorded["error"]))
        if "handle" in recorded:
            return replace(result, handle=self._keep_recorded(recorded))
        evidence = map(evidence_from_json, recorded["evidence"])
        renamed = recorded["call_id"], call.id
        return replace(
            result,
            evidence=tuple(
                replace(item, call_id=call.id, id=item.id.replace(*renamed, 1)) for item in evidence
            ),
        )

    def _keep_recorded(self, recorded: Mapping[str, Json]) -> str:
        described = recorded["value"]
        if self._store is None or described["content"] is None:
            raise ToolUnavailableError(
                f"{recorded['tool']} gave a {described['type']}, which the trace does not hold; "
                "record the run with a store of values, and replay it with that"
            )
        try:
            value = self._store.get(described["content"])
        except KeyError:
            raise ToolUnavailableError(
                f"the {described['type']} that {recorded['tool']} gave is not in the store any more; "
                "run it anew"
            ) from None
        return self.keep(recorded["handle"].removeprefix("$"), value)


def _raise(error: Mapping[str, Json]) -> NoReturn:
    """End this run as the recorded one was ended, or refuse what was a fault of the program then."""
    if error["known_as"] == BudgetExceededError.__name__:
        raise BudgetExceededError(error["message"])
    raise ToolUnavailableError(
        f"this call broke the recorded run off ({error['class']}: {error['message']}); run it anew"
    )
