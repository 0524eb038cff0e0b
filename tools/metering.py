"""Counting what happens, for whoever watches a service; nothing is counted unless somebody asks."""

from collections.abc import Mapping
from typing import Protocol

Labels = Mapping[str, str]


class Meter(Protocol):
    """Where numbers about the running service go; names and units are Prometheus' (``_seconds``, ``_total``)."""

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Add to a counter."""
        ...

    def level(self, name: str, labels: Labels, value: float) -> None:
        """Set a gauge."""
        ...

    def duration(self, name: str, labels: Labels, seconds: float) -> None:
        """Add an observation to a histogram of durations."""
        ...


class NoMeter:
    """Counts nothing."""

    def count(self, name: str, labels: Labels, amount: float = 1.0) -> None:
        """Do nothing."""

    def level(self, name: str, labels: Labels, value: float) -> None:
        """Do nothing."""

    def duration(self, name: str, labels: Labels, seconds: float) -> None:
        """Do nothing."""
