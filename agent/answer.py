"""The answer users get: a conclusion with a margin and its evidence, or a refusal that says why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from spatial_agent.tools.contract import Json

FORMAT = "spatial-agent/answer@1"
DecidedBy = Literal["evidence", "model", "both"]


@dataclass(frozen=True)
class Answer:
    """One answered (or refused) question; plain JSON throughout.

    Attributes:
        text: What to tell a person: a bare letter or number where a benchmark form asks for one,
            else a sentence with its margin; the reason where abstained.
        value: Number, text, bool or list in the unit asked for; None where abstained.
        unit: Unit of a numeric value, else None.
        low: 5 % end; None when open or not a measured number.
        high: 95 % end; None when open or not a measured number.
        margin: The larger half-width, in `unit`; None when there is none.
        choice: The bare letter, where options were given.
        abstained: Whether no answer is given.
        reason: Why it abstained, or what to know about a borderline or weak answer.
        definition: The operator whose meaning applies.
        evidence: What it rests on.
        decided_by: What decided.
        degraded: What was lost on the way, one sentence each.
        seconds: Wall time.
        tokens: Model tokens used, read and written.
        tokens_written: Those among them that the model wrote.
        gpu_seconds: Accelerator time used.
        scene: Id of the scene.
        trace_id: Id of the run, for ``spatial-agent trace show``.
    """

    text: str
    value: Json = None
    unit: str | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    choice: str | None = None
    abstained: bool = False
    reason: str | None = None
    definition: str = ""
    evidence: tuple[Mapping[str, Json], ...] = ()
    decided_by: DecidedBy = "evidence"
    degraded: tuple[str, ...] = ()
    seconds: float = 0.0
    tokens: int = 0
    tokens_written: int = 0
    gpu_seconds: float = 0.0
    scene: str = ""
    trace_id: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the answer as plain JSON, with its format name."""
        evidence = [dict(item) for item in self.evidence]
        return {"format": FORMAT, **vars(self), "evidence": evidence, "degraded": list(self.degraded)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Answer":
        """Build an answer from what `to_json` returned."""
        fields = {name: value for name, value in data.items() if name != "format"}
        fields["evidence"] = tuple(fields.get("evidence", ()))
        fields["degraded"] = tuple(fields.get("degraded", ()))
        return cls(**fields)
