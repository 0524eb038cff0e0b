"""Questions that are waited for and streamed while the service comes to its end, or nothing happens."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request

from spatial_agent.agent.answer import Answer
from spatial_agent.services.api.caller import local_caller
from spatial_agent.services.api.chat_errors import JobFailedError
from spatial_agent.services.api.chat_outcome import answer_of, awaited, streamed, with_silence
from spatial_agent.services.api.chat_replies import Reply
from spatial_agent.services.api.problems import ConflictError, DrainingError, problem_of
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.submitting import submit_question
from spatial_agent.services.store.records import LOCAL_TENANT, Job, JobState, NewJob
from spatial_agent.tools.errors import MissingWeightsError, QuestionError, ToolCrashedError
from tests.services.api.chatting import Oracle
from tests.services.api.prepared import add_scene, open_prepared

REPLY = Reply("chatcmpl-1", "spatial-agent/recorded")


@asynccontextmanager
async def waiting(folder: Path) -> AsyncIterator[tuple[Service, Job]]:
    """A service at work on a question that never ends by itself."""
    oracle = Oracle()
    service = open_prepared(folder, oracle, work={"drain_seconds": 0.05})
    await service.start()
    try:
        scene = service.store.scenes.scene(LOCAL_TENANT, add_scene(service.store, LOCAL_TENANT))
        assert scene is not None
        asked = {"question": "wait for it", "options": []}
        job, _ = await submit_question(service, local_caller(), asked, lambda: scene)
        assert await asyncio.to_thread(oracle.begun.wait, 30)
        yield service, job
    finally:
        await service.close()


def staying() -> Request:
    """A request of somebody who does not leave."""

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def test_a_stream_ends_with_the_service(tmp_path: Path) -> None:
    async def run() -> list[str]:
        async with waiting(tmp_path) as (service, job):
            stream = streamed(service, job, REPLY, with_usage=False, is_own=True)
            pieces = [await anext(stream)]
            await service.drain()
            return pieces + [piece async for piece in stream]

    *_, error, end = asyncio.run(run())
    assert "shut down" in json.loads(error.removeprefix("data: "))["error"]["message"]
    assert end == "data: [DONE]\n\n"


def test_waiting_ends_with_the_service(tmp_path: Path) -> None:
    async def run() -> Job | None:
        async with waiting(tmp_path) as (service, job):
            ended = asyncio.ensure_future(awaited(service, staying(), job, is_own=True))
            await service.drain()
            return await ended

    job = asyncio.run(run())
    assert job is not None
    with pytest.raises(DrainingError):
        answer_of(job)


@pytest.mark.parametrize("is_own", [True, False])
def test_only_ones_own_question_is_given_up_with_its_stream(tmp_path: Path, is_own: bool) -> None:
    async def run() -> Job | None:
        async with waiting(tmp_path) as (service, job):
            stream = streamed(service, job, REPLY, with_usage=False, is_own=is_own)
            await anext(stream)
            await stream.aclose()
            return await service.desk.wait(LOCAL_TENANT, job.id, 20.0 if is_own else 0.2)

    job = asyncio.run(run())
    assert job is not None
    assert job.state == ("cancelled" if is_own else "running")


def test_silence_is_told_and_nothing_gets_lost() -> None:
    async def run() -> list[int | None]:
        goes_on = asyncio.Event()

        async def items() -> AsyncGenerator[int]:
            yield 1
            await goes_on.wait()
            yield 2

        heard: list[int | None] = []
        async for item in with_silence(items(), 0.01):
            heard.append(item)
            if heard.count(None) == 2:
                goes_on.set()
        return heard

    heard = asyncio.run(run())
    assert heard[0] == 1
    assert heard[-1] == 2
    assert heard[1:3] == [None, None]


def test_whoever_stops_listening_stops_what_is_listened_to() -> None:
    async def run() -> bool:
        stopped = asyncio.Event()

        async def items() -> AsyncGenerator[int]:
            try:
                await asyncio.Event().wait()
                yield 1
            finally:
                stopped.set()

        heard = with_silence(items(), 0.01)
        assert await anext(heard) is None
        await heard.aclose()
        return stopped.is_set()

    assert asyncio.run(run())


def job_that(
    state: JobState, *, answer: dict[str, Any] | None = None, problem: dict[str, Any] | None = None
) -> Job:
    new = NewJob("local", "question", {"question": "?"}, "sc_1")
    return Job("q_1", new, state, 1.0, answer=answer, problem=problem)


@pytest.mark.parametrize("error", [QuestionError("say it otherwise"), MissingWeightsError("fetch them")])
def test_what_cannot_be_answered_is_an_answer(error: Exception) -> None:
    answer = answer_of(job_that("failed", problem=problem_of(error)))
    assert (answer.abstained, answer.reason, answer.trace_id) == (True, str(error), "q_1")


def test_what_came_of_a_question() -> None:
    assert answer_of(job_that("done", answer=Answer("2 m", 2.0).to_json())) == Answer("2 m", 2.0)
    with pytest.raises(ConflictError, match="cancelled"):
        answer_of(job_that("cancelled"))
    with pytest.raises(JobFailedError, match="out of memory"):
        answer_of(job_that("failed", problem=problem_of(ToolCrashedError("out of memory"))))
    with pytest.raises(JobFailedError):
        answer_of(job_that("failed"))
