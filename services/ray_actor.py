"""What runs in a replica's process: one expert, its limits and confinement, and a guard over its memory.

Nothing heavy is imported at the top: the numeric libraries read how many threads they may use when they
are loaded, which has to be after the limits are set.
"""

import os
import pickle
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

from spatial_agent.services.ray_confinement import Confinement, Grants
from spatial_agent.services.ray_results import ReturnCheck
from spatial_agent.tools import errors
from spatial_agent.tools.binding import as_tool_error
from spatial_agent.tools.contract import Finding
from spatial_agent.tools.errors import ToolCrashedError, ToolError, ToolUnavailableError
from spatial_agent.tools.registry import tool_of

GIGA = 1e9
#: Address space beyond an expert's own for threads' stacks and allocators' arenas.
ROOM_BYTES = int(0.5 * GIGA)
#: Accelerator memory that a process takes before it holds a single tensor.
CONTEXT_GB = 0.6
GUARD_INTERVAL_S = 0.05
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")

#: One call: its plain arguments, and which of the objects beside it stand for the others.
Job = tuple[Mapping[str, Any], Mapping[str, int | tuple[int, ...] | None]]


@dataclass(frozen=True)
class Limits:
    """What a replica may use.

    Attributes:
        threads: Threads of its numeric libraries.
        memory_gb: Memory of its process beyond what Ray itself maps; None = no limit.
        store_bytes: Size of the store of shared values, which is mapped whole.
        on_gpu: Whether it computes on a GPU: drivers map far more addresses than memory, so that resident
            memory is watched instead.
    """

    threads: int
    memory_gb: float | None
    store_bytes: int
    on_gpu: bool


@dataclass(frozen=True)
class Whereabouts:
    """Where a replica runs.

    Attributes:
        pid: Its process.
        node: Ray's id of the machine.
        gpus: Names of the GPUs Ray gave it.
        is_confined: Whether the kernel there holds it to its files.
    """

    pid: int
    node: str
    gpus: tuple[str, ...]
    is_confined: bool


@dataclass(frozen=True)
class Outcome:
    """What came of one call, small enough to travel by value; the result itself stays in the store.

    Attributes:
        error: What went wrong, or None.
        cause: What the tool raised, where that is a class everybody knows; errors lose theirs on the way.
        finding: What a tool found out, where it returns findings.
        kinds: Names of the result's class and its bases.
        is_fatal: Whether the process should not be used any more.
    """

    error: ToolError | None = None
    cause: BaseException | None = None
    finding: Finding | None = None
    kinds: tuple[str, ...] = ()
    is_fatal: bool = False

    @property
    def failure(self) -> ToolError | None:
        """The error with its cause."""
        if self.error is not None:
            self.error.__cause__ = self.cause
        return self.error


@dataclass(frozen=True)
class Report:
    """What came of the calls that ran together.

    Attributes:
        outcomes: One for each call.
        seconds: Wall time of the work.
        gpu_gb: Most accelerator memory the process has held.
    """

    outcomes: tuple[Outcome, ...]
    seconds: float
    gpu_gb: float


