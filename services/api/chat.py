"""Chat completions as OpenAI's clients and evaluation harnesses ask for them.

The answer is measured, as everywhere else: a conversation becomes a question about a scene, which is an
uploaded one or the pictures that came along, and runs as a job of whoever asks.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Body, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from spatial_agent.agent.answerer import abstain
from spatial_agent.services.api.chat_errors import ChatRoute, NoSuchModelError
from spatial_agent.services.api.chat_outcome import answer_of, awaited, streamed, told, with_links
from spatial_agent.services.api.chat_reading import Understood, understand
from spatial_agent.services.api.chat_replies import Reply
from spatial_agent.services.api.chat_request import ChatRequest
from spatial_agent.services.api.chat_scenes import scene_of_pictures, uploaded_scene
from spatial_agent.services.api.chat_views import (
    ERROR_RESPONSES,
    EXAMPLES,
    STREAMED,
    ModelCard,
    ModelList,
)
from spatial_agent.services.api.dependencies import Asks, Caller, Reads, TheService
from spatial_agent.services.api.questions import IdempotencyKey
from spatial_agent.services.api.service import Service
from spatial_agent.services.api.submitting import check_working, fingerprint_of, submit_question
from spatial_agent.services.store.ids import new_id
from spatial_agent.services.store.records import Job, SceneRecord

router = APIRouter(tags=["chat"], route_class=ChatRoute, responses=dict(ERROR_RESPONSES))

OWNER = "spatial-agent"
#: When this server began to offer its models, seconds since 1970.
SINCE = int(time.time())
#: Nobody reads what a client gets that has left; the log does.
CLIENT_CLOSED_REQUEST = 499
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@router.get("/v1/models", response_description="The models.")
async def models(service: TheService, caller: Reads) -> ModelList:
    """List the models that can be asked: one for each profile of experts."""
    return ModelList(data=[_card(profile) for profile in service.agents.profiles])


@router.get("/v1/models/{model_id:path}", response_description="The model.")
async def model(model_id: str, service: TheService, caller: Reads) -> ModelCard:
    """Return one of the models."""
    return _card(_profile_of(model_id, service))


@router.post("/v1/chat/completions", response_model=None, responses={200: STREAMED})
async def complete(
    asked: Annotated[ChatRequest, Body(openapi_examples=EXAMPLES)],
    request: Request,
    service: TheService,
    caller: Asks,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer the last question of a conversation.

    It is about the scene that `spatial` names, or about the pictures of the last message that has any, which
    come as data URLs (PNG, JPEG, WebP) and are kept for a while. The answer comes in the form that the
    question asks for, such as the bare letter of an option; margin and evidence are in `spatial`. What cannot
    be answered is an ordinary message that says why, with `spatial.abstained`. Who leaves cancels it.
    """
    check_working(service)
    profile = _chosen_profile(asked, service)
    understood = await asyncio.to_thread(understand, asked, service.config.limits)
    if why := understood.why_not:
        return _immediate(asked, understood, why)
    scene = await _scene(service, caller, understood, profile)
    told_of = understood.job_request(scene, profile)
    job, is_new = await submit_question(
        service,
        caller,
        told_of,
        lambda: scene,
        priority=understood.spatial.priority,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint_of(caller, "chat", told_of),
    )
    reply = _reply(asked, understood, job)
    is_own = is_new and idempotency_key is None
    if asked.stream:
        return _stream(streamed(service, job, reply, with_usage=_with_usage(asked), is_own=is_own))
    ended = await awaited(service, request, job, is_own=is_own)
    if ended is None:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return JSONResponse(with_links(reply, ended).completion(answer_of(ended)))


def _card(profile: str) -> ModelCard:
    return ModelCard(id=f"{OWNER}/{profile}", created=SINCE)


def _profile_of(model_id: str, service: Service) -> str:
    """Return the profile that a model stands for.

    Raises:
        NoSuchModelError: If it is not on offer.
    """
    profile = model_id.removeprefix(f"{OWNER}/")
    if profile == model_id or profile not in service.agents.profiles:
        offered = ", ".join(f"{OWNER}/{known}" for known in service.agents.profiles)
        raise NoSuchModelError(f"there is no model {ascii(model_id)}; this service offers {offered}")
    return profile


def _chosen_profile(asked: ChatRequest, service: Service) -> str:
    profile = _profile_of(asked.model, service)
    chosen = asked.spatial.profile if asked.spatial is not None else None
    if chosen is not None and chosen not in service.agents.profiles:
        offered = ", ".join(service.agents.profiles)
        raise NoSuchModelError(
            f"there is no profile {ascii(chosen)}; this service offers {offered}", param="spatial.profile"
        )
    return chosen or profile


async def _scene(service: Service, caller: Caller, understood: Understood, profile: str) -> SceneRecord:
    if understood.spatial.scene is not None:
        return await uploaded_scene(service, caller, understood.spatial.scene)
    return await scene_of_pictures(service, caller, understood.pictures, profile)


def _reply(asked: ChatRequest, understood: Understood, job: Job | None = None) -> Reply:
    return Reply(
        id=f"chatcmpl-{new_id('no') if job is None else job.id}",
        model=asked.model,
        shape=understood.shape,
        choices=asked.n or 1,
    )


def _immediate(asked: ChatRequest, understood: Understood, why: str) -> Response:
    reply, answer = _reply(asked, understood), abstain(why)
    if asked.stream:
        return _stream(told(answer, reply, with_usage=_with_usage(asked)))
    return JSONResponse(reply.completion(answer))


def _stream(pieces: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(pieces, media_type="text/event-stream", headers=STREAM_HEADERS)


def _with_usage(asked: ChatRequest) -> bool:
    return bool(asked.stream_options and asked.stream_options.include_usage)
