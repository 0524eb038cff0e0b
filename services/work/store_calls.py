"""Calls of the store, which block, made from an event loop, which must not."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from spatial_agent.services.store.errors import StoreUnavailableError
from spatial_agent.tools.errors import StoppedError

Given = ParamSpec("Given")
Result = TypeVar("Result")

_log = logging.getLogger(__name__)
#: Seconds until a call that could not reach the store is tried again: the first time, and at most.
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 2.0


class StoreCalls:
    """A few threads that call the store.

    They are its own: work that fills the event loop's shared threads cannot hold up what keeps jobs alive.
    """

    def __init__(self, threads: int, name: str) -> None:
        """Start nothing yet.

        Args:
            threads: How many calls run at a time; others wait.
            name: What the threads are called.
        """
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._is_closed = self._is_away = False

    async def __call__(
        self, call: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Return what a call comes back with; what it raises is passed on.

        That the store is away is logged once, and once that it is back.

        Raises:
            StoppedError: If the service has shut down.
        """
        if self._is_closed:
            raise StoppedError(
                "expected a running service, this one has shut down: ask again when it is back"
            )
        loop = asyncio.get_running_loop()
        try:
            result = await loop.run_in_executor(self._threads, partial(call, *args, **kwargs))
        except StoreUnavailableError as error:
            if not self._is_away:
                _log.warning("the store is away; jobs go on, and what they come to is kept: %s", error)
            self._is_away = True
            raise
        if self._is_away:
            _log.warning("the store is back")
        self._is_away = False
        return result

    async def insist(self, call: Callable[[], Result], give_up: asyncio.Event) -> Result:
        """Call again and again while the store is away; what else it raises is passed on.

        Args:
            call: The call, which may be made more than once.
            give_up: Once set, being away is passed on too.
        """
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return await self(call)
            except StoreUnavailableError:
                if give_up.is_set():
                    raise
            await pause(give_up, pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def close(self) -> None:
        """Let running calls end, and take no more."""
        self._is_closed = True
        await asyncio.to_thread(self._threads.shutdown)


async def pause(until: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but no longer than so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await until.wait()
    except TimeoutError:
        return
