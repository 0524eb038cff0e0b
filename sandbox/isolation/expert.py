"""The proxy of an isolated expert: built, loaded and called like any other, it has none of its code."""

import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spatial_agent.sandbox.isolation.child import GIGA, Child, Surroundings
from spatial_agent.sandbox.isolation.description import Description
from spatial_agent.sandbox.isolation.origin import Origin
from spatial_agent.sandbox.isolation.protocol import Operation, raised
from spatial_agent.sandbox.kernel import bwrap
from spatial_agent.tools.errors import (
    SandboxUnavailableError,
    ToolArgumentError,
    ToolCrashedError,
    ToolError,
    ToolUnavailableError,
    WireError,
)
from spatial_agent.tools.value_file import VALUE_CLASSES

#: Memory and wall time for importing a tool and reading its signature.
_DESCRIBE_GB, _DESCRIBE_S = 4.0, 60.0


class IsolatedExpert:
    """An expert in a process of its own; one call at a time.

    The process is killed when a call takes too long or gives back what is no value, when it holds too much
    memory, and when nobody holds the proxy any more; the next call starts another.

    Args:
        target: ``module:name`` of the function or class.
        origin: Where its code lies.
        description: What it says of itself.
        weights: Where its weights are, if it declares any.
    """

    def __init__(
        self, target: str, origin: Origin, description: Description, weights: Path | None = None
    ) -> None:
        """Start nothing yet."""
        self._target = target
        self._origin = origin
        self._description = description
        self._weights = str(weights.absolute()) if weights else None
        self._device = "cpu"
        self._child: Child | None = None

    def load(self, device: str) -> None:
        """Start its process, and have it import and load the expert.

        Raises:
            ToolUnavailableError: If it cannot be isolated here, imported or loaded.
            ToolFailedError: If it took too long or broke down.
        """
        self.close()
        self._device = device
        self._running()

    def __call__(self, **arguments: Any) -> Any:  # noqa: ANN401 - each expert has its own types
        """Measure, in the expert's own process.

        Raises:
            ToolArgumentError: If the arguments are wrong, or cannot be given to another process.
            ToolError: If the expert raised one, or its process broke down.
        """
        value = self._ask(Operation.CALL, {"arguments": arguments})
        self._check(value)
        return value

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Return one value or exception for each call.

        Raises:
            ToolError: If the batch failed as a whole.
        """
        answers = self._ask(Operation.BATCH, {"calls": [dict(call) for call in calls]})
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise self._refused(f"no list of {len(calls)} results")
        return [self._one_of_batch(answer) for answer in answers]

    def close(self) -> None:
        """Kill its process; closing twice is no error."""
        if self._child is not None:
            self._child = None
            self._end()

    def _ask(self, operation: Operation, arguments: object) -> object:
        spec = self._description.spec
        try:
            return self._running().ask(operation, arguments, spec.resources.deadline_s)
        except WireError as error:
            raise ToolArgumentError(f"{spec.name} is isolated and cannot be given this: {error}") from error

    def _running(self) -> Child:
        if self._child is None or not self._child.is_alive:
            self.close()
            child = _started(self._target, self._origin, self._description, self._weights, self._device)
            self._child = child
            self._end = weakref.finalize(self, child.kill)
        return self._child

    def _one_of_batch(self, answer: object) -> object:
        match answer:
            case {"value": value, **rest} if not rest:
                self._check(value)
                return value
            case {"error": name, "message": message, **rest} if not rest:
                try:
                    return raised(name, message)
                except WireError as error:
                    return self._refused(str(error))
            case _:
                raise self._refused("no result")

    def _check(self, value: object) -> None:
        returns = self._description.spec.returns
        if returns in VALUE_CLASSES and returns not in {kind.__name__ for kind in type(value).__mro__}:
            raise self._refused(f"a {type(value).__name__} where it declares {returns}")

    def _refused(self, what: str) -> ToolError:
        self.close()
        return ToolCrashedError(
            f"{self._description.spec.name} gave back garbage: {what}; choose another tool"
        )


def describe(target: str, name: str, origin: Origin) -> object:
    """Return what a tool says of itself, as it says it; its code runs in an isolated process only.

    Raises:
        SandboxUnavailableError: If nothing can be isolated here.
        ToolError: If it cannot be imported or described, or took too long, or broke down.
    """
    child = Child(Surroundings(name, origin, None, on_gpu=False, threads=1, memory_gb=_DESCRIBE_GB))
    try:
        _start(child, target, _DESCRIBE_GB, [], _DESCRIBE_S)
        return child.ask(Operation.DESCRIBE, {}, _DESCRIBE_S)
    finally:
        child.kill()


def _started(
    target: str, origin: Origin, description: Description, weights: str | None, device: str
) -> Child:
    spec, on_gpu = description.spec, device != "cpu"
    memory_gb = spec.resources.memory_gb or 0.0
    surroundings = Surroundings(spec.name, origin, weights, on_gpu, spec.resources.threads, memory_gb)
    try:
        child = Child(surroundings)
    except SandboxUnavailableError as error:
        raise ToolUnavailableError(f"{spec.name} runs isolated only, and cannot here: {error}") from error
    try:
        devices = [str(node) for node in bwrap.gpu_devices()] if on_gpu else []
        _start(child, target, None if on_gpu else memory_gb, devices, spec.resources.load_s)
        child.ask(Operation.LOAD, {"weights": weights, "device": device}, spec.resources.load_s)
    except BaseException:
        child.kill()
        raise
    return child


def _start(child: Child, target: str, memory_gb: float | None, devices: list[str], limit_s: float) -> None:
    memory_bytes = None if memory_gb is None else int(memory_gb * GIGA)
    arguments = {"target": target, "memory_bytes": memory_bytes, "gpu_devices": devices}
    child.ask(Operation.START, arguments, limit_s)
