"""The conformance suite of experts: one call with the room's values, then everything that may go wrong."""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spatial_agent.tools.conformance.arguments import (
    hostile_arguments,
    is_refused,
    numbers_without_unit,
    sample_arguments,
    schema_faults,
    wrong_arguments,
)
from spatial_agent.tools.conformance.content import faults, same
from spatial_agent.tools.conformance.peak_memory import PeakMemory
from spatial_agent.tools.conformance.samples import FRAMES, Samples
from spatial_agent.tools.contract import Json
from spatial_agent.tools.errors import ConfigurationError, InvalidValueError, SourceError, ToolError
from spatial_agent.tools.registry import Tool, tool_of
from spatial_agent.tools.synthetic import SyntheticRoom

#: What a tool may raise; runners turn the last two into the first.
EXPECTED_ERRORS = (ToolError, InvalidValueError, SourceError)
#: Share of the largest number by which a batch may differ from single calls: other kernels, other rounding.
BATCH_TOLERANCE = 1e-3
#: Faults shown of one check, and characters of each.
SHOWN, LONGEST = 3, 240


@dataclass(frozen=True)
class _Outcome:
    """What came of one call: a value or an exception."""

    value: object = None
    error: Exception | None = None

    @property
    def fault(self) -> str | None:
        """What is wrong with it, whatever it was asked."""
        if self.error is None:
            return "; ".join(faults(self.value)) or None
        if isinstance(self.error, EXPECTED_ERRORS):
            return None
        return f"expected a result or a ToolError, got {type(self.error).__name__}: {self.error}"

    def equals(self, other: "_Outcome", tolerance: float = 0.0) -> bool:
        """Whether two calls ended alike."""
        if self.error is not None or other.error is not None:
            return (type(self.error), str(self.error)) == (type(other.error), str(other.error))
        return same(self.value, other.value, tolerance)

    def __str__(self) -> str:
        """Return what came, shortly."""
        if self.error is not None:
            return f"{type(self.error).__name__}: {self.error}"
        return f"a {type(self.value).__name__}"


