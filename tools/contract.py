"""What a tool is, what a call looks like, and what comes back: the seam between planner and machines.

A planner hands a `ToolCall` to a `ToolRunner`, which runs an expert or a skill somewhere and gives
back a `ToolResult`. Arrays and scene values never travel in a call: arguments are plain JSON, and a
string such as ``"$scene"`` refers to a value the runner keeps. What a skill finds out comes back as
`Evidence`: one claim, its value with unit and 90 % interval, and how far it can be trusted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from spatial_agent.tools.errors import ToolError

#: Plain JSON.
Json = Any
Quality = Literal["strong", "weak"]
ToolKind = Literal["expert", "skill"]


@dataclass(frozen=True)
class Finding:
    """What a skill found out, in the unit asked for; plain JSON throughout.

    Attributes:
        claim: One sentence for people and models, with the margin in it.
        value: The conclusion: number, text, bool, or list.
        unit: Unit of a numeric value (`tools.scene.UNITS`), else None.
        low: 5 % end of a numeric value; None when open or not a number.
        high: 95 % end of a numeric value; None when open or not a number.
        definition: Name of the operator whose meaning applies, such as ``"distance.surface"`` or
            ``"vsi.object_abs_distance"``.
        quality: ``"weak"`` evidence is shown as weak and decides nothing by itself.
        why_weak: The reason, where weak.
        borderline: The runner-up and the distance to the boundary, where the case is close.
        objects: Ids of the scene objects it speaks of.
        details: Further JSON facts (degrees, per-candidate distances, notes).
        marks: What to draw: dicts with ``kind`` ``"segment"`` (from_m, to_m, label), ``"observer"``
            (at_m, towards_m, target_m, sectors), ``"point"`` (at_m, label), ``"polygon"``
            (points_m, label), ``"path"`` (points_m, label); coordinates are scene metres.
    """

    claim: str
    value: Json
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    definition: str = ""
    quality: Quality = "strong"
    why_weak: str | None = None
    borderline: str | None = None
    objects: tuple[str, ...] = ()
    details: Mapping[str, Json] = field(default_factory=dict)
    marks: tuple[Mapping[str, Json], ...] = ()

    @property
    def margin(self) -> float | None:
        """The larger half-width of the interval, in `unit`; None when not a measured number."""
        if self.low is None or self.high is None or not isinstance(self.value, int | float):
            return None
        return max(float(self.value) - self.low, self.high - float(self.value))


@dataclass(frozen=True)
class Evidence:
    """A finding with where it came from.

    Attributes:
        id: Unique in the run, such as ``"e1"``.
        call_id: The call that produced it.
        tool: Name of the tool that produced it.
        finding: What was found out.
    """

    id: str
    call_id: str
    tool: str
    finding: Finding


@dataclass(frozen=True)
class Weights:
    """A network's numbers: where they come from, what they may be used for, what room they need.

    Attributes:
        name: Unique among all weights; also the name of their folder (or file) in a weights folder.
        source: ``"hf:owner/model"`` for a repository of the model hub, or ``"file:NAME"`` for a file or
            folder that is put into the weights folder by hand.
        licence: SPDX identifier, or the licence's own name where it has none; ``"unknown"`` where it was
            never read.
        files: What is needed of the source, as glob patterns.
        revision: Commit of the source, only where known; else pinned in the lock file at the first pull.
        sha256: Digest of each file by name, only where known; else pinned likewise.
        parameters: Number of parameters, or None where nobody counted.
        vram_gb: Accelerator memory they need while working, 10^9 bytes; 0 for what runs on processors only,
            None where nobody knows.
        vram_basis: Whether `vram_gb` was measured or follows from the number of parameters.
    """

    name: str
    source: str
    licence: str
    files: tuple[str, ...] = ("*.json", "*.safetensors")
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    parameters: int | None = None
    vram_gb: float | None = None
    vram_basis: Literal["measured", "parameters", "unknown"] = "unknown"


@dataclass(frozen=True)
class Resources:
    """What a tool may use while it runs.

    Attributes:
        threads: Threads of its numeric libraries.
        memory_gb: Memory of its process, 10^9 bytes, enforced where it has a process of its own; None = no
            limit.
        deadline_s: Wall time of one call where the call names none.
        load_s: Wall time it may take to load.
        most_batched: Calls it takes at once through `batch`.
        placement: Named resources of a cluster it must run on, such as ``{"camera": 1}``.
        in_caller: Whether it always runs in the caller's process: for pure functions of a few milliseconds
            and for work on files that only the caller has.
    """

    threads: int = 1
    memory_gb: float | None = None
    deadline_s: float = 60.0
    load_s: float = 300.0
    most_batched: int = 1
    placement: Mapping[str, float] = field(default_factory=dict)
    in_caller: bool = False


class Expert(Protocol):
    """A measuring tool with something to load; a plain function needs none of this.

    A class registered with ``@expert`` is built with the path of its weights, where it declares any, and
    with nothing else. It may also have ``batch(calls)``, which takes the arguments of several calls, one
    mapping each, and returns one result for each: a value, or an exception for a call that failed, so
    that one bad input never costs its neighbours their results.
    """

    def load(self, device: str) -> None:
        """Import what is heavy and put the network on a device such as ``"cpu"`` or ``"cuda:0"``."""
        ...

    def __call__(self, *args: Any, **arguments: Any) -> Any:  # noqa: ANN401 - each expert has its own types
        """Measure; the signature and docstring are the tool's schema and text."""
        ...


