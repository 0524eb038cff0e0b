"""What becomes of the question behind a chat completion: waited for, streamed, or given up."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TypeVar

from fastapi import Request

from spatial_agent.agent.answer import Answer
from spatial_agent.agent.answerer import abstain
from spatial_agent.services.api.chat_errors import JobFailedError, error_in_words
from spatial_agent.services.api.chat_replies import Reply, failing
from spatial_agent.services.api.event_json import LAST
from spatial_agent.services.api.problems import KINDS, ConflictError, DrainingError
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.views import question_view
from spatial_agent.services.api.waiting import until_leaving, wait_for
from spatial_agent.services.store.records import FINAL, Job
from spatial_agent.tools.errors import MissingWeightsError, SpatialAgentError, StoppedError

Item = TypeVar("Item")
#: Seconds between looks whether there still is a service.
LOOK_S = 60.0
#: Seconds of silence after which a comment shows that a stream lives.
SILENCE_S = 15.0
ALIVE = ": alive\n\n"
#: Pieces that a model writes are those of a document, of which nobody can read half.
UNTOLD = LAST | {"token"}
#: What cannot be answered is an answer, not an error: whoever evaluates goes on with the next question.
ANSWERED_STATUS = 422
ANSWERED_TYPES = (KINDS[MissingWeightsError].type,)
_giving_up: set[asyncio.Task[None]] = set()


def answer_of(job: Job) -> Answer:
    """Return what came of a question; why it cannot be answered is an answer too.

    Raises:
        JobFailedError: If the service failed at it.
        ConflictError: If somebody cancelled it.
        DrainingError: If it is not over, since the service comes to its end.
    """
    if job.state == "done" and job.answer is not None:
        return Answer.from_json(job.answer)
    if job.state == "cancelled":
        raise ConflictError(f"question {job.id} was cancelled; ask again")
    if job.state != "failed":
        raise DrainingError("the service is being shut down; ask again soon", retry_after_s=5.0)
    problem = dict(job.problem or {})
    if problem.get("status") == ANSWERED_STATUS or problem.get("type") in ANSWERED_TYPES:
        why = str(problem.get("detail") or problem.get("title"))
        return replace(abstain(why), trace_id=job.id)
    raise JobFailedError(problem)


async def awaited(service: Service, request: Request, job: Job, *, is_own: bool) -> Job | None:
    """Return a question once it is over, or the service is; None where whoever asked has left.

    Args:
        service: The service.
        request: Of whoever waits; its body has been read.
        job: The question.
        is_own: Whether nobody else may be waiting for it: it is given up when they leave.
    """
    try:
        while job.state not in FINAL and not service.leaving.is_set():
            job = await wait_for(service, request, job, LOOK_S)
            if job.state not in FINAL and await request.is_disconnected():
                return None
        return job
    except StoppedError:  # the desk has closed: what is left of the job is for the next server
        return job
    finally:
        _give_up(service, job, is_own=is_own)


async def streamed(
    service: Service, job: Job, reply: Reply, *, with_usage: bool, is_own: bool
) -> AsyncGenerator[str]:
    """Yield the reply to a question as it comes about.

    Args:
        service: The service.
        job: The question.
        reply: What its pieces say alike.
        with_usage: Whether the last piece tells what the model cost.
        is_own: Whether nobody else may be waiting for it: it is given up when the reader leaves.
    """
    try:
        for piece in reply.beginning():
            yield piece
        async with aclosing(_on_the_way(service, job, reply)) as pieces:
            async for piece in pieces:
                yield piece
        with suppress(StoppedError):
            job = await service.desk.wait(job.new.tenant, job.id, 0.0) or job
        for piece in _ending(job, with_links(reply, job), with_usage=with_usage):
            yield piece
    finally:
        _give_up(service, job, is_own=is_own)


def with_links(reply: Reply, job: Job) -> Reply:
    """Return a reply that leads to all that there is of a question by now, such as its trace and picture."""
    return replace(reply, links=question_view(job).links)


async def told(answer: Answer, reply: Reply, *, with_usage: bool) -> AsyncGenerator[str]:
    """Yield the reply where the answer is there already."""
    for piece in (*reply.beginning(), *reply.ending(answer, with_usage=with_usage)):
        yield piece


async def with_silence(items: AsyncGenerator[Item], seconds: float) -> AsyncGenerator[Item | None]:
    """Yield items, and None whenever so many seconds pass without one."""
    try:
        while True:
            step = asyncio.ensure_future(anext(items))
            try:
                while not (await asyncio.wait({step}, timeout=seconds))[0]:
                    yield None
                item = step.result()
            except StopAsyncIteration:
                return
            finally:
                await _ended(step)
            yield item
    finally:
        await items.aclose()


async def _on_the_way(service: Service, job: Job, reply: Reply) -> AsyncGenerator[str]:
    events = until_leaving(service.desk.follow(job.new.tenant, job.id, None), service.leaving)
    async with aclosing(with_silence(events, SILENCE_S)) as heard:
        async for event in heard:
            if event is None:
                yield ALIVE
            elif event.kind not in UNTOLD:
                yield reply.on_the_way(event.kind, event.data)


def _ending(job: Job, reply: Reply, *, with_usage: bool) -> Iterator[str]:
    try:
        answer = answer_of(job)
    except SpatialAgentError as error:  # the status was sent long ago
        return failing(error_in_words(error))
    return reply.ending(answer, with_usage=with_usage)


def _give_up(service: Service, job: Job, *, is_own: bool) -> None:
    """Cancel a question that nobody waits for any more, after whoever is being cancelled now."""
    if not is_own or job.state in FINAL or service.leaving.is_set():
        return
    task = asyncio.create_task(_cancelled(service, job))
    _giving_up.add(task)
    task.add_done_callback(_giving_up.discard)


async def _cancelled(service: Service, job: Job) -> None:
    # The store may be away: then the answer comes, and nobody reads it.
    with suppress(SpatialAgentError):
        await service.desk.cancel(job.new.tenant, job.id)


async def _ended(step: asyncio.Future[Item]) -> None:
    if not step.done():
        step.cancel()
        with suppress(asyncio.CancelledError, StopAsyncIteration):
            await step
