"""What happens in a call, told to the client while it waits."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from mcp.server.session import ServerSession

from spatial_agent.agent.events import STAGES, Event, StageDone, ToolEnded, ToolStarted
from spatial_agent.prompts.untrusted import printable
from spatial_agent.tools.progress import Progress

#: At most so often the client hears of steps of one kind, seconds.
PACE_S = 0.1
#: Characters of a message.
LONGEST = 300

Tell = Callable[[str], None]


@asynccontextmanager
async def telling(session: ServerSession) -> AsyncIterator[Tell]:
    """Yield what tells the client of a request a sentence, from any thread; in the order they were told.

    Nothing is sent where the client did not ask for progress. What was told before the end is sent before it.
    """
    loop = asyncio.get_running_loop()
    messages: asyncio.Queue[str | None] = asyncio.Queue()

    def tell(message: str) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(messages.put_nowait, printable(message)[:LONGEST])

    async def send() -> None:
        number = 0
        while (message := await messages.get()) is not None:
            number += 1
            await session.report_progress(number, message=message)

    sending = asyncio.create_task(send())
    try:
        yield tell
        loop.call_soon(messages.put_nowait, None)
        await sending
    finally:
        sending.cancel()


def paced(tell: Tell) -> Progress:
    """Return a listener for steps of long work, which come by the thousand: it passes on some of them."""
    told: dict[str, float] = {}

    def heard(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - told.get(what, -PACE_S) < PACE_S:
            return
        told[what] = now
        tell(f"{what}: {done} of {total}")

    return heard


def in_words(event: Event) -> str | None:
    """Return what an event of a run means to people; None where it is not worth a message."""
    if isinstance(event, StageDone):
        return f"done: {STAGES.get(event.stage, event.stage)}"
    if isinstance(event, ToolStarted):
        return f"calling {event.tool}"
    if isinstance(event, ToolEnded):
        return f"{event.tool}: {event.error or ' '.join(event.claims) or 'done'}"
    return None
