"""What does the work of a job, as the desk sees it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from spatial_agent.services.store.records import Job
from spatial_agent.tools.contract import Json

#: Tells what happens in a job: what it is called on the wire, and what it says. From any thread; never waits.
Tell = Callable[[str, Mapping[str, Json]], None]


@dataclass(frozen=True)
class Done:
    """What came of a job.

    Attributes:
        answer: The answer, plain JSON.
        exchange: What its dialogue remembers of it, plain JSON of `agent.situation.Exchange`; or None.
    """

    answer: Mapping[str, Json]
    exchange: Mapping[str, Json] | None = None


class JobRunner(Protocol):
    """Does the work of a job."""

    async def run(self, job: Job, tell: Tell) -> Done:
        """Do the work of a job; it may have been begun before, by a server that died.

        The desk itself tells that the job started, and how it ended: those events are left out of what is
        told here. When cancelled, it stops as soon as it can and lets the cancellation through.

        Args:
            job: The job; its id is that of its run.
            tell: Tells followers what happens.

        Raises:
            SpatialAgentError: If the job cannot be done; it has failed then.
        """
        ...

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Drop what was kept to take jobs up again: they have ended, and that is written down."""
        ...