class _Trial:
    """One expert, loaded, with what it can be given."""

    def __init__(
        self, tool: Tool, call: Callable[..., Any], samples: Samples, given: Mapping[str, object]
    ) -> None:
        self.tool = tool
        self.samples = samples
        self._call = call
        self._given = given

    def ordinary(self, number: int = 0) -> dict[str, Any]:
        """Return the arguments of an ordinary call; those of other numbers see other frames.

        Raises:
            ConfigurationError: If there is no sample of the type of a reference.
        """
        arguments: dict[str, Any] = dict(self.tool.arguments(self.plain))
        for name, reference in self.tool.references.items():
            found = self.samples.ordinary(reference.type_name)
            if name in self._given:
                arguments[name] = self._given[name]
            elif found:
                arguments[name] = tuple(found) if reference.many else found[number % len(found)]
            elif reference.optional:
                arguments[name] = None
            else:
                raise ConfigurationError(
                    f"there is no sample of a {reference.type_name}: give a value for {name}"
                )
        return arguments

    @property
    def plain(self) -> dict[str, Json]:
        """The plain arguments of an ordinary call."""
        own = {name: value for name, value in self._given.items() if name not in self.tool.references}
        return sample_arguments(self.tool) | own

    def run(self, arguments: Mapping[str, Any]) -> _Outcome:
        """Call the expert; whatever it raises is an outcome."""
        try:
            return _Outcome(self._call(**arguments))
        except Exception as error:  # what it raises is what is looked at
            return _Outcome(error=error)

    def hostile(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield what is wrong and the arguments, one of them hostile and the others ordinary."""
        usual = self.ordinary()
        for name, value in hostile_arguments(self.tool):
            try:
                yield f"{name}={value!r:.40}", usual | self.tool.arguments(self.plain | {name: value})
            except ToolError:
                continue
        for name, reference in self.tool.references.items():
            for what, bad in self.samples.hostile(reference.type_name).items():
                yield f"{name} {what}", usual | {name: (bad,) if reference.many else bad}
            if reference.optional:
                yield f"no {name}", usual | {name: None}

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> list[_Outcome]:
        """Make several calls at once."""
        answers = self._call.batch(calls)  # type: ignore[attr-defined]
        return [_Outcome(error=item) if isinstance(item, Exception) else _Outcome(item) for item in answers]


def check_expert(
    target: Tool | Callable[..., Any],
    *,
    weights: Path | None = None,
    room: SyntheticRoom | None = None,
    arguments: Mapping[str, object] | None = None,
    dimensionless: Collection[str] = (),
    device: str = "cpu",
) -> dict[str, str]:
    """Check an expert or skill; every value of the result starts with ``"ok"`` or says what is wrong.

    Its inputs are made from a synthetic room by the types of its parameters; arguments that have no default
    and no natural value, such as the name of an object, are better given.

    Args:
        target: A tool of a registry, or a function or class declared with ``@expert`` or ``@skill``.
        weights: Where its weights are, if it declares any.
        room: Where its inputs come from; the living room of the examples where left out.
        arguments: Arguments of the ordinary call by name, plain or of a scene type.
        dimensionless: Names of bare numbers that have no unit, beside the usual ones.
        device: Where networks run.
    """
    tool = target if isinstance(target, Tool) else tool_of(target)
    report = _check_declaration(tool, dimensionless)
    started = time.perf_counter()
    call = tool.build(weights)
    if tool.has_state:
        call.load(device)
    loaded_s = time.perf_counter() - started
    trial = _Trial(tool, call, Samples.of(room or SyntheticRoom.example()), dict(arguments or {}))
    report["wrong arguments are refused"] = _check_refusals(trial)
    return report | _check_calls(trial, loaded_s)


def failures(report: Mapping[str, str]) -> dict[str, str]:
    """Return the checks that an expert did not pass."""
    return {name: verdict for name, verdict in report.items() if not verdict.startswith("ok")}


def _check_declaration(tool: Tool, dimensionless: Collection[str]) -> dict[str, str]:
    spec = tool.spec
    silent = [name for name, given in spec.parameters["properties"].items() if "description" not in given]
    bare = numbers_without_unit(tool, dimensionless)
    return {
        "the schema is plain JSON Schema": _verdict(schema_faults(spec.parameters)),
        "every argument is described": _verdict(
            f"{name} is not in the Args of its docstring" for name in silent
        ),
        "bare numbers carry their unit": _verdict(
            f"{name}: name it {name}_m, {name}_px, ..., or declare it dimensionless" for name in bare
        ),
        "it says what it gives": _verdict(["no return type"] if spec.returns == "None" else []),
    }


def _check_refusals(trial: _Trial) -> str:
    wrong = wrong_arguments(trial.tool, trial.plain)
    return _verdict(f"accepts {what}" for what, given in wrong if not is_refused(trial.tool, given))


def _check_calls(trial: _Trial, loaded_s: float) -> dict[str, str]:
    memory = PeakMemory()
    first = trial.run(trial.ordinary())
    started = time.perf_counter()
    second = trial.run(trial.ordinary())
    seconds = time.perf_counter() - started
    grown_gb = memory.grown_gb()
    return {
        "it answers an ordinary call": "ok" if first.error is None else f"expected a result, got {first}",
        "its result is well formed": first.fault or _check_type(trial.tool, first),
        "equal calls give equal results": _check_determinism(trial.tool, first, second),
        "hostile arguments end in a result or an error": _verdict(_hostile_faults(trial)),
        "it is the same after them": _check_determinism(trial.tool, first, trial.run(trial.ordinary())),
        "a batch equals single calls": _check_batch(trial),
        "it keeps to its time and memory": _check_limits(trial.tool, loaded_s, seconds, grown_gb),
    }


def _check_type(tool: Tool, outcome: _Outcome) -> str:
    if outcome.error is not None:
        return "ok (it gave none)"
    kinds = {kind.__name__ for kind in type(outcome.value).__mro__}
    declared = tool.spec.returns
    # A declared union or generic type is checked by type checkers, not here.
    if declared.isidentifier() and declared not in kinds:
        return f"expected a {declared}, got {outcome}"
    return "ok"


def _check_determinism(tool: Tool, first: _Outcome, second: _Outcome) -> str:
    if not tool.deterministic:
        return "ok (declared not deterministic)"
    return "ok" if first.equals(second) else f"expected the same twice, got {first} and another {second}"


def _hostile_faults(trial: _Trial) -> Iterator[str]:
    for what, arguments in trial.hostile():
        fault = trial.run(arguments).fault
        if fault:
            yield f"{what}: {fault}"


def _check_batch(trial: _Trial) -> str:
    if not trial.tool.batches:
        return "ok (it takes no batches)"
    calls: list[Mapping[str, Any]] = [trial.ordinary(number) for number in range(FRAMES)]
    # Bad neighbours: what a single call refuses must cost nobody else a result.
    refused = [given for _, given in trial.hostile() if trial.run(given).error is not None]
    calls[1:1] = refused[:2]
    singles = [trial.run(call) for call in calls]
    try:
        together = trial.batch(calls)
    except Exception as error:
        return f"a batch must not raise, got {type(error).__name__}: {error}"
    if len(together) != len(calls):
        return f"expected {len(calls)} results of {len(calls)} calls, got {len(together)}"
    return _verdict(
        f"call {number}: alone {single}, in a batch {joined}" + (" of other content" if same_kind else "")
        for number, (single, joined) in enumerate(zip(singles, together, strict=True))
        if not single.equals(joined, BATCH_TOLERANCE)
        for same_kind in [str(single) == str(joined)]
    )


def _check_limits(tool: Tool, loaded_s: float, seconds: float, grown_gb: float) -> str:
    limits = tool.resources
    over = []
    if loaded_s > limits.load_s:
        over.append(f"loading took {loaded_s:.1f} s of {limits.load_s:g} s")
    if seconds > limits.deadline_s:
        over.append(f"a call took {seconds:.1f} s of {limits.deadline_s:g} s")
    if limits.memory_gb is not None and grown_gb > limits.memory_gb:
        over.append(f"two calls took {grown_gb:.2f} GB of {limits.memory_gb:g} GB")
    measured = (
        f"loaded in {loaded_s:.2f} s, {seconds:.3f} s a call, {grown_gb * 1000:.0f} MB more at its peak"
    )
    return "; ".join(over) or f"ok ({measured})"


def _verdict(faults: Iterable[str]) -> str:
    found = [_short(fault) for fault in faults]
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    return "; ".join(found[:SHOWN]) + more or "ok"


def _short(fault: str) -> str:
    line = " ".join(fault.replace("\x1b", " ").split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
