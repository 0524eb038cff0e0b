"""The numbers of the running service for Prometheus: what `tools.metering` declares, and nothing else."""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from spatial_agent.tools.errors import ConfigurationError, InvalidValueError
from spatial_agent.tools.metering import METRICS, Labels, Metric

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

#: Stands for every value of a label beyond those it may have.
OTHER = "other"
#: Different values a label may have where it is not said which: each makes a series that stays for ever.
MOST_VALUES = 64
Kind = Literal["counter", "gauge", "histogram"]


class PrometheusMeter:
    """A `tools.metering.Meter` that keeps its numbers until a Prometheus server comes for them.

    Needs ``prometheus-client`` (extra ``ray``). Each has a registry of its own, so that two never collide
    and nothing of other libraries is shown. Safe to use from several threads.
    """

    def __init__(self, tools: Iterable[str] | None = None, metrics: Iterable[Metric] = METRICS) -> None:
        """Start every number at nothing.

        Args:
            tools: Names the label ``tool`` may have, others count as ``"other"``: planners make names up.
                The first names that come where left out.
            metrics: What can be counted.

        Raises:
            ConfigurationError: If prometheus-client is not installed.
        """
        self._declared = {metric.name: metric for metric in metrics}
        self._registry, self._series = _build(self._declared)
        self._values: dict[tuple[str, str], set[str]] = {}
        self._tools = None if tools is None else frozenset(tools)
        self._lock = Lock()

    @property
    def content_type(self) -> str:
        """What the answer with an `exposition` calls itself."""
        from prometheus_client import CONTENT_TYPE_LATEST

        return str(CONTENT_TYPE_LATEST)

    def exposition(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        from prometheus_client import generate_latest

        return generate_latest(self._registry)

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Add to a counter.

        Raises:
            InvalidValueError: If there is no counter of that name with these labels, or it would shrink.
        """
        if amount < 0:
            raise InvalidValueError(f"{name}: expected an amount of at least 0, got {amount!r}")
        self._child(name, "counter", labels).inc(amount)

    def level(self, name: str, labels: Labels, value: float) -> None:
        """Set a gauge.

        Raises:
            InvalidValueError: If there is no gauge of that name with these labels.
        """
        self._child(name, "gauge", labels).set(value)

    def levels(self, name: str) -> list[tuple[Labels, float]]:
        """Return what a gauge says now, for each set of labels that it was set for.

        Raises:
            InvalidValueError: If there is no gauge of that name.
        """
        self._check(name, "gauge")
        families = self._series[name].collect()
        return [(sample.labels, sample.value) for family in families for sample in family.samples]

    def duration(self, name: str, labels: Labels, seconds: float) -> None:
        """Add an observation to a histogram of durations.

        Raises:
            InvalidValueError: If there is no histogram of that name with these labels.
        """
        self._child(name, "histogram", labels).observe(seconds)

    def size(self, name: str, labels: Labels, size: float) -> None:
        """Add an observation to a histogram of sizes.

        Raises:
            InvalidValueError: If there is no histogram of that name with these labels.
        """
        self._child(name, "histogram", labels).observe(size)

    def _check(self, name: str, kind: Kind) -> Metric:
        metric = self._declared.get(name)
        if metric is None or metric.kind != kind:
            known = ", ".join(item.name for item in self._declared.values() if item.kind == kind)
            raise InvalidValueError(f"no {kind} is called {name!r}; there are {known}")
        return metric

    def _child(self, name: str, kind: Kind, labels: Labels) -> Any:  # noqa: ANN401 - one of three classes
        metric = self._check(name, kind)
        if set(labels) != set(metric.labels):
            raise InvalidValueError(
                f"{name}: expected the labels {', '.join(metric.labels)}, got {', '.join(labels) or 'none'}"
            )
        bounded = {label: self._bounded(name, label, labels[label]) for label in metric.labels}
        # Prometheus takes no empty set of labels.
        return self._series[name].labels(**bounded) if bounded else self._series[name]

    def _bounded(self, name: str, label: str, value: str) -> str:
        if label == "tool" and self._tools is not None:
            return value if value in self._tools else OTHER
        with self._lock:
            seen = self._values.setdefault((name, label), set())
            if value not in seen and len(seen) >= MOST_VALUES:
                return OTHER
            seen.add(value)
        return value


def _build(declared: Mapping[str, Metric]) -> tuple["CollectorRegistry", dict[str, Any]]:
    try:
        from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
    except ImportError as error:
        raise ConfigurationError(
            "metrics need prometheus-client: pip install 'spatial-reasoning-agent[ray]'"
        ) from error
    registry = CollectorRegistry()
    series: dict[str, Any] = {}
    for name, metric in declared.items():
        if metric.kind == "counter":
            series[name] = Counter(name, metric.help, metric.labels, registry=registry)
        elif metric.kind == "gauge":
            series[name] = Gauge(name, metric.help, metric.labels, registry=registry)
        else:
            series[name] = Histogram(
                name, metric.help, metric.labels, registry=registry, buckets=metric.buckets
            )
    return registry, series
