"""Questions: asked, waited for, followed, cancelled; and what came of them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any

from fastapi import Body, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse, ServerSentEvent

from spatial_agent.services.api.dependencies import (
    Asks,
    Caller,
    Reads,
    TheService,
    api_router,
    idempotency_header,
)
from spatial_agent.services.api.pictures import answer_picture_file
from spatial_agent.services.api.problems import (
    BadRequestError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
)
from spatial_agent.services.api.schemas import Id, QuestionList, QuestionRequest, QuestionView, RegionModel
from spatial_agent.services.api.sent_files import SentFile
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.submitting import fingerprint_of, submit_question
from spatial_agent.services.api.views import question_view
from spatial_agent.services.api.waiting import until_leaving, wait_for
from spatial_agent.services.store.records import FINAL, EventId, Job, JobEvent, JobState, SceneRecord
from spatial_agent.services.store.store import Store
from spatial_agent.services.work.redaction import without_folders

router = api_router("questions")

EXAMPLES: dict[str, Any] = {
    "distance": {
        "summary": "A distance, in the unit asked for",
        "value": {
            "question": "How far is the sofa from the television, in metres?",
            "scene": "sc_0123456789abcdef0123456789abcdef",
        },
    },
    "options": {
        "summary": "One of several answers",
        "value": {
            "question": "Which of these is closest to the door?",
            "scene": "sc_0123456789abcdef0123456789abcdef",
            "options": ["A. the sofa", "B. the table", "C. the lamp"],
        },
    },
    "region": {
        "summary": "What is marked on a frame",
        "value": {
            "question": "How high is <region 1>?",
            "scene": "sc_0123456789abcdef0123456789abcdef",
            "regions": [{"frame": 0, "xyxy_px": [40, 60, 220, 310]}],
        },
    },
    "dialogue": {
        "summary": "The next question of a dialogue",
        "value": {
            "question": "And how far is it from the window?",
            "session": "se_0123456789abcdef0123456789abcdef",
        },
    },
}
_OWN_ID = {"question_id": "$response.body#/id"}
LINKS: dict[str, Any] = {
    name: {"operationId": f"questions_{name}", "parameters": _OWN_ID}
    for name in ("question", "cancel", "events", "trace", "picture")
}
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})\"?(?=$|[,;\s])", re.IGNORECASE)
_EVENT_ID = re.compile(r"([1-9]\d{0,8})\.(\d{1,9})")
#: Bytes of a trace that are sent at a time.
CHUNK_BYTES = 64 * 1024

Prefer = Annotated[
    str | None,
    Header(description="`wait=N` waits up to N seconds for the answer (RFC 7240).", examples=["wait=30"]),
]
IdempotencyKey = Annotated[
    str | None,
    idempotency_header(
        "The same key with the same request gives the same question; it is never asked twice."
    ),
]


async def _job(question_id: Id, service: TheService, caller: Reads) -> Job:
    job = await asyncio.to_thread(service.store.jobs.job, caller.tenant, question_id)
    if job is None or job.new.kind != "question":
        raise NotFoundError(f"there is no question {question_id}")
    return job


TheQuestion = Annotated[Job, Depends(_job)]


@router.post(
    "/v1/questions",
    status_code=202,
    response_description="It was taken; see Location.",
    responses={
        200: {"model": QuestionView, "description": "It was waited for, and has ended.", "links": LINKS},
        202: {"links": LINKS},
    },
)
async def ask(
    asked: Annotated[QuestionRequest, Body(openapi_examples=EXAMPLES)],
    request: Request,
    response: Response,
    service: TheService,
    caller: Asks,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> QuestionView:
    """Ask a question about a scene.

    The answer comes at once with `Prefer: wait=N` where it is there within N seconds; else ask for the
    question again, or follow its events.
    """
    _check(service, asked)
    told = asked.model_dump(mode="json")
    job, is_new = await submit_question(
        service,
        caller,
        told,
        lambda: _scene(service.store, caller, asked),
        session=asked.session,
        priority=asked.priority,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint_of(caller, "question", told),
    )
    if not is_new:
        response.headers["Idempotent-Replayed"] = "true"
    response.headers["Location"] = f"/v1/questions/{job.id}"
    return await _waited(service, request, response, job, prefer)


@router.get("/v1/questions", response_description="The questions.")
async def questions(
    service: TheService,
    caller: Reads,
    state: Annotated[JobState | None, Query(description="Only those in this state.")] = None,
    scene: Annotated[Id | None, Query(description="Only those about this scene.")] = None,
    session: Annotated[Id | None, Query(description="Only those of this dialogue.")] = None,
    before: Annotated[Id | None, Query(description="Only those asked before this one.")] = None,
    most: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
) -> QuestionList:
    """List questions, newest first."""
    jobs = await asyncio.to_thread(
        service.store.jobs.listed,
        caller.tenant,
        kind="question",
        state=state,
        scene=scene,
        session=session,
        before=before,
        most=most,
    )
    following = jobs[-1].id if len(jobs) == most else None
    return QuestionList(questions=[question_view(job) for job in jobs], next=following)


@router.get(
    "/v1/questions/{question_id}", response_description="The question, with its answer once it is done."
)
async def question(
    job: TheQuestion, request: Request, response: Response, service: TheService, prefer: Prefer = None
) -> QuestionView:
    """Return a question; with `Prefer: wait=N` once it is done, or after N seconds."""
    view = await _waited(service, request, response, job, prefer)
    response.status_code = 200
    return view


@router.delete(
    "/v1/questions/{question_id}",
    response_description="It is cancelled, or was done before.",
    responses={
        202: {"model": QuestionView, "description": "It will be cancelled as soon as its work allows."}
    },
)
async def cancel(job: TheQuestion, response: Response, service: TheService, caller: Asks) -> QuestionView:
    """Cancel a question; one that is done stays as it is."""
    cancelled = await service.desk.cancel(caller.tenant, job.id)
    if cancelled is None:
        raise NotFoundError(f"there is no question {job.id}")
    if cancelled.state not in FINAL:
        response.status_code = 202
    return question_view(cancelled)


async def _after(
    last_event_id: Annotated[
        str | None,
        Header(
            description="Id of the last event that was received; those after it follow.", examples=["1.7"]
        ),
    ] = None,
) -> EventId | None:
    if last_event_id is None or last_event_id == "":
        return None
    parts = _EVENT_ID.fullmatch(last_event_id)
    if parts is None:
        raise BadRequestError("Last-Event-ID: expected the id of an event such as 1.7")
    return EventId(int(parts[1]), int(parts[2]))


@router.get(
    "/v1/questions/{question_id}/events",
    response_class=EventSourceResponse,
    response_description="started, stage, tool_call, evidence, token; then answer, failed or cancelled.",
)
async def events(
    job: TheQuestion, service: TheService, caller: Reads, after: Annotated[EventId | None, Depends(_after)]
) -> AsyncIterator[ServerSentEvent]:
    """Follow a question as server-sent events: what has happened, then what happens, until its end.

    A client whose connection broke goes on with `Last-Event-ID`. The service ends the stream early when it is
    shut down; ask again then.
    """
    following = service.desk.follow(caller.tenant, job.id, after)
    async for event in until_leaving(following, service.leaving):
        yield _sent(event)


@router.get(
    "/v1/questions/{question_id}/trace",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "One step a line.",
            "content": {"application/jsonl": {"schema": {"type": "string"}}},
        }
    },
)
async def trace(job: TheQuestion, service: TheService) -> StreamingResponse:
    """Return what happened on the way to an answer, step by step, as JSON lines."""
    profile = job.new.request.get("profile")
    agent = await asyncio.to_thread(service.agents.get, str(profile) if profile else None)
    path = agent.trace_path(job.id)
    if not await asyncio.to_thread(path.is_file):
        raise NotFoundError(
            f"there is no trace of question {job.id}: it has not begun, or it is no longer kept"
        )

    def chunks() -> Iterator[bytes]:
        with path.open(encoding="utf-8") as lines:
            while block := lines.readlines(CHUNK_BYTES):
                yield without_folders("".join(block), service.folders).encode()

    return StreamingResponse(chunks(), media_type="application/jsonl")


@router.get(
    "/v1/questions/{question_id}/picture.png",
    response_class=SentFile,
    responses={
        200: {
            "description": "The best frame beside the map, what the answer rests on marked on both.",
            "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
        },
        206: {"description": "The part of the file that `Range` asked for."},
        416: {"description": "The file has no such part."},
    },
)
async def picture(job: TheQuestion, request: Request, service: TheService) -> SentFile:
    """Return the picture of an answer."""
    if job.state != "done" or job.answer is None:
        raise ConflictError(f"question {job.id} has no answer to draw: it is {job.state}")
    async with request.app.state.drawing:
        path = await answer_picture_file(service, job)
    return SentFile(path, media_type="image/png", headers={"Cache-Control": "private, max-age=86400"})


def _scene(store: Store, caller: Caller, asked: QuestionRequest) -> SceneRecord:
    """Return the scene a question is about.

    Raises:
        InvalidRequestError: If it names none, or another one than its dialogue.
        NotFoundError: If the scene or the dialogue is not there.
        ConflictError: If the scene could not be measured.
    """
    scene_id = asked.scene
    if asked.session is not None:
        session = store.sessions.session(caller.tenant, asked.session)
        if session is None:
            raise NotFoundError(f"there is no session {asked.session}")
        if scene_id not in (None, session.scene):
            raise InvalidRequestError(
                f"session {session.id} is about the scene {session.scene}, not {scene_id}"
            )
        scene_id = session.scene
    if scene_id is None:
        raise InvalidRequestError("expected a scene or a session that the question is about, got neither")
    return ready_scene(store, caller, scene_id)


def ready_scene(store: Store, caller: Caller, scene_id: str) -> SceneRecord:
    """Return a caller's scene that can be asked about, now or once it is measured.

    Raises:
        NotFoundError: If it is not there.
        ConflictError: If it could not be measured.
    """
    record = store.scenes.scene(caller.tenant, scene_id)
    if record is None:
        raise NotFoundError(f"there is no scene {scene_id}")
    if record.state == "failed":
        why = (record.problem or {}).get("detail", "")
        raise ConflictError(f"scene {scene_id} could not be measured: {why}")
    return record


def _check(service: Service, asked: QuestionRequest) -> None:
    if asked.profile is not None and asked.profile not in service.agents.profiles:
        offered = ", ".join(service.agents.profiles)
        raise InvalidRequestError(f"unknown profile {asked.profile!r}; this service offers {offered}")
    for number, region in enumerate(asked.regions, 1):
        _check_region(region, f"region {number}", service.config.limits.pixels)


def _check_region(region: RegionModel, name: str, most_pixels: int) -> None:
    ways = (region.xyxy_px, region.point_px, region.outline_px, region.mask)
    if sum(way is not None for way in ways) != 1:
        raise InvalidRequestError(f"{name}: expected exactly one of xyxy_px, point_px, outline_px and mask")
    if region.mask is None:
        return
    height, width = region.mask.size
    if height * width > most_pixels:
        raise TooLargeError(f"{name}: expected a mask of at most {most_pixels} pixels, got {height * width}")
    if sum(region.mask.counts) != height * width:
        raise InvalidRequestError(
            f"{name}: expected runs that fill {height}x{width} pixels, got {sum(region.mask.counts)} pixels"
        )


async def _waited(
    service: Service, request: Request, response: Response, job: Job, prefer: str | None
) -> QuestionView:
    seconds = _wait_seconds(prefer, service.config.limits.wait_seconds)
    if seconds is not None:
        response.headers["Preference-Applied"] = f"wait={seconds:g}"
        if job.state not in FINAL and seconds > 0:
            job = await wait_for(service, request, job, seconds)
    if job.state in FINAL:
        response.status_code = 200
    else:
        response.headers["Retry-After"] = "1"
    return question_view(job)


def _wait_seconds(prefer: str | None, most: float) -> float | None:
    found = _WAIT.search(prefer or "")
    return None if found is None else min(float(found[1]), most)


def _sent(event: JobEvent) -> ServerSentEvent:
    return ServerSentEvent(
        raw_data=json.dumps(event.data, separators=(",", ":")), event=event.kind, id=str(event.id)
    )
