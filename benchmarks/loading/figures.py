"""What a load came to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

#: What is no error.
FINE = frozenset({"done", "followed", "uploaded"})


@dataclass
class Load:
    """What a load came to.

    Attributes:
        name: Who asked.
        seconds: For how long.
        p50_ms: A question took this, in the middle.
        p99_ms: Ninety-nine of a hundred took no longer than this.
        kinds: How many ended how; what is not ``"done"`` is an error.
        server_cpu_s: Processor time of what answered.
        client_cpu_s: Processor time of what asked; None where that is the same process.
        rss_mb: Memory of the service over the time, evenly spaced.
        queued: Questions that waited for a worker over the time.
        beside: What else happened meanwhile.
    """

    name: str
    seconds: float
    p50_ms: float
    p99_ms: float
    kinds: Mapping[str, int]
    server_cpu_s: float
    client_cpu_s: float | None = None
    rss_mb: Sequence[float] = ()
    queued: Sequence[int] = ()
    beside: Mapping[str, int] = field(default_factory=dict)

    @property
    def asked(self) -> int:
        """Questions that ended, however."""
        return sum(self.kinds.values())

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return self.kinds.get("done", 0) / self.seconds

    @property
    def errors(self) -> dict[str, int]:
        """How many ended in which way that is none, also of what happened beside."""
        return {kind: n for kind, n in [*self.kinds.items(), *self.beside.items()] if kind not in FINE}

    def to_json(self) -> dict[str, Any]:
        """Return it as plain JSON."""
        return vars(self) | {"kinds": dict(self.kinds), "beside": dict(self.beside)}

    @property
    def grown_mb(self) -> float:
        """Memory at the end beyond the middle; none where scenes come and go, of which some are kept."""
        return (
            self.rss_mb[-1] - self.rss_mb[len(self.rss_mb) // 2] if self.rss_mb and not self.beside else 0.0
        )


def p99(values: Sequence[float]) -> float:
    """Return the value below which ninety-nine of a hundred lie."""
    return sorted(values)[int(0.99 * len(values))]
