"""Runners that do as a test says, and desks around them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

from spatial_agent.services.api.config import Work
from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.services.store.records import LOCAL_TENANT, EventId, Job, JobEvent, NewJob
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.desk import Desk, Done
from spatial_agent.services.work.job_runner import Tell
from spatial_agent.tools.errors import SpatialAgentError
from spatial_agent.tools.metering import Meter

Result = TypeVar("Result")
#: Seconds that no test comes near unless something hangs.
PATIENCE_S = 30.0
ANSWER = {"text": "2.1 m"}


class NoChairError(SpatialAgentError):
    """What a runner raises here when it cannot do a job."""


class Scripted:
    """Runs jobs as a function says, and remembers which."""

    def __init__(self, script: Callable[[Job, Tell], Awaitable[Done]]) -> None:
        self._script = script
        self.ran: list[str] = []
        self.forgotten: list[str] = []
        self.at_once = self.most_at_once = 0

    async def run(self, job: Job, tell: Tell) -> Done:
        self.ran.append(job.id)
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            return await self._script(job, tell)
        finally:
            self.at_once -= 1

    async def forget(self, job_ids: Sequence[str]) -> None:
        self.forgotten += job_ids


class Gated:
    """Begins jobs and ends them when it is told to; stops at once when cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.tell: Tell | None = None

    async def __call__(self, job: Job, tell: Tell) -> Done:
        self.tell = tell
        self.begun.set()
        await self.gate.wait()
        return Done(ANSWER)


async def at_once(job: Job, tell: Tell) -> Done:
    return Done(ANSWER)


def new_job(number: int = 0, *, session: str | None = None, priority: int = 0) -> NewJob:
    return NewJob(
        LOCAL_TENANT, "question", {"number": number}, "s_room0001", session=session, priority=priority
    )


def problem_of(error: BaseException) -> Mapping[str, Any]:
    return {"type": type(error).__name__, "title": "failed", "status": 422, "detail": str(error)}


@asynccontextmanager
async def working(
    store: Store,
    runner: Scripted,
    *,
    name: str = "here",
    workers: int = 2,
    lease_s: float = 30.0,
    meter: Meter | None = None,
) -> AsyncIterator[Desk]:
    work = Work(workers=workers, lease_seconds=lease_s, attempts=3)
    desk = Desk(store, runner, name=name, work=work, problem_of=problem_of, meter=meter)
    await desk.start()
    try:
        yield desk
    finally:
        await desk.drain(0.0)


async def ended(desk: Desk, job: Job) -> Job:
    """Return a job once it is over."""
    found = await desk.wait(LOCAL_TENANT, job.id, PATIENCE_S)
    assert found is not None
    assert found.finished is not None, f"{job.id} is still {found.state} after {PATIENCE_S:g} s"
    return found


async def told(desk: Desk, job: Job, after: EventId | None = None) -> list[JobEvent]:
    """Return all events of a job, waiting for its last."""
    return [event async for event in desk.follow(LOCAL_TENANT, job.id, after)]


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop go on until something is so."""
    while not condition():
        await asyncio.sleep(0.001)


def on_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """Run a test's coroutine; whatever hangs is an error, and so are tasks that it left."""

    async def bounded() -> Result:
        async with asyncio.timeout(PATIENCE_S):
            result = await work
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, f"left running: {others}"
        return result

    return asyncio.run(bounded(), debug=False)


class Outage:
    """Makes a store that can be taken away and brought back."""

    def __init__(self, store: Store) -> None:
        self._database = store.database
        self._reading, self._writing = store.database.reading, store.database.writing
        self.refused = 0

    def begin(self) -> None:
        vars(self._database).update(reading=self._refuse, writing=self._refuse)

    def end(self) -> None:
        vars(self._database).update(reading=self._reading, writing=self._writing)

    def _refuse(self) -> NoReturn:
        self.refused += 1
        raise StoreUnavailableError("expected a database that answers, this one is away")