class ExpertActor:
    """One replica of an expert.

    Args:
        name: The tool's name.
        target: The pickled function or class; it is unpickled only after the limits are set.
        limits: What it may use.
        grants: What it may touch.
    """

    def __init__(self, name: str, target: bytes, limits: Limits, grants: Grants) -> None:
        """Set the limits; whatever can go wrong has to wait for `load`, which can tell of it."""
        self._name = name
        self._confinement = Confinement(name, grants, _session_folder())
        os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(limits.threads)))  # noqa: TID251
        self._target = target
        self._limits = limits
        self._resident_before = _resident_bytes()
        if limits.memory_gb is not None and not limits.on_gpu:
            limit = _mapped_bytes() + limits.store_bytes + ROOM_BYTES + int(limits.memory_gb * GIGA)
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        # A core file is written by the kernel, past every wall, with all the memory held.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def whereabouts(self) -> Whereabouts:
        """Return where this process runs."""
        import ray

        context = ray.get_runtime_context()
        gpus = context.get_accelerator_ids().get("GPU", [])
        return Whereabouts(os.getpid(), context.get_node_id(), tuple(map(str, gpus)), self._confinement.holds)

    def load(self, weights: str | None, device: str) -> Report:
        """Load the expert; a failure comes back as the error of the one outcome.

        Args:
            weights: Path of its weights, where it declares any.
            device: Where its network goes.
        """
        started = time.perf_counter()
        error = None
        try:
            self._confinement.before_load()
            self._build(weights, device)
            self._confinement.before_calls()
        except BaseException as raised:  # whatever happens in foreign code is told, not raised
            error = self._load_error(raised)
        _limit_torch(self._limits.threads)
        return Report((Outcome(error),), time.perf_counter() - started, _gpu_gb())

    def _build(self, weights: str | None, device: str) -> None:
        tool = tool_of(pickle.loads(self._target))
        self._expert: Any = tool.build(Path(weights) if weights else None)
        called: Any = tool.target
        self._check = ReturnCheck(tool.name, called.__call__ if tool.has_state else called)
        if tool.has_state:
            self._expert.load(device)

    def run(self, jobs: Sequence[Job], *objects: object) -> tuple[object, ...]:
        """Run calls together; returns a `Report`, then each call's value (None where it failed).

        Args:
            jobs: The calls.
            objects: The values they refer to; Ray hands over read-only views into its store.
        """
        self._confinement.before_calls()
        calls = [_arguments(job, objects) for job in jobs]
        started = time.perf_counter()
        values = self._batch(calls) if len(calls) > 1 else [self._single(calls[0])]
        seconds = time.perf_counter() - started
        outcomes = tuple(self._outcome(value, call) for value, call in zip(values, calls, strict=True))
        kept = [
            None if outcome.error or outcome.finding else value
            for value, outcome in zip(values, outcomes, strict=True)
        ]
        return (Report(outcomes, seconds, _gpu_gb()), *kept)

    def guard(self) -> str:
        """Wait until the process holds more memory than it may, and say so; for a thread of its own.

        It also serves whoever waits for it as a sign of life: it ends at once when the process does.
        """
        if self._limits.memory_gb is None or not self._limits.on_gpu:
            Event().wait()
        pause = Event()
        while (used := _resident_bytes() - self._resident_before) <= self._limits.memory_gb * GIGA:  # type: ignore[operator]
            pause.wait(GUARD_INTERVAL_S)
        return f"it held {used / GIGA:.2f} GB of memory, its limit is {self._limits.memory_gb:g} GB"

    def _batch(self, calls: Sequence[Mapping[str, Any]]) -> Sequence[object]:
        try:
            values = list(self._expert.batch(calls))
        except BaseException as error:
            if _is_out_of_memory(error):
                return [error] * len(calls)
            # `batch` broke down as a whole; whoever is not to blame still gets an answer.
            return [self._single(call) for call in calls]
        if len(values) != len(calls):
            message = f"{self._name} gave back {len(values)} results for {len(calls)} calls; tell its author"
            return [ToolCrashedError(message)] * len(calls)
        return values

    def _single(self, call: Mapping[str, Any]) -> object:
        try:
            return self._expert(**call)
        except BaseException as error:
            return error

    def _outcome(self, value: object, call: Mapping[str, Any]) -> Outcome:
        if isinstance(value, BaseException):
            cause = _known(value.__cause__ if isinstance(value, ToolError) else value)
            return Outcome(self._error(value), cause, is_fatal=_is_out_of_memory(value))
        try:
            self._check(value, call)
        except ToolCrashedError as error:
            return Outcome(error)
        if isinstance(value, Finding):
            return Outcome(finding=value)
        return Outcome(kinds=tuple(kind.__name__ for kind in type(value).__mro__))

    def _error(self, raised: BaseException) -> ToolError:
        if _is_out_of_memory(raised):
            limit = self._limits.memory_gb
            allowed = f"; its limit is {limit:g} GB" if limit is not None else ""
            return ToolCrashedError(f"{self._name} ran out of memory{allowed}; ask for less at once")
        if not isinstance(raised, Exception) or not _can_speak(raised):
            raised = RuntimeError(f"a {type(raised).__name__}")
        return portable(as_tool_error(self._name, raised))

    def _load_error(self, raised: BaseException) -> ToolError:
        if isinstance(raised, ToolUnavailableError):
            return portable(raised)
        said = str(raised) if _can_speak(raised) else "without a word"
        reason = said if isinstance(raised, ToolError) else f"{type(raised).__name__}: {said}"
        return ToolUnavailableError(f"{self._name} could not be loaded ({reason}); choose another tool")


def portable(error: ToolError) -> ToolError:
    """Return an error that survives the way to another process with its type and attributes.

    A class that only this process knows, or that cannot be built again from its message, becomes the
    nearest class of `spatial_agent.tools.errors`.
    """
    if type(error).__module__ == errors.__name__ and _survives(error):
        return error
    nearest: Callable[[str], ToolError] = next(
        kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__
    )
    return nearest(str(error))


def _session_folder() -> Path:
    """Return the folder of this run of Ray, which goes when a Ray that was started here does."""
    from ray._private import worker

    node: Any = worker.global_worker.node
    return Path(node.get_session_dir_path())


def _known(raised: BaseException | None) -> BaseException | None:
    """Return what was raised if every process can unpickle it."""
    is_known = type(raised).__module__ in ("builtins", errors.__name__)
    return raised if raised is not None and is_known and _survives(raised) else None


def _survives(error: BaseException) -> bool:
    try:
        return type(pickle.loads(pickle.dumps(error))) is type(error)
    except Exception:  # pickling runs foreign code, which may raise anything
        return False


def _can_speak(error: BaseException) -> bool:
    try:
        return isinstance(str(error), str)
    except Exception:
        return False


def _arguments(job: Job, objects: Sequence[object]) -> dict[str, Any]:
    plain, referenced = job
    arguments = dict(plain)
    for name, place in referenced.items():
        if isinstance(place, tuple):
            arguments[name] = tuple(objects[index] for index in place)
        else:
            arguments[name] = None if place is None else objects[place]
    return arguments


def _is_out_of_memory(error: BaseException) -> bool:
    # torch's own class cannot be imported here; it is no MemoryError.
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def _limit_torch(threads: int) -> None:
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(threads)


def _gpu_gb() -> float:
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return 0.0
    return float(torch.cuda.max_memory_reserved()) / GIGA + CONTEXT_GB


def _mapped_bytes() -> int:
    return _pages(0)


def _resident_bytes() -> int:
    """Return memory of this process alone: without what it shares, such as Ray's store."""
    return _pages(1) - _pages(2)


def _pages(column: int) -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[column]) * resource.getpagesize()
