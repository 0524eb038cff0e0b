"""What is told of a job, by itself."""

import asyncio
import threading

from spatial_agent.services.store.records import EventId
from spatial_agent.services.work.feed import START, Feed
from spatial_agent.services.work.store_calls import StoreCalls
from spatial_agent.services.work.telling import Telling


def test_what_is_told_after_the_end_is_left_out() -> None:
    async def tell() -> tuple[list[str], list[str]]:
        calls = StoreCalls(1, "test")
        feed = Feed()
        feed.begin(START)
        telling = Telling(EventId(1, 0), feed, calls, lambda _: True, lambda: None)
        telling.start("q_1")
        telling.tell("stage", {"stage": "plan"})
        first = [event.kind for event in await telling.close()]
        late = threading.Thread(target=telling.tell, args=("stage", {"stage": "answer"}))
        late.start()
        late.join()
        second = [event.kind for event in await telling.close()]
        await calls.close()
        return first, second

    first, second = asyncio.run(tell())
    assert first == ["started", "stage"]
    assert second == first
