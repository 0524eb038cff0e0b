"""Waiting for jobs: no longer than somebody is there who waits, or than the service is."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, TypeVar

from fastapi import Request

from spatial_agent.services.api.service import Service
from spatial_agent.services.store.records import Job
from spatial_agent.tools.errors import StoppedError

Item = TypeVar("Item")
#: Seconds in which streams tell what has happened by the end of the service.
LAST_S = 1.0


async def wait_for(service: Service, request: Request, job: Job, seconds: float) -> Job:
    """Return a job once it is finished; as it is where that takes too long or nobody waits any more.

    The job goes on whoever leaves: who wants it cancelled says so.

    Args:
        service: The service.
        request: Of whoever waits; its body has been read.
        job: The job.
        seconds: How long to wait at most.
    """
    waiting = asyncio.ensure_future(service.desk.wait(job.new.tenant, job.id, seconds))
    ends = (asyncio.ensure_future(left(request)), asyncio.ensure_future(service.leaving.wait()))
    try:
        await asyncio.wait({waiting, *ends}, return_when=asyncio.FIRST_COMPLETED)
        found = waiting.result() if waiting.done() else None
    except StoppedError:
        # The service has just come to its end; the job is kept.
        found = None
    finally:
        await _cancelled(waiting, *ends)
    return found or job


async def until_leaving(items: AsyncIterator[Item], leaving: asyncio.Event) -> AsyncGenerator[Item]:
    """Yield items until they end, or until just after the service came to its end."""
    ending: asyncio.Future[Any] = asyncio.ensure_future(_over(leaving))
    try:
        while True:
            step: asyncio.Future[Any] = asyncio.ensure_future(_next(items))
            try:
                await asyncio.wait({step, ending}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                if not step.done():
                    await _cancelled(step)
            if step.cancelled():
                return
            try:
                item: Item = step.result()
            except StopAsyncIteration:
                return
            yield item
    finally:
        await _cancelled(ending)
        if isinstance(items, AsyncGenerator):
            await items.aclose()


async def _over(leaving: asyncio.Event) -> None:
    await leaving.wait()
    await asyncio.sleep(LAST_S)


async def _next(items: AsyncIterator[Item]) -> Item:
    return await anext(items)


async def left(request: Request) -> None:
    """Return once whoever sent a request has gone; its body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _cancelled(*futures: "asyncio.Future[Any]") -> None:
    """Cancel what is not done, and see it end."""
    for future in futures:
        future.cancel()
    await asyncio.gather(*futures, return_exceptions=True)