class BatchExpert(Expert, Protocol):
    """An expert that gains from taking several calls at once."""

    def batch(self, calls: Sequence[Mapping[str, Any]]) -> Sequence[Any]:
        """Return one value or exception for each call, equal to what single calls give."""
        ...


@dataclass(frozen=True)
class ToolSpec:
    """What is known about a tool without running it; derived from its signature and docstring.

    Attributes:
        name: Registered name.
        version: Changes when results may change.
        kind: ``"skill"`` for a composition over a scene, ``"expert"`` for a measuring tool.
        summary: First line of the docstring.
        description: Whole docstring.
        parameters: JSON schema of the arguments.
        references: Arguments passed by reference, with the name of their type.
        returns: Name of the type that comes back.
        weights: Weights it can run with, the default first; empty where it needs none.
        resources: What it may use.
        deterministic: Whether equal arguments give equal results, so that results may be cached.
        idempotent: Whether a call whose outcome is unknown may be made again.
    """

    name: str
    version: str
    kind: ToolKind
    summary: str
    description: str
    parameters: Mapping[str, Json]
    references: Mapping[str, str]
    returns: str
    weights: tuple[Weights, ...] = ()
    resources: Resources = field(default_factory=Resources)
    deterministic: bool = True
    idempotent: bool = True


@dataclass(frozen=True)
class ToolCall:
    """One wanted call.

    Attributes:
        id: Unique in the run, such as ``"c1"``.
        tool: Registered name.
        arguments: JSON arguments; a string ``"$name"`` refers to a value the runner keeps.
        deadline_s: Wall time after which the work is stopped; the tool's own where left out.
    """

    id: str
    tool: str
    arguments: Mapping[str, Json] = field(default_factory=dict)
    deadline_s: float | None = None


@dataclass(frozen=True)
class ToolResult:
    """What came of a call; errors are values here, so that a planner can react.

    Attributes:
        call_id: The call this answers.
        tool: Registered name.
        evidence: What a skill found out.
        handle: Reference ``"$..."`` under which the runner keeps a value that is not evidence.
        error: What went wrong, or None.
        seconds: Wall time of the call, waiting included.
        gpu_seconds: Accelerator time of the call.
        cached: Whether an earlier result was found instead of measuring again.
    """

    call_id: str
    tool: str
    evidence: tuple[Evidence, ...] = ()
    handle: str | None = None
    error: ToolError | None = None
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    cached: bool = False


class ToolRunner(Protocol):
    """Runs the calls of one run somewhere: in process, in actors, or from a recorded trace.

    A value that is not evidence is kept under a reference such as ``"$depth/3"``: the first part of the
    tool's name, and a number that counts them. What outlives a run, such as loaded experts, belongs to
    whoever makes runners.
    """

    async def call(self, call: ToolCall) -> ToolResult:
        """Run one call.

        Errors of the tool come back in `ToolResult.error`; only programming errors are raised.
        """
        ...

    def keep(self, name: str, value: object) -> str:
        """Keep a value under a name and return its reference ``"$name"``."""
        ...

    def value(self, reference: str) -> object:
        """Return the value kept under a reference, or raise `ToolArgumentError`."""
        ...

    def drop(self, reference: str) -> None:
        """Let go of the value kept under a reference; a reference that is not in use is no error."""
        ...
