"""Counting what happens, for whoever watches a service; nothing is counted unless somebody asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Labels = Mapping[str, str]

#: Upper ends of the buckets of durations, seconds: from a cached answer to a scan that is fused anew.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
#: Upper ends of the buckets of sizes.
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Metric:
    """One number that is counted.

    Attributes:
        name: Its name in Prometheus' manner, which ends with its unit.
        kind: ``"counter"`` only grows, ``"gauge"`` is a level, ``"histogram"`` takes observations.
        help: What it says, one sentence.
        labels: What it is told apart by.
        buckets: Upper ends of a histogram's buckets.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ("tool",)
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(name, "counter", text, ("tool", *labels))


def _gauge(name: str, text: str) -> Metric:
    return Metric(name, "gauge", text)


def _seconds(name: str, text: str) -> Metric:
    return Metric(name, "histogram", text, buckets=SECONDS)


#: Everything that is counted anywhere; a meter refuses other names.
METRICS = (
    _counter("spatial_agent_calls_total", "Calls by how they ended.", "outcome"),
    _seconds("spatial_agent_call_seconds", "Wall time of a call, waiting included."),
    _seconds("spatial_agent_wait_seconds", "Time a call waited for a free replica."),
    _seconds("spatial_agent_run_seconds", "Time a replica worked on a call or batch."),
    _counter("spatial_agent_gpu_seconds_total", "Accelerator time of calls."),
    _counter("spatial_agent_cache_total", "Calls by where their result was found.", "outcome"),
    _gauge("spatial_agent_queue_length", "Calls that wait for a free replica."),
    _gauge("spatial_agent_replicas", "Replicas that are started."),
    _gauge("spatial_agent_replicas_busy", "Replicas that work on a call."),
    _counter("spatial_agent_restarts_total", "Replicas started anew, by why.", "reason"),
    Metric("spatial_agent_batch_size", "histogram", "Calls that were run together.", buckets=SIZES),
    _gauge("spatial_agent_breaker_open", "1 while a tool is left alone because it kept failing."),
)


class Meter(Protocol):
    """Where numbers about the running service go: values of `METRICS`, by name."""

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Add to a counter."""
        ...

    def level(self, name: str, labels: Labels, value: float) -> None:
        """Set a gauge."""
        ...

    def duration(self, name: str, labels: Labels, seconds: float) -> None:
        """Add an observation to a histogram of durations."""
        ...

    def size(self, name: str, labels: Labels, size: float) -> None:
        """Add an observation to a histogram of sizes."""
        ...


class NoMeter:
    """Counts nothing."""

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Do nothing."""

    def level(self, name: str, labels: Labels, value: float) -> None:
        """Do nothing."""

    def duration(self, name: str, labels: Labels, seconds: float) -> None:
        """Do nothing."""

    def size(self, name: str, labels: Labels, size: float) -> None:
        """Do nothing."""
