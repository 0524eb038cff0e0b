"""What a tool is, what a call looks like, and what comes back: the seam between planner and machines.

A planner hands a `ToolCall` to a `ToolRunner`, which runs an expert or a skill somewhere and gives
back a `ToolResult`. Arrays and scene values never travel in a call: arguments are plain JSON, and a
string such as ``"$scene"`` refers to a value the runner keeps. What a skill finds out comes back as
`Evidence`: one claim, its value with unit and 90 % interval, and how far it can be trusted.
"""

from collections.abc import Mapping
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
    """

    name: str
    version: str
    kind: ToolKind
    summary: str
    description: str
    parameters: Mapping[str, Json]
    references: Mapping[str, str]
    returns: str


@dataclass(frozen=True)
class ToolCall:
    """One wanted call.

    Attributes:
        id: Unique in the run, such as ``"c1"``.
        tool: Registered name.
        arguments: JSON arguments; a string ``"$name"`` refers to a value the runner keeps.
    """

    id: str
    tool: str
    arguments: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class ToolResult:
    """What came of a call; errors are values here, so that a planner can react.

    Attributes:
        call_id: The call this answers.
        tool: Registered name.
        evidence: What a skill found out.
        handle: Reference ``"$..."`` under which the runner keeps a value that is not evidence.
        error: What went wrong, or None.
        seconds: Wall time of the call.
    """

    call_id: str
    tool: str
    evidence: tuple[Evidence, ...] = ()
    handle: str | None = None
    error: ToolError | None = None
    seconds: float = 0.0


class ToolRunner(Protocol):
    """Runs calls somewhere: in process, in actors, or from a recorded trace."""

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
