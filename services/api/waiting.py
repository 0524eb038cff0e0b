"""Waiting for jobs: no longer than somebody is there who waits, or than the service is."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, TypeVar

from fastapi import Request

from spatial_agent.services.api.problems import DrainingError
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
    try:
        found = await while_wanted(service, request, service.desk.wait(job.new.tenant, job.id, seconds))
    except (DrainingError, StoppedError):
        # Nobody waits, or the service has just come to its end; the job is kept.
        found = None
    return found or job


async def while_wanted(service: Service, request: Request, work: Coroutine[Any, Any, Item]) -> Item:
    """Return what work comes to; it is cancelled once nobody waits for it, or the service comes to its end.

    Args:
        service: The service.
        request: Of whoever waits; its body has been read.
        work: What is waited for.

    Raises:
        DrainingError: If it was cancelled.
    """
    working = asyncio.ensure_future(work)
    ends = (asyncio.ensure_future(left(request)), asyncio.ensure_future(service.leaving.wait()))
    try:
        await asyncio.wait({working, *ends}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        raise DrainingError("the call was given up before it was done; try again soon", retry_after_s=5.0)
    finally:
        for future in ends:
            future.cancel()
        if not working.done():
            await _cancelled(working)


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
