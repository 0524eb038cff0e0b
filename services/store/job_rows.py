"""Rows of the jobs as the values that callers get."""

from typing import Any

from sqlalchemy import Row

from spatial_agent.services.store.records import Job, NewJob
from spatial_agent.services.store.tables import jobs

_OF_NEW = ("tenant", "kind", "request", "scene", "session", "priority", "key", "request_id")
_OF_JOB = ("id", "state", "created", "started", "finished", "attempts", "answer", "problem", "cancelling")
#: What `job_of` needs.
FIELDS = [jobs.c[name] for name in (*_OF_NEW, *_OF_JOB)]


def job_of(row: Row[*tuple[Any, ...]]) -> Job:
    """Build a job from a row of `FIELDS`."""
    known = row._mapping
    new = NewJob(**{name: known[name] for name in _OF_NEW})
    return Job(new=new, **{name: known[name] for name in _OF_JOB})


def row_of(new: NewJob) -> dict[str, Any]:
    """Return what a job that is handed in says of its row."""
    return {name: getattr(new, name) for name in _OF_NEW}
